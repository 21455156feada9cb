//! The one wasmtime engine of a process, and the clock that ticks it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, EngineWeak};

use crate::compilers::Compilers;
use crate::turn::Turns;

/// Compiles plugins and bounds the time of their calls. One is enough for a process: all tenants share it.
///
/// Cheap to clone. Its clock is a thread that advances the engine's epoch once a tick; it ends when the last clone and
/// the last plugin and instance made with it are gone.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    clock: Arc<Clock>,
    loads: Turns,
    compilers: Compilers,
}

impl Engine {
    /// How often the clock ticks unless it is told otherwise: every 2 ms. A call is cut off within its deadline plus one tick.
    pub const TICK: Duration = Duration::from_millis(2);

    /// An engine whose clock ticks every [`Engine::TICK`].
    ///
    /// # Errors
    ///
    /// [`EngineError`] where this machine can't run compiled WebAssembly, or starts no more threads.
    pub fn new() -> Result<Self, EngineError> {
        Self::with_tick(Self::TICK)
    }

    /// An engine whose clock ticks every `tick`, at least a tenth of a millisecond.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with_tick(tick: Duration) -> Result<Self, EngineError> {
        let tick = tick.max(Duration::from_micros(100));
        let wasm = wasmtime::Engine::new(&config()).map_err(EngineError::Unsupported)?;
        let clock = Clock::start(wasm.weak(), tick).map_err(EngineError::Clock)?;
        Ok(Engine { wasm, clock: Arc::new(clock), loads: Turns::default(), compilers: Compilers::default() })
    }

    /// On how many threads each plugin is compiled from now on: one, unless set. All have low priority; even so, each beyond one
    /// is a processor less that has nothing to do but checks, so more are for a time without checks, as before the first.
    pub fn compile_on(&self, threads: NonZeroUsize) {
        self.compilers.set(threads);
    }

    pub(crate) fn compilers(&self) -> &Compilers {
        &self.compilers
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    pub(crate) fn loads(&self) -> &Turns {
        &self.loads
    }

    pub(crate) fn tick(&self) -> Duration {
        self.clock.tick
    }

    /// How many ticks from now a call that may take `deadline` is to be interrupted: never before the deadline, hence one
    /// more than fit in, since the current tick is already under way.
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(self.clock.tick.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tick", &self.clock.tick).finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime has no compiler for this processor or operating system.
    #[error("WebAssembly can't be compiled or run on this machine")]
    Unsupported(#[source] wasmtime::Error),
    /// The operating system refused a thread.
    #[error("the thread that bounds the plugins' calls can't be started")]
    Clock(#[source] std::io::Error),
}

fn config() -> Config {
    let mut config = Config::new();
    // The deadline of each call. Compiled code looks at the epoch in each loop and function.
    config.epoch_interruption(true);
    // A plugin has at most this much stack, which a deep recursion passes: far below what the threads of a host have.
    config.max_wasm_stack(512 << 10);
    // A trap is told by its kind; frames of stripped code tell nobody more, and cost time at each trap.
    config.wasm_backtrace_max_frames(None);
    // What no plugin needs is off: each proposal is code that a hostile component could reach.
    config
        .wasm_custom_page_sizes(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false);
    config
}

/// The thread that ticks. Told to stop, and waited for, when it is dropped.
struct Clock {
    tick: Duration,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Holds the engine weakly, so that the clock never keeps compiled code alive.
    fn start(engine: EngineWeak, tick: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = thread::Builder::new().name("portcullis-clock".to_owned()).spawn(move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
        Ok(Clock { tick, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The clock's thread may itself drop the last engine: then it can't wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
