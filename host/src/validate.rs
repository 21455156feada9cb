//! Validation of component files before compilation.

use std::sync::OnceLock;

use wasmparser::{Encoding, Parser, Payload};
use wit_parser::{Resolve, WorldId};

use crate::budget::{self, CompileBudget};
use crate::foreign_text::ForeignText;
use crate::invalid_component::InvalidComponent;

/// The most imports that are named in an error, and the most bytes of a name.
const NAMED: usize = 5;
const NAME_BYTES: usize = 100;
/// How deep modules and components may lie inside each other: the parser remembers what is around each.
const DEEPEST: usize = 100;

/// Checks what takes little time and memory, whatever the bytes are: reads them once or twice.
pub(crate) fn look_over(bytes: &[u8], limit: usize, budget: &CompileBudget) -> Result<(), InvalidComponent> {
    if bytes.len() > limit {
        return Err(InvalidComponent::TooLarge { bytes: bytes.len(), limit });
    }
    is_component(bytes)?;
    let imports = imports(bytes)?;
    if !imports.is_empty() {
        return Err(InvalidComponent::Imports(imports));
    }
    budget::check(bytes, budget)
}

/// Checks how it begins: not those of a text or a core module.
pub(crate) fn is_component(bytes: &[u8]) -> Result<(), InvalidComponent> {
    match bytes.starts_with(b"\0asm") {
        true => Ok(()),
        false => Err(InvalidComponent::NotWasm),
    }
}

/// Checks that it implements the contract. The time and memory that this takes are bounded by nothing but the process.
pub(crate) fn fits_contract(bytes: &[u8]) -> Result<(), InvalidComponent> {
    let (resolve, world) = contract();
    wit_component::targets(resolve, *world, bytes).map_err(|error| InvalidComponent::World(reason(&error)))
}

/// The names that the component itself imports, or the first few. Imports between its inner modules don't count.
pub(crate) fn imports(bytes: &[u8]) -> Result<Vec<String>, InvalidComponent> {
    let damaged = |error: wasmparser::BinaryReaderError| {
        InvalidComponent::Damaged(ForeignText(&error.to_string()).to_string())
    };
    let (mut names, mut more, mut depth) = (Vec::new(), 0_usize, 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(InvalidComponent::Module);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(InvalidComponent::TooMuch {
                        what: "modules and components inside each other",
                        found: depth as u64,
                        limit: DEEPEST as u64,
                    });
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(damaged)?.name.name;
                    match names.len() < NAMED {
                        true => names.push(format!("`{}`", ForeignText(name).within(NAME_BYTES))),
                        false => more += 1,
                    }
                }
            }
            _ => {}
        }
    }
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Ok(names)
}

/// The innermost cause, which names the function or type. The outer ones describe a component that only the check
/// creates.
fn reason(error: &anyhow::Error) -> String {
    let cause = error.root_cause().to_string();
    ForeignText(cause.split(" (at offset").next().unwrap_or(&cause)).to_string()
}

/// The text of the contract `portcullis:blacklist@0.1.0`, in WIT. Its world is `plugin`.
pub const CONTRACT: &str = include_str!("../wit/0.1.0/blacklist.wit");

/// The contract's WIT text, resolved once.
fn contract() -> &'static (Resolve, WorldId) {
    static RESOLVED: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    RESOLVED.get_or_init(|| {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("blacklist.wit", CONTRACT)
            .expect("blacklist.wit was already parsed by bindgen! when this crate was compiled");
        let world = resolve
            .select_world(&[package], Some("plugin"))
            .expect("blacklist.wit defines the world `plugin`");
        (resolve, world)
    })
}
