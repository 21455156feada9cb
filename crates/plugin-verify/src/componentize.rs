//! Makes a plugin of a core module.

use portcullis_host::{ForeignText, NotWasm};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The most imports that are named, and the most bytes of a name.
const NAMED: usize = 5;
const NAME_BYTES: usize = 100;

/// Why a core module can't be made a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentizeError {
    /// It is a component already.
    #[error("it is a component already: use it as it is")]
    Component,
    /// It is neither a component nor a core module.
    #[error("it is not WebAssembly: {0}")]
    NotWasm(NotWasm),
    /// It has imports, of which the first few are named.
    #[error(
        "it imports {}, but a plugin may import nothing: something in it prints, reads the clock or opens files, as printf, time and fopen \
         do; snprintf and malloc need no imports",
        .0.join(", ")
    )]
    Imports(Vec<String>),
    /// Its imports or exports are not those of the contract.
    #[error("it does not fit the contract portcullis:blacklist@0.1.0: {0}")]
    Unfit(String),
}

/// Makes a component of a core module that exports the functions of the contract as the canonical ABI has them, which is what the
/// generated bindings of C do.
///
/// # Errors
/// If it is no core module, imports something, or lacks an export.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    if let Some(not_wasm) = NotWasm::of(module) {
        return Err(ComponentizeError::NotWasm(not_wasm));
    }
    if Parser::is_component(module) {
        return Err(ComponentizeError::Component);
    }
    let unfit =
        |error: &dyn std::fmt::Display| ComponentizeError::Unfit(ForeignText(&error.to_string()).to_string());
    let mut resolve = Resolve::default();
    let package =
        resolve.push_str("blacklist.wit", portcullis_host::CONTRACT).map_err(|error| unfit(&error))?;
    let world = resolve.select_world(&[package], Some("plugin")).map_err(|error| unfit(&error))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| unfit(&format!("{error:#}")))?;
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| match imports(&module) {
        // The error names the first of them, and not what it means.
        names if !names.is_empty() => ComponentizeError::Imports(names),
        _ => unfit(&format!("{error:#}")),
    })
}

/// The first few imports of a core module.
fn imports(module: &[u8]) -> Vec<String> {
    let sections = Parser::new(0).parse_all(module).filter_map(|payload| match payload {
        Ok(Payload::ImportSection(section)) => Some(section),
        _ => None,
    });
    let imports = sections.flat_map(|section| section.into_imports().flatten());
    let name = |module: &str, name: &str| {
        format!("`{}`", ForeignText(&format!("{module}::{name}")).within(NAME_BYTES))
    };
    imports.take(NAMED).map(|import| name(import.module, import.name)).collect()
}
