//! Compiling a component: in this process or in a child process, in turns, with a cache.

mod artefact;
mod bounds;
mod cache;
mod child;
#[cfg(unix)]
mod confine;
mod pool;
mod seal;
mod turns;
mod worker;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use crate::invalid_component::InvalidComponent;
use crate::limits::Limits;

pub(crate) use artefact::deserialize;
pub use bounds::Confinement;
pub(crate) use cache::Entry;
pub use cache::{ArtefactCache, CacheProblem};
pub(crate) use turns::NoTurn;
pub use worker::compile_child_main;

use pool::Pool;
use turns::Turns;

/// Where plugins are compiled.
///
/// A compiler's time and memory grow faster than the component: a file of 200 KiB that passes all static checks can need
/// gigabytes. Memory that can't be had ends the process, whatever the embedder does. So compile in a child process,
/// which has limits of its own, wherever components come from others.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Compiler {
    /// In this process, on threads of low priority. **A hostile component can end the process, or occupy processors and
    /// memory without bound**: only the static [`CompileBudget`](crate::CompileBudget) stands against it, which does not
    /// look at everything. Types that nest a million times overflow the stack, for example, which no program survives.
    /// Compilations that exceed their time go on in the background.
    #[default]
    InProcess,
    /// In a child process for each component, which limits its memory and processor time before it reads a byte. On
    /// Linux it also gives up all access to files, the network and other processes, as far as the kernel can (Landlock and
    /// seccomp). It is killed when its time is over.
    ///
    /// The program must call [`compile_child_main`] first, and must be of the same version of this crate. Its
    /// environment is empty.
    Child {
        /// The program.
        program: PathBuf,
        /// Its arguments. The host adds one, with the limits.
        args: Vec<OsString>,
    },
}

impl Compiler {
    /// A child process of the program that is running, which calls [`compile_child_main`] at the beginning of `main`.
    pub fn this_program() -> Self {
        // On Linux the running program itself, even if another one was installed in its place.
        let running = PathBuf::from("/proc/self/exe");
        let program = match cfg!(target_os = "linux") && running.exists() {
            true => running,
            false => std::env::current_exe().unwrap_or(running),
        };
        Compiler::Child { program, args: vec![bounds::COMMAND.into()] }
    }
}

/// Why a component was not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotCompiled {
    Invalid(InvalidComponent),
    TooMuchMemory { limit: u64 },
    TooSlow { limit: Duration },
    TimedOut { limit: Duration },
    Late { limit: Duration },
    Busy,
    NoThread,
    NoCompiler(String),
}

impl From<InvalidComponent> for NotCompiled {
    fn from(error: InvalidComponent) -> Self {
        NotCompiled::Invalid(error)
    }
}

/// What compiles for an engine.
#[derive(Clone)]
pub(crate) struct Compilation {
    compiler: Arc<Compiler>,
    pool: Pool,
    turns: Turns,
    confinement: Arc<OnceLock<Confinement>>,
}

impl Default for Compilation {
    fn default() -> Self {
        // A child each, of up to 256 MiB. One more than there are processors is no faster, but with two there is always
        // a turn for a small plugin while a large one is being compiled.
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = NonZeroUsize::new(processors.clamp(2, 4)).unwrap_or(NonZeroUsize::MIN);
        Compilation {
            compiler: Arc::default(),
            pool: Pool::default(),
            turns: Turns::new(most),
            confinement: Arc::default(),
        }
    }
}

impl Compilation {
    pub(crate) fn set_compiler(&mut self, compiler: Compiler) {
        self.compiler = Arc::new(compiler);
    }

    pub(crate) fn set_eager(&self, is_eager: bool) {
        let threads = if is_eager { thread::available_parallelism().ok() } else { None };
        self.pool.set(threads.unwrap_or(NonZeroUsize::MIN));
        self.turns.set_eager(is_eager);
    }

    /// How many components are compiled at a time.
    pub(crate) fn at_a_time(&self) -> usize {
        self.turns.most()
    }

    /// What the last child process gave up.
    pub(crate) fn confinement(&self) -> Option<Confinement> {
        self.confinement.get().copied()
    }

    /// Waits for a turn, and compiles a component, and then does `next` with the machine code, still in that turn.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        engine: &wasmtime::Engine,
        name: &str,
        component: Vec<u8>,
        limits: &Limits,
        next: impl FnOnce(Vec<u8>) -> T + Send + 'static,
    ) -> Result<T, NotCompiled> {
        let (here, engine, bounds) = (self.clone(), engine.clone(), limits.clone());
        let work = move || here.compile(&engine, &component, &bounds).map(next);
        // What follows the compilation has deadlines of its own, and a child ends by itself.
        let time = match *self.compiler {
            Compiler::InProcess => limits.load,
            Compiler::Child { .. } => {
                limits.load.saturating_add(limits.configure.saturating_mul(3)).saturating_add(GRACE)
            }
        };
        let done = self.turns.within(name, limits.turn, time, work);
        done.unwrap_or_else(|error| {
            Err(match error {
                NoTurn::TimedOut => NotCompiled::TimedOut { limit: limits.load },
                NoTurn::Busy => NotCompiled::Busy,
                NoTurn::NoThread => NotCompiled::NoThread,
                // A bug in a parser or the compiler, triggered by these bytes.
                NoTurn::Panicked => {
                    InvalidComponent::CompilerPanicked("its message is in the log".to_owned()).into()
                }
            })
        })
    }

    fn compile(
        &self,
        engine: &wasmtime::Engine,
        component: &[u8],
        limits: &Limits,
    ) -> Result<Vec<u8>, NotCompiled> {
        match &*self.compiler {
            Compiler::Child { program, args } => {
                let (artefact, confinement) = child::compile(program, args, component, limits)?;
                let _ = self.confinement.set(confinement);
                Ok(artefact)
            }
            Compiler::InProcess => {
                let artefact = self.pool.run(|| worker::compile(engine, component));
                let artefact = artefact.map_err(|_| NotCompiled::NoThread)??;
                match artefact.len() > limits.compiled_bytes {
                    true => Err(InvalidComponent::TooMuchCode { limit: limits.compiled_bytes }.into()),
                    false => Ok(artefact),
                }
            }
        }
    }
}

/// The time in so long. In a year if that is beyond what can be told.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
}

/// How much longer than its parts a load may take, before it is given up as one that hangs.
const GRACE: Duration = Duration::from_secs(10);

/// Makes a component of machine code that came from [`Compilation::run`] or the cache.
pub(crate) fn component(engine: &wasmtime::Engine, artefact: &[u8]) -> Result<Component, NotCompiled> {
    deserialize(engine, artefact).map_err(|error| NotCompiled::NoCompiler(error.to_string()))
}
