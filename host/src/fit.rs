//! Whether a file is a plugin at all: told before anything is compiled.

use std::sync::OnceLock;

use wasmparser::{Encoding, Parser, Payload};
use wit_parser::{Resolve, WorldId};

use crate::budget::CompileBudget;

/// Why a file is not a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Larger than [`Limits::component_bytes`](crate::Limits::component_bytes).
    #[error("it has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// The file's size.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// Neither a component nor a module.
    #[error("it is not WebAssembly: it does not begin with the bytes \\0asm")]
    NotWasm,
    /// A core module, which is what `cargo build --target wasm32-unknown-unknown` makes with the default linker.
    #[error(
        "it is a WebAssembly module, not a component: build it with the linker wasm-component-ld, which comes with Rust \
         (CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld)"
    )]
    Module,
    /// The file breaks off, or its bytes make no sense.
    #[error("it is damaged, or cut off: {0}")]
    Damaged(String),
    /// A plugin may reach nothing outside of itself.
    #[error("it imports {}, but a plugin may import nothing: build it without what needs them (for Rust: for wasm32-unknown-unknown, not for WASI)", .0.join(", "))]
    Imports(Vec<String>),
    /// It does not export the interface `portcullis:blacklist/blacklist@0.1.0`, or exports it with other functions or types.
    #[error("it does not fit the contract portcullis:blacklist@0.1.0: {0}")]
    World(String),
    /// It has more for a compiler to do than [`CompileBudget`] allows.
    #[error("it has {found} {what}, and {limit} are allowed")]
    TooMuch {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is, or was when counting ended.
        found: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// wasmtime refuses to compile it.
    #[error("it can't be compiled: {0}")]
    Compile(String),
}

/// Checks what can be told from the bytes alone. Cost: reads the file once or twice, compiles nothing.
pub(crate) fn check(bytes: &[u8], limit: usize, budget: &CompileBudget) -> Result<(), Unfit> {
    if bytes.len() > limit {
        return Err(Unfit::TooLarge { bytes: bytes.len(), limit });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Unfit::NotWasm);
    }
    let imports = imports(bytes)?;
    if !imports.is_empty() {
        return Err(Unfit::Imports(imports));
    }
    budget.check(bytes)?;
    let (resolve, world) = contract();
    wit_component::targets(resolve, *world, bytes).map_err(|error| Unfit::World(reason(&error)))
}

/// The names of what the component itself imports: what the modules inside it import from one another does not count.
fn imports(bytes: &[u8]) -> Result<Vec<String>, Unfit> {
    let damaged = |error: wasmparser::BinaryReaderError| Unfit::Damaged(error.to_string());
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(Unfit::Module),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.push(format!("`{}`", import.map_err(damaged)?.name.name));
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The innermost cause, which names the function or type; what stands around it speaks of a component that only the check made.
fn reason(error: &anyhow::Error) -> String {
    let cause = error.root_cause().to_string();
    cause.split(" (at offset").next().unwrap_or(&cause).to_owned()
}

/// The contract as text, resolved once.
fn contract() -> &'static (Resolve, WorldId) {
    static CONTRACT: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("blacklist.wit", include_str!("../wit/0.1.0/blacklist.wit"))
            .expect("the contract is parsed when this crate is built");
        let world =
            resolve.select_world(&[package], Some("plugin")).expect("the contract has a world `plugin`");
        (resolve, world)
    })
}
