//! Validation of component files before compilation.

use std::sync::OnceLock;

use wasmparser::{Encoding, Parser, Payload};
use wit_parser::{Resolve, WorldId};

use crate::budget::{self, CompileBudget};
use crate::foreign_text::ForeignText;
use crate::invalid_component::{InvalidComponent, LOG};
use crate::not_wasm::NotWasm;

/// The most imports that are named in an error, and the most bytes of a name.
const NAMED: usize = 5;
const NAME_BYTES: usize = 100;
/// How deep modules and components may lie inside each other: the parser remembers what is around each.
const DEEPEST: usize = 100;

/// Checks what takes little time and memory, whatever the bytes are: reads them once or twice. `may_log` if it may import [`LOG`].
pub(crate) fn look_over(
    bytes: &[u8],
    limit: usize,
    budget: &CompileBudget,
    may_log: bool,
) -> Result<(), InvalidComponent> {
    if bytes.len() > limit {
        return Err(InvalidComponent::TooLarge { bytes: bytes.len(), limit });
    }
    is_component(bytes)?;
    let imports = imports(bytes, may_log)?;
    if !imports.is_empty() {
        return Err(InvalidComponent::Imports(imports));
    }
    budget::check(bytes, budget)
}

/// Checks how it begins: not those of a text or a core module.
pub(crate) fn is_component(bytes: &[u8]) -> Result<(), InvalidComponent> {
    NotWasm::of(bytes).map_or(Ok(()), |not_wasm| Err(InvalidComponent::NotWasm(not_wasm)))
}

/// Checks that it implements each contract whose interface it exports, and at least one. The time and memory that this takes
/// are bounded by nothing but the process.
pub(crate) fn fits_contract(bytes: &[u8]) -> Result<(), InvalidComponent> {
    let exported = exported(bytes)?;
    if exported.is_empty() {
        return Err(InvalidComponent::World(NEITHER.to_owned()));
    }
    for contract in exported {
        let (resolve, world) = contract.world();
        wit_component::targets(resolve, *world, bytes).map_err(|error| {
            InvalidComponent::World(format!("{}: {}", contract.package(), reason(&error)))
        })?;
    }
    Ok(())
}

/// An interface that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    List,
    Rules,
}

/// What is wrong with a component that exports neither interface.
pub(crate) const NEITHER: &str = "portcullis:blacklist@0.1.0 or portcullis:rules@0.1.0: it exports neither \
     `portcullis:blacklist/blacklist@0.1.0` nor `portcullis:rules/rules@0.1.0`";

impl Contract {
    const ALL: [Contract; 2] = [Contract::List, Contract::Rules];

    const fn package(self) -> &'static str {
        match self {
            Contract::List => "portcullis:blacklist@0.1.0",
            Contract::Rules => "portcullis:rules@0.1.0",
        }
    }

    /// The interface that a plugin exports.
    pub(crate) const fn export(self) -> &'static str {
        match self {
            Contract::List => "portcullis:blacklist/blacklist@0.1.0",
            Contract::Rules => "portcullis:rules/rules@0.1.0",
        }
    }

    /// What is wrong with a component that does not export it.
    pub(crate) fn missing(self) -> String {
        format!("{}: it does not export `{}`", self.package(), self.export())
    }

    /// The contract's WIT text, resolved once.
    fn world(self) -> &'static (Resolve, WorldId) {
        static LIST: OnceLock<(Resolve, WorldId)> = OnceLock::new();
        static RULES: OnceLock<(Resolve, WorldId)> = OnceLock::new();
        let (cell, text, world) = match self {
            Contract::List => (&LIST, CONTRACT, "portcullis:blacklist/plugin@0.1.0"),
            Contract::Rules => (&RULES, RULES_CONTRACT, "portcullis:rules/rules-plugin@0.1.0"),
        };
        // Whether it may log is decided elsewhere.
        let may_log = format!("package portcullis:host; world plugin {{ import {LOG}; include {world}; }}");
        cell.get_or_init(|| {
            let mut resolve = Resolve::default();
            let mut push = |text| {
                resolve.push_str("contract.wit", text).expect("the texts are constants, which tests parse")
            };
            push(DEBUG);
            push(text);
            let package = push(&may_log);
            let world = resolve.select_world(&[package], Some("plugin")).expect("it was just defined");
            (resolve, world)
        })
    }
}

/// The contracts whose interface the component itself exports.
fn exported(bytes: &[u8]) -> Result<Vec<Contract>, InvalidComponent> {
    let damaged = |error: wasmparser::BinaryReaderError| {
        InvalidComponent::Damaged(ForeignText(&error.to_string()).to_string())
    };
    let (mut found, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(damaged)?.name.name;
                    found.extend(Contract::ALL.into_iter().filter(|contract| contract.export() == name));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The names that the component itself imports, or the first few. Imports between its inner modules don't count, and neither does
/// [`LOG`] if it is allowed.
pub(crate) fn imports(bytes: &[u8], may_log: bool) -> Result<Vec<String>, InvalidComponent> {
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
                    if may_log && name == LOG {
                        continue;
                    }
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

const RULES_CONTRACT: &str = include_str!("../wit/rules-0.1.0/rules.wit");
const DEBUG: &str = include_str!("../wit/debug-0.1.0/debug.wit");

/// The text of the contract `portcullis:blacklist@0.1.0`, in WIT. Its world is `plugin`.
pub const CONTRACT: &str = include_str!("../wit/0.1.0/blacklist.wit");
