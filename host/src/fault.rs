//! What can go wrong in a call of a plugin.

use std::time::Duration;

/// Why a call of a plugin gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin refused, in its own words. It is as before.
    #[error("refused by the plugin: {0}")]
    Refused(String),
    /// The plugin trapped: it panicked, ran out of stack, or did what WebAssembly forbids.
    #[error("the plugin trapped in {call}: {trap}")]
    Trapped {
        /// The function that was called.
        call: &'static str,
        /// The kind of trap.
        trap: String,
    },
    /// The plugin was cut off at its deadline.
    #[error("the plugin was cut off: {call} took longer than its {} ms", .deadline.as_millis())]
    TimedOut {
        /// The function that was called.
        call: &'static str,
        /// What it may take; see [`Limits`](crate::Limits).
        deadline: Duration,
    },
    /// The plugin asked for more memory than it may have, and trapped for want of it.
    #[error("the plugin ran out of memory in {call}: it may have {limit} bytes")]
    OutOfMemory {
        /// The function that was called.
        call: &'static str,
        /// The bound it ran into: its own, or its tenant's.
        limit: u64,
    },
    /// The plugin's answer breaks the contract.
    #[error("the plugin broke the contract: {call} {breach}")]
    Broken {
        /// The function that was called.
        call: &'static str,
        /// What is wrong with the answer.
        breach: String,
    },
    /// An earlier call failed for good, and this instance was thrown away.
    #[error("the plugin is out of service since an earlier fault")]
    OutOfService,
}

impl CallError {
    /// Whether the instance is lost: all but a refusal.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, CallError::Refused(_))
    }

    /// A short name of the kind, for metrics: `refused`, `trapped`, `timed-out`, `out-of-memory`, `broken`, `out-of-service`.
    pub fn kind(&self) -> &'static str {
        match self {
            CallError::Refused(_) => "refused",
            CallError::Trapped { .. } => "trapped",
            CallError::TimedOut { .. } => "timed-out",
            CallError::OutOfMemory { .. } => "out-of-memory",
            CallError::Broken { .. } => "broken",
            CallError::OutOfService => "out-of-service",
        }
    }
}
