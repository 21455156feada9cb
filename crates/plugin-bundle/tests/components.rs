//! Checks the imports and exports of the shipped components.

use portcullis_plugin_bundle::SHIPPED;
use wasmparser::{Parser, Payload};

/// The names of all imports, including those of inner modules, and of the component's own exports.
fn imports_and_exports(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a shipped plugin is a valid component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // Imports of an inner component can only be satisfied by other parts of the outer one.
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section.into_iter().map(|import| import.expect("it is valid").name.name.to_owned()),
                );
            }
            Payload::ImportSection(section) => {
                imports.extend(
                    section.into_imports().map(|import| import.expect("it is valid").name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section.into_iter().map(|export| export.expect("it is valid").name.name.to_owned()),
                );
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn shipped_plugins_import_nothing() {
    for plugin in SHIPPED {
        let (imports, exports) = imports_and_exports(plugin.component);
        assert_eq!(imports, Vec::<String>::new(), "{plugin:?}");
        let contract = match plugin.name {
            "policy" | "policy-numbers" => "portcullis:rules/rules@0.1.0",
            _ => "portcullis:blacklist/blacklist@0.1.0",
        };
        assert_eq!(exports, [contract], "{plugin:?}");
    }
}
