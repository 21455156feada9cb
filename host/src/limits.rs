//! What a plugin may use.

use std::time::Duration;

use crate::budget::CompileBudget;

/// The most that one plugin instance may take for one call, and of memory for its life.
///
/// The defaults suit lists up to a few million entries. A call that passes a bound is cut off; see
/// [`CallError`](crate::CallError).
///
/// Times are of the processor as soon as half of one is over: what a busy machine takes from a call is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a single check may take: it stands in the path of a message. 50 ms unless set; a good plugin needs less than a microsecond.
    /// A batch of up to [`BATCH`](crate::BATCH) checks may take four times as long.
    pub check: Duration,
    /// How long any other call may take (a batch of blocks, a page, a part of a state): 2 s unless set.
    pub call: Duration,
    /// How long `configure` may take: 2 s unless set.
    pub configure: Duration,
    /// The largest component file, in bytes: 16 MiB unless set.
    pub component_bytes: usize,
    /// What a component may have for the compiler to do.
    pub compiling: CompileBudget,
    /// How long loading a component may take, from its bytes to its description, and the wait for others that are being loaded
    /// included: 10 s unless set, of wall time.
    pub load: Duration,
    /// The most linear memory and tables of one instance, in bytes: 4 GiB unless set, which is as much as 32-bit
    /// addresses reach. What a tenant has in all is bounded by its [`MemoryAccount`](crate::MemoryAccount).
    pub instance_bytes: u64,
    /// The most that one call may hand back to the host, in bytes: 8 MiB unless set.
    pub result_bytes: usize,
}

impl Limits {
    /// How long a batch of checks may take: messages wait for it, too.
    pub(crate) fn check_batch(&self) -> Duration {
        self.check.saturating_mul(4)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            check: Duration::from_millis(50),
            call: Duration::from_secs(2),
            configure: Duration::from_secs(2),
            component_bytes: 16 << 20,
            compiling: CompileBudget::default(),
            load: Duration::from_secs(10),
            instance_bytes: 4 << 30,
            result_bytes: 8 << 20,
        }
    }
}
