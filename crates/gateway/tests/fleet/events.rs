//! Change events, of which each is delivered by one of the gateways.

use serde_json::json;

use crate::cluster::Cluster;
use crate::stand::{Received, Stand};
use crate::support::Gateway;
use crate::{config, folder};

/// The sequence numbers that were delivered, in order.
fn told(received: &[Received]) -> Vec<u64> {
    let records = received.iter().flat_map(|part| part.json()["records"].as_array().unwrap().clone());
    records.map(|record| record["sequence"].as_u64().unwrap()).collect()
}

fn block(gateway: &Gateway, n: usize) {
    gateway.post("/senders/support/entries", json!({ "number": format!("+467320{:05}", 11_000 + n) })).ok();
}

#[test]
fn each_event_is_delivered_once_and_another_gateway_goes_on_when_one_stops_or_dies() {
    let cluster = Cluster::new();
    let url = cluster.database();
    let stand = Stand::good();
    let events = format!(
        "tokens = [\"acme-secret\"]\nevents = {{ url = \"{}/changes\", secret = \"events-secret\" }}",
        stand.url()
    );
    let node = |n: usize| {
        let config = config(&url, &format!("n{n}"), "").replacen("tokens = [\"acme-secret\"]", &events, 1);
        Gateway::in_folder(folder(), &config, if n == 0 { &["--new-ledger"] } else { &[] })
    };
    let [mut a, mut b, c] = [0, 1, 2].map(node);
    let is_told = |upto: u64| told(&stand.received()).last() == Some(&upto);

    for n in 0..20 {
        block([&a, &b, &c][n % 3], n);
    }
    a.until("told", |_| is_told(20));
    assert_eq!(told(&stand.received()), (1..=20).collect::<Vec<_>>(), "in order, and once");

    a.stop();
    block(&b, 20);
    b.until("told", |_| is_told(21));
    b.kill();
    block(&c, 21);
    c.until("told", |_| is_told(22));
    // The one that died may not have noted its last delivery.
    let mut told = told(&stand.received());
    told.dedup();
    assert_eq!(told, (1..=22).collect::<Vec<_>>());
}
