//! Random sequences of operations, and the shortest one that fails.

use std::time::{Duration, Instant};

use portcullis_host::Plugin;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::least::least;
use super::operation::{Operation, sequences};
use super::run::Run;

/// Sequences that are tried.
const CASES: usize = 96;
/// How long a sequence that fails may be made shorter. One that never ends takes as long as its limit each time.
const PATIENCE: Duration = Duration::from_secs(8);

/// Tries sequences, the same ones each time. Returns why the plugin does not load what it saves, if it is so.
pub(super) fn counter_example(plugin: &Plugin, options: &str) -> Result<Option<String>, String> {
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let sequences = sequences(plugin.description().keyspace);
    let mut refused_state = None;
    let mut attempt = |operations: &[Operation]| {
        let mut run = Run::of(plugin, options)?;
        run.all(operations)?;
        refused_state = run.refused_state.take().or(refused_state.take());
        Ok(())
    };
    for _ in 0..CASES {
        let tree = sequences.new_tree(&mut runner).map_err(|why| why.to_string())?;
        if let Err(why) = attempt(&tree.current()) {
            let until = Instant::now() + PATIENCE;
            return Err(in_words(shortest(tree.current(), why, until, &mut attempt)));
        }
    }
    Ok(refused_state)
}

/// Operations that fail, and why they do.
struct Failing {
    operations: Vec<Operation>,
    why: String,
    /// Whether none can be left out, as far as was tried. Otherwise there was no time to tell.
    is_shortest: bool,
}

/// The operations without those that it also fails without, and those that are left with fewer parts.
fn shortest(
    operations: Vec<Operation>,
    why: String,
    until: Instant,
    attempt: &mut impl FnMut(&[Operation]) -> Result<(), String>,
) -> Failing {
    let (mut why, mut is_shortest) = (why, true);
    let mut fails = |operations: &[Operation]| {
        if Instant::now() >= until {
            is_shortest = false;
            return false;
        }
        match attempt(operations) {
            Ok(()) => false,
            Err(still) => {
                why = still;
                true
            }
        }
    };
    let mut operations = least(operations, &mut fails);
    for at in (0..operations.len()).rev() {
        let shortest = operations[at].clone().shortest(|shorter| {
            let mut fewer = operations.clone();
            fewer[at] = shorter;
            fails(&fewer)
        });
        operations[at] = shortest;
    }
    Failing { operations, why, is_shortest }
}

fn in_words(Failing { operations, why, is_shortest }: Failing) -> String {
    let steps: Vec<String> = operations.iter().map(ToString::to_string).collect();
    let which = if is_shortest { "The shortest sequence that shows it" } else { "A sequence that shows it" };
    match steps.is_empty() {
        true => why,
        false => format!("{why}. {which}: {}", steps.join("; then ")),
    }
}
