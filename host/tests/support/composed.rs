//! Components that are composed of several.

use portcullis_plugin_bundle::EXACT;
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentInstanceSection, ComponentSectionId, RawSection,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const INTERFACE: &str = "portcullis:blacklist/blacklist@0.1.0";
/// The memory of [`through`], in bytes.
pub const THROUGH_BYTES: u64 = 3 << 16;

/// The default plugin, and beside it another component without imports and exports.
pub fn beside(other: &[u8]) -> Vec<u8> {
    let mut component = Component::new();
    inner(&mut component, EXACT.component);
    inner(&mut component, other);
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(0, no_arguments());
    instances.instantiate(1, no_arguments());
    component.section(&instances);
    export(&mut component, 0);
    component.finish()
}

/// The default plugin behind a component that imports its interface, and exports the same: each call passes through both, with their
/// own memories.
pub fn through() -> Vec<u8> {
    let mut component = Component::new();
    inner(&mut component, EXACT.component);
    inner(&mut component, &passing());
    let mut first = ComponentInstanceSection::new();
    first.instantiate(0, no_arguments());
    component.section(&first);
    alias(&mut component, 0);
    let mut second = ComponentInstanceSection::new();
    // The alias is instance 1.
    second.instantiate(1, [(INTERFACE, ComponentExportKind::Instance, 1)]);
    component.section(&second);
    export(&mut component, 2);
    component.finish()
}

fn no_arguments() -> [(&'static str, ComponentExportKind, u32); 0] {
    []
}

fn inner(component: &mut Component, bytes: &[u8]) {
    component.section(&RawSection { id: ComponentSectionId::Component.into(), data: bytes });
}

fn alias(component: &mut Component, instance: u32) {
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::InstanceExport { instance, kind: ComponentExportKind::Instance, name: INTERFACE });
    component.section(&aliases);
}

/// Exports the interface of an instance, which is the last one so far or the one before.
fn export(component: &mut Component, instance: u32) {
    alias(component, instance);
    let mut exports = ComponentExportSection::new();
    // Behind the two or three instances.
    exports.export(INTERFACE, ComponentExportKind::Instance, instance.max(1) + 1, None);
    component.section(&exports);
}

/// A component that passes each call on.
fn passing() -> Vec<u8> {
    // A lowered function takes the place of its result as its last parameter, and a lifted one returns it.
    let functions = [
        ("describe", "", "i32"),
        ("configure", "i64 i32 i32", "i32"),
        ("check", "i64 i32", ""),
        ("check-many", "i32 i32 i32", "i32"),
        ("block", "i32 i32", "i32"),
        ("unblock", "i32 i32", "i32"),
        ("list", "i32 i64 i32", "i32"),
        ("count", "", ""),
        ("save", "i32 i64 i32", "i32"),
        ("load", "i32 i32 i32 i32 i32", "i32"),
    ];
    let (mut imports, mut exports) = (String::new(), String::new());
    for (name, parameters, place) in functions {
        let arguments: String =
            (0..parameters.split_whitespace().count()).map(|n| format!("(local.get {n})")).collect();
        let (result, to_place, returned) = match (name, place) {
            ("count", _) => ("i64", "", ""),
            (_, "") => ("i32", "", ""),
            _ => ("i32", "(i32.const 64)", "(i32.const 64)"),
        };
        let lowered_result = if place.is_empty() { format!("(result {result})") } else { String::new() };
        imports.push_str(&format!(
            "(import \"{INTERFACE}\" \"{name}\" (func ${name} (param {parameters} {place}) {lowered_result}))"
        ));
        exports.push_str(&format!(
            "(func (export \"{INTERFACE}#{name}\") (param {parameters}) (result {result})
                (call ${name} {arguments} {to_place}) {returned})"
        ));
        if !place.is_empty() {
            // What was passed is free again.
            exports.push_str(&format!(
                "(func (export \"cabi_post_{INTERFACE}#{name}\") (param i32) (global.set $top (i32.const 1024)))"
            ));
        }
    }
    let pages = THROUGH_BYTES >> 16;
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") {pages})
            (global $top (mut i32) (i32.const 1024))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (if (i32.gt_u (global.get $top) (i32.const {THROUGH_BYTES})) (then unreachable))
                (local.get $at))
            {exports})"#
    );
    let mut module = wat::parse_str(text).expect("valid WebAssembly text");
    let mut resolve = Resolve::default();
    resolve.push_str("blacklist.wit", portcullis_host::CONTRACT).expect("the contract is valid");
    let package = resolve
        .push_str(
            "through.wit",
            &format!("package test:through; world through {{ import {INTERFACE}; export {INTERFACE}; }}"),
        )
        .expect("valid WIT");
    let world = resolve.select_world(&[package], Some("through")).expect("it is there");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it is a module");
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.expect("it fits").encode().expect("it fits")
}
