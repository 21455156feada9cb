//! The master key of gateways that share a ledger is rotated.

use std::path::Path;

use serde_json::json;

use crate::cluster::cluster;
use crate::support::{ADMIN, Answer, Gateway, refused_start};
use crate::{KEY, config, folder, nodes, put_key};

const NUMBER: &str = "+46732001122";

fn rotate(gateway: &Gateway) -> Answer {
    gateway.api("POST", "/admin/keys/master/rotate", ADMIN, None)
}

fn status(gateway: &Gateway) -> Answer {
    gateway.api("GET", "/admin/keys/master", ADMIN, None)
}

fn keys_in(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("portcullis.key")).unwrap()
}

#[test]
fn the_key_is_rotated_once_all_gateways_have_the_new_one() {
    let url = cluster().database();
    let [a, mut b] = nodes(&url, "");
    a.block(NUMBER);
    a.until("both are known", |gateway| {
        let fleet = gateway.api("GET", "/admin/fleet", ADMIN, None);
        let nodes = fleet.ok()["nodes"].as_array().unwrap().clone();
        nodes.iter().filter(|node| node["live"] == true && node["program"].is_string()).count() == 2
    });
    let refused = rotate(&a);
    let why = refused.error(409, "key_not_rotated");
    assert!(why.contains("is not known to n1"), "{why}");
    // The file has the new key now, and is copied to the others.
    let both = keys_in(a.folder());
    assert!(both.starts_with(KEY) && both.lines().count() == 2);
    put_key(b.folder(), &both);
    a.until("all have it", |gateway| rotate(gateway).status == 200);
    let new = keys_in(a.folder());
    assert_eq!(both, format!("{KEY}{new}"));
    let in_use = status(&a).ok()["fingerprint"].clone();
    assert_eq!(status(&b).ok()["fingerprint"], in_use);

    // Both write and add tenants as before.
    b.block("+46732001123");
    a.until("blocked", |gateway| gateway.verdict("+46732001123") == "block");
    let initech = json!({ "tokens": ["initech-token"], "senders": [{ "id": "x" }] });
    assert_eq!(b.admin("PUT", "/initech", Some(initech)).status, 201);
    put_key(b.folder(), &new);
    b.until("the file is in order", |gateway| {
        status(gateway).ok()["others"] == json!([])
            && gateway.call("GET", "/readyz", "", None).json["status"] == "ready"
    });
    b.kill_and_restart();
    assert_eq!((b.verdict(NUMBER), status(&b).ok()["fingerprint"].clone()), ("block".into(), in_use));
    // A gateway that has only the old key is refused.
    let old = folder();
    let refused = refused_start(old.path(), &config(&url, "n2", ""));
    assert!(refused.contains("the master key is not the one"), "{refused}");
}
