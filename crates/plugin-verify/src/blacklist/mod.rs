//! Whether a plugin keeps the contract `portcullis:blacklist`: random sequences of operations, compared with a model of a list.

mod least;
mod operation;
mod run;
mod sequences;

use portcullis_host::{CallError, Instance, MemoryAccount, Permutation, PermutationKey, Plugin, Settings};

use crate::conformance::Conformance;

/// Memory of one instance, in bytes.
const MEMORY: u64 = 1 << 30;

/// Starts an instance, as a gateway does. A plugin on clear numbers is granted them.
pub(crate) fn start(plugin: &Plugin, options: &str, capacity: u64) -> Result<Instance, CallError> {
    let settings = Settings { capacity, options: options.to_owned() };
    plugin.instantiate(&settings, &MemoryAccount::new(MEMORY), Some(&numbers()))
}

/// Any key does, and the same one gives the same counter-example.
fn numbers() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"portcullis check"))
}

/// Tries a plugin.
pub(crate) fn conformance(plugin: &Plugin, options: &str) -> Conformance {
    let mut found = Conformance::default();
    match start(plugin, options, 0) {
        Ok(_) => {}
        Err(CallError::Refused(why)) => return Conformance::refusing(options, &why),
        Err(error) => {
            found.problems.push(format!("an instance does not start: {error}"));
            return found;
        }
    }
    match sequences::counter_example(plugin, options) {
        Ok(refused_state) => found.remarks.extend(refused_state.map(|why| {
            format!("it does not load the state that it saved: {why}: it is filled from the ledger, entry by entry")
        })),
        Err(problem) => {
            found.problems.push(problem);
            return found;
        }
    }
    match run::long_list(plugin, options) {
        Ok(remarks) => found.remarks.extend(remarks),
        Err(problem) => found.problems.push(problem),
    }
    found
}
