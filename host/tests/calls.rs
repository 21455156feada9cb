//! The default plugin, called through the host.

mod support;

use portcullis_host::{
    BATCH, Blacklist, CallError, Census, Change, Direction, Directions, Entry, EntrySource, FillError,
    Generation, Outcome, Settings, SourceError, Subject, Verdict,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::record::Record;
use support::{account, empty, entry, exact, hand_over, recipe, subject};

#[test]
fn a_subject_is_blocked_in_its_directions_only() {
    let list = empty(exact());
    let outcomes = list
        .block(&[entry(1, Directions::BOTH), entry(2, Directions::INBOUND), entry(1, Directions::INBOUND)])
        .expect("entries are taken");
    assert_eq!(outcomes, [Outcome::Changed, Outcome::Changed, Outcome::Unchanged]);
    for (value, direction, verdict) in [
        (1, Direction::Inbound, Verdict::Block),
        (1, Direction::Outbound, Verdict::Block),
        (2, Direction::Inbound, Verdict::Block),
        (2, Direction::Outbound, Verdict::Allow),
        (3, Direction::Inbound, Verdict::Allow),
    ] {
        assert_eq!(list.check(subject(value), direction), Ok(verdict), "{value} {direction}");
    }
    list.unblock(&[entry(1, Directions::OUTBOUND)]).expect("it is lifted");
    assert_eq!(list.check(subject(1), Direction::Outbound), Ok(Verdict::Allow));
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Block));
    assert_eq!(list.count(), Ok(2));
}

#[test]
fn large_batches_are_split_and_answered_in_order() {
    let list = empty(exact());
    let members: Vec<Entry> = (0..10_000).map(|i| entry(i * 3, Directions::OUTBOUND)).collect();
    assert_eq!(list.block(&members).expect("entries are taken").len(), members.len());
    let asked: Vec<Subject> = (0..2 * BATCH as u64 + 17).map(subject).collect();
    let verdicts = list.check_many(&asked, Direction::Outbound).expect("checks are answered");
    assert_eq!(verdicts.len(), asked.len());
    for (i, verdict) in verdicts.into_iter().enumerate() {
        assert_eq!(verdict == Verdict::Block, i % 3 == 0, "subject {i}");
    }
    assert_eq!(list.check_many(&[], Direction::Inbound), Ok(Vec::new()));
    assert_eq!(list.block(&[]), Ok(Vec::new()));
}

#[test]
fn pages_come_in_order_and_end() {
    let list = empty(exact());
    let members: Vec<Entry> = (0..1000).map(|i| entry(i * 7, Directions::BOTH)).collect();
    list.block(&members).expect("entries are taken");
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let page = list.list(after, 64).expect("a page is answered");
        walked.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, members);
}

#[test]
fn a_saved_state_loads_into_another_instance() {
    let plugin = exact();
    let (settings, account) = (Settings::default(), account(64 * support::MIB));
    let mut first = plugin.instantiate(&settings, &account, None).expect("it starts");
    let members: Vec<Entry> =
        (0..50_000).map(|i| entry(i * 12_345_678_901 % (1 << 50), Directions::BOTH)).collect();
    first.block(&members).expect("entries are taken");

    let mut second = plugin.instantiate(&settings, &account, None).expect("it starts");
    let format = plugin.description().saves.clone().expect("it saves");
    let parts = hand_over(&mut first, &mut second, &format);
    assert!(parts > 3);
    assert_eq!(second.count(), first.count());
    let all: Vec<Subject> = members.iter().map(|entry| entry.subject).collect();
    let verdicts = second.check_many(&all, Direction::Inbound).expect("checks are answered");
    assert!(verdicts.iter().all(|&verdict| verdict == Verdict::Block));

    let mut third = plugin.instantiate(&settings, &account, None).expect("it starts");
    let refused = third.load(&format, b"not a saved state");
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
}

#[test]
fn wrong_options_are_refused_in_the_plugins_words() {
    let error = Generation::empty(recipe(exact(), r#"{"treshold":3}"#)).map(|_| ());
    assert_eq!(
        error.expect_err("it has no options").to_string(),
        "refused by the plugin: this plugin has no options: leave plugin_options out, or set it to {}"
    );
}

#[test]
fn a_generation_is_filled_caught_up_and_exchanged() {
    let record = Record::default();
    for value in 0..10_000 {
        record.set(subject(value), Directions::BOTH);
    }
    record.set(subject(5), Directions::NONE);
    let list =
        Blacklist::new(Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled"));
    assert_eq!(list.generation().count(), Ok(9999));
    assert_eq!(list.check(subject(5), Direction::Inbound), Ok(Verdict::Allow));

    record.set(subject(5), Directions::INBOUND);
    record.set(subject(6), Directions::NONE);
    record.set(subject(7), Directions::OUTBOUND);
    assert_eq!(list.catch_up(&record).expect("it catches up"), 10_004);
    let verdicts =
        |direction| list.check_many(&[5, 6, 7].map(subject), direction).expect("checks are answered");
    assert_eq!(verdicts(Direction::Inbound), [Verdict::Block, Verdict::Allow, Verdict::Allow]);
    assert_eq!(verdicts(Direction::Outbound), [Verdict::Allow, Verdict::Allow, Verdict::Block]);

    let next = Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    record.set(subject(1 << 40), Directions::BOTH);
    let old = list.replace(Arc::new(next), &record).expect("it is exchanged");
    assert_eq!(old.sequence(), 10_004);
    assert_eq!(
        list.check(subject(1 << 40), Direction::Inbound),
        Ok(Verdict::Block),
        "caught up before it served"
    );
}

#[test]
fn checks_continue_on_two_threads_while_generations_are_swapped() {
    let record = Record::default();
    for value in 0..2000 {
        record.set(subject(value * 2), Directions::BOTH);
    }
    let filled = || Generation::filled(recipe(exact(), "{}"), &record, None).expect("it is filled");
    let list = Arc::new(Blacklist::new(filled()));
    let exchanges = 20;
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let checkers: Vec<_> = (0..2)
            .map(|_| {
                let list = &list;
                scope.spawn(move || {
                    let mut checks = 0_u64;
                    while !stop.load(Ordering::Relaxed) || checks < 4000 {
                        let value = checks % 4000;
                        let verdict =
                            list.check(subject(value), Direction::Inbound).expect("a check is answered");
                        assert_eq!(verdict == Verdict::Block, value.is_multiple_of(2));
                        checks += 1;
                    }
                })
            })
            .collect();
        for _ in 0..exchanges {
            list.replace(Arc::new(filled()), &record).expect("it is exchanged");
        }
        stop.store(true, Ordering::Relaxed);
        for checker in checkers {
            checker.join().expect("no verdict was wrong");
        }
    });
}

#[test]
fn an_account_is_charged_by_all_instances_and_paid_back() {
    let account = account(64 * support::MIB);
    let (plugin, settings) = (exact(), Settings::default());
    let mut first = plugin.instantiate(&settings, &account, None).expect("it starts");
    let start = account.used();
    assert!(start > 0);
    assert_eq!(first.memory_bytes(), start);
    let members: Vec<Entry> = (0..100_000).map(|i| entry(i * 11_258_999_068, Directions::BOTH)).collect();
    first.block(&members).expect("entries are taken");
    assert_eq!(first.memory_bytes(), account.used());
    assert!(account.used() > start);
    let second = plugin.instantiate(&settings, &account, None).expect("it starts");
    assert_eq!(account.used(), first.memory_bytes() + second.memory_bytes());
    drop((first, second));
    assert_eq!(account.used(), 0);
}

#[test]
fn an_error_of_the_source_fails_the_fill() {
    struct Broken;
    impl EntrySource for Broken {
        fn census(&self) -> Result<Census, SourceError> {
            Err("the disk is gone".into())
        }
        fn directions(&self, _: &[Subject]) -> Result<Vec<Directions>, SourceError> {
            Ok(Vec::new())
        }
        fn members(&self, _: Option<Subject>, _: usize) -> Result<Vec<Entry>, SourceError> {
            Ok(Vec::new())
        }
        fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
            Ok(Vec::new())
        }
    }
    let error = Generation::filled(recipe(exact(), "{}"), &Broken, None).map(|_| ());
    assert!(matches!(error, Err(FillError::Source(_))), "{error:?}");
}
