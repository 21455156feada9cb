//! Limits on loading: component size, compilation, time, and memory at instantiation.

mod support;

use std::fs::File;
use std::time::Duration;

use portcullis_host::{CallError, CompileBudget, Limits, LoadError, MemoryAccount, Plugin, Settings};
use portcullis_plugin_bundle::{EVIL, EXACT, PREFIX, TRIVIAL};
use support::{MIB, engine};
use wasmparser::{Parser, Payload};

fn refusal(text: &str) -> String {
    let component = wat::parse_str(text).expect("valid WebAssembly text");
    match Plugin::load(engine(), &component, Limits::default()) {
        Err(error) => error.to_string(),
        Ok(plugin) => panic!("{plugin:?} is loaded"),
    }
}

#[track_caller]
fn is_too_much(module: &str, what: &str) {
    let message = refusal(&format!("(component (core module {module}))"));
    assert!(message.starts_with("the plugin does not fit: it has ") && message.contains(what), "{message}");
}

#[test]
fn compiler_bombs_are_rejected_by_the_bound_they_exceed() {
    let long = "i32.const 1 drop ".repeat(50_000);
    is_too_much(&format!("(func {long})"), "bytes of code in one function, and 131072");
    is_too_much(&"(func)".repeat(20_001), "20001 functions");
    let many = format!("(func {})", "i32.const 1 drop ".repeat(40_000)).repeat(45);
    is_too_much(&many, "bytes of code, and 4194304");
    is_too_much(&format!("(func (local {}))", "i32 ".repeat(2001)), "2001 local variables in one function");
    let deep = format!("(func {} {})", "block ".repeat(401), "end ".repeat(401));
    is_too_much(&deep, "401 nested blocks");
    let table = format!("(func block i32.const 0 br_table {} end)", "0 ".repeat(20_001));
    is_too_much(&table, "blocks and branches in one function");
    let lives = format!("(func (local {}) {})", "i32 ".repeat(1900), "block end ".repeat(3000));
    is_too_much(&lives, "variables and values times branches in one function");
    is_too_much(&format!("(func (param {}))", "i32 ".repeat(65)), "65 parameters of one type of function");
    let instances = "(core instance (instantiate $m))".repeat(129);
    let message = refusal(&format!("(component (core module $m) {instances})"));
    assert!(message.contains("129 instances inside it, and 128"), "{message}");
    let message = refusal(&format!("(component {})", "(core module)".repeat(65)));
    assert!(message.contains("65 modules and components inside it, and 64"), "{message}");
}

#[test]
fn the_bundled_plugins_use_less_than_a_third_of_the_budget() {
    let whole = CompileBudget::default();
    let third = CompileBudget {
        code_bytes: whole.code_bytes / 3,
        function_bytes: whole.function_bytes / 3,
        functions: whole.functions / 3,
        types: whole.types / 3,
        locals: whole.locals / 3,
        stack: whole.stack / 3,
        branches: whole.branches / 3,
        nesting: whole.nesting / 3,
        lives: whole.lives / 3,
        signature: whole.signature / 3,
        parts: whole.parts / 3,
        instances: whole.instances / 3,
        calls: whole.calls / 3,
    };
    for plugin in [EXACT, PREFIX, EVIL, TRIVIAL] {
        let limits = Limits { compiling: third.clone(), ..Limits::default() };
        Plugin::load(engine(), plugin.component, limits).expect("it needs less than a third of the budget");
    }
}

#[test]
fn a_load_times_out() {
    let limits = Limits { load: Duration::ZERO, ..Limits::default() };
    let error = Plugin::load(engine(), EXACT.component, limits).expect_err("there is no time");
    assert!(matches!(error, LoadError::TimedOut { .. }), "{error}");
    support::exact();
}

#[test]
fn a_huge_file_is_rejected_without_being_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.wasm");
    // A sparse file of one terabyte.
    File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let error = Plugin::load_file(engine(), &path, Limits::default()).expect_err("it is too large");
    assert_eq!(error.to_string(), "the plugin does not fit: it has 16777217 bytes, and 16777216 are allowed");
    assert_eq!(error.kind(), "unfit");
}

/// The default plugin, with additional core modules that are instantiated with it.
fn with_modules(modules: &[&str]) -> Vec<u8> {
    let (mut own, mut depth) = (0, 0);
    for payload in Parser::new(0).parse_all(EXACT.component) {
        match payload.expect("a bundled plugin is valid") {
            Payload::ModuleSection { .. } => {
                own += u8::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    let mut component = EXACT.component.to_vec();
    for (n, module) in (own..).zip(modules) {
        let module = wat::parse_str(format!("(module {module})")).expect("valid WebAssembly text");
        // A core module section (1), and a core instance section (2) with one instance, which instantiates (0) module
        // `n` without arguments.
        component.extend([1, u8::try_from(module.len()).expect("it is small")]);
        component.extend(module);
        component.extend([2, 4, 1, 0, n, 0]);
    }
    component
}

fn load(modules: &[&str]) -> Result<Plugin, LoadError> {
    let limits =
        Limits { configure: Duration::from_millis(20), instance_bytes: 8 * MIB, ..Limits::default() };
    Plugin::load(engine(), &with_modules(modules), limits)
}

#[track_caller]
fn fails_at_its_start(modules: &[&str]) -> CallError {
    match load(modules) {
        Err(LoadError::Describe(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_function_that_never_ends_or_traps_is_stopped_and_reported() {
    load(&["(func)"]).expect("an additional module is harmless");
    let endless = fails_at_its_start(&["(func $start loop br 0 end) (start $start)"]);
    assert_eq!(endless.to_string(), "the plugin was interrupted: its start exceeded its limit of 20 ms");
    let trap = fails_at_its_start(&["(func $start unreachable) (start $start)"]);
    assert!(matches!(trap, CallError::Trapped { call: "its start", .. }), "{trap}");
    // What leads there is named as far as it has names.
    let trap = fails_at_its_start(&[
        "(func $of_no_help unreachable) (func (call $of_no_help)) (func $start (call 1)) (start $start)",
    ]);
    assert_eq!(
        trap.to_string(),
        "the plugin trapped in its start: wasm trap: wasm `unreachable` instruction executed (in of_no_help < start)"
    );
    let named = r#"(func $"\1b[2J+46732001122" unreachable) (start 0)"#;
    let trap = fails_at_its_start(&[named]).to_string();
    assert!(trap.ends_with(r"(in \u{1b}[2J+***********)"), "{trap}");
}

#[test]
fn memories_and_tables_of_all_modules_share_one_limit() {
    let limit = CallError::OutOfMemory { call: "its start", limit: 8 * MIB };
    // Each would fit by itself.
    let (memory, table) = ("(memory 40)", "(table 400000 funcref)");
    load(&[memory]).expect("2.5 MiB");
    load(&[memory, table]).expect("and 3 MiB");
    assert_eq!(fails_at_its_start(&[memory, memory, memory, memory]), limit);
    assert_eq!(fails_at_its_start(&[table, table, table]), limit);
    assert_eq!(fails_at_its_start(&[memory, table, memory, table]), limit);
    // A start function that grows its memory until it can't, and then traps.
    let grows = "(memory 1) (func $start (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable) (start $start)";
    assert_eq!(fails_at_its_start(&[grows]), limit);
    assert_eq!(fails_at_its_start(&[memory, grows]), limit);
}

#[test]
fn more_memories_than_are_allowed_are_told_with_the_setting_that_allows_them() {
    let limits = Limits { memories: 0, ..Limits::default() };
    let Err(LoadError::Describe(error)) = Plugin::load(engine(), &with_modules(&[]), limits) else {
        panic!("it has a memory")
    };
    assert_eq!(
        error.to_string(),
        "the plugin broke the contract: its start creates more than 0 linear memories: `memories` of [plugins.limits] allows more"
    );
}

#[test]
fn an_initial_memory_past_the_accounts_limit_is_rejected() {
    let account = MemoryAccount::new(64 << 10);
    let error =
        support::exact().instantiate(&Settings::default(), &account, None).map(drop).expect_err("too small");
    assert_eq!(error, CallError::AccountFull { call: "its start", limit: 64 << 10 });
    assert!(
        error.to_string().ends_with("may have 65536 bytes together, which its memory_limit_bytes sets"),
        "{error}"
    );
    assert_eq!(account.used(), 0);
    assert!(support::exact().instantiate(&Settings::default(), &MemoryAccount::new(MIB), None).is_ok());
}
