//! Whatever a plugin does wrong, it is cut off within its bound, named, and lost alone.

mod support;

use portcullis_host::{
    CallError, Census, Change, Direction, Directions, Entry, EntrySource, FillError, Generation, Outcome,
    SourceError, Subject, Verdict,
};
use support::{empty, entry, evil, exact, recipe, subject};

fn evil_list(mode: &str) -> Generation {
    Generation::empty(recipe(evil(), &format!(r#"{{"mode":"{mode}"}}"#))).expect("it starts")
}

fn kind<T: std::fmt::Debug>(result: Result<T, CallError>) -> &'static str {
    result.expect_err("the plugin is cut off").kind()
}

/// An instance that was cut off answers no more; the others know nothing of it.
fn is_lost_alone(list: &Generation) {
    assert_eq!(list.check(subject(1), Direction::Inbound), Err(CallError::OutOfService));
    let other = empty(exact());
    other.block(&[entry(1, Directions::BOTH)]).expect("another instance takes entries");
    assert_eq!(other.check(subject(1), Direction::Inbound), Ok(Verdict::Block));
}

#[test]
fn an_endless_check_times_out() {
    let list = evil_list("spin-in-check");
    let error = list.check(subject(1), Direction::Inbound).expect_err("it is cut off");
    assert_eq!(error.to_string(), "the plugin was cut off: check took longer than its 20 ms");
    is_lost_alone(&list);
}

#[test]
fn an_endless_batch_times_out() {
    let list = evil_list("spin-in-check-many");
    assert_eq!(kind(list.check_many(&[subject(1)], Direction::Inbound)), "timed-out");
    is_lost_alone(&list);
}

#[test]
fn an_endless_configure_times_out() {
    let started = Generation::empty(recipe(evil(), r#"{"mode":"spin-in-configure"}"#));
    assert_eq!(kind(started), "timed-out");
}

#[test]
fn a_recursion_ends_at_the_stack_s_bound() {
    let list = evil_list("recurse");
    let error = list.check(subject(1), Direction::Inbound).expect_err("it is cut off");
    assert_eq!(error.kind(), "trapped");
    assert!(error.to_string().contains("call stack exhausted"), "{error}");
    is_lost_alone(&list);
}

#[test]
fn a_panic_is_a_trap() {
    let list = evil_list("panic");
    assert_eq!(kind(list.check(subject(1), Direction::Outbound)), "trapped");
    is_lost_alone(&list);
}

#[test]
fn memory_ends_at_the_tenant_s_account_and_is_paid_back() {
    let list = evil_list("hoard-memory");
    let account = std::sync::Arc::clone(&list.recipe().account);
    let error = list.block(&[entry(1, Directions::BOTH)]).expect_err("it is cut off");
    assert_eq!(error, CallError::OutOfMemory { call: "block", limit: 64 * support::MIB });
    assert!(account.used() <= account.limit());
    is_lost_alone(&list);
    drop(list);
    assert_eq!(account.used(), 0);
}

#[test]
fn a_bitmap_of_the_wrong_length_breaks_the_contract() {
    let list = evil_list("short-bitmap");
    let error = list.check_many(&[1, 2].map(subject), Direction::Inbound).expect_err("it is cut off");
    assert_eq!(
        error.to_string(),
        "the plugin broke the contract: check-many answered 0 bytes for 2 subjects"
    );
    is_lost_alone(&list);
}

#[test]
fn an_answer_past_its_bound_is_not_read() {
    let list = evil_list("huge-bitmap");
    assert_eq!(kind(list.check_many(&[subject(1)], Direction::Inbound)), "broken");
    let list = evil_list("huge-refusals");
    let many: Vec<Entry> = (0..32).map(|i| entry(i, Directions::BOTH)).collect();
    assert_eq!(kind(list.block(&many)), "broken");
    is_lost_alone(&list);
}

#[test]
fn a_long_refusal_is_cut_to_a_sentence() {
    let outcomes =
        evil_list("huge-refusals").block(&[entry(1, Directions::BOTH)]).expect("one refusal is small enough");
    let [Outcome::Refused(why)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(why.len(), 512);
}

#[test]
fn a_list_that_lies_is_cut_off() {
    for (mode, breach) in [
        ("list-goes-backwards", "goes backwards"),
        ("list-overflows", "answered 11 entries where 10 were asked for"),
        ("list-never-ends", "does not advance"),
    ] {
        let list = evil_list(mode);
        let members: Vec<Entry> = (1..100).map(|i| entry(i, Directions::BOTH)).collect();
        list.block(&members).expect("entries are taken");
        let mut after = None;
        let error = loop {
            match list.list(after, 10) {
                Ok(page) => after = Some(page.next.expect("the plugin does not end")),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), "broken", "{mode}");
        assert!(error.to_string().contains(breach), "{mode}: {error}");
        is_lost_alone(&list);
    }
}

#[test]
fn a_save_that_does_not_advance_is_cut_off() {
    let recipe = recipe(evil(), r#"{"mode":"save-never-ends"}"#);
    let mut instance = recipe.plugin.instantiate(&recipe.settings, &recipe.account, None).expect("it starts");
    let first = instance.save(None, 1 << 20).expect("the first part is harmless");
    assert_eq!(kind(instance.save(first.next, 1 << 20).map(|part| part.next)), "broken");
}

/// Three hundred members and no change.
struct Members;

impl EntrySource for Members {
    fn census(&self) -> Result<Census, SourceError> {
        Ok(Census { sequence: 300, entries: 300 })
    }
    fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
        let directions =
            |&subject: &Subject| if subject.get() < 300 { Directions::BOTH } else { Directions::NONE };
        Ok(subjects.iter().map(directions).collect())
    }
    fn members(&self, after: Option<Subject>, limit: usize) -> Result<Vec<Entry>, SourceError> {
        let first = after.map_or(0, |last| last.get() + 1);
        Ok((first..300).take(limit).map(|value| entry(value, Directions::BOTH)).collect())
    }
    fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_generation_that_lies_is_never_put_in_place() {
    let fill = |mode: &str| {
        Generation::filled(recipe(evil(), &format!(r#"{{"mode":"{mode}"}}"#)), &Members, None)
            .map(|_| ())
            .expect_err("it lies")
    };
    assert!(matches!(fill("miscount"), FillError::Miscounted { given: 300, counted: 299 }));
    assert!(matches!(fill("forget-every-third"), FillError::Forgotten { .. }));
    assert_eq!(
        fill("refuse-entries").to_string(),
        "the plugin does not take an entry: it takes no entries today"
    );
}
