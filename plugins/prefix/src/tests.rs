use portcullis_plugin_sdk::{Directions, conformance};

use super::*;

fn prefix(options: &str) -> Prefix {
    let settings = Settings { capacity: 0, options: options.to_owned() };
    Prefix::configure(settings).unwrap_or_else(|why| panic!("{options}: {why}"))
}

fn entry(subject: u64, directions: Directions) -> Entry {
    Entry { subject: Subject::new(subject).expect("below 2^50"), directions }
}

fn both_ways(plugin: &Prefix, subject: u64) -> [bool; 2] {
    let subject = Subject::new(subject).expect("below 2^50");
    [Direction::Inbound, Direction::Outbound].map(|direction| plugin.blocks(subject, direction))
}

#[test]
fn keeps_the_contract() {
    conformance::check::<Prefix>("{}");
}

#[test]
fn keeps_the_contract_with_rules_that_do_not_apply() {
    // Nearly all subjects in the test have fifteen digits, so no rule applies to them.
    conformance::check::<Prefix>(r#"{"block": ["41715######", "+4121560####"], "allow": ["41715209999"]}"#);
}

#[test]
fn an_entry_takes_precedence_over_an_allow_rule() {
    let mut plugin = prefix(r#"{"block": ["417152"], "allow": ["41715209999"]}"#);
    assert_eq!(both_ways(&plugin, 41_715_209_999), [false, false]);
    assert_eq!(plugin.block(entry(41_715_209_999, Directions::INBOUND)), Outcome::Changed);
    assert_eq!(both_ways(&plugin, 41_715_209_999), [true, false]);
    assert_eq!(plugin.unblock(entry(41_715_209_999, Directions::BOTH)), Outcome::Changed);
    assert_eq!(both_ways(&plugin, 41_715_209_999), [false, false]);
}

#[test]
fn the_rules_apply_again_after_an_entry_is_unblocked() {
    let mut plugin = prefix(r#"{"block": ["417152"], "directions": ["outbound"]}"#);
    assert_eq!(plugin.block(entry(41_715_200_000, Directions::BOTH)), Outcome::Changed);
    assert_eq!(both_ways(&plugin, 41_715_200_000), [true, true]);
    assert_eq!(plugin.unblock(entry(41_715_200_000, Directions::BOTH)), Outcome::Changed);
    assert_eq!(both_ways(&plugin, 41_715_200_000), [false, true]);
    assert_eq!(plugin.unblock(entry(41_715_200_000, Directions::BOTH)), Outcome::Unchanged);
}

#[test]
fn lists_and_counts_contain_only_entries() {
    let mut plugin = prefix(r#"{"block": ["417152"]}"#);
    assert_eq!((plugin.count(), plugin.list(None, 10)), (0, Page::default()));
    let entries = [entry(41_715_200_000, Directions::INBOUND), entry(10_u64.pow(15), Directions::BOTH)];
    for entry in entries {
        plugin.block(entry);
    }
    assert_eq!((plugin.count(), plugin.list(None, 10).entries), (2, entries.to_vec()));
    assert_eq!(both_ways(&plugin, 10_u64.pow(15)), [true, true]);
}

#[test]
fn pages_can_split_consecutive_numbers() {
    let mut plugin = prefix("{}");
    let entries = [41_715_200_000, 41_715_200_001, 41_715_200_002].map(|n| entry(n, Directions::BOTH));
    for entry in entries {
        plugin.block(entry);
    }
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = plugin.list(after, 1);
        walked.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, entries);
}

#[test]
fn a_part_after_the_last_is_rejected() {
    let saved = prefix("{}").save(None, 64 << 10);
    let mut plugin = prefix("{}");
    let format = Prefix::describe().saves.expect("it saves");
    assert_eq!(plugin.load(format.clone(), &saved.bytes), Ok(Progress::Complete));
    assert!(plugin.load(format, &saved.bytes).is_err());
}
