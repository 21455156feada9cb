//! Validation of component files before compilation.

use std::sync::OnceLock;

use wasmparser::{Encoding, Parser, Payload};
use wit_parser::{Resolve, WorldId};

use crate::budget::CompileBudget;

/// Why a file is not a valid plugin component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidComponent {
    /// It is larger than [`Limits::component_bytes`](crate::Limits::component_bytes).
    #[error("it has {bytes} bytes, and {limit} are allowed")]
    TooLarge {
        /// The size of the file in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It is neither a component nor a module.
    #[error("it is not WebAssembly: it does not begin with the bytes \\0asm")]
    NotWasm,
    /// It is a core module, which `cargo build --target wasm32-unknown-unknown` produces with the default linker.
    #[error(
        "it is a WebAssembly module, not a component: build it with the linker wasm-component-ld, which comes with Rust \
         (CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld)"
    )]
    Module,
    /// It is truncated or malformed.
    #[error("it is damaged or truncated: {0}")]
    Damaged(String),
    /// It has imports. Plugins are sandboxed and may import nothing.
    #[error(
        "it imports {}, but a plugin may import nothing: remove the dependencies that need the imports, and (for Rust) \
         build for wasm32-unknown-unknown, not for WASI",
        .0.join(", ")
    )]
    Imports(Vec<String>),
    /// It does not export `portcullis:blacklist/blacklist@0.1.0`, or exports it with different functions or types.
    #[error("it does not fit the contract portcullis:blacklist@0.1.0: {0}")]
    World(String),
    /// It exceeds the [`CompileBudget`].
    #[error("it has {found} {what}, and {limit} are allowed")]
    TooMuch {
        /// What exceeds the budget.
        what: &'static str,
        /// The number found before counting stopped.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// wasmtime can't compile it.
    #[error("it can't be compiled: {0}")]
    Compile(String),
}

/// Checks everything that can be checked without compiling. Reads the file once or twice.
pub(crate) fn check(bytes: &[u8], limit: usize, budget: &CompileBudget) -> Result<(), InvalidComponent> {
    if bytes.len() > limit {
        return Err(InvalidComponent::TooLarge { bytes: bytes.len(), limit });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(InvalidComponent::NotWasm);
    }
    let imports = imports(bytes)?;
    if !imports.is_empty() {
        return Err(InvalidComponent::Imports(imports));
    }
    budget.check(bytes)?;
    let (resolve, world) = contract();
    wit_component::targets(resolve, *world, bytes).map_err(|error| InvalidComponent::World(reason(&error)))
}

/// The names that the component itself imports. Imports between its inner modules don't count.
fn imports(bytes: &[u8]) -> Result<Vec<String>, InvalidComponent> {
    let damaged = |error: wasmparser::BinaryReaderError| InvalidComponent::Damaged(error.to_string());
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(InvalidComponent::Module);
            }
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

/// The innermost cause, which names the function or type. The outer ones describe a component that only the check
/// creates.
fn reason(error: &anyhow::Error) -> String {
    let cause = error.root_cause().to_string();
    cause.split(" (at offset").next().unwrap_or(&cause).to_owned()
}

/// The contract's WIT text, resolved once.
fn contract() -> &'static (Resolve, WorldId) {
    static CONTRACT: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("blacklist.wit", include_str!("../wit/0.1.0/blacklist.wit"))
            .expect("blacklist.wit was already parsed by bindgen! when this crate was compiled");
        let world = resolve
            .select_world(&[package], Some("plugin"))
            .expect("blacklist.wit defines the world `plugin`");
        (resolve, world)
    })
}
