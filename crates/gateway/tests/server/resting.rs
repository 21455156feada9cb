//! More lists than the memory budget allows: the least recently checked are unloaded, and loaded again on the next check.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portcullis_plugin_bundle::{EVIL, EXACT};
use serde_json::{Value, json};

use super::support::{Gateway, SERVER, digest, variant};

/// Far more than fit into 16 MiB.
const SENDERS: usize = 320;

fn crowded() -> Gateway {
    Gateway::with(&config(""))
}

fn config(of_tenant: &str) -> String {
    let server = SERVER.replace(
        "[plugins]",
        "[plugins]\nmemory_budget_bytes = 16777216\ncheck_patience_ms = 60000\nwatch_seconds = 0",
    );
    let senders: String = (0..SENDERS).map(|n| format!("[[tenants.senders]]\nid = \"s{n}\"\n")).collect();
    format!("{server}\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n{of_tenant}\n{senders}")
}

fn number(n: usize) -> String {
    format!("+4673200{n:04}")
}

fn check(gateway: &Gateway, sender: usize, n: usize) -> (Value, Value) {
    let body = json!({ "number": number(n), "direction": "inbound" });
    let answer = gateway.post(&format!("/senders/s{sender}/check"), body);
    let answer = answer.ok();
    (answer["verdict"].clone(), answer["source"].clone())
}

fn block(gateway: &Gateway, sender: usize, n: usize) {
    gateway.post(&format!("/senders/s{sender}/entries"), json!({ "number": number(n) })).ok();
}

fn unblock(gateway: &Gateway, sender: usize, n: usize) {
    gateway.delete(&format!("/senders/s{sender}/entries"), json!({ "number": number(n) })).ok();
}

/// The number of unloaded lists.
fn resting(gateway: &Gateway) -> usize {
    let status = gateway.get("/status").ok().clone();
    let lists = status["senders"].as_array().unwrap();
    for list in lists {
        let has_memory = list["memory_bytes"].as_u64().unwrap() > 0;
        assert_eq!(list["state"] == "serving", has_memory, "{list}");
        assert!(list["state"] == "serving" || list["state"] == "resting", "{list}");
    }
    lists.iter().filter(|list| list["state"] == "resting").count()
}

fn blocked_by_plugin() -> (Value, Value) {
    (json!("block"), json!("plugin"))
}

fn allowed_by_plugin() -> (Value, Value) {
    (json!("allow"), json!("plugin"))
}

#[test]
fn idle_lists_are_unloaded_and_reload_with_later_changes() {
    let mut gateway = crowded();
    assert!(resting(&gateway) > SENDERS / 2);
    for n in 0..SENDERS {
        block(&gateway, n, n);
    }
    for n in 0..SENDERS {
        assert_eq!(check(&gateway, n, n), blocked_by_plugin());
        assert_eq!(check(&gateway, n, n + 1), allowed_by_plugin());
    }
    assert!(resting(&gateway) > SENDERS / 2);
    // Loaded lists include what changed while they were unloaded.
    for n in 0..SENDERS {
        unblock(&gateway, n, n);
        block(&gateway, n, n + 1);
    }
    for n in 0..SENDERS {
        let numbers = [number(n), number(n + 1)];
        let body = json!({ "numbers": numbers, "direction": "inbound" });
        let answer = gateway.post(&format!("/senders/s{n}/check"), body);
        assert_eq!(answer.ok()["blocked"], json!([numbers[1]]));
        assert_eq!(answer.json["source"], "plugin");
    }
    let metrics = gateway.metrics();
    assert!(metrics.contains("portcullis_list_serving{tenant=\"acme\",list=\"s0\"} 1"), "{metrics}");
    let resting_of =
        |list: &str| metrics.contains(&format!("list_resting{{tenant=\"acme\",list=\"{list}\"}} 1"));
    assert!(
        resting_of("s0") && !resting_of(&format!("s{}", SENDERS - 1)),
        "the oldest rests, the newest does not"
    );
    let woken = metrics.lines().find_map(|line| line.strip_prefix("portcullis_wake_seconds_count ")).unwrap();
    assert!(woken.parse::<usize>().unwrap() >= SENDERS, "{woken}");
    is_free_of_faults(&gateway);
    gateway.restart();
    for n in (0..SENDERS).rev() {
        assert_eq!(check(&gateway, n, n + 1), blocked_by_plugin());
        assert_eq!(check(&gateway, n, n), allowed_by_plugin());
    }
}

/// Four threads check and change lists of their own, which evicts the lists of the others. Another thread checks a single list
/// all the time.
#[test]
fn no_check_is_wrong_while_lists_are_loaded_and_unloaded() {
    let gateway = crowded();
    block(&gateway, 0, 0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(check(&gateway, 0, 0), blocked_by_plugin());
                assert_eq!(check(&gateway, 0, 1), allowed_by_plugin());
            }
        });
        let threads: Vec<_> = (0..4)
            .map(|first| {
                let gateway = &gateway;
                scope.spawn(move || {
                    for round in 0..4 {
                        for n in (1 + first..SENDERS).step_by(4) {
                            block(gateway, n, round);
                            assert_eq!(check(gateway, n, round), blocked_by_plugin());
                        }
                        for n in (1 + first..SENDERS).step_by(4) {
                            assert_eq!(check(gateway, n, round), blocked_by_plugin());
                            unblock(gateway, n, round);
                            assert_eq!(check(gateway, n, round), allowed_by_plugin());
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        busy.join().unwrap();
    });
    assert!(resting(&gateway) > 0);
    is_free_of_faults(&gateway);
}

#[test]
fn a_reload_includes_unloaded_lists() {
    let gateway = crowded();
    for n in 0..SENDERS {
        block(&gateway, n, n);
    }
    let component = variant(EXACT.component, b'a');
    let put = gateway.put_plugin("exact", &component);
    put.ok();
    let serves = |gateway: &Gateway| gateway.plugin("acme")["serving"]["version"] == digest(&component);
    gateway.until("the new version serves", serves);
    assert!(resting(&gateway) > SENDERS / 2, "they are not woken for it");
    for n in 0..SENDERS {
        assert_eq!(check(&gateway, n, n), blocked_by_plugin());
        assert_eq!(check(&gateway, n, n + 1), allowed_by_plugin());
    }
    let lists = gateway.plugin("acme")["lists"].clone();
    assert!(lists.as_array().unwrap().iter().all(|list| list["serving"] == true), "{lists}");
    let back = gateway.admin("POST", "/acme/plugin/rollback", None);
    assert_eq!(back.ok()["serving"]["version"], digest(EXACT.component), "{}", back.json);
    for n in 0..SENDERS {
        assert_eq!(check(&gateway, n, n), blocked_by_plugin());
    }
    is_free_of_faults(&gateway);
}

/// A list that can't be loaded when it is checked is out of service like any other, and the `on_failure` policy answers.
#[test]
fn the_policy_answers_if_a_list_can_not_be_loaded() {
    let evil = "plugin = \"evil\"\nplugin_options = { mode = \"refuse-entries\" }\non_failure = \"ledger\"";
    let gateway = Gateway::with_plugin(&config(evil), Some(("evil.wasm", EVIL.component)));
    let last = SENDERS - 1;
    let state = |gateway: &Gateway| gateway.get(&format!("/senders/s{last}/status")).ok()["state"].clone();
    assert_eq!(state(&gateway), "resting");
    block(&gateway, last, 0);
    let by_ledger = |verdict: &str| (json!(verdict), json!("ledger"));
    assert_eq!(check(&gateway, last, 0), by_ledger("block"));
    assert_eq!(check(&gateway, last, 1), by_ledger("allow"));
    assert_eq!(state(&gateway), "recovering");
    unblock(&gateway, last, 0);
    gateway.until("recovered", |gateway| state(gateway) == "serving");
    assert_eq!(check(&gateway, last, 0), allowed_by_plugin());
}

fn is_free_of_faults(gateway: &Gateway) {
    let metrics = gateway.metrics();
    let faults: Vec<&str> = metrics.lines().filter(|line| line.contains("plugin_faults_total{")).collect();
    assert!(faults.is_empty(), "{faults:?}");
}
