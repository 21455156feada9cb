//! Shadow runs: a candidate answers live checks next to the serving generation.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_host::{
    Blacklist, CallError, Direction, Directions, EntrySource, FillError, Generation, Limits, Plugin,
    ShadowPlan, ShadowRun, ShadowTarget, ShadowVerdict, Verdict,
};
use support::record::Record;
use support::{empty, entry, evil, exact, recipe, subject};

const WAIT: Duration = Duration::from_secs(5);

fn serving(record: &Arc<Record>) -> Arc<Blacklist> {
    let list = Generation::filled(recipe(exact(), "{}"), &**record, None).expect("it is filled");
    Arc::new(Blacklist::new(list))
}

fn run(list: &Arc<Blacklist>, record: &Arc<Record>, candidate: Generation) -> ShadowRun {
    ShadowRun::begin(vec![ShadowTarget {
        list: Arc::clone(list),
        source: Arc::clone(record) as Arc<dyn EntrySource + Send + Sync>,
        candidate: Arc::new(candidate),
    }])
}

fn record() -> Arc<Record> {
    Arc::new(Record::of((0..300).map(subject)))
}

/// Compares until `checks` checks have been compared.
fn compare(run: &mut ShadowRun, checks: u64) {
    while run.tally().compared < checks {
        run.compare(WAIT).expect("the candidate answers");
    }
}

#[test]
fn a_correct_candidate_does_not_disagree_during_writes() {
    let record = record();
    let list = serving(&record);
    let candidate = Generation::filled(recipe(exact(), "{}"), &*record, None).expect("it is filled");
    let mut run = run(&list, &record, candidate);
    for n in 0..2000 {
        list.check(subject(n % 600), Direction::Inbound).expect("it answers");
        record.set(subject(n % 600), if n % 2 == 0 { Directions::BOTH } else { Directions::NONE });
        list.catch_up(&*record).expect("it follows");
        if n % 100 == 99 {
            compare(&mut run, n + 1);
        }
    }
    assert_eq!((run.tally().compared, run.tally().disagreements, run.tally().skipped), (2000, 0, 0));
}

#[test]
fn a_candidate_that_forgets_entries_is_detected() {
    let record = record();
    let list = serving(&record);
    let candidate = empty_evil("forget-every-third");
    for n in 0..300 {
        candidate.block(&[entry(n, Directions::BOTH)]).expect("it says it takes it");
    }
    let mut run = run(&list, &record, candidate);
    for n in 0..30 {
        assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Block));
    }
    compare(&mut run, 30);
    assert_eq!(run.tally().disagreements, 10);
    let latest = run.tally().latest.last().expect("disagreements are kept");
    assert_eq!((latest.subject, latest.serving), (subject(29), Verdict::Block));
    drop(run);
    list.check(subject(2), Direction::Inbound).expect("the run has ended");
}

fn empty_evil(mode: &str) -> Generation {
    Generation::empty(recipe(evil(), &format!(r#"{{"mode":"{mode}"}}"#))).expect("it starts")
}

#[test]
fn a_candidate_that_traps_ends_the_run_without_affecting_checks() {
    let record = Arc::new(Record::default());
    let list = serving(&record);
    let mut run = run(&list, &record, empty_evil("panic"));
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
    let error = run.compare(WAIT).expect_err("the candidate fails");
    assert!(matches!(error, FillError::Plugin(_)), "{error}");
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
}

#[test]
fn checks_never_wait_for_the_candidate_and_excess_ones_are_skipped() {
    let record = Arc::new(Record::default());
    let list = serving(&record);
    let mut run = run(&list, &record, empty(exact()));
    // Nothing is compared yet, so the queue fills up.
    for n in 0..10_000 {
        assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Allow));
    }
    let many: Vec<_> = (0..1000).map(subject).collect();
    list.check_many(&many, Direction::Outbound).expect("it answers");
    compare(&mut run, 4096);
    assert_eq!((run.tally().compared, run.tally().skipped), (4096, 6904));
}

#[test]
fn a_candidate_ahead_of_the_serving_generation_does_not_disagree() {
    let record = record();
    let list = serving(&record);
    let candidate = Generation::filled(recipe(exact(), "{}"), &*record, None).expect("it is filled");
    let mut run = run(&list, &record, candidate);
    // Written to the record, but not yet acknowledged: the list has not caught up.
    record.set(subject(1000), Directions::BOTH);
    assert_eq!(list.check(subject(1000), Direction::Inbound), Ok(Verdict::Allow));
    compare(&mut run, 1);
    assert_eq!(run.tally().disagreements, 0);
}

#[test]
fn a_correct_candidate_does_not_disagree_during_concurrent_writes_and_checks() {
    let record = record();
    let list = serving(&record);
    let candidate = Generation::filled(recipe(exact(), "{}"), &*record, None).expect("it is filled");
    let mut run = run(&list, &record, candidate);
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (list, record) = (&list, &record);
        for thread in 0..2 {
            scope.spawn(move || {
                let mut n = thread;
                while !stop.load(Ordering::Relaxed) {
                    n += 2;
                    record.set(subject(n % 40), if n % 3 == 0 { Directions::BOTH } else { Directions::NONE });
                    list.catch_up(&**record).expect("it follows");
                    list.check(subject(n * 7 % 40), Direction::Outbound).expect("it answers");
                }
            });
        }
        compare(&mut run, 20_000);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(run.tally().disagreements, 0);
}

#[test]
fn checks_are_answered_while_the_candidate_hangs() {
    let record = Arc::new(Record::default());
    let list = serving(&record);
    let limits = Limits { check: Duration::from_secs(1), ..Limits::default() };
    let evil = Plugin::load(support::engine(), portcullis_plugin_bundle::EVIL.component, limits);
    let hanging = recipe(evil.expect("it loads"), r#"{"mode":"spin-in-check"}"#);
    let mut run = run(&list, &record, Generation::empty(hanging).expect("it starts"));
    list.check(subject(0), Direction::Inbound).expect("it answers");
    std::thread::scope(|scope| {
        let comparing = scope.spawn(|| run.compare(WAIT).map(drop));
        for n in 0..10_000 {
            assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Allow));
        }
        assert!(!comparing.is_finished(), "it hangs");
        let error = comparing.join().expect("it ends").expect_err("the candidate is interrupted");
        assert!(matches!(error, FillError::Plugin(CallError::TimedOut { .. })), "{error}");
    });
}

#[test]
fn ending_a_run_does_not_end_a_newer_one() {
    let record = record();
    let list = serving(&record);
    let begin = || {
        let candidate = Generation::filled(recipe(exact(), "{}"), &*record, None).expect("it is filled");
        run(&list, &record, candidate)
    };
    let first = begin();
    let mut second = begin();
    drop(first);
    list.check(subject(1), Direction::Inbound).expect("it answers");
    compare(&mut second, 1);
    let next = Generation::filled(recipe(exact(), "{}"), &*record, None).expect("it is filled");
    list.replace(Arc::new(next), &*record).expect("it is put in place");
    list.check(subject(1), Direction::Inbound).expect("it answers");
    assert_eq!(second.compare(Duration::ZERO).expect("it answers").compared, 1, "a swap ends the run");
}

#[test]
fn disagreements_lead_to_a_verdict_and_are_masked() {
    let record = record();
    let list = serving(&record);
    let mut run = run(&list, &record, empty(exact()));
    // The candidate catches up with the record, so the disagreement must be about an entry that is not in it.
    list.generation().block(&[entry(123_456_789_012_345, Directions::BOTH)]).expect("it is taken");
    for _ in 0..3 {
        list.check(subject(123_456_789_012_345), Direction::Outbound).expect("it answers");
    }
    compare(&mut run, 3);
    let tally = run.tally();
    assert_eq!((tally.disagreements, tally.latest.len()), (3, 1), "each subject once");
    let verdict = |max_disagreements| ShadowPlan { checks: Some(3), max_disagreements }.verdict(tally, false);
    assert_eq!([2, 3].map(verdict), [Some(ShadowVerdict::Discard), Some(ShadowVerdict::Promote)]);
    let shown = format!("{tally:?}");
    assert!(!shown.contains("123456789012345") && !shown.contains("6789012"), "{shown}");
}
