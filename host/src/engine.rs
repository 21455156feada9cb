//! The process-wide wasmtime engine, and the clock that advances its epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

use crate::compile::{ArtefactCache, Compilation, Compiler, Confinement};
use crate::wasm_config::wasm_config;

/// Compiles plugins and bounds the duration of their calls. One engine per process is enough: all tenants share it.
///
/// Cheap to clone. A clock thread advances the engine's epoch once per tick. It ends when the last clone of the engine,
/// and the last plugin and instance made with it, are dropped.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    clock: Arc<Clock>,
    compilation: Compilation,
    cache: Option<Arc<ArtefactCache>>,
    log: Option<PluginLog>,
}

/// Takes the lines that plugins log.
pub(crate) type PluginLog = Arc<dyn Fn(&str) + Send + Sync>;

impl Engine {
    /// The default tick: 2 ms. A call is interrupted within its deadline plus one tick.
    pub const TICK: Duration = Duration::from_millis(2);

    /// Creates an engine whose clock ticks every [`Engine::TICK`].
    ///
    /// # Errors
    ///
    /// [`EngineError`] if this machine can't run compiled WebAssembly, or can't start another thread.
    pub fn new() -> Result<Self, EngineError> {
        Self::with_tick(Self::TICK)
    }

    /// Creates an engine whose clock ticks every `tick`; values below 100 µs are raised to 100 µs.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with_tick(tick: Duration) -> Result<Self, EngineError> {
        let tick = tick.max(Duration::from_micros(100));
        let wasm = wasmtime::Engine::new(&wasm_config()).map_err(EngineError::Unsupported)?;
        let clock = Clock::start(wasm.weak(), tick).map_err(EngineError::Clock)?;
        Ok(Engine {
            wasm,
            clock: Arc::new(clock),
            compilation: Compilation::default(),
            cache: None,
            log: None,
        })
    }

    /// Sets where plugins are compiled. Default: [`Compiler::InProcess`], which a hostile component can abuse.
    #[must_use]
    pub fn with_compiler(mut self, compiler: Compiler) -> Self {
        self.compilation.set_compiler(compiler);
        self
    }

    /// Keeps compiled plugins in a cache on disk. Default: none.
    #[must_use]
    pub fn with_cache(mut self, cache: ArtefactCache) -> Self {
        self.cache = Some(Arc::new(cache));
        self
    }

    /// Offers plugins the import `portcullis:debug/log@0.1.0`, and passes on what they log, which is foreign text of up to
    /// [`Limits::result_bytes`](crate::Limits::result_bytes). For a tool that examines plugins. Default: a component that imports it is
    /// refused, like one that imports anything else.
    #[must_use]
    pub fn with_log(mut self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// Sets whether plugins are compiled with normal priority, and by the [in-process compiler](Compiler::InProcess) on all
    /// processors. Default: `false`, with low priority and on one thread.
    ///
    /// Takes the processors away from checks, so set it only while nobody waits for one, such as at startup: then a busy
    /// machine does not keep the plugins from being compiled in time.
    pub fn compile_eagerly(&self, is_eager: bool) {
        self.compilation.set_eager(is_eager);
    }

    /// How many plugins are compiled at a time: one per processor, at least 2, at most 4.
    pub fn compiles_at_a_time(&self) -> usize {
        self.compilation.at_a_time()
    }

    /// What the child process that compiled the first plugin gave up. `None` before that, and with the in-process
    /// compiler.
    pub fn confinement(&self) -> Option<Confinement> {
        self.compilation.confinement()
    }

    pub(crate) fn compilation(&self) -> &Compilation {
        &self.compilation
    }

    pub(crate) fn cache(&self) -> Option<&ArtefactCache> {
        self.cache.as_deref()
    }

    pub(crate) fn log(&self) -> Option<&PluginLog> {
        self.log.as_ref()
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    pub(crate) fn tick(&self) -> Duration {
        self.clock.tick
    }

    /// How often the clock has ticked.
    #[inline]
    pub(crate) fn ticked(&self) -> u64 {
        self.clock.ticked.load(Ordering::Relaxed)
    }

    /// The number of ticks after which a call with this deadline is interrupted. Rounded up, plus one because the
    /// current tick has already begun: a call is never interrupted before its deadline.
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

/// Why an engine can't be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime has no compiler for this CPU or operating system.
    #[error("WebAssembly can't be compiled or run on this machine")]
    Unsupported(#[source] wasmtime::Error),
    /// The operating system refused to start a thread.
    #[error("can't start the thread that enforces the deadlines of plugin calls")]
    Clock(#[source] std::io::Error),
}

/// The clock thread. Dropping the value stops the thread and waits for it.
struct Clock {
    tick: Duration,
    ticked: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Holds the engine weakly so that the clock never keeps compiled code alive.
    fn start(engine: EngineWeak, tick: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let ticked = Arc::<AtomicU64>::default();
        let ticks = Arc::clone(&ticked);
        let thread = thread::Builder::new().name("portcullis-clock".to_owned()).spawn(move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                match engine.upgrade() {
                    Some(engine) => {
                        engine.increment_epoch();
                        ticks.fetch_add(1, Ordering::Relaxed);
                    }
                    None => break,
                }
            }
        })?;
        Ok(Clock { tick, ticked, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The clock thread may itself drop the last engine, and can't join itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
