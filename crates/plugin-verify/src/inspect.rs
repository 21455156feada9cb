//! What a component contains.

use std::collections::BTreeMap;

use portcullis_host::{ForeignText, NotWasm};
use serde::Serialize;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, KnownCustom, Parser, Payload};

use crate::kind::Kind;

/// The most bytes of a name, and the most names of a kind.
const NAME_BYTES: usize = 200;
const NAMES: usize = 200;

/// What a component contains. All names are escaped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inspection {
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The kinds of plugin that it is, by what it exports: none, one, or both.
    pub kinds: Vec<Kind>,
    /// Whether it is a core module, of which a component can be made.
    pub is_module: bool,
    /// What the component itself imports. A plugin may import nothing.
    pub imports: Vec<Item>,
    /// What the component itself exports.
    pub exports: Vec<Item>,
    /// Components and core modules inside it.
    pub components: u64,
    /// Core modules inside it.
    pub modules: u64,
    /// The linear memories that its modules define, in bytes at their start.
    pub memory_bytes: Vec<u64>,
    /// The sections of all modules and components, by what they are, the largest first.
    pub sections: Vec<Section>,
    /// What it was made with, as its modules say: `language`, `processed-by`, `sdk`.
    pub producers: BTreeMap<String, Vec<String>>,
    /// Why it could not be read to the end: it is damaged, or not WebAssembly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// An import or export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// `interface`, `function`, `type`, `component`, `module` or `value`.
    pub is: &'static str,
}

/// All sections of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What they are. A custom section has its name.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

fn shown(name: &str) -> String {
    ForeignText(name).within(NAME_BYTES)
}

/// Reads a component, and runs nothing of it.
pub fn inspect(component: &[u8]) -> Inspection {
    let mut found = Inspection { bytes: component.len() as u64, ..Inspection::default() };
    if let Some(not_wasm) = NotWasm::of(component) {
        found.problem = Some(format!("it is not WebAssembly: {not_wasm}"));
        return found;
    }
    found.is_module = Parser::is_core_wasm(component);
    let mut sections: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    if let Err(error) = read(component, &mut found, &mut sections) {
        found.problem = Some(format!("it can't be read to the end: {}", shown(&error.to_string())));
    }
    let sections = sections.into_iter().map(|(name, (count, bytes))| Section { name, count, bytes });
    found.sections = sections.collect();
    found.sections.sort_by_key(|section| std::cmp::Reverse(section.bytes));
    found.kinds = Kind::all_of(found.exports.iter().map(|item| item.name.as_str()));
    found
}

fn read(
    component: &[u8],
    found: &mut Inspection,
    sections: &mut BTreeMap<String, (u64, u64)>,
) -> wasmparser::Result<()> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let Some((name, bytes)) = section(&payload)
            && (sections.len() < NAMES || sections.contains_key(&name))
        {
            let (count, total) = sections.entry(name).or_default();
            *count += 1;
            *total += bytes;
        }
        match payload {
            Payload::ModuleSection { .. } => {
                depth += 1;
                found.modules += 1;
            }
            Payload::ComponentSection { .. } => {
                depth += 1;
                found.components += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let import = import?;
                    let is = match import.ty {
                        ComponentTypeRef::Instance(_) => "interface",
                        ComponentTypeRef::Func(_) => "function",
                        ComponentTypeRef::Type(_) => "type",
                        ComponentTypeRef::Component(_) => "component",
                        ComponentTypeRef::Module(_) => "module",
                        ComponentTypeRef::Value(_) => "value",
                    };
                    add(&mut found.imports, Item { name: shown(import.name.name), is });
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let export = export?;
                    let is = match export.kind {
                        ComponentExternalKind::Instance => "interface",
                        ComponentExternalKind::Func => "function",
                        ComponentExternalKind::Type => "type",
                        ComponentExternalKind::Component => "component",
                        ComponentExternalKind::Module => "module",
                        ComponentExternalKind::Value => "value",
                    };
                    add(&mut found.exports, Item { name: shown(export.name.name), is });
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(0);
                    add(&mut found.memory_bytes, memory.initial.saturating_mul(page));
                }
            }
            Payload::CustomSection(custom) => {
                let KnownCustom::Producers(fields) = custom.as_known() else { continue };
                for field in fields {
                    let field = field?;
                    let values = found.producers.entry(shown(field.name)).or_default();
                    for value in field.values {
                        let value = value?;
                        let value = shown(format!("{} {}", value.name, value.version).trim_end());
                        if !values.contains(&value) {
                            add(values, value);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn add<T>(items: &mut Vec<T>, item: T) {
    if items.len() < NAMES {
        items.push(item);
    }
}

/// What a section is, and its size in bytes.
fn section(payload: &Payload<'_>) -> Option<(String, u64)> {
    let (name, range) = match payload {
        Payload::CustomSection(custom) => {
            (format!("custom \"{}\"", shown(custom.name())), custom.data().len())
        }
        Payload::CodeSectionStart { size, .. } => ("code".to_owned(), *size as usize),
        Payload::DataSection(section) => ("data".to_owned(), section.range().len()),
        Payload::TypeSection(section) => ("types".to_owned(), section.range().len()),
        Payload::ElementSection(section) => ("elements".to_owned(), section.range().len()),
        Payload::GlobalSection(section) => ("globals".to_owned(), section.range().len()),
        Payload::FunctionSection(section) => ("functions".to_owned(), section.range().len()),
        Payload::ImportSection(section) => ("imports".to_owned(), section.range().len()),
        Payload::ExportSection(section) => ("exports".to_owned(), section.range().len()),
        Payload::ComponentTypeSection(section) => {
            ("types of the component".to_owned(), section.range().len())
        }
        Payload::ComponentCanonicalSection(section) => {
            ("canonical functions".to_owned(), section.range().len())
        }
        _ => return None,
    };
    Some((name, range as u64))
}

#[cfg(test)]
mod tests {
    use portcullis_plugin_bundle::EXACT;

    use super::*;

    #[test]
    fn a_plugin_is_taken_apart() {
        let found = inspect(EXACT.component);
        assert_eq!(
            (&found.kinds[..], found.imports.len(), &found.problem),
            (&[Kind::Blacklist][..], 0, &None)
        );
        let interface = Item { name: "portcullis:blacklist/blacklist@0.1.0".to_owned(), is: "interface" };
        assert_eq!(found.exports, [interface]);
        assert_eq!(found.sections[0].name, "code");
        assert!(!found.memory_bytes.is_empty() && found.modules >= 1);
    }

    #[test]
    fn what_is_no_component_is_said() {
        let noise = inspect(b"noise");
        assert!(noise.problem.unwrap().starts_with("it is not WebAssembly: it is text"));
        let module = inspect(&wat::parse_str("(module (func))").unwrap());
        assert!(module.is_module && module.problem.is_none());
        assert!(!inspect(EXACT.component).is_module);
        assert!(inspect(&EXACT.component[..EXACT.component.len() / 2]).problem.is_some());
    }
}
