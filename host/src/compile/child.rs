//! Compiling in a child process.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::bounds::{ANSWER_HEAD, Bounds, CONTEXT, Confinement, MAGIC, REQUEST_HEAD, exit};
use super::seal;
use super::{NotCompiled, after};
use crate::foreign_text::ForeignText;
use crate::invalid_component::InvalidComponent;
use crate::limits::Limits;

/// The most bytes that are read of a child's reason.
const REASON: u64 = 4096;
/// The stack of the threads that copy bytes.
const STACK: usize = 128 << 10;

/// Compiles a component in a child process, and waits for it. Returns the machine code, and what the child gave up.
pub(super) fn compile(
    program: &Path,
    args: &[OsString],
    component: &[u8],
    limits: &Limits,
) -> Result<(Vec<u8>, Confinement), NotCompiled> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| NotCompiled::NoCompiler(error.to_string()))?;
    let ended = run(program, args, component, &key, limits)?;
    let answer = ended.answer(limits)?;
    let (head, artefact) = answer.split_at_checked(ANSWER_HEAD).ok_or_else(cut_short)?;
    if !seal::is_genuine(&key, CONTEXT, artefact, &head[..seal::TAG]) {
        return Err(cut_short());
    }
    let confinement = Confinement::from_byte(head[seal::TAG]);
    let mut artefact = answer;
    artefact.drain(..ANSWER_HEAD);
    Ok((artefact, confinement))
}

fn cut_short() -> NotCompiled {
    NotCompiled::NoCompiler("its answer was cut short or changed on the way".to_owned())
}

/// A child process that is killed and reaped when this is dropped.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // It may have ended, which is as good.
        let _ = self.0.kill();
    }

    /// Waits until it ends, or kills it at `until`. Returns its status, and whether it was killed.
    fn reap(&mut self, until: Instant) -> io::Result<(ExitStatus, bool)> {
        let mut pause = Duration::from_micros(100);
        // Its output has ended, so it is ending.
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok((status, false));
            }
            if Instant::now() >= until {
                self.kill();
                return Ok((self.0.wait()?, true));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

/// A child process that ended, and what it wrote.
struct Ended {
    status: ExitStatus,
    /// At the deadline, by this process.
    was_killed: bool,
    /// At most one byte more than is allowed.
    output: Vec<u8>,
    reason: Vec<u8>,
}

fn run(
    program: &Path,
    args: &[OsString],
    component: &[u8],
    key: &[u8; 32],
    limits: &Limits,
) -> Result<Ended, NotCompiled> {
    let until = after(limits.load);
    let bounds = Bounds::new(limits.compiler_bytes, limits.compiler_time);
    let failed = |error: io::Error| {
        let program = program.display().to_string();
        NotCompiled::NoCompiler(format!("{}: {error}", ForeignText(&program)))
    };
    let child = Command::new(program)
        .args(args)
        .arg(bounds.argument())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Running(child.map_err(failed)?);
    let pipes = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    let (Some(mut input), Some(output), Some(errors)) = pipes else {
        return Err(failed(io::Error::other("it has no pipes")));
    };
    let mut head = Vec::with_capacity(REQUEST_HEAD);
    head.extend(MAGIC);
    head.extend(key);
    head.extend((limits.compiled_bytes as u64).to_le_bytes());
    head.extend((component.len() as u64).to_le_bytes());
    let most = most_output(limits) as u64 + 1;
    // A thread for each pipe, so that none is full while another is waited for. They end with the child.
    thread::scope(|scope| {
        let thread = || thread::Builder::new().name("portcullis-pipe".to_owned()).stack_size(STACK);
        let no_thread = |child: &mut Running| {
            child.kill();
            NotCompiled::NoThread
        };
        // A child that does not read to the end says why by its exit code.
        let request = move || input.write_all(&head).and_then(|()| input.write_all(component));
        thread().spawn_scoped(scope, request).map_err(|_| no_thread(&mut child))?;
        let reason =
            thread().spawn_scoped(scope, move || read(errors, REASON)).map_err(|_| no_thread(&mut child))?;
        let (done, ended) = channel();
        let answer = thread().spawn_scoped(scope, move || {
            let read = read(output, most);
            let _ = done.send(());
            read
        });
        let answer = answer.map_err(|_| no_thread(&mut child))?;
        let in_time = ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok();
        let reaped = child.reap(if in_time { until } else { Instant::now() });
        if reaped.is_err() {
            child.kill();
        }
        let (status, was_killed) = reaped.map_err(failed)?;
        Ok(Ended {
            status,
            was_killed,
            output: answer.join().unwrap_or_default(),
            reason: reason.join().unwrap_or_default(),
        })
    })
}

/// The most bytes of an answer.
fn most_output(limits: &Limits) -> usize {
    limits.compiled_bytes.min(1 << 30) + ANSWER_HEAD
}

/// Reads at most `most` bytes. What can't be read is missed by whoever looks at them.
fn read(from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.take(most).read_to_end(&mut bytes);
    bytes
}

impl Ended {
    fn answer(self, limits: &Limits) -> Result<Vec<u8>, NotCompiled> {
        let reason = String::from_utf8_lossy(&self.reason);
        let reason = ForeignText(reason.trim()).to_string();
        let too_much_code = InvalidComponent::TooMuchCode { limit: limits.compiled_bytes };
        if self.output.len() > most_output(limits) {
            return Err(too_much_code.into());
        }
        if self.was_killed {
            return Err(NotCompiled::Late { limit: limits.load });
        }
        let invalid = |reason: String| NotCompiled::Invalid(InvalidComponent::Compile(reason));
        Err(match self.status.code() {
            Some(0) => return Ok(self.output),
            Some(exit::UNFIT) => NotCompiled::Invalid(InvalidComponent::World(reason)),
            Some(exit::UNCOMPILABLE) => invalid(reason),
            Some(exit::OUT_OF_MEMORY) => NotCompiled::TooMuchMemory { limit: limits.compiler_bytes },
            Some(exit::TOO_MUCH_CODE) => too_much_code.into(),
            // What wasmtime says where it does not handle that.
            Some(exit::PANIC) if reason.contains("out-of-memory") || reason.contains("out of memory") => {
                NotCompiled::TooMuchMemory { limit: limits.compiler_bytes }
            }
            Some(exit::PANIC) => NotCompiled::Invalid(InvalidComponent::CompilerPanicked(reason)),
            Some(exit::UNLIMITED) => NotCompiled::NoCompiler(format!("it can't limit itself: {reason}")),
            Some(code) => NotCompiled::NoCompiler(format!("it exited with {code}: {reason}")),
            None => signalled(self.status, &reason, limits),
        })
    }
}

#[cfg(unix)]
fn signalled(status: ExitStatus, reason: &str, limits: &Limits) -> NotCompiled {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::Signal;

    let signal = status.signal().and_then(Signal::from_named_raw);
    match signal {
        // What Rust says before it aborts.
        Some(Signal::ABORT) if reason.contains("memory allocation of") => {
            NotCompiled::TooMuchMemory { limit: limits.compiler_bytes }
        }
        Some(Signal::ABORT | Signal::SEGV | Signal::BUS | Signal::ILL | Signal::TRAP | Signal::FPE) => {
            InvalidComponent::Compile("the compiler crashed".to_owned()).into()
        }
        Some(Signal::XCPU) => NotCompiled::TooSlow { limit: limits.compiler_time },
        Some(Signal::SYS) => NotCompiled::NoCompiler(
            "it was killed for a system call that its sandbox forbids: report that, with the system's C library and version"
                .to_owned(),
        ),
        _ => NotCompiled::NoCompiler(
            "it was killed by somebody else: the system may be short of memory".to_owned(),
        ),
    }
}

#[cfg(not(unix))]
fn signalled(status: ExitStatus, reason: &str, _: &Limits) -> NotCompiled {
    NotCompiled::NoCompiler(format!("it ended with {status}: {reason}"))
}
