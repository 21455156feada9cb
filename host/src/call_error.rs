//! Errors of plugin calls.

use std::time::Duration;

use crate::error_chain::ErrorChain;

/// Text with as many digits may be a telephone number.
const DIGITS_OF_A_NUMBER: usize = 7;

/// Why a plugin call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin rejected the input, for this reason in its own words. Its state is unchanged.
    #[error("refused by the plugin: {0}")]
    Refused(String),
    /// The plugin trapped: it panicked, exhausted its stack, or executed an operation that WebAssembly forbids.
    #[error("the plugin trapped in {call}: {trap}{last_words}")]
    Trapped {
        /// The function that was called.
        call: &'static str,
        /// The kind of trap.
        trap: String,
        /// What it said when it panicked, and which of its functions it was in, as far as it tells: begins with a separator, or is empty.
        /// The plugin's own words, bounded and escaped, in which digits that may be of a number are masked.
        last_words: String,
    },
    /// The call exceeded its deadline and was interrupted.
    #[error("the plugin was interrupted: {call} exceeded its limit of {} ms", .deadline.as_millis())]
    TimedOut {
        /// The function that was called.
        call: &'static str,
        /// The deadline; see [`Limits`](crate::Limits).
        deadline: Duration,
    },
    /// The plugin needed more memory than one instance may have, and trapped.
    #[error("the plugin ran out of memory in {call}: it may have {limit} bytes")]
    OutOfMemory {
        /// The function that was called.
        call: &'static str,
        /// The limit in bytes; see [`Limits::instance_bytes`](crate::Limits::instance_bytes).
        limit: u64,
    },
    /// The plugin needed more memory than the other instances of its tenant left it, and trapped.
    #[error(
        "the plugin ran out of memory in {call}: all instances of the tenant may have {limit} bytes together, which its \
         memory_limit_bytes sets"
    )]
    AccountFull {
        /// The function that was called.
        call: &'static str,
        /// The limit in bytes; see [`MemoryAccount`](crate::MemoryAccount).
        limit: u64,
    },
    /// The plugin needed more memory than the plugins of all tenants left it, and trapped.
    #[error(
        "the plugin found no memory left in {call}: the plugins of all tenants may have {limit} bytes together, which \
         plugins.memory_limit_bytes sets; they leave an eighth to plugins that replace others, and those with more than an \
         equal share leave a quarter to the others"
    )]
    MemoryExhausted {
        /// The function that was called.
        call: &'static str,
        /// The limit in bytes; see [`MemoryPool`](crate::MemoryPool).
        limit: u64,
    },
    /// The plugin's result violates the contract.
    #[error("the plugin broke the contract: {call} {breach}")]
    Broken {
        /// The function that was called.
        call: &'static str,
        /// How the result violates the contract.
        breach: String,
    },
    /// There is no memory for the counters of the message, or for what other gateways have counted of its like: the rule can't be asked.
    #[error(
        "there is no room to count the message: what a tenant's rules count may take {limit} bytes, which its meter_memory_bytes sets;          shorter windows take less"
    )]
    Uncounted {
        /// The limit in bytes.
        limit: u64,
    },
    /// The instance was discarded after an earlier fatal error.
    #[error("the plugin is out of service after an earlier fault")]
    OutOfService,
}

impl CallError {
    /// Whether the instance is lost. True for every error except a refusal, and where it was not called.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, CallError::Refused(_) | CallError::Uncounted { .. })
    }

    /// Whether the same call may succeed later, with the same plugin and the same limits: others have the memory now.
    pub fn is_transient(&self) -> bool {
        matches!(self, CallError::MemoryExhausted { .. })
    }

    /// The kind of error, for metrics: `refused`, `trapped`, `timed-out`, `out-of-memory`,
    /// `memory-exhausted`, `broken`, `uncounted` or `out-of-service`.
    pub fn kind(&self) -> &'static str {
        match self {
            CallError::Refused(_) => "refused",
            CallError::Trapped { .. } => "trapped",
            CallError::TimedOut { .. } => "timed-out",
            CallError::OutOfMemory { .. } | CallError::AccountFull { .. } => "out-of-memory",
            CallError::MemoryExhausted { .. } => "memory-exhausted",
            CallError::Broken { .. } => "broken",
            CallError::Uncounted { .. } => "uncounted",
            CallError::OutOfService => "out-of-service",
        }
    }

    /// The error on one line, for a log: bounded and escaped, and without numbers that the plugin repeats from its options.
    pub fn reason(&self) -> String {
        match self {
            // Its options may contain numbers.
            CallError::Refused(words) => ErrorChain(&CallError::Refused(without_numbers(words))).to_string(),
            error => ErrorChain(error).to_string(),
        }
    }
}

/// Replaces whatever has as many digits as a telephone number, also with separators between them.
fn without_numbers(words: &str) -> String {
    let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '/' | '(' | ')');
    let mut shown = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(char::is_numeric) {
        let (before, from) = rest.split_at(start);
        shown.push_str(before);
        let length = from.find(|c: char| !c.is_numeric() && !is_between(c)).unwrap_or(from.len());
        let run = from[..length].trim_end_matches(is_between);
        match run.chars().filter(|c| c.is_numeric()).count() < DIGITS_OF_A_NUMBER {
            true => shown.push_str(run),
            false => shown.push('…'),
        }
        rest = &from[run.len()..];
    }
    shown + rest
}

/// Why a check that may not wait has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryCheckError {
    /// The plugin is slow, or all instances are being called: check on a thread that may wait.
    #[error("the plugin is busy: check on a thread that may wait")]
    Busy,
    /// The plugin failed.
    #[error(transparent)]
    Failed(#[from] CallError),
}
