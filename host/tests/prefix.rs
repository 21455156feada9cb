//! The `prefix` plugin, which works on phone numbers in the clear, behind the permutation.

mod support;

use std::collections::BTreeMap;

use portcullis_host::{
    CallError, Direction, Directions, Entry, Generation, Instance, Keyspace, Msisdn, Outcome, Permutation,
    PermutationKey, Recipe, Settings, Subject, Verdict,
};
use portcullis_msisdn::ReservedId;
use support::record::Record;
use support::{MIB, account, hand_over, prefix, recipe};

fn hidden() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"a key for a test"))
}

fn subject(number: u64) -> Subject {
    hidden().subject(Msisdn::try_from(number).expect("its country code is assigned"))
}

fn entry(number: u64, directions: Directions) -> Entry {
    Entry { subject: subject(number), directions }
}

fn granted(options: &str) -> Recipe {
    Recipe { numbers: Some(hidden()), ..recipe(prefix(), options) }
}

fn list(options: &str) -> Generation {
    Generation::empty(granted(options)).expect("the plugin starts")
}

/// Returns which of the numbers are blocked. Checks them both one by one and in a batch.
fn blocked(list: &Generation, numbers: &[u64], direction: Direction) -> Vec<u64> {
    let subjects: Vec<Subject> = numbers.iter().map(|&number| subject(number)).collect();
    let verdicts = list.check_many(&subjects, direction).expect("checks are answered");
    for (&subject, &verdict) in subjects.iter().zip(&verdicts) {
        assert_eq!(list.check(subject, direction), Ok(verdict), "single checks agree with the batch");
    }
    let blocked = numbers.iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Block);
    blocked.map(|(&number, _)| number).collect()
}

/// Lists all entries page by page, in the order returned.
fn walk(list: &Generation, limit: usize) -> Vec<Entry> {
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = list.list(after, limit).expect("a page is answered");
        assert!(page.entries.len() <= limit);
        walked.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return walked;
        }
    }
}

#[test]
fn it_describes_itself() {
    let plugin = prefix();
    assert_eq!(plugin.description().name, "prefix");
    assert_eq!(plugin.description().keyspace, Keyspace::Clear);
}

#[test]
fn without_a_grant_it_is_refused_with_the_setting_that_grants_clear_numbers() {
    let error = Generation::empty(recipe(prefix(), "{}")).map(|_| ());
    assert_eq!(
        error.expect_err("nothing is granted").to_string(),
        "refused by the plugin: the plugin prefix works on numbers in clear, which this tenant does not grant: set \
         clear_numbers = true for the tenant, or choose a plugin that works on hashed numbers"
    );
}

#[test]
fn wrong_options_are_refused_in_the_plugins_words() {
    let error = Generation::empty(granted(r#"{"block": ["41", "042"]}"#)).map(|_| ());
    let error = error.expect_err("no prefix begins with 0");
    assert_eq!(
        error,
        CallError::Refused(
            "rule 2 of the option `block` begins with 0, but no number does: write the first digits of the numbers, \
             starting with the country code, as in 417152"
                .to_owned()
        )
    );
    assert!(!error.is_fatal());
}

#[test]
fn options_are_not_in_debug_output() {
    let recipe = granted(r#"{"block": ["41715209999"]}"#);
    let shown = format!("{recipe:?}");
    assert!(shown.contains("26 bytes") && !shown.contains("41715209999"), "{shown}");
}

#[test]
fn a_pattern_blocks_its_numbers_and_not_their_neighbours() {
    let list = list(r#"{"block": ["+4121560####", "+41328321###"]}"#);
    let asked: Vec<u64> = (41_215_590_000..41_215_620_000)
        .chain(41_328_320_000..41_328_323_000)
        // Numbers one digit shorter and one digit longer.
        .chain(4_121_560_000..4_121_561_000)
        .chain(412_156_000_000..412_156_001_000)
        .collect();
    let expected: Vec<u64> = (41_215_600_000..41_215_610_000).chain(41_328_321_000..41_328_322_000).collect();
    for direction in [Direction::Inbound, Direction::Outbound] {
        assert!(blocked(&list, &asked, direction) == expected, "{direction}");
    }
    assert_eq!(list.count(), Ok(0));
}

#[test]
fn an_allow_rule_exempts_numbers_from_a_block_rule() {
    let list = list(r#"{"block": ["417152"], "allow": ["4171520999"], "directions": ["inbound"]}"#);
    let asked: Vec<u64> = (41_715_209_900..41_715_210_100).collect();
    let expected: Vec<u64> = (41_715_209_900..41_715_209_990).chain(41_715_210_000..41_715_210_100).collect();
    assert_eq!(blocked(&list, &asked, Direction::Inbound), expected);
    assert!(blocked(&list, &asked, Direction::Outbound).is_empty());
}

#[test]
fn an_entry_overrides_an_allow_rule_and_leaves_no_trace_when_lifted() {
    let list = list(r#"{"block": ["4171"], "allow": ["417152"]}"#);
    let numbers = [41_715_209_998, 41_715_209_999, 41_715_210_000, 41_715_300_000];
    let optout = entry(41_715_209_999, Directions::OUTBOUND);
    assert_eq!(list.block(&[optout, optout]), Ok(vec![Outcome::Changed, Outcome::Unchanged]));
    assert_eq!(blocked(&list, &numbers, Direction::Outbound), [41_715_209_999, 41_715_300_000]);
    assert_eq!(blocked(&list, &numbers, Direction::Inbound), [41_715_300_000]);
    assert_eq!(walk(&list, 10), [optout]);
    assert_eq!(list.unblock(&[optout, optout]), Ok(vec![Outcome::Changed, Outcome::Unchanged]));
    assert_eq!(blocked(&list, &numbers, Direction::Outbound), [41_715_300_000]);
    assert_eq!(list.count(), Ok(0));
}

#[test]
fn a_reserved_identity_can_be_an_entry_but_matches_no_rule() {
    let list = list(r#"{"block": ["1"]}"#);
    let [one, other] = [0, 1].map(|index| hidden().reserved(ReservedId::new(index).expect("it is small")));
    let optout = Entry { subject: one, directions: Directions::BOTH };
    assert_eq!(list.block(&[optout]), Ok(vec![Outcome::Changed]));
    assert_eq!(list.check(one, Direction::Inbound), Ok(Verdict::Block));
    assert_eq!(list.check(other, Direction::Inbound), Ok(Verdict::Allow));
    assert_eq!(walk(&list, 10), [optout]);
}

#[test]
fn pages_list_every_entry_once_in_numeric_order() {
    let list = list(r#"{"block": ["4171"]}"#);
    let directions = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];
    let entries: Vec<Entry> = (0..10_000)
        .zip(directions.iter().cycle())
        .map(|(i, &directions)| {
            let number = if i < 9000 { 41_790_000_000 + i * 7 } else { 12_020_000_000 + i * i };
            entry(number, directions)
        })
        .collect();
    let mut expected = entries.clone();
    expected.sort_by_key(|entry| hidden().invert(entry.subject));
    list.block(&entries).expect("entries are taken");
    for limit in [1, 64, 4096, 10_000] {
        assert!(walk(&list, limit) == expected, "pages of {limit}");
    }

    // Lifting entries between pages, including the last one listed, skips no others.
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = list.list(after, 100).expect("a page is answered");
        let Some(&last) = page.entries.last() else { break };
        list.unblock(&[Entry { directions: Directions::BOTH, ..last }]).expect("it is lifted");
        walked.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(walked == expected);
    assert_eq!(list.count(), Ok(9900));
}

#[test]
fn it_is_filled_from_a_record_and_holds_it() {
    let numbers = || (0..5000).map(|i| 46_730_000_000 + i * 11);
    let record = Record::default();
    for number in numbers() {
        record.set(subject(number), Directions::OUTBOUND);
    }
    let list = Generation::filled(granted(r#"{"allow": ["4673"]}"#), &record, None).expect("it is filled");
    let held: BTreeMap<Subject, Directions> =
        walk(&list, 1000).into_iter().map(|entry| (entry.subject, entry.directions)).collect();
    let given: BTreeMap<Subject, Directions> =
        numbers().map(|number| (subject(number), Directions::OUTBOUND)).collect();
    assert!(held == given);
    assert_eq!(
        blocked(&list, &[46_730_000_010, 46_730_000_011, 46_730_000_012], Direction::Outbound),
        [46_730_000_011]
    );
}

#[test]
fn a_saved_state_loads_into_another_instance_with_other_rules() {
    let (plugin, account) = (prefix(), account(64 * MIB));
    let start = |options: &str| -> Instance {
        let settings = Settings { options: options.to_owned(), ..Settings::default() };
        plugin.instantiate(&settings, &account, Some(&hidden())).expect("it starts")
    };
    let (mut first, mut second) = (start(r#"{"block": ["41"]}"#), start("{}"));
    let entries: Vec<Entry> =
        (0..50_000).map(|i| entry(46_700_000_000 + i * 1999 % 100_000_000, Directions::INBOUND)).collect();
    first.block(&entries).expect("entries are taken");

    let format = plugin.description().saves.clone().expect("it saves");
    let parts = hand_over(&mut first, &mut second, &format);
    assert!(parts > 1);
    assert_eq!(second.count(), Ok(50_000));
    assert_eq!(second.list(None, 4096), first.list(None, 4096));
    assert_eq!(second.check(subject(41_790_000_000), Direction::Inbound), Ok(Verdict::Allow));

    let refused = start("{}").load(&format, b"not a saved state");
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
}

#[test]
fn a_number_takes_at_most_ten_bytes_whatever_the_distribution() {
    // Numbers of one country, and numbers spread over the whole range.
    for step in [7, 2_199_999_999] {
        let list = list("{}");
        let before = list.memory_bytes();
        let count = 500_000;
        let entries: Vec<Entry> = (0..count)
            .map(|i| {
                let value = 46_700_000_000 + i * 99_991 % count * step;
                let subject = hidden().permute(Subject::new(value).expect("below 2^50"));
                Entry { subject, directions: Directions::BOTH }
            })
            .collect();
        list.block(&entries).expect("entries are taken");
        assert_eq!(list.count(), Ok(count));
        let taken = list.memory_bytes() - before;
        assert!(taken <= 10 * count, "{taken} bytes for steps of {step}");
    }
}
