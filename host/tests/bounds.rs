//! Every misbehaviour of a plugin is stopped at its limit, reported with its kind, and affects only its own instance.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_host::{
    CallError, Direction, Directions, Entry, FillError, FilledFrom, Format, Generation, Instance, Keyspace,
    Limits, MemoryPool, Outcome, Plugin, Recipe, SaveError, StateHeader, Verdict,
};
use support::record::Record;
use support::states::{State, States};
use support::{empty, engine, entry, evil, exact, recipe, subject};

/// Collects the mode names from the plugin's own table.
macro_rules! modes {
    ($($(#[doc = $doc:literal])+ $name:literal => $mode:ident,)+) => {
        const MODES: &[&str] = &[$($name,)+];
    };
}

include!("../../plugins/evil/src/modes.rs");

/// Declares a test per mode, named after the misbehaviour, and a test that no mode is missing.
macro_rules! outcomes {
    ($($mode:literal => $test:ident,)+) => {
        $(mod $test {
            #[test]
            fn has_its_outcome() {
                super::outcome::$test($mode);
            }
        })+

        #[test]
        fn every_mode_has_a_test() {
            let pinned = BTreeSet::from([$($mode),+]);
            assert_eq!(pinned, MODES.iter().copied().collect());
        }
    };
}

outcomes! {
    "well-behaved" => the_plugin_that_behaves,
    "spin-in-check" => an_endless_check,
    "spin-in-check-many" => an_endless_batch,
    "spin-in-configure" => an_endless_configure,
    "spin-in-block" => an_endless_block,
    "spin-in-unblock" => an_endless_unblock,
    "spin-in-list" => an_endless_list,
    "spin-in-count" => an_endless_count,
    "spin-in-save" => an_endless_save,
    "spin-in-load" => an_endless_load,
    "slow-check" => slow_checks,
    "slow-block" => slow_writes,
    "slow-to-recover" => a_panic_after_slow_writes,
    "fill-memory" => memory_filled_by_one_instruction,
    "lie-later" => a_lie_after_the_proof,
    "lie-in-batches" => a_lie_in_batches_only,
    "lie-unless-asked-twice" => a_lie_to_those_who_ask_once,
    "lie-to-regulars" => a_lie_to_those_who_ask_often,
    "block-strangers-in-batches" => blocked_strangers_in_batches_only,
    "refuse-long-lists" => a_refusal_to_start,
    "fat" => memory_taken_at_the_start,
    "recurse" => a_deep_recursion,
    "panic" => a_panic,
    "panic-later" => a_panic_in_service,
    "panic-in-block" => a_panic_in_a_write,
    "hoard-memory" => memory_hoarded_in_one_call,
    "leak" => memory_leaked_call_by_call,
    "leak-later" => memory_leaked_in_service,
    "leak-until-full" => memory_leaked_to_the_limit,
    "leak-in-block" => memory_leaked_entry_by_entry,
    "short-bitmap" => a_bitmap_of_the_wrong_length,
    "huge-bitmap" => an_answer_past_its_bound,
    "disagree-in-batch" => a_batch_that_contradicts,
    "huge-refusals" => refusals_past_the_bound,
    "list-goes-backwards" => a_list_that_goes_backwards,
    "list-overflows" => a_list_that_overflows,
    "list-never-ends" => a_list_that_never_ends,
    "list-forgets" => a_list_with_gaps,
    "list-invents" => a_list_with_more_than_there_is,
    "list-halves" => a_list_with_other_directions,
    "save-never-ends" => a_save_that_does_not_advance,
    "save-creeps" => a_save_that_creeps,
    "save-floods" => a_save_that_floods,
    "huge-part" => a_part_past_its_bound,
    "load-lies" => a_load_that_lies,
    "miscount" => a_wrong_count,
    "forget-every-third" => forgotten_entries,
    "forget-unblocks" => forgotten_unblocks,
    "block-strangers" => blocked_strangers,
    "refuse-entries" => refused_entries,
}

fn options(mode: &str) -> String {
    format!(r#"{{"mode":"{mode}"}}"#)
}

fn evil_list(mode: &str) -> Generation {
    Generation::empty(recipe(evil(), &options(mode))).expect("it starts")
}

fn evil_instance(mode: &str) -> Instance {
    let recipe = recipe(evil(), &options(mode));
    recipe.plugin.instantiate(&recipe.settings, &recipe.account, None).expect("it starts")
}

/// Fills a generation with three hundred entries.
fn fill(mode: &str) -> Result<(), FillError> {
    let record = Record::of((0..300).map(subject));
    Generation::filled(recipe(evil(), &options(mode)), &record, None).map(drop)
}

/// Asserts that the call failed with this kind of error, that the instance is out of service, and that others still
/// work.
#[track_caller]
fn is_lost_alone<T: std::fmt::Debug>(list: &Generation, result: Result<T, CallError>, kind: &str) {
    let error = result.expect_err("the plugin is interrupted");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(list.check(subject(1), Direction::Inbound), Err(CallError::OutOfService));
    assert_eq!(list.recipe().account.used(), 0, "its memory is paid back");
    let other = empty(exact());
    other.block(&[entry(1, Directions::BOTH)]).expect("another instance takes entries");
    assert_eq!(other.check(subject(1), Direction::Inbound), Ok(Verdict::Block));
}

mod outcome {
    use super::*;

    fn blocked(mode: &str, kind: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.block(&[entry(1, Directions::BOTH)]), kind);
    }

    fn checked(mode: &str, kind: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.check(subject(1), Direction::Outbound), kind);
    }

    fn checked_in_a_batch(mode: &str, kind: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.check_many(&[1, 2].map(subject), Direction::Inbound), kind);
    }

    pub(super) fn the_plugin_that_behaves(mode: &str) {
        fill(mode).expect("nothing is wrong with it");
    }

    pub(super) fn an_endless_check(mode: &str) {
        checked(mode, "timed-out");
        let error =
            evil_list(mode).check(subject(1), Direction::Inbound).expect_err("the call is interrupted");
        assert_eq!(error.to_string(), "the plugin was interrupted: check exceeded its limit of 20 ms");
    }

    pub(super) fn an_endless_batch(mode: &str) {
        checked_in_a_batch(mode, "timed-out");
    }

    pub(super) fn an_endless_configure(mode: &str) {
        let error =
            Generation::empty(recipe(evil(), &options(mode))).map(drop).expect_err("the call is interrupted");
        assert_eq!(error.to_string(), "the plugin was interrupted: configure exceeded its limit of 20 ms");
    }

    pub(super) fn an_endless_block(mode: &str) {
        blocked(mode, "timed-out");
    }

    pub(super) fn an_endless_unblock(mode: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.unblock(&[entry(1, Directions::BOTH)]), "timed-out");
    }

    pub(super) fn an_endless_list(mode: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.list(None, 10), "timed-out");
    }

    pub(super) fn an_endless_count(mode: &str) {
        let list = evil_list(mode);
        is_lost_alone(&list, list.count(), "timed-out");
    }

    pub(super) fn an_endless_save(mode: &str) {
        let (list, states) = (evil_list(mode), States::default());
        let error = list.save(&states, 0).expect_err("the call is interrupted");
        assert!(matches!(error, SaveError::Plugin(CallError::TimedOut { .. })), "{error}");
        assert!(states.kept().is_none(), "nothing half-saved is kept");
    }

    /// Fills a generation from a saved state, with the record as the fallback.
    fn fill_from_a_state(mode: &str) -> FilledFrom {
        let record = Record::of((0..300).map(subject));
        let format = Format { name: "evil".to_owned(), version: 1 };
        let header = StateHeader { format, keyspace: Keyspace::Hashed, sequence: 300, entries: 300 };
        let states = States::default();
        *states.kept() = Some(State { header, parts: vec![vec![0]] });
        let (list, from) = evil_list(mode).fill(&record, Some(&states)).expect("it is filled all the same");
        list.prove(&record).expect("it holds what the record holds");
        assert!(states.kept().is_none(), "the state is thrown away");
        from
    }

    pub(super) fn an_endless_load(mode: &str) {
        let from = fill_from_a_state(mode);
        assert!(
            matches!(from, FilledFrom::Fallback(FillError::Plugin(CallError::TimedOut { .. }))),
            "{from:?}"
        );
    }

    pub(super) fn a_load_that_lies(mode: &str) {
        let from = fill_from_a_state(mode);
        assert!(matches!(from, FilledFrom::Fallback(FillError::Miscounted { given: 300, .. })), "{from:?}");
    }

    pub(super) fn a_deep_recursion(mode: &str) {
        checked(mode, "trapped");
        let error = evil_list(mode).check(subject(1), Direction::Inbound).expect_err("the plugin traps");
        assert!(error.to_string().contains("call stack exhausted"), "{error}");
    }

    pub(super) fn a_panic(mode: &str) {
        checked(mode, "trapped");
        let Err(FillError::Plugin(error @ CallError::Trapped { .. })) = fill(mode) else {
            panic!("it is proven before it serves")
        };
        // Its message, on one line and without the number.
        let said = error.to_string();
        assert!(said.contains(": panicked at plugins/evil/src/lib.rs:"), "{said}");
        assert!(said.contains(r":\non purpose\nfor +** **-*** ** **"), "{said}");
    }

    pub(super) fn a_panic_in_service(mode: &str) {
        let list = evil_list(mode);
        for n in 1..2000 {
            assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Allow));
        }
        is_lost_alone(&list, list.check(subject(1), Direction::Inbound), "trapped");
    }

    pub(super) fn a_panic_in_a_write(mode: &str) {
        blocked(mode, "trapped");
    }

    pub(super) fn memory_hoarded_in_one_call(mode: &str) {
        let list = evil_list(mode);
        let account = Arc::clone(&list.recipe().account);
        let result = list.block(&[entry(1, Directions::BOTH)]);
        assert_eq!(result, Err(CallError::AccountFull { call: "block", limit: 64 * support::MIB }));
        assert!(account.used() <= account.limit());
        is_lost_alone(&list, result, "out-of-memory");
    }

    /// Within their limit, so that they are no fault: tests/pace.rs has what becomes of them.
    pub(super) fn slow_checks(mode: &str) {
        let limits = Limits::default();
        let plugin =
            Plugin::load(engine(), portcullis_plugin_bundle::EVIL.component, limits).expect("it loads");
        let options = format!(r#"{{"mode":"{mode}"}}"#);
        let list = Generation::empty(recipe(plugin, &options)).expect("it starts");
        while !list.is_slow() {
            assert_eq!(list.check(subject(1), Direction::Inbound), Ok(Verdict::Allow));
        }
    }

    pub(super) fn slow_writes(mode: &str) {
        let list = evil_list(mode);
        while !list.is_slow() {
            list.block(&[entry(1, Directions::BOTH)]).expect("it is taken");
        }
    }

    pub(super) fn a_panic_after_slow_writes(mode: &str) {
        slow_writes(mode);
        let list = evil_list(mode);
        for n in 1..4000 {
            assert_eq!(list.check(subject(n), Direction::Inbound), Ok(Verdict::Allow));
        }
        is_lost_alone(&list, list.check(subject(1), Direction::Inbound), "trapped");
    }

    pub(super) fn memory_filled_by_one_instruction(mode: &str) {
        // Its account has no room for that.
        let list = evil_list(mode);
        is_lost_alone(&list, list.check(subject(1), Direction::Inbound), "out-of-memory");
    }

    pub(super) fn a_lie_after_the_proof(mode: &str) {
        let list = evil_list(mode);
        list.block(&[entry(1, Directions::BOTH)]).expect("it is taken");
        let lies = (0..30_000).any(|_| list.check(subject(1), Direction::Inbound) == Ok(Verdict::Allow));
        assert!(lies, "and nothing but a spot check notices");
    }

    /// Fills a list with three hundred entries, has it answer 20,000 checks one by one, and then lets `traffic` go on until
    /// a spot check finds a lie. Returns its kind.
    fn found_after(mode: &str, traffic: impl Fn(&Generation)) -> &'static str {
        let record = Record::of((0..300).map(subject));
        let list = Generation::filled(recipe(evil(), &options(mode)), &record, None).expect("it is proven");
        for value in 0..20_000 {
            list.check(subject(value), Direction::Inbound).expect("it answers");
        }
        for _ in 0..50 {
            traffic(&list);
            if let Err(error) = list.spot_check(&record, 8) {
                return error.kind();
            }
        }
        panic!("it is never found");
    }

    pub(super) fn a_lie_in_batches_only(mode: &str) {
        // The spellings of one person.
        let pair = |list: &Generation| {
            let _ = list.check_many(&[subject(7), subject(1 << 40)], Direction::Outbound);
        };
        assert_eq!(found_after(mode, pair), "forgotten");
        // Without any traffic, the spot checks alone find it.
        assert_eq!(found_after(mode, |_| {}), "forgotten");
    }

    pub(super) fn a_lie_to_those_who_ask_once(mode: &str) {
        let one = |list: &Generation| {
            list.check(subject(7), Direction::Outbound).map(drop).expect("it answers");
            list.check(subject(1 << 40), Direction::Outbound).map(drop).expect("it answers");
        };
        assert_eq!(found_after(mode, one), "forgotten");
        assert_eq!(found_after(mode, |_| {}), "forgotten");
    }

    pub(super) fn a_lie_to_those_who_ask_often(mode: &str) {
        // No spot check asks so often, but the answers of the checks are compared.
        let often = |list: &Generation| {
            for _ in 0..50 {
                list.check(subject(7), Direction::Outbound).map(drop).expect("it answers");
            }
        };
        assert_eq!(found_after(mode, often), "forgotten");
    }

    pub(super) fn blocked_strangers_in_batches_only(mode: &str) {
        let pair = |list: &Generation| {
            let _ = list.check_many(&[1 << 40, 1 << 41].map(subject), Direction::Outbound);
        };
        assert_eq!(found_after(mode, pair), "strangers");
    }

    pub(super) fn a_refusal_to_start(mode: &str) {
        let mut recipe = recipe(evil(), &format!(r#"{{"mode":"{mode}"}}"#));
        Generation::empty(recipe.clone()).expect("a short list");
        recipe.settings.capacity = 101;
        assert!(matches!(Generation::empty(recipe), Err(CallError::Refused(_))));
    }

    pub(super) fn memory_taken_at_the_start(mode: &str) {
        assert!(evil_list(mode).memory_bytes() >= 40 * support::MIB);
        // A pool that it shares with others has room for two.
        let pool = MemoryPool::new(100 * support::MIB);
        let start = || {
            let account = pool.account(64 * support::MIB);
            Generation::empty(Recipe { account, ..recipe(evil(), &options(mode)) })
        };
        let fits = (start().unwrap(), start().unwrap());
        let limit = pool.limit();
        assert_eq!(start().unwrap_err(), CallError::MemoryExhausted { call: "configure", limit });
        assert!(pool.used() <= limit);
        drop(fits);
        assert_eq!(pool.used(), 0);
        start().unwrap();
    }

    pub(super) fn memory_leaked_in_service(mode: &str) {
        let list = evil_list(mode);
        let check = || list.check(subject(1), Direction::Inbound).map(drop).expect("it answers");
        (0..19_000).for_each(|_| check());
        let before = list.memory_bytes();
        (0..1_010).for_each(|_| check());
        assert!(list.memory_bytes() >= before + 8 * support::MIB);
    }

    pub(super) fn memory_leaked_to_the_limit(mode: &str) {
        let pool = MemoryPool::new(64 * support::MIB);
        let account = pool.account(32 * support::MIB);
        let list =
            Generation::empty(Recipe { account: Arc::clone(&account), ..recipe(evil(), &options(mode)) })
                .unwrap();
        for _ in 0..100 {
            list.check(subject(1), Direction::Inbound).expect("it goes on");
        }
        assert!(account.is_nearly_full() && account.used() <= account.limit());
        // Nothing fits into its account, and everything beside it.
        let start = |account| Generation::empty(Recipe { account, ..recipe(evil(), &options("fat")) });
        assert!(matches!(start(Arc::clone(&account)), Err(CallError::AccountFull { .. })));
        let beside = pool.account_beside(&account, 64 * support::MIB);
        assert!(matches!(start(beside), Err(CallError::MemoryExhausted { .. })), "but not into the pool");
        let start =
            |account| Generation::empty(Recipe { account, ..recipe(evil(), &options("well-behaved")) });
        let next =
            start(pool.account_beside(&account, 32 * support::MIB)).expect("it starts beside the full one");
        drop((list, next));
        assert_eq!(pool.used(), 0);
    }

    pub(super) fn memory_leaked_entry_by_entry(mode: &str) {
        let list = evil_list(mode);
        let result = (0..100).try_for_each(|n| list.block(&[entry(n, Directions::BOTH)]).map(drop));
        is_lost_alone(&list, result, "out-of-memory");
    }

    pub(super) fn memory_leaked_call_by_call(mode: &str) {
        let list = evil_list(mode);
        let result = (0..100).try_for_each(|n| list.check(subject(n), Direction::Inbound).map(drop));
        is_lost_alone(&list, result, "out-of-memory");
    }

    pub(super) fn a_bitmap_of_the_wrong_length(mode: &str) {
        checked_in_a_batch(mode, "broken");
        let result = evil_list(mode).check_many(&[1, 2].map(subject), Direction::Inbound);
        assert_eq!(
            result.expect_err("the bitmap is rejected").to_string(),
            "the plugin broke the contract: check-many returned 0 bytes for 2 subjects"
        );
    }

    pub(super) fn an_answer_past_its_bound(mode: &str) {
        checked_in_a_batch(mode, "broken");
    }

    pub(super) fn a_batch_that_contradicts(mode: &str) {
        let error = fill(mode).expect_err("it is found out");
        let expected = "the plugin broke the contract: check does not agree with check-many";
        assert_eq!(error.to_string(), expected);
    }

    pub(super) fn refusals_past_the_bound(mode: &str) {
        let list = evil_list(mode);
        let outcomes = list.block(&[entry(1, Directions::BOTH)]).expect("a refusal is no fault");
        let [Outcome::Refused(why)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!(why.len(), 512 + '…'.len_utf8());
        let many: Vec<Entry> = (0..32).map(|i| entry(i, Directions::BOTH)).collect();
        is_lost_alone(&list, list.block(&many), "broken");
    }

    fn with_entries(mode: &str) -> Generation {
        let list = evil_list(mode);
        let entries: Vec<Entry> = (0..10).map(|i| entry(i, Directions::BOTH)).collect();
        list.block(&entries).expect("it takes entries");
        list
    }

    pub(super) fn a_list_that_goes_backwards(mode: &str) {
        let list = with_entries(mode);
        list.list(None, 3).expect("the first page is right");
        is_lost_alone(&list, list.list(Some(subject(2)), 3), "broken");
    }

    pub(super) fn a_list_that_overflows(mode: &str) {
        let list = with_entries(mode);
        is_lost_alone(&list, list.list(None, 3), "broken");
    }

    pub(super) fn a_list_that_never_ends(mode: &str) {
        let list = with_entries(mode);
        let first = list.list(None, 3).expect("an empty page is no breach by itself");
        is_lost_alone(&list, list.list(first.next, 3), "broken");
    }

    pub(super) fn a_list_with_gaps(mode: &str) {
        let error = fill(mode).expect_err("its list is read");
        // All 256 that are on a page, or those after a sampled one.
        assert!(matches!(error, FillError::Mislisted { wrong: 1..=60, .. }), "{error:?}");
    }

    pub(super) fn a_list_with_more_than_there_is(mode: &str) {
        // More than are on a page, so that the end of the list is only found from a sampled entry.
        let error = fill(mode).expect_err("its list is read");
        assert!(matches!(error, FillError::Mislisted { wrong: 1, .. }), "{error:?}");
    }

    pub(super) fn a_list_with_other_directions(mode: &str) {
        let error = fill(mode).expect_err("its list is read");
        assert!(matches!(error, FillError::Mislisted { wrong: 256, .. }), "{error:?}");
    }

    pub(super) fn a_save_that_does_not_advance(mode: &str) {
        let mut instance = evil_instance(mode);
        let first = instance.save(None, 1 << 20).expect("the first part is harmless");
        let error = instance.save(first.next, 1 << 20).map(drop).expect_err("the save is rejected");
        assert_eq!(error.kind(), "broken");
    }

    pub(super) fn a_save_that_creeps(mode: &str) {
        let (list, states) = (evil_list(mode), States::default());
        let error = list.save(&states, 0).expect_err("it is stopped");
        assert!(matches!(error, SaveError::Endless { parts: 64, .. }), "{error}");
        assert!(states.kept().is_none());
        assert!(list.is_whole(), "it answers as before");
    }

    pub(super) fn a_save_that_floods(mode: &str) {
        let (list, states) = (evil_list(mode), States::default());
        for entries in [0, 10, 100_000] {
            let error = list.save(&states, entries).expect_err("it is stopped");
            let SaveError::Endless { bytes, parts, .. } = error else { panic!("{error}") };
            assert!(parts > 0 && bytes <= 4 * support::MIB + 64 * entries, "{error}");
            assert!(states.kept().is_none());
        }
        assert!(list.is_whole(), "it answers as before");
    }

    pub(super) fn a_part_past_its_bound(mode: &str) {
        let (list, states) = (evil_list(mode), States::default());
        let error = list.save(&states, 0).expect_err("the part is rejected");
        assert!(matches!(error, SaveError::Plugin(CallError::Broken { call: "save", .. })), "{error}");
        assert!(states.kept().is_none());
    }

    pub(super) fn a_wrong_count(mode: &str) {
        assert!(matches!(fill(mode), Err(FillError::Miscounted { given: 300, counted: 299 })));
    }

    pub(super) fn forgotten_entries(mode: &str) {
        assert!(matches!(fill(mode), Err(FillError::Forgotten { sampled: 300, forgotten: 100 })));
    }

    pub(super) fn forgotten_unblocks(mode: &str) {
        let record = Record::of((0..300).map(subject));
        let list =
            Generation::filled(recipe(evil(), &options(mode)), &record, None).expect("nothing shows yet");
        record.set(subject(5), Directions::NONE);
        let error = list.prove(&record).expect_err("it counts one too many");
        assert!(matches!(error, FillError::Miscounted { given: 299, counted: 300 }), "{error}");
    }

    pub(super) fn blocked_strangers(mode: &str) {
        assert!(matches!(fill(mode), Err(FillError::Strangers { .. })));
    }

    pub(super) fn refused_entries(mode: &str) {
        let error = fill(mode).expect_err("an opt-out would be broken");
        assert_eq!(error.to_string(), "the plugin rejected an entry: it takes no entries today");
    }
}
