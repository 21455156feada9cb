//! Loading has bounds: of size, of what there is to compile, of time, and of memory at the start.

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
    let told = refusal(&format!("(component (core module {module}))"));
    assert!(told.starts_with("the plugin does not fit: it has ") && told.contains(what), "{told}");
}

#[test]
fn bombs_for_the_compiler_are_refused_by_what_there_is_too_much_of() {
    let long = "i32.const 1 drop ".repeat(50_000);
    is_too_much(&format!("(func {long})"), "bytes of code in one function, and 131072");
    is_too_much(&"(func)".repeat(20_001), "20001 functions");
    let many = format!("(func {})", "i32.const 1 drop ".repeat(40_000)).repeat(45);
    is_too_much(&many, "bytes of code, and 4194304");
    is_too_much(&format!("(func (local {}))", "i32 ".repeat(2001)), "2001 local variables in one function");
    let deep = format!("(func {} {})", "block ".repeat(201), "end ".repeat(201));
    is_too_much(&deep, "201 blocks within one another");
    let table = format!("(func block i32.const 0 br_table {} end)", "0 ".repeat(20_001));
    is_too_much(&table, "blocks and branches in one function");
    let lives = format!("(func (local {}) {})", "i32 ".repeat(1900), "block end ".repeat(3000));
    is_too_much(&lives, "local variables times branches in one function");
    is_too_much(&format!("(func (param {}))", "i32 ".repeat(65)), "65 parameters and results");
    let instances = "(core instance (instantiate $m))".repeat(65);
    let told = refusal(&format!("(component (core module $m) {instances})"));
    assert!(told.contains("65 instances inside it, and 64"), "{told}");
    let told = refusal(&format!("(component {})", "(core module)".repeat(33)));
    assert!(told.contains("33 modules and components inside it, and 32"), "{told}");
}

#[test]
fn the_plugins_that_come_with_it_use_a_small_part_of_the_budget() {
    let whole = CompileBudget::default();
    let third = CompileBudget {
        code_bytes: whole.code_bytes / 3,
        function_bytes: whole.function_bytes / 3,
        functions: whole.functions / 3,
        locals: whole.locals / 3,
        branches: whole.branches / 3,
        nesting: whole.nesting / 3,
        lives: whole.lives / 3,
        signature: whole.signature / 3,
        parts: whole.parts / 3,
        instances: whole.instances / 3,
    };
    for plugin in [EXACT, PREFIX, EVIL, TRIVIAL] {
        let limits = Limits { compiling: third.clone(), ..Limits::default() };
        Plugin::load(engine(), plugin.component, limits).expect("there is room for thrice as much");
    }
}

#[test]
fn a_load_has_its_time_and_no_more() {
    let limits = Limits { load: Duration::ZERO, ..Limits::default() };
    let error = Plugin::load(engine(), EXACT.component, limits).expect_err("there is no time");
    assert!(matches!(error, LoadError::TookTooLong { .. } | LoadError::NoTurn { .. }), "{error}");
    support::exact();
}

#[test]
fn a_file_of_any_size_is_refused_without_being_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.wasm");
    // A terabyte, of which nothing is there.
    File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let error = Plugin::load_file(engine(), &path, Limits::default()).expect_err("it is too large");
    assert_eq!(error.to_string(), "the plugin does not fit: it has 16777217 bytes, and 16777216 are allowed");
    assert_eq!(error.kind(), "unfit");
}

/// The default plugin, and core modules of somebody else's that are instantiated with it.
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
        // A section of a core module (1), and one of core instances (2): one, which instantiates (0) it without arguments.
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
fn a_start_that_never_ends_or_traps_is_cut_off_and_named() {
    load(&["(func)"]).expect("a module besides does no harm");
    let endless = fails_at_its_start(&["(func $start loop br 0 end) (start $start)"]);
    assert_eq!(endless.to_string(), "the plugin was cut off: its start took longer than its 20 ms");
    let trap = fails_at_its_start(&["(func $start unreachable) (start $start)"]);
    assert!(matches!(trap, CallError::Trapped { call: "its start", .. }), "{trap}");
}

#[test]
fn memories_and_tables_of_all_modules_are_one_account() {
    let limit = CallError::OutOfMemory { call: "its start", limit: 8 * MIB };
    // Each by itself would fit.
    let (memory, table) = ("(memory 40)", "(table 400000 funcref)");
    load(&[memory]).expect("2.5 MiB");
    load(&[memory, table]).expect("and 3 MiB");
    assert_eq!(fails_at_its_start(&[memory, memory, memory, memory]), limit);
    assert_eq!(fails_at_its_start(&[table, table, table]), limit);
    assert_eq!(fails_at_its_start(&[memory, table, memory, table]), limit);
    // One that grows as long as it can, and takes it ill when it can't.
    let grows = "(memory 1) (func $start (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable) (start $start)";
    assert_eq!(fails_at_its_start(&[grows]), limit);
    assert_eq!(fails_at_its_start(&[memory, grows]), limit);
}

#[test]
fn a_start_with_more_memory_than_the_account_has_is_refused_by_its_limit() {
    let account = MemoryAccount::new(64 << 10);
    let error =
        support::exact().instantiate(&Settings::default(), &account, None).map(drop).expect_err("too small");
    assert_eq!(error, CallError::OutOfMemory { call: "its start", limit: 64 << 10 });
    assert_eq!(account.used(), 0);
    assert!(support::exact().instantiate(&Settings::default(), &MemoryAccount::new(MIB), None).is_ok());
}
