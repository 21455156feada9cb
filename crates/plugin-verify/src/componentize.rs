//! Makes a plugin of a core module.

use portcullis_host::ForeignText;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Why a core module can't be made a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentizeError {
    /// It is a component already.
    #[error("it is a component already: use it as it is")]
    Component,
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
    if wasmparser::Parser::is_component(module) {
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
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| unfit(&format!("{error:#}")))
}
