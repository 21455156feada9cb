//! Files that are not plugins are rejected, with the reason.

mod support;

use portcullis_host::{InvalidComponent, Keyspace, Limits, LoadError, Plugin};
use support::engine;

fn refusal(component: &[u8]) -> String {
    match Plugin::load(engine(), component, Limits::default()) {
        Err(error) => error.to_string(),
        Ok(plugin) => panic!("{plugin:?} is loaded"),
    }
}

fn refusal_of_text(text: &str) -> String {
    refusal(&wat::parse_str(text).expect("valid WebAssembly text"))
}

#[test]
fn the_default_plugin_describes_itself() {
    let plugin = support::exact();
    let description = plugin.description();
    assert_eq!(description.name, "exact");
    assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(description.keyspace, Keyspace::Hashed);
    assert_eq!(description.saves.as_ref(), description.loads.first());
    assert!(plugin.code_bytes() > 10_000);
}

#[test]
fn bytes_that_are_not_webassembly_are_refused() {
    assert_eq!(
        refusal(b"\x7fELF\x02"),
        "the plugin does not fit: it is not WebAssembly: it does not begin with the bytes \\0asm"
    );
    assert!(refusal(b"#!/bin/sh\necho hello").contains("it is not WebAssembly: it is text"));
    assert!(refusal(b"").contains("not WebAssembly"));
}

#[test]
fn a_module_is_rejected_with_instructions_to_make_a_component() {
    let text = refusal_of_text("(module)");
    assert!(text.contains("a WebAssembly module, not a component"), "{text}");
    assert!(text.contains("wasm-component-ld"), "{text}");
}

#[test]
fn an_empty_component_is_rejected_because_the_interface_is_missing() {
    let text = refusal_of_text("(component)");
    assert!(text.contains("does not fit the contract portcullis:blacklist@0.1.0"), "{text}");
    assert!(text.contains("portcullis:blacklist/blacklist@0.1.0"), "{text}");
}

#[test]
fn imports_are_rejected_by_name() {
    let text = refusal_of_text(
        r#"(component
            (import "wasi:clocks/wall-clock@0.2.0" (instance))
            (import "phone-home" (func)))"#,
    );
    assert!(text.contains("it imports `wasi:clocks/wall-clock@0.2.0`, `phone-home`"), "{text}");
    assert!(text.contains("may import nothing"), "{text}");
}

#[test]
fn an_interface_with_other_functions_is_rejected_by_the_missing_function() {
    let text = refusal_of_text(
        r#"(component
            (instance $i)
            (export "portcullis:blacklist/blacklist@0.1.0" (instance $i)))"#,
    );
    assert!(text.contains("does not fit the contract"), "{text}");
    assert!(text.contains("`"), "the message names what is missing: {text}");
}

#[test]
fn a_truncated_plugin_is_rejected() {
    let whole = portcullis_plugin_bundle::EXACT.component;
    for length in (0..whole.len()).step_by(whole.len() / 40) {
        let text = refusal(&whole[..length]);
        assert!(text.starts_with("the plugin does not fit: it"), "{length} bytes: {text}");
    }
}

#[test]
fn a_plugin_with_flipped_bits_does_not_crash_the_host() {
    let whole = portcullis_plugin_bundle::EXACT.component;
    for place in (8..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.to_vec();
        damaged[place] ^= 0x41;
        // The result may still be a valid component.
        let _ = Plugin::load(engine(), &damaged, Limits::default());
    }
}

#[test]
fn a_file_past_the_limit_is_refused_before_it_is_read() {
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    let error = Plugin::load(engine(), portcullis_plugin_bundle::EXACT.component, limits).map(|_| ());
    assert!(
        matches!(error, Err(LoadError::Invalid(InvalidComponent::TooLarge { limit: 1000, .. }))),
        "{error:?}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Plugin::load_file(engine(), "/nowhere/exact.wasm", Limits::default()).map(|_| ());
    assert!(error.expect_err("there is no such file").to_string().contains("/nowhere/exact.wasm"));
}
