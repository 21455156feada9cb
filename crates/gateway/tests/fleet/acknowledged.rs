//! Writes that are acknowledged once all gateways have them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::cluster;
use crate::strait::{CHANGES, Strait};
use crate::support::Gateway;
use crate::{config, start};

/// A configuration whose tenant `acme` has its writes acknowledged by all.
fn by_all(url: &str, node: &str) -> String {
    config(url, node, "").replace("id = \"acme\"\n", "id = \"acme\"\nacknowledge = \"fleet\"\n")
}

fn number(n: usize) -> String {
    format!("+467320{:05}", 11_000 + n)
}

/// How long it takes until a block is acknowledged.
fn time_to_block(gateway: &Gateway, number: &str) -> Duration {
    let began = Instant::now();
    gateway.block(number);
    began.elapsed()
}

#[test]
fn a_write_holds_on_all_gateways_when_it_is_acknowledged() {
    let url = cluster().database();
    let [a, b, c] = start([by_all(&url, "n0"), by_all(&url, "n1"), by_all(&url, "n2")]);
    for n in 0..30 {
        a.block(&number(n));
        assert_eq!((b.verdict(&number(n)), c.verdict(&number(n))), (json!("block"), json!("block")), "{n}");
        b.delete("/senders/support/entries", json!({ "number": number(n) })).ok();
        assert_eq!((a.verdict(&number(n)), c.verdict(&number(n))), (json!("allow"), json!("allow")), "{n}");
    }
}

#[test]
fn a_frozen_gateway_holds_writes_up_until_it_counts_as_gone_and_again_when_it_goes_on() {
    let url = cluster().database();
    let [a, b] = start([by_all(&url, "n0"), by_all(&url, "n1")]);
    a.block(&number(0));
    b.signal("-STOP");
    let first = time_to_block(&a, &number(1));
    assert!(first > Duration::from_secs(1), "{first:?}");
    // Nobody waits for it now.
    let second = time_to_block(&a, &number(2));
    assert!(second < first / 2, "{first:?} {second:?}");

    b.signal("-CONT");
    b.until("following", |gateway| gateway.verdict(&number(2)) == "block");
    let is_back = "(SELECT count(*) = 2 FROM nodes WHERE until > clock_timestamp())";
    cluster().until(crate::cluster::name_of(&url), is_back);
    for n in 3..20 {
        a.block(&number(n));
        assert_eq!(b.verdict(&number(n)), "block", "{n}");
    }
}

#[test]
fn a_gateway_that_was_stopped_holds_nothing_up() {
    let url = cluster().database();
    let [a, mut b] = start([by_all(&url, "n0"), by_all(&url, "n1")]);
    a.block(&number(0));
    b.stop();
    let took = time_to_block(&a, &number(1));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_write_is_stored_although_a_gateway_that_is_alive_does_not_have_it_in_time() {
    let url = cluster().database();
    let strait = Strait::to(&url);
    let [a, b] = start([by_all(&url, "n0"), by_all(&strait.url(), "n1")]);
    a.block(&number(0));
    strait.hold_next(CHANGES);
    let late = a.post("/senders/support/entries", json!({ "number": number(1) }));
    assert!(late.error(503, "outcome_unknown").contains("is stored"), "{}", late.text);
    assert!(late.headers.contains_key("retry-after"));
    assert_eq!((a.verdict(&number(1)), b.verdict(&number(1))), (json!("block"), json!("allow")));
    // Another tenant does not ask for it.
    let entry = json!({ "number": number(1) });
    a.api("POST", "/senders/support/entries", crate::support::GLOBEX, Some(entry)).ok();

    strait.release();
    let again = a.block(&number(1));
    assert_eq!(again.json["results"][0]["outcome"], "already");
    assert_eq!(b.verdict(&number(1)), "block");
}

#[test]
fn an_opt_in_that_was_late_and_is_repeated_does_not_lift_an_opt_out_in_between() {
    let url = cluster().database();
    let strait = Strait::to(&url);
    let [a, b] = start([by_all(&url, "n0"), by_all(&strait.url(), "n1")]);
    let says = |gateway: &Gateway, id: &str, word: &str| {
        let message = json!({
            "sender": number(0), "recipient": "support", "direction": "inbound", "id": id, "body": word,
        });
        gateway.post("/route", message)
    };
    let verdict = |gateway: &Gateway| gateway.verdict_of("support", &number(0), "outbound");
    says(&a, "1", "STOP").ok();
    strait.hold_next(CHANGES);
    says(&a, "2", "START").error(503, "outcome_unknown");
    assert_eq!((verdict(&a), verdict(&b)), (json!("allow"), json!("block")), "it is stored");

    strait.release();
    says(&a, "3", "STOP").ok();
    for gateway in [&a, &b] {
        says(gateway, "2", "START").ok();
        assert_eq!((verdict(&a), verdict(&b)), (json!("block"), json!("block")));
    }
}

#[test]
fn an_opt_out_that_was_late_gets_its_confirmation() {
    let url = cluster().database();
    let strait = Strait::to(&url);
    let [a, _b] = start([by_all(&url, "n0"), by_all(&strait.url(), "n1")]);
    let stop = || {
        let message = json!({
            "sender": number(0), "recipient": "support", "direction": "inbound", "body": "STOP",
        });
        a.post("/route", message)
    };
    let confirm = || {
        let message = json!({
            "sender": "support", "recipient": number(0), "direction": "outbound", "body": "You are out",
        });
        a.post("/route", message)
    };
    a.block(&number(1));
    strait.hold_next(CHANGES);
    stop().error(503, "outcome_unknown");
    strait.release();
    stop().ok();
    confirm().ok();
    confirm().error(403, "blocked");
}
