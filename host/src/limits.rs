//! Resource limits of plugins.

use std::time::Duration;

use crate::budget::CompileBudget;

/// The resources that one plugin instance may use.
///
/// The defaults suit lists of up to a few million entries. A call that exceeds a limit is interrupted; see
/// [`CallError`](crate::CallError).
///
/// Call times are CPU time: time in which the operating system did not schedule the call is not counted. A check may use
/// up to one and a half times its limit, because the CPU clock is not read at the start of each. After twenty limits of
/// wall time, but not before five seconds, a call is interrupted in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for one check or decision, which a message waits for. Default: 50 ms; a good plugin needs less than 1 µs. A batch of up
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
    /// Address space of the [child process](crate::Compiler) that compiles, in bytes. Default: 256 MiB. The in-process
    /// compiler has no such limit.
    pub compiler_bytes: u64,
    /// Processor time of the child process that compiles, rounded up to seconds. Default: 10 s. The in-process compiler
    /// has no such limit.
    pub compiler_time: Duration,
    /// Size of the compiled component in bytes. Default: 16 MiB.
    pub compiled_bytes: usize,
    /// Wall time to check and compile a component, from its turn on. Default: 40 s.
    pub load: Duration,
    /// Wall time to wait for a turn to compile. Default: 10 s.
    pub turn: Duration,
    /// Linear memory and tables of the instance that describes the plugin while it is loaded, in bytes. Default: 64 MiB,
    /// or [`instance_bytes`](Self::instance_bytes) if that is less.
    pub describe_bytes: u64,
    /// Linear memory and tables of one instance, in bytes. Default: 1 GiB, enough for 200 million entries of the default
    /// plugin. The total of a tenant is bounded by its [`MemoryAccount`](crate::MemoryAccount).
    pub instance_bytes: u64,
    /// Size of a call's result in bytes. Default: 8 MiB.
    pub result_bytes: usize,
    /// Linear memory and tables of one instance of a rules plugin, in bytes. Default: 64 MiB. Such an instance is charged
    /// to the tenant's account, too.
    pub rules_bytes: u64,
    /// Size of the result of a call of a rules plugin, in bytes. Default: 1 MiB.
    pub rules_result_bytes: usize,
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
            compiler_bytes: 256 << 20,
            compiler_time: Duration::from_secs(10),
            compiled_bytes: 16 << 20,
            load: Duration::from_secs(40),
            turn: Duration::from_secs(10),
            describe_bytes: 64 << 20,
            instance_bytes: 1 << 30,
            result_bytes: 8 << 20,
            rules_bytes: 64 << 20,
            rules_result_bytes: 1 << 20,
        }
    }
}
