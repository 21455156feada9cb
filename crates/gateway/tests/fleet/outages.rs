//! What gateways do while the database does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::cluster::{Cluster, name_of};
use crate::configuration::try_status;
use crate::failover::pair;
use crate::strait::{CHANGES, Strait};
use crate::support::Gateway;
use crate::{config, nodes, start};

const BLOCKED: &str = "+46732001122";
const OTHER: &str = "+46732001123";

fn degraded(gateway: &Gateway) -> serde_json::Value {
    gateway.call("GET", "/readyz", "", None).json["degraded"].clone()
}

/// Waits until both are ready, writes at one what may have been stored during the outage, and waits until the other one follows.
fn are_back(here: &Gateway, there: &Gateway) {
    for gateway in [here, there] {
        gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
    }
    here.block(OTHER);
    there.until("following", |gateway| gateway.verdict(OTHER) == "block");
}

#[test]
fn checks_go_on_from_memory_and_writes_wait_for_nobody_while_the_database_is_gone() {
    let cluster = Cluster::new();
    let [a, b] = nodes(&cluster.database(), "");
    a.block(BLOCKED);
    b.until("blocked", |gateway| gateway.verdict(BLOCKED) == "block");

    cluster.kill();
    for gateway in [&a, &b] {
        gateway.until("unreachable", |gateway| degraded(gateway)["ledger"] == "unreachable");
        assert_eq!(gateway.verdict(BLOCKED), "block");
        assert_eq!(gateway.verdict(OTHER), "allow");
        let refused = gateway.post("/senders/support/entries", json!({ "number": OTHER }));
        assert_eq!(
            (refused.status, &refused.json["error"]["code"]),
            (503, &json!("unavailable")),
            "{}",
            refused.text
        );
        assert!(refused.headers.contains_key("retry-after"));
        gateway.until_logged("THE LEDGER CAN'T BE REACHED");
        // Metrics are shown all the same.
        assert!(gateway.metrics().contains("portcullis_ledger_state{state=\"unreachable\"} 1"));
        gateway.until("on its own", |gateway| gateway.metric("portcullis_fleet_nodes ", "") == 1);
    }

    cluster.start_again();
    b.until("back", |gateway| degraded(gateway).is_null());
    b.block(OTHER);
    a.until("following", |gateway| gateway.verdict(OTHER) == "block");
    a.until_logged("the ledger can be reached again");
}

#[test]
fn a_frozen_database_stalls_no_check_and_what_was_written_is_followed_when_it_thaws() {
    let cluster = Cluster::new();
    let [a, b] = nodes(&cluster.database(), "stale_after = \"200ms\"\nwhen_stale = \"unready\"\n");
    a.block(BLOCKED);
    b.until("blocked", |gateway| gateway.verdict(BLOCKED) == "block");

    cluster.freeze();
    for gateway in [&a, &b] {
        gateway.until("not ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 503);
        assert_eq!(gateway.verdict(BLOCKED), "block");
        assert!(degraded(gateway)["staleness_ms"].as_u64() >= Some(200));
        for path in ["/senders/support/check", "/tenant/check"] {
            let checked = gateway.post(path, json!({ "number": BLOCKED, "direction": "inbound" }));
            let staleness: u64 = checked.header("portcullis-staleness-ms").parse().unwrap();
            assert!((200..60_000).contains(&staleness), "{staleness}");
        }
    }
    let refused = a.post("/senders/support/entries", json!({ "number": OTHER }));
    assert_eq!(refused.status, 503, "{}", refused.text);

    cluster.thaw();
    // Whether the write was stored was unknown. Now it is, on both.
    are_back(&a, &b);
}

#[test]
fn a_gateway_that_is_to_be_closed_when_stale_blocks_everybody_then() {
    let cluster = Cluster::new();
    let [gateway] = nodes(&cluster.database(), "stale_after = \"300ms\"\nwhen_stale = \"closed\"\n");
    gateway.until("fresh", |gateway| gateway.verdict(OTHER) == "allow");

    cluster.freeze();
    gateway.until("closed", |gateway| gateway.verdict(OTHER) == "block");
    let answer = gateway.post("/senders/support/check", json!({ "number": OTHER, "direction": "inbound" }));
    assert_eq!(answer.json["source"], "policy", "{}", answer.text);
    gateway.until_logged(
        "THIS GATEWAY IS STALE: it does not know what others wrote lately, and blocks all messages",
    );

    cluster.thaw();
    gateway.until("open", |gateway| gateway.verdict(OTHER) == "allow");
    gateway.until_logged("this gateway is no longer stale");
}

/// Writes that nothing was stored of.
fn is_refused(gateway: &Gateway, status: u16) {
    let refused = gateway.post("/senders/support/entries", json!({ "number": OTHER }));
    assert_eq!(refused.status, status, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    assert_eq!(gateway.verdict(OTHER), "allow");
    assert_eq!(gateway.verdict(BLOCKED), "block");
}

#[test]
fn a_database_that_is_read_only_takes_no_writes_and_checks_go_on() {
    let cluster = Cluster::new();
    let [a, b] = nodes(&cluster.database(), "");
    a.block(BLOCKED);
    b.until("blocked", |gateway| gateway.verdict(BLOCKED) == "block");
    cluster.set("default_transaction_read_only", "on");
    for gateway in [&a, &b] {
        gateway.until("read-only", |gateway| {
            gateway.post("/senders/support/entries", json!({ "number": BLOCKED, "reason": "again" })).status
                == 503
        });
        is_refused(gateway, 503);
    }
    a.until("it can't say that it is there", |gateway| {
        let says = |told: String| {
            told.contains("THE DATABASE TAKES NO REPORTS") && told.contains("n1: not heard of for ")
        };
        try_status(gateway).is_ok_and(says)
    });
    a.until("on its own", |gateway| gateway.metric("portcullis_fleet_nodes ", "") == 1);
    cluster.set("default_transaction_read_only", "off");
    a.until("writable", |gateway| {
        gateway.post("/senders/support/entries", json!({ "number": OTHER })).status == 200
    });
    b.until("following", |gateway| gateway.verdict(OTHER) == "block");
}

#[test]
#[expect(clippy::print_stderr, reason = "somebody reads it")]
fn a_database_without_space_takes_no_writes_and_checks_go_on() {
    let cluster = Cluster::new();
    let Some(disk) = cluster.small_disk() else {
        eprintln!("SKIPPED: only root can mount a small disk");
        return;
    };
    let url = disk.database(&cluster);
    let [a, b] = nodes(&url, "");
    a.block(BLOCKED);
    b.until("blocked", |gateway| gateway.verdict(BLOCKED) == "block");
    disk.fill();
    // There is room in pages that are there already.
    let full = AtomicUsize::new(0);
    a.until("full", |gateway| {
        let n = full.fetch_add(1, Ordering::SeqCst);
        let numbers: Vec<_> = (0..1000).map(|k| format!("+4673{:07}", 3_000_000 + 1000 * n + k)).collect();
        gateway.post("/senders/support/entries", json!({ "numbers": numbers })).status != 200
    });
    let numbers: Vec<_> = (0..1000).map(|k| format!("+4673{:07}", 2_900_000 + k)).collect();
    a.post("/senders/support/entries", json!({ "numbers": numbers })).error(507, "storage_full");
    for gateway in [&a, &b] {
        assert_eq!(gateway.verdict(&numbers[0]), "allow", "a batch is stored whole, or not at all");
        assert_eq!(gateway.verdict(BLOCKED), "block");
    }
    assert_eq!(degraded(&a)["ledger"], "failing");
    assert_eq!(a.metric("portcullis_ledger_ok", ""), 0);
    a.until("in the log", |gateway| gateway.logged("THE LEDGER CAN'T BE WRITTEN"));
    disk.empty();
    a.until("tried again", |gateway| degraded(gateway).is_null());
    a.post("/senders/support/entries", json!({ "numbers": numbers })).ok();
    b.until("following", |gateway| gateway.verdict(&numbers[999]) == "block");
}

#[test]
fn a_deadlock_with_somebody_who_locks_tables_takes_no_plugin_out_of_service() {
    let cluster = Cluster::new();
    // Later than the other one asks for its second lock, and before the gateway gives up waiting.
    cluster.set("deadlock_timeout", "1500ms");
    let url = cluster.database();
    let database = name_of(&url);
    let strait = Strait::to(&url);
    let [a, b] = start([config(&url, "n0", ""), config(&strait.url(), "n1", "")]);
    strait.hold_next(CHANGES);
    a.block(BLOCKED);
    strait.hold(CHANGES);
    std::thread::scope(|scope| {
        let locking = scope.spawn(|| {
            cluster.sql(
                database,
                "SET deadlock_timeout = '1min'; BEGIN; LOCK TABLE records; SELECT pg_sleep(1); LOCK TABLE lists; COMMIT",
            )
        });
        cluster.until(
            database,
            "EXISTS (SELECT FROM pg_locks WHERE relation = 'records'::regclass AND mode = 'AccessExclusiveLock' AND granted)",
        );
        strait.release();
        locking.join().unwrap();
    });
    b.until("following", |gateway| gateway.verdict(BLOCKED) == "block");
    assert!(!b.logged("the plugin failed"), "{}", b.log());
}

#[test]
fn changes_of_tenants_that_a_failover_undoes_are_named_and_counted() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    let put = |name: &str, tokens: &[&str]| {
        let settings = json!({ "tokens": tokens, "senders": [{ "id": "bot" }] });
        a.admin("PUT", &format!("/{name}"), Some(settings)).status
    };
    assert_eq!(put("forgotten", &["forgotten-secret"]), 201);
    assert_eq!(put("revoked", &["revoked-secret", "revoked-old"]), 201);
    b.until("there", |gateway| gateway.admin("GET", "/revoked", None).status == 200);
    primary.catch_up(&standby);
    standby.cut_off();
    a.admin("DELETE", "/forgotten?confirm=forgotten", None).ok();
    assert_eq!(put("revoked", &["revoked-secret"]), 200);
    b.until("forgotten", |gateway| gateway.admin("GET", "/forgotten", None).status == 404);
    primary.kill();
    standby.promote();
    a.until("counted", |gateway| gateway.metric("portcullis_fleet_changes_lost_total", "") == 2);
    a.until("named", |gateway| gateway.log_lines("A CHANGE OF THE TENANT WAS LOST") == 2);
    b.until("back", |gateway| gateway.admin("GET", "/forgotten", None).status == 200);
    assert_eq!(b.metric("portcullis_fleet_changes_lost_total", ""), 0, "they were not its own");
}

#[test]
fn a_database_that_stalls_keeps_no_check_waiting_and_writes_end_at_their_deadline() {
    let cluster = Cluster::new();
    let url = cluster.database();
    let [a, b] = nodes(&url, "stale_after = \"500ms\"\nwhen_stale = \"unready\"\n");
    a.block(BLOCKED);
    b.until("blocked", |gateway| gateway.verdict(BLOCKED) == "block");

    let stalled = cluster.stall(name_of(&url));
    for gateway in [&a, &b] {
        gateway.until("not ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 503);
        assert_eq!((gateway.verdict(BLOCKED), gateway.verdict(OTHER)), ("block".into(), "allow".into()));
    }
    // The client's own limit is 60 seconds.
    let refused = a.post("/senders/support/entries", json!({ "number": OTHER }));
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    assert_eq!(a.verdict(BLOCKED), "block");

    drop(stalled);
    are_back(&a, &b);
}

#[test]
fn gateways_go_by_the_clock_of_the_database_when_theirs_is_an_hour_off() {
    for (ahead, hours) in [("1 hour", 1), ("-1 hour", -1)] {
        let cluster = Cluster::new();
        let url = cluster.database_with_clock();
        cluster.set_clock(name_of(&url), ahead);
        let [a, b] = nodes(&url, "");
        let there = || jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let soon = (there() + jiff::SignedDuration::from_secs(3)).to_string();
        a.post("/senders/support/entries", json!({ "number": BLOCKED, "expires": soon })).ok();
        for gateway in [&a, &b] {
            gateway.until("expired", |gateway| gateway.verdict(BLOCKED) == "allow");
        }
        let past = (there() - jiff::SignedDuration::from_secs(3)).to_string();
        let refused = a.post("/senders/support/entries", json!({ "number": BLOCKED, "expires": past }));
        refused.error(400, "invalid_request");
        // Each message says when it was written, or arrives at once.
        for dated in [false, true] {
            for (word, verdict) in
                [("STOP", "block"), ("START", "allow"), ("STOP", "block"), ("START", "allow")]
            {
                let mut message =
                    json!({ "sender": OTHER, "recipient": "support", "direction": "inbound", "body": word });
                if dated {
                    message["timestamp"] = json!(there().to_string());
                }
                a.post("/route", message).ok();
                for gateway in [&a, &b] {
                    gateway
                        .until(word, |gateway| gateway.verdict_of("support", OTHER, "outbound") == verdict);
                }
            }
        }
    }
}

#[test]
fn a_write_that_was_said_not_to_be_stored_is_not_stored_when_it_arrives_late() {
    /// What only a write sends.
    const STORING: &str = "INSERT INTO records (list, sequence, step";
    let cluster = Cluster::new();
    let url = cluster.database();
    let strait = Strait::to(&url);
    let [a, b] = start([config(&url, "n0", ""), config(&strait.url(), "n1", "")]);
    a.block(BLOCKED);
    // The statement is prepared then, so that nothing but its execution is held up.
    b.block("+46732001124");
    strait.hold_next(STORING);
    let refused = b.post("/senders/support/entries", json!({ "number": OTHER }));
    refused.error(503, "unavailable");
    strait.release();
    // What is under way is there once these are.
    for gateway in [&b, &a] {
        gateway.until("writing", |gateway| {
            let body = json!({ "number": BLOCKED, "reason": "again" });
            gateway.post("/senders/support/entries", body).status == 200
        });
    }
    cluster.until(name_of(&url), "NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%INTO records%' AND pid <> pg_backend_pid())");
    assert_eq!(a.verdict(OTHER), "allow");
    assert_eq!(cluster.sql(name_of(&url), "SELECT count(*) FROM entries").trim(), "2");
}
