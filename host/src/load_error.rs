//! Why a plugin can't be loaded.

use std::fmt;
use std::time::Duration;

use crate::call_error::CallError;
use crate::compile::NotCompiled;
use crate::invalid_component::InvalidComponent;

/// Why a plugin can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file can't be read.
    #[error("can't read the plugin file {path}")]
    Read {
        /// The path of the file.
        path: String,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// It is not a component that implements the contract.
    #[error("the plugin does not fit: {0}")]
    Invalid(InvalidComponent),
    /// It needs more memory to compile than [`Limits::compiler_bytes`](crate::Limits::compiler_bytes).
    #[error("the plugin needs more than {} of memory to compile", Bytes(*.limit))]
    TooMuchMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// It takes more processor time to compile than [`Limits::compiler_time`](crate::Limits::compiler_time).
    #[error("the plugin takes too long to compile: more than {} s of processor time", .limit.as_secs_f64())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// The in-process compiler took longer than [`Limits::load`](crate::Limits::load).
    #[error("the plugin was not checked and compiled within its {} ms", .limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The child process that compiles did not end within [`Limits::load`](crate::Limits::load), and used less than its
    /// processor time: the machine is busy.
    #[error("the machine was too busy to compile the plugin within {} ms: try again later", .limit.as_millis())]
    Late {
        /// The limit.
        limit: Duration,
    },
    /// No turn came within [`Limits::turn`](crate::Limits::turn), or too many plugins are waiting for one.
    #[error("other plugins are being compiled: try again later")]
    Busy,
    /// The operating system refused to start a thread.
    #[error("can't start the thread that loads a plugin: try again later")]
    NoThread,
    /// The child process that compiles can't be started, or ended in a way that says nothing about the plugin.
    #[error("the compiler of plugins can't be run: {0}")]
    NoCompiler(String),
    /// It implements the contract, but `describe` failed.
    #[error("can't get the plugin's description")]
    Describe(#[source] CallError),
}

/// Bytes, in MiB if there are that many of them to the byte.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_multiple_of(1 << 20) {
            true => write!(f, "{} MiB", self.0 >> 20),
            false => write!(f, "{} bytes", self.0),
        }
    }
}

// Not `#[from]`: the message already contains the error, so as its source it would appear twice in an error chain.
impl From<InvalidComponent> for LoadError {
    fn from(error: InvalidComponent) -> Self {
        LoadError::Invalid(error)
    }
}

impl From<NotCompiled> for LoadError {
    fn from(error: NotCompiled) -> Self {
        match error {
            NotCompiled::Invalid(error) => LoadError::Invalid(error),
            NotCompiled::TooMuchMemory { limit } => LoadError::TooMuchMemory { limit },
            NotCompiled::TooSlow { limit } => LoadError::TooSlow { limit },
            NotCompiled::TimedOut { limit } => LoadError::TimedOut { limit },
            NotCompiled::Late { limit } => LoadError::Late { limit },
            NotCompiled::Busy => LoadError::Busy,
            NotCompiled::NoThread => LoadError::NoThread,
            NotCompiled::NoCompiler(why) => LoadError::NoCompiler(why),
        }
    }
}

impl LoadError {
    /// The kind of error, for metrics: `unreadable`, `unfit`, `too-large`, `too-slow`, `no-turn` or `no-description`.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadError::Read { .. } => "unreadable",
            LoadError::Invalid(_) => "unfit",
            LoadError::TooMuchMemory { .. } => "too-large",
            LoadError::TooSlow { .. } | LoadError::TimedOut { .. } => "too-slow",
            LoadError::Late { .. } | LoadError::Busy | LoadError::NoThread | LoadError::NoCompiler(_) => {
                "no-turn"
            }
            LoadError::Describe(_) => "no-description",
        }
    }

    /// Whether the error says nothing about the plugin: the same bytes may load later.
    pub fn is_transient(&self) -> bool {
        self.kind() == "no-turn"
    }

    /// Whether another attempt with the same limits would cost as much and end alike: compiling exceeded a limit of time
    /// or memory.
    pub fn is_costly(&self) -> bool {
        matches!(
            self,
            LoadError::TooMuchMemory { .. } | LoadError::TooSlow { .. } | LoadError::TimedOut { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_memory_is_told_to_the_byte() {
        for (limit, shown) in [(256 << 20, "256 MiB"), (1_000_000, "1000000 bytes")] {
            let told = LoadError::TooMuchMemory { limit }.to_string();
            assert_eq!(told, format!("the plugin needs more than {shown} of memory to compile"));
        }
    }
}
