//! Components that are composed of others: each has memory of its own, and calls between them are copied from one to the other.

mod support;

use std::time::Duration;

use portcullis_host::{
    Blacklist, CallError, Compiler, Direction, Engine, Generation, Limits, LoadError, MemoryAccount, Plugin,
    Settings, Verdict,
};
use support::composed::{self, THROUGH_BYTES};
use support::record::Record;
use support::{MIB, empty, engine, entry, exact, hand_over, recipe, subject};

fn through() -> Plugin {
    Plugin::load(engine(), &composed::through(), Limits::default()).expect("a composed plugin loads")
}

#[test]
fn a_composed_plugin_serves_as_its_parts_do() {
    let plugin = through();
    assert_eq!(plugin.description(), exact().description());
    let record = Record::of((0..5000).map(|n| subject(n * 3)));
    let filled =
        || Generation::empty(recipe(plugin.clone(), "{}")).map(|list| list.filled_and_proved(&record, None));
    let (list, _) = filled().expect("it starts").expect("it is filled, and keeps the contract");
    let list = Blacklist::new(list);
    for n in [0, 1, 3, 14_997, 14_998] {
        let expected = if n % 3 == 0 { Verdict::Block } else { Verdict::Allow };
        assert_eq!(list.check(subject(n), Direction::Outbound).expect("it answers"), expected, "{n}");
    }
    // Another one takes its place while it serves.
    let (next, _) = filled().expect("it starts").expect("it is filled");
    list.replace(std::sync::Arc::new(next), &record).expect("it is put in place");
    assert_eq!(list.check(subject(3), Direction::Inbound), Ok(Verdict::Block));
}

#[test]
fn its_state_is_saved_and_loaded_through_both() {
    let plugin = through();
    let account = MemoryAccount::new(64 * MIB);
    let start = || plugin.instantiate(&Settings::default(), &account, None).expect("it starts");
    let (mut from, mut to) = (start(), start());
    let entries: Vec<_> = (0..3000).map(|n| entry(n * 7, portcullis_host::Directions::BOTH)).collect();
    from.block(&entries).expect("it takes them");
    let format = plugin.description().saves.clone().expect("the default plugin saves");
    hand_over(&mut from, &mut to, &format);
    assert_eq!(to.count(), Ok(3000));
}

#[test]
fn each_of_its_memories_counts() {
    let (alone, both) = (empty(exact()).memory_bytes(), empty(through()).memory_bytes());
    assert!(both >= alone + THROUGH_BYTES && both < alone + THROUGH_BYTES + 4096, "{alone} {both}");
    // The first fits, and both don't.
    let account = MemoryAccount::new(alone + THROUGH_BYTES / 2);
    let error = through().instantiate(&Settings::default(), &account, None).expect_err("there is no room");
    assert!(matches!(error, CallError::AccountFull { .. }), "{error}");
    assert_eq!(account.used(), 0);
}

#[test]
fn there_are_only_so_many_memories() {
    let limits = Limits { memories: 1, ..Limits::default() };
    let error = Plugin::load(engine(), &composed::through(), limits).expect_err("it has two");
    let LoadError::Describe(source) = &error else { panic!("{error}") };
    assert!(source.to_string().contains("more than 1 linear memories"), "{source}");
}

#[test]
fn a_panic_of_the_compiler_is_told_as_what_it_is() {
    let program = if cfg!(unix) { "/bin/sh" } else { return };
    let script = "cat >/dev/null; echo 'index out of bounds' >&2; exit 101";
    let args = vec!["-c".into(), script.into(), "compiler".into()];
    let engine = Engine::new()
        .expect("this machine runs WebAssembly")
        .with_compiler(Compiler::Child { program: program.into(), args });
    let limits = Limits { load: Duration::from_secs(60), ..Limits::default() };
    let error =
        Plugin::load(&engine, portcullis_plugin_bundle::EXACT.component, limits).expect_err("it panics");
    let said = error.to_string();
    assert!(said.contains("the compiler panicked, which is a bug of Portcullis or wasmtime"), "{said}");
    assert!(said.contains("index out of bounds") && !said.contains("damaged"), "{said}");
}
