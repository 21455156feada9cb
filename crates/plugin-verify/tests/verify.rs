//! Plugins with one fault each, and what is said of them.

use std::sync::OnceLock;
use std::time::Duration;

use portcullis_host::{Bound, Engine, Limits};
use portcullis_plugin_bundle::{ECHO_RULES, EVIL, EVIL_RULES, EXACT, POLICY, POLICY_NUMBERS, PREFIX};
use portcullis_plugin_verify::{Kind, Report, Request, componentize, verify};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().unwrap())
}

/// Short times, because some never end.
fn limits() -> Limits {
    Limits {
        check: Duration::from_millis(10),
        call: Duration::from_millis(50),
        configure: Duration::from_millis(50),
        ..Limits::default()
    }
}

fn report(component: &[u8], name: &str, options: &str, limits: Limits) -> Report {
    verify(engine(), &Request { component, name, limits, options, beside: None })
}

#[test]
fn nothing_is_wrong_with_the_plugins_that_are_built_in() {
    for (plugin, options) in
        [(EXACT, "{}"), (PREFIX, r#"{"block": ["881"]}"#), (EVIL, r#"{"mode": "well-behaved"}"#)]
    {
        let report = report(plugin.component, plugin.name, options, Limits::default());
        assert!(report.is_good(), "{}: {:?}", plugin.name, report.problems);
        assert_eq!(report.kinds, [Kind::Blacklist]);
        assert!(report.bounds.iter().all(|bound| bound.found <= bound.allowed && bound.what.len() > 3));
        assert!(report.loaded.is_some() && report.description.is_some());
    }
}

#[test]
fn nothing_is_wrong_with_the_rules_that_are_built_in() {
    let quiet = r#"{"quiet_hours": [{"from": "21:00", "to": "08:00"}], "caps": [{"per_day": 2}]}"#;
    let prefixes = r#"{"prefixes": {"block": ["46939"]}, "ceilings": [{"count_by": "prefix", "digits": 7, "per_minute": 20}]}"#;
    for (plugin, options, needs) in [
        (POLICY, quiet, "country, local-time"),
        (POLICY_NUMBERS, prefixes, "number, country, local-time"),
        (EVIL_RULES, r#"{"mode": "well-behaved"}"#, "nothing"),
    ] {
        let report = report(plugin.component, plugin.name, options, Limits::default());
        assert!(report.is_good(), "{}: {:?}", plugin.name, report.problems);
        assert_eq!(report.kinds, [Kind::Rules]);
        let lines = report.lines().join("\n");
        assert!(lines.contains("contract      portcullis:rules@0.1.0"), "{lines}");
        assert!(lines.contains(&format!("needs         {needs}")), "{lines}");
    }
    // It is a list, too, which blocks everybody.
    let both = report(ECHO_RULES.component, ECHO_RULES.name, "{}", Limits::default());
    assert_eq!(both.kinds, [Kind::Blacklist, Kind::Rules]);
    assert!(both.problems.iter().any(|problem| problem.contains("blocks strangers")), "{:?}", both.problems);
    assert!(
        both.remarks.iter().any(|remark| remark.contains("% of messages to strangers")),
        "{:?}",
        both.remarks
    );
}

#[test]
fn each_fault_of_rules_is_told_with_a_message_that_shows_it() {
    for (mode, told) in [
        ("spin-in-decide", "decide exceeded its limit of"),
        ("spin-in-decide-many", "decide-many exceeded its limit of"),
        ("spin-in-configure", "an instance does not start"),
        ("many-meters", "an instance does not start"),
        ("panic", "the plugin trapped in decide"),
        ("panic-later", "the plugin trapped in decide"),
        ("leak", "it leaks: "),
        ("later-at-once", "decide"),
        ("unknown-reason", "decide"),
        ("missing-decisions", "decide-many"),
        ("disagree", "decide-many said"),
        ("count-by-itself", "of the same message"),
        ("remember", "of the same message"),
        ("count-later", "about the same message after"),
        ("unheard-of", "it refuses the options"),
    ] {
        let report =
            report(EVIL_RULES.component, "evil-rules", &format!("{{\"mode\": \"{mode}\"}}"), limits());
        let [problem] = &report.problems[..] else { panic!("{mode}: {:?}", report.problems) };
        assert!(problem.contains(told), "{mode}: {problem}");
        assert!(!problem.contains(" message of ") || problem.contains("Z, sender "), "{mode}: {problem}");
    }
    let stops_all = report(EVIL_RULES.component, "evil-rules", r#"{"mode": "stop-all"}"#, limits());
    assert!(stops_all.is_good(), "{:?}", stops_all.problems);
    assert!(stops_all.remarks.iter().any(|remark| remark.contains("100 % of messages to strangers")));
}

#[test]
fn rules_are_measured_beside_checks() {
    let request = Request {
        component: EVIL_RULES.component,
        name: "evil-rules",
        limits: Limits::default(),
        options: "{}",
        beside: Some(EXACT.component),
    };
    let report = verify(engine(), &request);
    let costs = report.rule_costs.as_ref().expect("they are measured");
    assert!(costs.decide_nanos > 0.0 && costs.decide_many_nanos > 0.0 && costs.memory_bytes > 0);
    assert!(report.lines().iter().any(|line| line.starts_with("  a decision, ns")), "{:?}", report.lines());
}

#[test]
fn each_fault_is_told_with_the_shortest_sequence_that_shows_it() {
    for (mode, told) in [
        ("spin-in-check", "exceeded its limit of"),
        ("spin-in-block", "block exceeded its limit"),
        ("spin-in-configure", "an instance does not start"),
        ("panic", "the plugin trapped in check"),
        ("panic-later", "the plugin trapped in check"),
        ("lie-later", "who has an entry: it forgets people"),
        ("lie-in-batches", "check-many allowed"),
        ("lie-to-regulars", "it forgets people"),
        ("block-strangers-in-batches", "it blocks strangers"),
        ("refuse-long-lists", "it refuses a list of 20000 entries"),
        ("leak-later", "it leaks"),
        ("short-bitmap", "check-many returned"),
        ("disagree-in-batch", "check-many said"),
        ("list-goes-backwards", "list goes backwards"),
        ("list-overflows", "at most"),
        ("list-never-ends", "list"),
        ("save-creeps", "save goes on"),
        ("load-lies", "list"),
        ("miscount", "count said"),
        ("forget-every-third", "count said"),
        ("forget-unblocks", "unblock"),
        ("block-strangers", "it blocks strangers"),
        ("refuse-entries", "block refused the entry"),
    ] {
        let report = report(EVIL.component, "evil", &format!("{{\"mode\": \"{mode}\"}}"), limits());
        let [problem] = &report.problems[..] else { panic!("{mode}: {:?}", report.problems) };
        assert!(problem.contains(told), "{mode}: {problem}");
        // A sequence is short.
        assert!(problem.matches("; then ").count() < 6, "{mode}: {problem}");
    }
}

#[test]
fn a_counter_example_is_in_words() {
    let report = report(EVIL.component, "evil", r#"{"mode": "miscount"}"#, limits());
    let problem = &report.problems[0];
    let shown = "count said 0, and there are 1 entries. The shortest sequence that shows it: block(";
    assert!(problem.starts_with(shown) && !problem.contains("; then "), "{problem}");
}

#[test]
fn all_bounds_are_told_at_once_with_what_admits_it() {
    let mut limits = Limits::default();
    for name in ["functions", "nesting"] {
        Bound::named(name).unwrap().set(&mut limits, 2);
    }
    let report = report(EXACT.component, "mine", "{}", limits);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert!(report.problems[0].ends_with("functions, and 2 are allowed"), "{:?}", report.problems);
    assert!(report.problems[1].contains("nested blocks, in function "), "{:?}", report.problems);
    let admits = report.remarks.iter().find(|remark| remark.contains("[plugins.limits.mine] functions = "));
    assert!(admits.is_some(), "{:?}", report.remarks);
    // What follows is looked at all the same.
    assert!(report.loaded.is_some() && report.description.is_some());
    assert!(report.lines().iter().any(|line| line.starts_with("! functions")), "{:?}", report.lines());
}

#[test]
fn a_file_that_is_no_plugin_is_told_why() {
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let imports = wat::parse_str("(component (import \"wasi:cli/stdout\" (func)))").unwrap();
    for (bytes, told) in [
        (&b"\x7fELF"[..], "it is not WebAssembly: it does not begin"),
        (b"", "it is not WebAssembly: the file is empty"),
        (b"(module)", "`wasm-tools parse FILE.wat -o FILE.wasm` makes a binary"),
        (b"#include <stdlib.h>", "it is text, such as source code; build it first"),
        (&module, "it is a WebAssembly module, not a component"),
        (&module, "make a component of it with `portcullis plugin component`"),
        (&EXACT.component[..1000], "damaged or truncated"),
        (&imports, "it imports `wasi:cli/stdout`"),
        (&empty, "it exports no interface of a plugin"),
    ] {
        let report = report(bytes, "mine", "{}", Limits::default());
        let [problem] = &report.problems[..] else { panic!("{told}: {:?}", report.problems) };
        assert!(problem.contains(told), "{problem}");
    }
}

#[test]
fn options_are_bounded_and_not_repeated_at_length() {
    let options = |bytes: usize| format!("{{\"mode\": \"{}\"}}", "x".repeat(bytes));
    for plugin in [EVIL, EVIL_RULES] {
        let refused = report(plugin.component, plugin.name, &options(10_000), Limits::default());
        let [problem] = &refused.problems[..] else { panic!("{:?}", refused.problems) };
        assert!(problem.starts_with("it refuses the options {\"mode\": \"xxx"), "{problem}");
        assert!(problem.contains("x…: ") && problem.matches('x').count() < 5000, "{problem}");
        let long = report(plugin.component, plugin.name, &options(70_000), Limits::default());
        let [problem] = &long.problems[..] else { panic!("{:?}", long.problems) };
        assert!(problem.contains("the options have 70012 bytes, and 65536 are allowed"), "{problem}");
    }
}

#[test]
fn a_plugin_that_calls_itself_otherwise_than_its_file_is_remarked_on() {
    let report = report(EXACT.component, "mine", "{}", Limits::default());
    assert!(report.is_good(), "{:?}", report.problems);
    assert!(
        report.remarks[0].contains("it calls itself exact, and its file is mine.wasm"),
        "{:?}",
        report.remarks
    );
}

#[test]
fn costs_are_measured_beside_those_of_exact() {
    let request = Request {
        component: EXACT.component,
        name: "exact",
        limits: Limits::default(),
        options: "{}",
        beside: Some(EXACT.component),
    };
    let report = verify(engine(), &request);
    let (own, exact) = (report.costs.clone().unwrap(), report.costs_of_exact.clone().unwrap());
    assert!(own.check_nanos > 0.0 && own.check_many_nanos > 0.0 && own.block_nanos > 0.0);
    assert_eq!((own.empty_bytes, own.full_bytes), (exact.empty_bytes, exact.full_bytes));
    assert!(report.lines().iter().any(|line| line.trim_start().starts_with("a check, ns")));
}

#[test]
fn what_is_no_core_module_of_the_contract_is_not_made_a_component() {
    let module = wat::parse_str("(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func)))").unwrap();
    let empty = wat::parse_str("(module)").unwrap();
    for (bytes, told) in [
        (EXACT.component, "it is a component already"),
        (b"noise", "it is not WebAssembly: it is text"),
        (
            &module,
            "it imports `wasi_snapshot_preview1::fd_write`, but a plugin may import nothing: something in it prints",
        ),
        (&empty, "does not fit the contract"),
    ] {
        let error = componentize(bytes).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_rules_block_of_strangers_is_told_and_most_of_them_is_too_much() {
    let few = report(PREFIX.component, "prefix", r#"{"block": ["1"]}"#, Limits::default());
    assert!(few.is_good(), "{:?}", few.problems);
    assert!(few.remarks.iter().any(|remark| remark.contains("% of random numbers")), "{:?}", few.remarks);
    let most = r#"{"block": ["2", "3", "4", "5", "6", "7", "8", "9"]}"#;
    let most = report(PREFIX.component, "prefix", most, Limits::default());
    assert!(most.problems[0].contains("a tenant's messages would mostly stop"), "{:?}", most.problems);
}
