//! What the shipped components are made of, read from their bytes.

use portcullis_plugin_bundle::SHIPPED;
use wasmparser::{Parser, Payload};

/// The names of all imports, of the component and of every module and component inside it, and of its own exports.
fn imports_and_exports(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a shipped plugin is a valid component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // A component inside may be handed functions of the module beside it, under any name; it reaches no farther.
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
fn a_shipped_plugin_imports_nothing_at_all() {
    for plugin in SHIPPED {
        let (imports, exports) = imports_and_exports(plugin.component);
        assert_eq!(imports, Vec::<String>::new(), "{plugin:?}");
        assert_eq!(exports, ["portcullis:blacklist/blacklist@0.1.0"], "{plugin:?}");
    }
}
