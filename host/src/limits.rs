//! Resource limits of plugins.

use std::time::Duration;

use crate::budget::CompileBudget;

/// The resources that one plugin instance may use.
///
/// The defaults suit lists of up to a few million entries. A call that exceeds a limit is interrupted; see
/// [`CallError`](crate::CallError).
///
/// Call times are wall time for the first half of a limit, then CPU time: on a busy machine, time in which the
/// operating system did not schedule the call is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for one check, which a message waits for. Default: 50 ms; a good plugin needs less than 1 µs. A batch of up
    /// to [`BATCH`](crate::BATCH) checks may take four times as long.
    pub check: Duration,
    /// Time for any other call, such as a batch of blocks, a page, or a part of a saved state. Default: 2 s.
    pub call: Duration,
    /// Time for `configure`. Default: 2 s.
    pub configure: Duration,
    /// Size of a component file in bytes. Default: 16 MiB.
    pub component_bytes: usize,
    /// Bounds on what the compiler must process.
    pub compiling: CompileBudget,
    /// Wall time to load a component, from its bytes to its description, including the wait for other loads. Default:
    /// 10 s.
    pub load: Duration,
    /// Linear memory and tables of one instance, in bytes. Default: 4 GiB, the limit of 32-bit addresses. The total of
    /// a tenant is bounded by its [`MemoryAccount`](crate::MemoryAccount).
    pub instance_bytes: u64,
    /// Size of a call's result in bytes. Default: 8 MiB.
    pub result_bytes: usize,
}

impl Limits {
    /// Time for a batch of checks. Messages wait for it, so it does not scale with the batch.
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
