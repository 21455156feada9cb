//! The work of compiling, and the child process that does it.

use std::io::{self, Read as _, Write as _};

use wasmtime::Engine;

use super::bounds::{ANSWER_HEAD, Bounds, COMMAND, CONTEXT, Confinement, MAGIC, REQUEST_HEAD, exit};
use super::seal;
use crate::foreign_text::ForeignText;
use crate::invalid_component::InvalidComponent;
use crate::validate;
use crate::wasm_config::wasm_config;

/// The most bytes of a component that a child accepts. The parent has a lower limit of its own.
const MOST: u64 = 1 << 30;

/// Checks that a component fits the contract, and compiles it.
pub(super) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, InvalidComponent> {
    validate::fits_contract(component)?;
    engine
        .precompile_component(component)
        .map_err(|error| InvalidComponent::Compile(ForeignText(&format!("{error:#}")).to_string()))
}

/// Compiles a plugin and exits, if this process was started for that. Returns if it was not.
///
/// Call it at the beginning of `main`, before threads are started and files are opened, in a program that compiles plugins
/// in [a child process of its own](crate::Compiler::this_program). It looks at the command line: `compile`, and an
/// argument that begins with `portcullis-bounds:`.
pub fn compile_child_main() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|command| command != COMMAND) {
        return;
    }
    let bounds = arguments.next().and_then(|bounds| Bounds::parse(bounds.to_str()?));
    let Some(bounds) = bounds else { return };
    let code = match serve(bounds) {
        Ok(()) => 0,
        Err(Failure { code, reason }) => {
            // Nobody else could be told.
            let _ = io::stderr().write_all(ForeignText(&reason).to_string().as_bytes());
            code
        }
    };
    std::process::exit(code);
}

struct Failure {
    code: i32,
    reason: String,
}

fn failure(code: i32) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure { code, reason: error.to_string() }
}

fn serve(bounds: Bounds) -> Result<(), Failure> {
    let engine = Engine::new(wasm_config().parallel_compilation(false))
        .map_err(|error| Failure { code: exit::UNLIMITED, reason: format!("{error:#}") })?;
    let confinement = confine(bounds).map_err(failure(exit::UNLIMITED))?;
    let (key, most, component) = request().map_err(failure(exit::BROKEN))?;
    let artefact = compile(&engine, &component).map_err(|error| refused(&error))?;
    if artefact.len() as u64 > most {
        return Err(Failure { code: exit::TOO_MUCH_CODE, reason: String::new() });
    }
    let mut head = [0; ANSWER_HEAD];
    head[..seal::TAG].copy_from_slice(&seal::tag(&key, CONTEXT, &artefact));
    head[seal::TAG] = confinement.to_byte();
    let mut answer = io::stdout().lock();
    let written = answer.write_all(&head).and_then(|()| answer.write_all(&artefact));
    written.and_then(|()| answer.flush()).map_err(failure(exit::BROKEN))
}

#[cfg(unix)]
fn confine(bounds: Bounds) -> io::Result<Confinement> {
    super::confine::confine(bounds)
}

#[cfg(not(unix))]
fn confine(_: Bounds) -> io::Result<Confinement> {
    Err(io::Error::other("this system has no limits for a process"))
}

fn refused(error: &InvalidComponent) -> Failure {
    let (code, reason) = match error {
        InvalidComponent::World(reason) => (exit::UNFIT, reason.clone()),
        InvalidComponent::Compile(reason) => {
            // What wasmtime reports instead of aborting.
            let is_memory = ["Cannot allocate memory", "out of memory", "failed to allocate"];
            match is_memory.iter().any(|words| reason.contains(words)) {
                true => (exit::OUT_OF_MEMORY, reason.clone()),
                false => (exit::UNCOMPILABLE, reason.clone()),
            }
        }
        other => (exit::UNCOMPILABLE, other.to_string()),
    };
    Failure { code, reason }
}

/// Reads the request: the key, the most bytes of machine code, and the component.
fn request() -> io::Result<([u8; 32], u64, Vec<u8>)> {
    let mut input = io::stdin().lock();
    let mut head = [0; REQUEST_HEAD];
    input.read_exact(&mut head)?;
    let (magic, rest) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(io::Error::other("the request was made by another version of portcullis-host"));
    }
    let mut key = [0; 32];
    key.copy_from_slice(&rest[..32]);
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&rest[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (most, length) = (number(32), number(40));
    if length > MOST {
        return Err(io::Error::other("the component is too large"));
    }
    let mut component = Vec::new();
    input.take(length).read_to_end(&mut component)?;
    match component.len() as u64 == length {
        true => Ok((key, most, component)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
