//! Senders of a tenant of the admin API that are added and removed through several gateways at once, as through a balancer.

use std::thread;

use serde_json::{Value, json};

use crate::cluster::cluster;
use crate::nodes as start;
use crate::support::Gateway;

const SENDERS: usize = 20;

fn put_tenant(gateway: &Gateway) {
    let put = gateway.admin("PUT", "/initech", Some(json!({ "tokens": ["initech-secret"] })));
    assert_eq!(put.status, 201, "{}", put.text);
}

#[track_caller]
fn put_sender(gateway: &Gateway, number: usize) {
    let put = gateway.admin("PUT", &format!("/initech/senders/s{number}"), Some(json!({})));
    assert_eq!(put.status, 201, "{}", put.text);
}

#[track_caller]
fn remove_sender(gateway: &Gateway, number: usize) {
    gateway.admin("DELETE", &format!("/initech/senders/s{number}"), None).ok();
}

/// The senders that a gateway says the tenant has, in order.
fn senders(gateway: &Gateway) -> Vec<String> {
    let answer = gateway.admin("GET", "/initech", None);
    let senders = answer.json["settings"]["senders"].as_array().cloned().unwrap_or_default();
    let name = |sender: &Value| sender["id"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = senders.iter().map(name).collect();
    names.sort_unstable();
    names
}

/// Waits until these senders, and no others, are there and can be asked.
fn until_served(gateway: &Gateway, numbers: impl Iterator<Item = usize>) {
    let mut expected: Vec<String> = numbers.map(|number| format!("s{number}")).collect();
    expected.sort_unstable();
    gateway.until("all senders", |gateway| senders(gateway) == expected);
    for sender in &expected {
        let check = json!({ "number": "+46732001122", "direction": "outbound" });
        gateway.api("POST", &format!("/senders/{sender}/check"), "initech-secret", Some(check)).ok();
    }
}

#[test]
fn senders_that_are_changed_through_either_gateway_are_all_there_in_the_end() {
    let gateways: [Gateway; 2] = start(&cluster().database(), "");
    let [a, b] = &gateways;
    let by = |number: usize| &gateways[number % 2];
    put_tenant(b);
    // One after the other: the first one at a gateway that may not know the tenant yet.
    for number in 0..SENDERS {
        put_sender(by(number), number);
    }
    for gateway in &gateways {
        until_served(gateway, 0..SENDERS);
    }
    // Each at the gateway that did not add it.
    for number in (0..SENDERS).filter(|number| number % 3 == 0) {
        remove_sender(by(number + 1), number);
    }
    // Two at the same moment.
    for number in (SENDERS..2 * SENDERS).step_by(2) {
        thread::scope(|scope| {
            scope.spawn(|| put_sender(a, number));
            scope.spawn(|| put_sender(b, number + 1));
        });
    }
    for gateway in &gateways {
        until_served(gateway, (0..2 * SENDERS).filter(|number| *number >= SENDERS || number % 3 != 0));
    }
    a.admin("DELETE", "/initech/senders/s0", None).error(404, "unknown_sender");
}

#[test]
fn a_gateway_that_starts_takes_back_nothing_that_is_changed_meanwhile() {
    let [a, mut b] = start(&cluster().database(), "");
    put_tenant(&a);
    let mut added = 0;
    thread::scope(|scope| {
        let restart = scope.spawn(|| b.restart());
        while !restart.is_finished() {
            put_sender(&a, added);
            added += 1;
        }
    });
    for gateway in [&a, &b] {
        until_served(gateway, 0..added);
    }
}
