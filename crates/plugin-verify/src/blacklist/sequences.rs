//! Random sequences of operations, and the shortest one that fails.

use std::time::{Duration, Instant};

use portcullis_host::Plugin;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

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
            let failing = (tree.current(), why);
            return Err(in_words(without_what_is_left_out(failing, until, &mut attempt)));
        }
    }
    Ok(refused_state)
}

/// Operations that fail, and why they do.
type Failing = (Vec<Operation>, String);

/// The operations without those that it also fails without, and those that are left with fewer parts.
fn without_what_is_left_out(
    failing: Failing,
    until: Instant,
    attempt: &mut impl FnMut(&[Operation]) -> Result<(), String>,
) -> Failing {
    let (mut operations, mut why) = failing;
    for takes_parts in [false, true] {
        let mut at = operations.len();
        while at > 0 {
            at -= 1;
            let instead = match takes_parts {
                false => vec![None],
                true => operations[at].shorter().into_iter().map(Some).collect(),
            };
            for instead in instead {
                if Instant::now() >= until {
                    return (operations, why);
                }
                let mut fewer = operations.clone();
                drop(fewer.splice(at..=at, instead));
                if let Err(still) = attempt(&fewer) {
                    (operations, why) = (fewer, still);
                    // It may be shorter still.
                    at += usize::from(takes_parts);
                    break;
                }
            }
        }
    }
    (operations, why)
}

fn in_words((operations, why): Failing) -> String {
    let steps: Vec<String> = operations.iter().map(ToString::to_string).collect();
    match steps.is_empty() {
        true => why,
        false => format!("{why}. The shortest sequence that shows it: {}", steps.join("; then ")),
    }
}
