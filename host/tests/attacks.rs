//! Hostile components: what they cost, and what is said about them. `cargo xtask soak components` tries random ones.

mod support;

use std::time::{Duration, Instant};

use portcullis_host::{
    CallError, CompileBudget, Compiler, Engine, InvalidComponent, Limits, LoadError, Plugin, is_obeyed,
};
use support::MIB;
use support::bombs::{self, Bomb, peak};
use support::composed;

fn compiler() -> Compiler {
    Compiler::Child {
        program: env!("CARGO_BIN_EXE_portcullis-compiler").into(),
        args: vec!["compile".into()],
    }
}

fn engine() -> Engine {
    Engine::new().expect("this machine runs WebAssembly").with_compiler(compiler())
}

/// Limits without the static first look, so that only those of the child process hold.
fn unlooked() -> Limits {
    Limits { compiling: CompileBudget::UNLIMITED, ..Limits::default() }
}

/// Loads a component, within its time, and without memory of this process to speak of. Returns what was said.
#[track_caller]
fn survives(engine: &Engine, Bomb { name, component }: &Bomb, limits: &Limits) -> Result<Plugin, LoadError> {
    let (before, start) = (peak(), Instant::now());
    let loaded = Plugin::load(engine, component, limits.clone());
    let (took, grown) = (start.elapsed(), peak().saturating_sub(before));
    let said = loaded.as_ref().map_or_else(ToString::to_string, |_| "it is loaded".to_owned());
    eprintln!(
        "{name}: {} KiB, {:.2} s, {} MiB: {said}",
        component.len() >> 10,
        took.as_secs_f64(),
        grown >> 20
    );
    let most = limits.turn + limits.load + Duration::from_secs(1);
    assert!(took < most, "{name} took {took:?}");
    assert!(grown < 128 * MIB, "{name} took {grown} bytes of this process");
    assert!(!said.contains(is_obeyed) && said.len() < 2000, "{said}");
    if let Err(error) = &loaded {
        // Its time is over, which on a busy machine may be before its processor time is.
        let is_late = matches!(error, LoadError::Late { .. });
        assert!(is_late || !error.is_transient(), "{name}: {error}");
    }
    loaded
}

#[test]
fn components_that_took_the_process_down_are_refused_in_words_or_compiled_within_bounds() {
    let engine = engine();
    for bomb in bombs::all() {
        let _ = survives(&engine, &bomb, &Limits::default());
    }
}

#[test]
fn what_the_first_look_does_not_foresee_is_bounded_by_the_child_process() {
    let engine = engine();
    let refused = |bomb: &Bomb, limits: &Limits| survives(&engine, bomb, limits).expect_err(&bomb.name);
    let limits = Limits { compiler_bytes: 64 * MIB, ..unlooked() };
    for bomb in [bombs::live_values(1, 8000, 9000), bombs::many_types(80_000)] {
        let error = refused(&bomb, &limits);
        assert_eq!(error.to_string(), "the plugin needs more than 64 MiB of memory to compile");
        assert!(error.is_costly());
    }
    let limits = Limits { compiler_bytes: 4 << 30, compiler_time: Duration::from_secs(1), ..unlooked() };
    let error = refused(&bombs::live_values(1, 8000, 9000), &limits);
    assert_eq!(error.to_string(), "the plugin takes too long to compile: more than 1 s of processor time");
    assert!(error.is_costly());
    let limits = Limits { compiled_bytes: 64 << 10, ..unlooked() };
    let error = refused(&bombs::long_chains(8, 40_000), &limits);
    assert!(matches!(error, LoadError::Invalid(InvalidComponent::TooMuchCode { limit: 65_536 })), "{error}");
}

#[test]
fn shapes_that_cost_more_than_they_weigh_are_refused_at_first_sight() {
    // The in-process compiler would not survive them.
    let engine = Engine::new().expect("this machine runs WebAssembly");
    let refusal = |bomb: Bomb| match Plugin::load(&engine, &bomb.component, Limits::default()) {
        Err(LoadError::Invalid(error)) => error,
        other => panic!("{}: {other:?}", bomb.name),
    };
    for (bomb, what, found, limit) in [
        (bombs::chained_loops(9900, 32), "results of one type of function", 32, 1),
        (bombs::wide_calls(15_000, 32), "results of one type of function", 32, 1),
        (bombs::wide_tables(1, 19_990, 63), "results of one type of function", 63, 1),
        (bombs::live_values(1, 8000, 9000), "values on the stack of one function", 1001, 1000),
        (
            bombs::live_values(1, 999, 9000),
            "variables and values times branches in one function",
            1_000_000,
            1_000_000,
        ),
        (bombs::many_types(80_000), "types", 4001, 4000),
    ] {
        let name = bomb.name.clone();
        match refusal(bomb) {
            InvalidComponent::TooMuch { what: is, found: counted, limit: bound } => {
                assert_eq!((is, bound), (what, limit), "{name}");
                assert!(counted >= found, "{name}: {counted}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    // Blocks with parameters, but one result at most.
    let text =
        "(component (core module (type (func (param i32))) (func i32.const 0 block (type 0) drop end)))";
    let component = wat::parse_str(text).expect("valid WebAssembly text");
    let error = refusal(Bomb { name: "a block".to_owned(), component });
    assert_eq!(error.to_string(), "it has 1 parameters of one block, and 0 are allowed");
}

#[test]
fn types_that_nest_deeper_than_any_stack_end_the_child_alone() {
    let engine = engine();
    for levels in [1_000_000, 5_000_000] {
        let bomb = bombs::nested_types(levels);
        for limits in [Limits::default(), unlooked()] {
            let error = survives(&engine, &bomb, &limits).expect_err(&bomb.name);
            assert!(matches!(error, LoadError::Invalid(InvalidComponent::Compile(_))), "{error}");
        }
    }
}

#[test]
fn components_deep_inside_each_other_are_refused_at_first_sight() {
    let bomb = bombs::deep_components(1_000_000);
    for limits in [Limits::default(), unlooked()] {
        let error = survives(&engine(), &bomb, &limits).expect_err(&bomb.name);
        assert!(
            error
                .to_string()
                .ends_with("it has 101 modules and components inside each other, and 100 are allowed"),
            "{error}"
        );
    }
}

#[test]
fn components_that_call_each_other_are_compiled_within_bounds_or_refused_in_words() {
    let engine = engine();
    let small = composed::beside(&bombs::nested_components(4, 1).component);
    survives(&engine, &Bomb { name: "a pair".to_owned(), component: small }, &Limits::default())
        .expect("a pair of components is nothing");
    // The adapter of one call copies hundreds of tuples.
    for (types, pairs) in [(400, 15), (3000, 4), (60, 200)] {
        let bomb = bombs::nested_components(types, pairs);
        let bomb = Bomb { component: composed::beside(&bomb.component), ..bomb };
        for limits in [Limits::default(), unlooked()] {
            let _ = survives(&engine, &bomb, &limits);
        }
    }
}

#[test]
fn what_is_created_many_times_over_counts_each_time() {
    // The in-process compiler would not survive the first one.
    let engine = Engine::new().expect("this machine runs WebAssembly");
    let mut doubling = "(component $c (core module $m) (core instance (instantiate $m)))".to_owned();
    for _ in 0..40 {
        doubling =
            format!("(component $c {doubling} (instance (instantiate $c)) (instance (instantiate $c)))");
    }
    let doubling = wat::parse_str(doubling.replacen("(component $c", "(component", 1)).expect("valid text");
    let refusal = |component: &[u8]| {
        let component = composed::beside(component);
        match Plugin::load(&engine, &component, Limits::default()) {
            Err(LoadError::Invalid(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    match refusal(&doubling) {
        InvalidComponent::TooMuch { what: "instances inside it", found, .. } => assert!(found > 1 << 40),
        other => panic!("{other}"),
    }
    // One call in a component that is instantiated often.
    let mut often = Limits::default();
    often.compiling.instances = 10_000;
    let component = composed::beside(&bombs::nested_components(1, 300).component);
    let error = Plugin::load(&engine, &component, often).expect_err("300 calls");
    assert!(error.to_string().contains("300 calls between components inside it, and 256"), "{error}");
    // Which component that is can't be told.
    let passed = wat::parse_str(
        "(component (component $a) (component $b (import \"x\" (component $x)) (instance (instantiate $x)))
            (instance (instantiate $b (with \"x\" (component $a)))))",
    );
    let error = refusal(&passed.expect("valid text"));
    assert!(matches!(error, InvalidComponent::Opaque), "{error}");
}

#[test]
fn typed_references_that_end_wasmtime_without_its_gc_are_refused() {
    // RUSTSEC-2026-0570: on functions alone, these need no collector. `ref.test` on a type that has subtypes, and an indirect
    // call to one, ask the runtime, which ends the process if it was built without the feature.
    let types = "(type $a (sub (func))) (type $b (sub $a (func)))";
    let modules = [
        format!(
            "(module {types} (func $f (type $b)) (table funcref (elem $f))
            (func $start (call_indirect (type $a) (i32.const 0))) (start $start))"
        ),
        format!(
            "(module {types} (func $f (type $b)) (table funcref (elem $f))
            (func $start (drop (ref.test (ref $a) (table.get (i32.const 0))))) (start $start))"
        ),
        "(module (func $start (drop (ref.i31 (i32.const 1)))) (start $start))".to_owned(),
        "(module (type $f (func)) (func $start (param (ref null $f))) (func $s) (start $s))".to_owned(),
        "(module (tag) (func $start throw 0) (start $start))".to_owned(),
    ];
    for text in modules {
        let module = wat::parse_str(&text).expect("valid WebAssembly text");
        let bomb = Bomb { name: text.clone(), component: bombs::with_module(&module) };
        for engine in [Engine::new().expect("this machine runs WebAssembly"), engine()] {
            let error = survives(&engine, &bomb, &Limits::default()).expect_err(&text);
            assert!(
                error.to_string().starts_with("the plugin does not fit: it can't be compiled: "),
                "{error}"
            );
        }
    }
}

#[test]
fn names_of_imports_can_not_forge_lines_or_fill_the_log() {
    let forged = "x`\n2026-11-28T19:00:00.000000Z  INFO portcullis: token changed\u{1b}[2J\u{202e}";
    let long = "a".repeat(99_000);
    let engine = engine();
    for names in [vec![forged], vec![long.as_str(); 100]] {
        let bomb = Bomb { name: format!("{} imports", names.len()), component: bombs::with_imports(&names) };
        let error = survives(&engine, &bomb, &Limits::default()).expect_err("it imports");
        assert!(error.to_string().contains("it imports `"), "{error}");
    }
    let error = survives(
        &engine,
        &Bomb { name: "one".to_owned(), component: bombs::with_imports(&[forged]) },
        &Limits::default(),
    );
    let error = error.expect_err("it imports").to_string();
    assert!(error.contains(r"`x`\n2026-11-28T19:00:00"), "{error}");
}

#[test]
fn a_start_function_that_hoards_memory_is_stopped_at_64_mib() {
    let engine = engine();
    let load = |pages: u32| {
        let text = format!(
            "(module (memory 1) (func $start
                (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const {}))) (start $start))",
            pages << 16
        );
        let module = wat::parse_str(text).expect("valid WebAssembly text");
        let component = bombs::with_module(&module);
        survives(&engine, &Bomb { name: format!("{pages} pages"), component }, &Limits::default())
    };
    load(100).expect("6 MiB are nothing");
    let error = load(60_000).expect_err("4 GiB are too much");
    let LoadError::Describe(error) = error else { panic!("{error}") };
    assert_eq!(error, CallError::OutOfMemory { call: "its start", limit: 64 * MIB });
}
