//! Released contracts: their text does not change, and the components that were released with them serve unchanged.
//!
//! `fixtures/NAME-VERSION/` has a contract's text as it was released, and components that were built for it then. They are
//! never built anew. The components of `blacklist-0.1.0` are those of portcullis-plugin-bundle 0.1.0 on crates.io.

mod support;

use std::path::{Path, PathBuf};

use portcullis_host::rules::{Decision, Message, Person, Recipe as RulesRecipe, RuleSet};
use portcullis_host::{
    Component, Direction, Directions, Entry, FilledFrom, Generation, Keyspace, Limits, Msisdn, Outcome,
    Permutation, PermutationKey, Plugin, Recipe, Subject, Verdict,
};
use support::record::Record;
use support::states::States;
use support::{MIB, account, engine, exact, prefix, recipe};
use wit_component::semver_check;
use wit_parser::{PackageId, Resolve};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each released contract: its folder, its text as released, its text today, and its world.
fn released() -> Vec<(&'static str, String, String, &'static str)> {
    let contracts = [
        ("blacklist-0.1.0", "blacklist.wit", "0.1.0/blacklist.wit", "plugin"),
        ("rules-0.1.0", "rules.wit", "rules-0.1.0/rules.wit", "rules-plugin"),
    ];
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    contracts
        .map(|(folder, file, today, world)| {
            (folder, read(&fixtures().join(folder).join(file)), read(&wit.join(today)), world)
        })
        .to_vec()
}

/// Whether components for the one contract are components for the other. Their versions are not compared: two packages of
/// one name need different ones.
fn is_compatible(before: &str, after: &str, world: &str) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let mut push =
        |name: &str, text: String| -> PackageId { resolve.push_str(name, &text).expect("it is WIT") };
    let before = push("before.wit", before.replacen("@0.1.0;", "@0.0.1;", 1));
    let after = push("after.wit", after.to_owned());
    let world_of = |package| resolve.select_world(&[package], Some(world)).expect("it has this world");
    let (before, after) = (world_of(before), world_of(after));
    semver_check(resolve, before, after).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_contract_of_lists_is_what_was_released_byte_for_byte() {
    let [(_, released, today, _), ..] = &released()[..] else { panic!("there is one") };
    assert_eq!(released, today);
}

#[test]
fn released_contracts_change_in_nothing_but_comments() {
    for (folder, released, today, world) in released() {
        for (before, after) in [(&released, &today), (&today, &released)] {
            is_compatible(before, after, world).unwrap_or_else(|why| panic!("{folder}: {why}"));
        }
    }
}

#[test]
fn each_change_of_a_contract_is_noticed() {
    let [(_, list, ..), (_, rules, ..)] = &released()[..] else { panic!("there are two") };
    for (text, world, from, to) in [
        (list, "plugin", "count: func() -> u64;", "count: func() -> u32;"),
        (list, "plugin", "count: func() -> u64;", "count: func() -> u64; more: func();"),
        (list, "plugin", "export blacklist;", "export blacklist; export other: interface {}"),
        (rules, "rules-plugin", "segments: u16,", "segments: u16, urgent: bool,"),
        (rules, "rules-plugin", "enum channel { other, ", "enum channel { other, fax, "),
        (rules, "rules-plugin", "decide-many: func(batch: batch) -> answers;", ""),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let both = [is_compatible(text, &changed, world), is_compatible(&changed, text, world)];
        assert!(both.iter().any(Result::is_err), "{from} → {to}");
    }
}

fn released_list(name: &str) -> Plugin {
    let file = fixtures().join("blacklist-0.1.0").join(name);
    Plugin::load_file(engine(), file, Limits::default()).expect("it loads as on the day of its release")
}

fn permutation() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"a key for a test"))
}

fn of_list(plugin: Plugin) -> Recipe {
    Recipe { numbers: Some(permutation()), ..recipe(plugin, "{}") }
}

fn subject(n: u64) -> Subject {
    permutation().subject(Msisdn::try_from(15_550_000_000 + n).expect("it is a number"))
}

fn walk(list: &Generation) -> Vec<Entry> {
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = list.list(after, 1000).expect("a page is answered");
        walked.extend(page.entries);
        after = page.next;
        if after.is_none() {
            walked.sort_unstable_by_key(|entry| entry.subject);
            return walked;
        }
    }
}

#[test]
fn released_lists_serve_unchanged() {
    for (file, name, keyspace) in
        [("exact.wasm", "exact", Keyspace::Hashed), ("prefix.wasm", "prefix", Keyspace::Clear)]
    {
        let plugin = released_list(file);
        let description = plugin.description();
        assert_eq!(
            (description.name.as_str(), description.version.as_str(), description.keyspace),
            (name, "0.1.0", keyspace)
        );
        let list = Generation::empty(of_list(plugin)).expect("it starts");
        let entry = |n, directions| Entry { subject: subject(n), directions };
        let written = [entry(1, Directions::BOTH), entry(2, Directions::INBOUND), entry(1, Directions::BOTH)];
        assert_eq!(list.block(&written), Ok(vec![Outcome::Changed, Outcome::Changed, Outcome::Unchanged]));
        let lifted = [entry(1, Directions::INBOUND), entry(9, Directions::BOTH)];
        assert_eq!(list.unblock(&lifted), Ok(vec![Outcome::Changed, Outcome::Unchanged]));
        for (n, direction, verdict) in [
            (1, Direction::Inbound, Verdict::Allow),
            (1, Direction::Outbound, Verdict::Block),
            (2, Direction::Inbound, Verdict::Block),
            (2, Direction::Outbound, Verdict::Allow),
            (3, Direction::Outbound, Verdict::Allow),
        ] {
            assert_eq!(list.check(subject(n), direction), Ok(verdict), "{name} {n} {direction}");
            assert_eq!(list.check_many(&[subject(n)], direction), Ok(vec![verdict]));
        }
        assert_eq!(list.count(), Ok(2));
        let mut listed = vec![entry(1, Directions::OUTBOUND), entry(2, Directions::INBOUND)];
        listed.sort_unstable_by_key(|entry| entry.subject);
        assert_eq!(walk(&list), listed);
    }
}

/// Also between the released plugin and today's: a gateway that was updated restores what the one before it saved.
#[test]
fn released_lists_save_and_restore_unchanged() {
    for (file, today) in [("exact.wasm", exact()), ("prefix.wasm", prefix())] {
        let record = Record::of((0..5000).map(subject));
        let released = released_list(file);
        for (from, to) in [(&released, &released), (&released, &today), (&today, &released)] {
            let states = States::default();
            let list =
                Generation::filled(of_list(from.clone()), &record, None).expect("it is filled and proven");
            list.save(&states, record.len()).expect("it is saved");
            let empty = Generation::empty(of_list(to.clone())).expect("it starts");
            let (restored, from) = empty.filled_and_proved(&record, Some(&states)).expect("it is restored");
            assert!(matches!(from, FilledFrom::State { .. }), "{file}: {from:?}");
            assert_eq!(walk(&restored), walk(&list), "{file}");
        }
    }
}

#[test]
fn released_rules_decide_unchanged() {
    let file = fixtures().join("rules-0.1.0/evil-rules.wasm");
    let component = Component::load_file(engine(), file, Limits::default()).expect("it loads");
    let plugin = component.rules().cloned().expect("it exports rules");
    let rules = RuleSet::new(RulesRecipe::new(plugin, account(64 * MIB))).expect("it starts");
    let (message, time) = (Message::at(1_780_000_000_000), 1_780_000_000_000);
    let people: Vec<Person> = (0..64).map(|n| Person::new(Subject::new(n).expect("it is small"))).collect();
    let counts: Vec<u32> = (0..64).map(|n| if n == 40 { 3 } else { 0 }).collect();
    let together = rules.decide_many(Direction::Outbound, &message, &people, &counts).expect("it decides");
    for (n, (person, decision)) in people.iter().zip(&together).enumerate() {
        let one = rules.decide(Direction::Outbound, &message, person, &counts[n..=n]).expect("it decides");
        assert_eq!(one, *decision);
        let name = decision.reason().map(|reason| rules.reason(reason));
        let expected = match n {
            40 => Some("too-many"),
            n if n % 10 == 7 => Some("seven"),
            n if n % 10 == 8 => Some("not-yet"),
            _ => None,
        };
        assert_eq!(name, expected, "{n}");
        if let Decision::Later { until, .. } = decision {
            assert_eq!(*until, time + 3_600_000);
        }
    }
    rules.prove(time, &people).expect("it is repeatable");
}
