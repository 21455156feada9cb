//! A candidate answers live checks beside the generation that serves.

mod support;

use std::sync::Arc;
use std::time::Duration;

use portcullis_host::{
    Blacklist, Direction, Directions, EntrySource, FillError, Generation, ShadowRun, Understudy, Verdict,
};
use support::record::Record;
use support::{empty, entry, evil, exact, recipe, subject};

const WAIT: Duration = Duration::from_secs(5);

fn serving(record: &Arc<Record>) -> Arc<Blacklist> {
    let list = Generation::filled(recipe(exact(), "{}"), &**record, None).expect("it is filled");
    Arc::new(Blacklist::new(list))
}

fn run(list: &Arc<Blacklist>, record: &Arc<Record>, candidate: Generation) -> ShadowRun {
    ShadowRun::begin(vec![Understudy {
        list: Arc::clone(list),
        source: Arc::clone(record) as Arc<dyn EntrySource + Send + Sync>,
        candidate: Arc::new(candidate),
    }])
}

fn record() -> Arc<Record> {
    Arc::new(Record::of((0..300).map(subject)))
}

/// Compares until as many checks were.
fn compare(run: &mut ShadowRun, checks: u64) {
    while run.tally().compared < checks {
        run.compare(WAIT).expect("the candidate answers");
    }
}

#[test]
fn a_candidate_that_is_right_never_disagrees_though_writes_go_on() {
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
fn one_that_forgets_is_found_out_and_named() {
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
    let told = run.tally().latest.last().expect("the latest is told");
    assert_eq!((told.subject, told.serving), (subject(29), Verdict::Block));
    drop(run);
    list.check(subject(2), Direction::Inbound).expect("nobody looks any more");
}

fn empty_evil(mode: &str) -> Generation {
    Generation::empty(recipe(evil(), &format!(r#"{{"mode":"{mode}"}}"#))).expect("it starts")
}

#[test]
fn one_that_traps_ends_the_run_and_harms_nobody() {
    let record = Arc::new(Record::default());
    let list = serving(&record);
    let mut run = run(&list, &record, empty_evil("panic"));
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
    let error = run.compare(WAIT).expect_err("the candidate fails");
    assert!(matches!(error, FillError::Plugin(_)), "{error}");
    assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
}

#[test]
fn checks_never_wait_for_it_and_what_it_does_not_keep_up_with_is_skipped() {
    let record = Arc::new(Record::default());
    let list = serving(&record);
    let mut run = run(&list, &record, empty(exact()));
    // Nobody compares: so the queue is full after a while.
    for n in 0..10_000 {
        assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Allow));
    }
    let many: Vec<_> = (0..1000).map(subject).collect();
    list.check_many(&many, Direction::Outbound).expect("it answers");
    compare(&mut run, 4096);
    assert_eq!((run.tally().compared, run.tally().skipped), (4096, 6904));
}
