//! What gateways do when the primary dies and its standby takes over.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::cluster::{Cluster, name_of, url};
use crate::support::{Answer, Gateway, outcomes};
use crate::{config, nodes, start};

/// A primary and its standby, and the URL of a database on both.
pub(crate) fn pair() -> (Cluster, Cluster, String) {
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

/// Checks a number with the position after the write that blocked it.
fn check(gateway: &Gateway, number: &str, position: &str) -> Answer {
    let body = json!({ "number": number, "direction": "inbound" });
    gateway.check_since("/senders/support/check", position, body)
}

#[test]
fn a_check_with_the_position_of_a_lost_write_is_refused() {
    let (primary, standby, url) = pair();
    let [mut a, b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    let written = a.post("/senders/support/entries", json!({ "number": number(2) }));
    let position = written.header("portcullis-position");
    assert_eq!(check(&b, &number(2), position).ok()["verdict"], "block");

    // With the gateway that would make it again.
    a.kill();
    primary.kill();
    standby.promote();
    b.until("refused", |gateway| check(gateway, &number(2), position).status == 409);
    check(&b, &number(2), position).error(409, "position_lost");
    // It is repeated, and now the ledger has as much as the position asks for.
    b.until("writing", |gateway| blocks(gateway, &number(2)));
    let checked = check(&b, &number(2), position);
    assert_eq!((&checked.ok()["verdict"], &checked.json["source"]), (&json!("block"), &json!("ledger")));
}

#[test]
fn a_check_with_a_position_of_a_list_that_was_lost_is_refused_when_there_is_another_in_its_place() {
    const NEW: &str = "[[tenants.senders]]\nid = \"sales\"\n";
    let (primary, standby, url) = pair();
    let configs = ["n0", "n1"].map(|node| config(&url, node, ""));
    let [mut a, mut b] = start(configs.clone().map(|config| config.replace(NEW, "")));
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    for (gateway, config) in [&mut a, &mut b].into_iter().zip(configs) {
        assert!(config.contains(NEW));
        std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
        gateway.restart();
    }
    let body = json!({ "number": number(2), "direction": "inbound" });
    let check = |gateway: &Gateway, sender: &str, position: &str| {
        gateway.check_since(&format!("/senders/{sender}/check"), position, body.clone())
    };
    let written = a.post("/senders/sales/entries", json!({ "number": number(2) }));
    let lost = written.header("portcullis-position").to_owned();
    assert_eq!(check(&b, "sales", &lost).ok()["verdict"], "block");
    // It makes no difference to the check of another list.
    assert_eq!(check(&b, "support", &lost).ok()["verdict"], "allow");

    a.kill();
    primary.kill();
    standby.promote();
    b.kill();
    b.run_again_with(&[]);
    check(&b, "sales", &lost).error(409, "position_lost");
    let again = b.post("/senders/sales/entries", json!({ "number": number(2) }));
    let again = again.header("portcullis-position");
    assert_eq!(check(&b, "sales", again).ok()["verdict"], "block");
    check(&b, "sales", &format!("{lost}, {again}")).error(409, "position_lost");
}

#[test]
fn a_check_with_the_position_of_a_write_that_is_made_again_never_passes_without_it() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    let written = a.post("/senders/support/entries", json!({ "number": number(2) }));
    let position = written.header("portcullis-position");

    primary.kill();
    standby.promote();
    for gateway in [&b, &a] {
        gateway.until("made again", |gateway| {
            let checked = check(gateway, &number(2), position);
            assert!([200, 409, 503].contains(&checked.status), "{}", checked.text);
            assert!(checked.status != 200 || checked.json["verdict"] == "block", "{}", checked.text);
            checked.status == 200 && checked.json["source"] == "ledger"
        });
    }
    assert_eq!(a.metric("portcullis_fleet_writes_lost_total ", ""), 1);
}

/// Blocks a number. Returns whether that was acknowledged.
fn blocks(gateway: &Gateway, number: &str) -> bool {
    let answer = gateway.post("/senders/support/entries", json!({ "number": number }));
    assert!([200, 503].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

/// How often a primary is killed: once, or 20 times in the long form.
fn rounds() -> usize {
    if std::env::var_os("PORTCULLIS_SOAK").is_some() { 20 } else { 1 }
}

#[test]
fn no_acknowledged_write_is_lost_if_commits_wait_for_the_standby() {
    (0..rounds()).for_each(|_| kill_a_primary_whose_commits_wait());
}

fn kill_a_primary_whose_commits_wait() {
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
fn a_gateway_makes_its_own_writes_again_that_a_new_primary_lacks() {
    (0..rounds()).for_each(|_| kill_a_primary_that_is_ahead());
}

fn kill_a_primary_that_is_ahead() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    let (kept, lost, other, lifted) = (number(1), number(2), number(3), number(5));
    assert!(blocks(&a, &kept) && blocks(&a, &lifted));
    primary.catch_up(&standby);
    standby.cut_off();
    assert!(blocks(&a, &lost));
    a.delete("/senders/support/entries", json!({ "number": lifted })).ok();
    b.until("blocked", |gateway| gateway.verdict(&lost) == "block");

    primary.kill();
    // Until another server takes over, the gateways answer as before.
    assert_eq!(a.verdict(&lost), "block");
    standby.promote();
    // The numbers of the lost commits are used again, for other changes.
    b.until("writing", |gateway| blocks(gateway, &other) && blocks(gateway, &number(4)));
    a.until("making them again", |gateway| gateway.metric("portcullis_fleet_writes_lost_total", "") == 2);
    a.until_logged("an acknowledged write was lost, and is made again");
    assert!(!a.logged(&lost), "not by its number");
    for gateway in [&a, &b] {
        gateway.until("following", |gateway| gateway.verdict(&other) == "block");
        gateway.until("as before", |gateway| {
            [&kept, &lost, &lifted].map(|number| gateway.verdict(number)) == ["block", "block", "allow"]
        });
    }
    // The list of one of them may have been filled again for another reason before it was found.
    a.until("found", |_| {
        [&a, &b].iter().any(|gateway| {
            gateway.metric("portcullis_fleet_histories_lost_total", "") > 0
                && gateway.logged("THE LEDGER HAS LOST CHANGES")
        })
    });
    assert_eq!(b.metric("portcullis_fleet_writes_lost_total", ""), 0, "they were not its own");
    // Both go on.
    assert!(blocks(&b, &number(6)));
    a.until("blocked", |gateway| gateway.verdict(&number(6)) == "block");
}

#[test]
fn gateways_agree_with_the_new_primary_if_the_writer_is_gone_too() {
    let (primary, standby, url) = pair();
    let [mut a, b] = nodes(&url, "");
    let (kept, lost, other) = (number(1), number(2), number(3));
    assert!(blocks(&a, &kept));
    primary.catch_up(&standby);
    standby.cut_off();
    assert!(blocks(&a, &lost));
    b.until("blocked", |gateway| gateway.verdict(&lost) == "block");
    a.kill();
    primary.kill();
    standby.promote();
    b.until("writing", |gateway| blocks(gateway, &other) && blocks(gateway, &number(4)));
    b.until("as the new primary", |gateway| gateway.verdict(&lost) == "allow");
    assert_eq!([&kept, &other].map(|number| b.verdict(number)), ["block", "block"]);
    assert!(b.metric("portcullis_fleet_histories_lost_total", "") > 0);
    b.until_logged("THE LEDGER HAS LOST CHANGES");
    assert!(blocks(&b, &lost));
    assert_eq!(b.verdict(&lost), "block");
}

#[test]
fn writes_that_survive_a_crash_are_made_again_after_the_failover_that_follows() {
    let (primary, standby, url) = pair();
    let [a, mut b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    assert!(blocks(&a, &number(2)));
    primary.kill();
    primary.start_again();
    // By the last of them it has found that nothing was lost.
    for n in 10..40 {
        a.until("writing", |gateway| blocks(gateway, &number(n)));
    }
    primary.kill();
    standby.promote();
    let lost = |gateway: &Gateway| gateway.metric("portcullis_fleet_writes_lost_total", "");
    a.until("making them again", |gateway| lost(gateway) > 0);
    // It has nothing but what the new primary has.
    b.restart();
    for n in [1, 2, 11, 39] {
        assert_eq!(b.verdict(&number(n)), "block", "{n}");
    }
}

#[test]
fn a_write_that_changed_nothing_is_made_again_if_what_it_found_is_lost() {
    let (primary, standby, url) = pair();
    let [a, mut b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    for hold in ["operator", "opt_out"] {
        let body = json!({ "number": number(2), "hold": hold });
        b.post("/senders/support/entries", body.clone()).ok();
        assert_eq!(outcomes(&a.post("/senders/support/entries", body)), ["already"]);
    }
    b.kill();
    primary.kill();
    standby.promote();
    let lost = |gateway: &Gateway| gateway.metric("portcullis_fleet_writes_lost_total", "");
    a.until("making it again", |gateway| lost(gateway) > 0);
    b.run_again_with(&[]);
    assert_eq!([&a, &b].map(|gateway| gateway.verdict(&number(2))), ["block", "block"]);
}

#[test]
fn a_write_that_is_made_again_undoes_nothing_that_was_acknowledged_meanwhile() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    let people = [2, 3, 4, 5].map(number);
    let [repeated, told, twice, stranger] = &people;
    for number in [repeated, told, twice] {
        assert!(blocks(&a, number));
    }
    primary.catch_up(&standby);
    standby.cut_off();
    for number in [repeated, told, twice] {
        a.delete("/senders/support/entries", json!({ "number": number })).ok();
    }
    assert!(blocks(&a, stranger));

    a.signal("-STOP");
    primary.kill();
    standby.promote();
    let lifts = |gateway: &Gateway, number: &str| {
        gateway.delete("/senders/support/entries", json!({ "number": number })).status == 200
    };
    let tells = |gateway: &Gateway| {
        let body = json!({ "number": told, "reason": "again rude" });
        gateway.post("/senders/support/entries", body).status == 200
    };
    b.until("writing", |gateway| blocks(gateway, &number(6)));
    b.until("repeating", |gateway| blocks(gateway, repeated));
    b.until("telling", tells);
    b.until("lifting", |gateway| lifts(gateway, twice));
    b.until("blocking", |gateway| blocks(gateway, twice));
    b.until("lifting", |gateway| lifts(gateway, stranger));

    a.signal("-CONT");
    a.until("making them again", |gateway| gateway.metric("portcullis_fleet_writes_lost_total", "") == 4);
    a.until("writing", |gateway| blocks(gateway, &number(7)));
    for gateway in [&a, &b] {
        gateway.until("following", |gateway| gateway.verdict(&number(7)) == "block");
        let verdicts = people.each_ref().map(|number| gateway.verdict(number));
        assert_eq!(verdicts, ["block", "block", "block", "allow"]);
    }
}

#[test]
fn a_lost_write_is_made_again_although_another_gateway_did_nearly_the_same_meanwhile() {
    let (primary, standby, url) = pair();
    let [a, b] = nodes(&url, "");
    assert!(blocks(&a, &number(1)));
    primary.catch_up(&standby);
    standby.cut_off();
    assert!(blocks(&a, &number(2)) && blocks(&a, "user:US.1000000001"));

    a.signal("-STOP");
    primary.kill();
    standby.promote();
    // They get the numbers of the changes that were lost.
    b.until("blocking", |gateway| {
        let body = json!({ "number": number(2), "directions": ["inbound"], "hold": "opt_out" });
        gateway.post("/senders/support/entries", body).status == 200
    });
    b.until("blocking", |gateway| blocks(gateway, "user:US.2000000002"));

    a.signal("-CONT");
    a.until("making them again", |gateway| gateway.metric("portcullis_fleet_writes_lost_total", "") == 2);
    for gateway in [&a, &b] {
        for person in [&number(2), "user:US.1000000001", "user:US.2000000002"] {
            // A user id is looked up in the database, which may just be connected to again.
            let body = json!({ "number": person, "direction": "outbound" });
            let check = |gateway: &Gateway| gateway.post("/senders/support/check", body.clone());
            gateway.until(&format!("blocking {person} again"), |gateway| {
                check(gateway).json["verdict"] == "block"
            });
        }
    }
}
