//! What gateways do when the primary dies and its standby takes over.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::cluster::{Cluster, name_of, url};
use crate::nodes;
use crate::support::Gateway;

/// A primary and its standby, and the URL of a database on both.
fn pair() -> (Cluster, Cluster, String) {
    let primary = Cluster::new();
    let database = primary.database();
    let standby = primary.standby();
    primary.catch_up(&standby);
    let url = url(&[&primary, &standby], name_of(&database));
    (primary, standby, url)
}

fn number(n: usize) -> String {
    format!("+467320{:05}", 11_000 + n)
}

#[test]
fn a_check_with_the_position_of_a_lost_write_is_refused() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    let written = a.post("/senders/support/entries", json!({ "number": number(2) }));
    let position = written.header("portcullis-position");
    let check = |gateway: &Gateway| {
        let body = json!({ "number": number(2), "direction": "inbound" });
        gateway.check_since("/senders/support/check", position, body)
    };
    assert_eq!(check(&b).ok()["verdict"], "block");

    primary.kill();
    standby.promote();
    for gateway in [&a, &b] {
        gateway.until("refused", |gateway| check(gateway).status == 409);
        check(gateway).error(409, "position_lost");
    }
    // It is repeated, and now the ledger has as much as the position asks for.
    a.until("writing", |gateway| blocks(gateway, &number(2)));
    let checked = check(&b);
    assert_eq!((&checked.ok()["verdict"], &checked.json["source"]), (&json!("block"), &json!("ledger")));
}

/// Blocks a number. Returns whether that was acknowledged.
fn blocks(gateway: &Gateway, number: &str) -> bool {
    let answer = gateway.post("/senders/support/entries", json!({ "number": number }));
    assert!([200, 503].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

#[test]
fn no_acknowledged_write_is_lost_if_commits_wait_for_the_standby() {
    let (primary, standby, url) = pair();
    let gateways: [Gateway; 2] = nodes(&url, "");
    primary.wait_for_standby();

    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let acknowledged: Vec<usize> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (gateway, next, is_over) = (&gateways[writer % 2], &next, &is_over);
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if blocks(gateway, &number(n)) {
                            acknowledged.push(n);
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let written = || next.load(Ordering::SeqCst);
        gateways[0].until("writing", |_| written() > 100);
        primary.kill();
        standby.promote();
        let before = written();
        gateways[0].until("writing again", |_| written() > before + 100);
        is_over.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for gateway in &gateways {
        gateway
            .until("following", |gateway| gateway.call("GET", "/readyz", "", None).json["status"] == "ready");
        for n in &acknowledged {
            gateway.until("blocked", |gateway| gateway.verdict(&number(*n)) == "block");
        }
        // Nothing was lost that a gateway had read.
        assert_eq!(gateway.metric("portcullis_fleet_histories_lost_total", ""), 0);
    }
}

#[test]
fn gateways_agree_with_the_new_primary_if_commits_were_lost() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    let (kept, lost, other) = (number(1), number(2), number(3));
    assert!(blocks(&a, &kept));
    primary.catch_up(&standby);
    standby.cut_off();
    assert!(blocks(&a, &lost));
    b.until("blocked", |gateway| gateway.verdict(&lost) == "block");

    primary.kill();
    // Until another server takes over, the gateways answer as before.
    assert_eq!(a.verdict(&lost), "block");
    standby.promote();
    // The numbers of the lost commits are used again, for other changes.
    a.until("writing", |gateway| blocks(gateway, &other) && blocks(gateway, &number(4)));
    for gateway in [&a, &b] {
        gateway.until("as the new primary", |gateway| gateway.verdict(&lost) == "allow");
        gateway.until("following", |gateway| gateway.verdict(&other) == "block");
        assert_eq!(gateway.verdict(&kept), "block");
        assert!(gateway.metric("portcullis_fleet_histories_lost_total", "") > 0);
        assert!(gateway.logged("THE LEDGER HAS LOST CHANGES"));
    }
    // Both go on.
    assert!(blocks(&b, &lost));
    a.until("blocked", |gateway| gateway.verdict(&lost) == "block");
}
