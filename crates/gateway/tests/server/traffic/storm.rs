//! Many messages while the list changes, the plugin is reloaded, and the gateway is killed.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::json;

use super::super::support::{ACME, Gateway, variant};
use super::{PHONE_ID, Scene, ids, payload, signed, text};

/// The least number of messages, and of plugin reloads while they pass.
const MESSAGES: u64 = 10_000;
const RELOADS: u64 = 3;
/// If there are fewer reloads among so many messages, something is wrong.
const TOO_MANY: u64 = 500_000;
/// Numbers whose blocks come and go.
const CHANGING: u64 = 50;

/// In turn, a number that is never blocked, one that is always blocked, and one that changes.
fn from(n: u64) -> String {
    match n % 4 {
        0 => "16505551234".to_owned(),
        1 => "16505551235".to_owned(),
        _ => format!("1202555{:04}", n % CHANGING),
    }
}

/// When blocks were requested and acknowledged, by a clock that all threads share.
#[derive(Default)]
struct Times {
    /// The number, whether it is blocked from then on, and the times of request and acknowledgment.
    changes: Mutex<Vec<(String, bool, u64, u64)>>,
    clock: AtomicU64,
}

impl Times {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether a number may have been in this state at some time between the two.
    fn may_be(&self, number: &str, blocked: bool, since: u64, until: u64) -> bool {
        let changes = self.changes.lock().unwrap();
        let mut state = false;
        let mut may = false;
        let mut settled = 0;
        for (_, to, asked, done) in changes.iter().filter(|change| change.0 == number) {
            // Until the change is acknowledged, both states are possible.
            may |= state == blocked && settled <= until && since <= *done;
            may |= *to == blocked && *asked <= until && since <= *done;
            (state, settled) = (*to, *asked);
        }
        may || state == blocked && settled <= until
    }
}

#[test]
fn each_message_is_decided_by_the_list_of_its_time_and_none_is_lost_or_duplicated() {
    let scene = Scene::good();
    let gateway = &scene.gateway;
    let component = portcullis_plugin_bundle::EXACT.component;
    gateway.post("/senders/support/entries", json!({ "number": "16505551235" })).ok();
    let times = Times::default();
    let over = AtomicBool::new(false);
    let reloads = AtomicU64::new(0);
    let spans: Mutex<HashMap<u64, (u64, u64)>> = Mutex::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut blocked = HashSet::new();
            for n in (0..CHANGING).cycle() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let number = format!("1202555{n:04}");
                let asked = times.tick();
                let is_blocked = !blocked.contains(&number);
                let body = json!({ "number": number });
                if is_blocked {
                    gateway.post("/senders/support/entries", body).ok();
                    blocked.insert(number.clone());
                } else {
                    gateway.delete("/senders/support/entries", body).ok();
                    blocked.remove(&number);
                }
                times.changes.lock().unwrap().push((number, is_blocked, asked, times.tick()));
            }
        });
        scope.spawn(|| {
            for name in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                gateway.drop_plugin("exact", &variant(component, name));
                let wanted = super::super::support::digest(&variant(component, name));
                gateway.until("the new version serves", |gateway| {
                    over.load(Ordering::SeqCst)
                        || gateway.plugin("acme")["serving"]["version"] == json!(wanted)
                });
                reloads.fetch_add(1, Ordering::SeqCst);
            }
        });
        let next = AtomicU64::new(0);
        thread::scope(|senders| {
            for _ in 0..4 {
                senders.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= MESSAGES && reloads.load(Ordering::SeqCst) >= RELOADS {
                            break;
                        }
                        assert!(n < TOO_MANY, "only {} exchanges", reloads.load(Ordering::SeqCst));
                        let since = times.tick();
                        let message = text(&from(n), &n.to_string(), "x");
                        let body = payload(PHONE_ID, &[message]).to_string();
                        assert_eq!(super::webhook(gateway, &body, &signed(body.as_bytes())).status, 200);
                        spans.lock().unwrap().insert(n, (since, times.tick()));
                    }
                });
            }
        });
        over.store(true, Ordering::SeqCst);
    });
    let arrived: Vec<u64> = scene
        .callback
        .received()
        .iter()
        .flat_map(|one| ids(&one.json()))
        .map(|id| id.parse().unwrap())
        .collect();
    let unique: HashSet<u64> = arrived.iter().copied().collect();
    assert_eq!(unique.len(), arrived.len(), "none is doubled");
    let (mut passed, mut stopped) = (0, 0);
    for (n, (since, until)) in spans.into_inner().unwrap() {
        let number = from(n);
        let is_through = unique.contains(&n);
        match number.as_str() {
            "16505551234" => assert!(is_through, "{n} is lost"),
            "16505551235" => assert!(!is_through, "{n} passed, and must not"),
            number => {
                let may = times.may_be(number, !is_through, since, until);
                assert!(may, "{n} of {number} {}", if is_through { "passed" } else { "was stopped" });
                if is_through { passed += 1 } else { stopped += 1 }
            }
        }
    }
    assert!(passed > 100 && stopped > 100, "{passed} passed and {stopped} did not: the list changed");
}

#[test]
fn every_acknowledged_message_was_accepted_when_the_gateway_is_killed() {
    let mut scene = Scene::good();
    for round in 0..3_u64 {
        let acknowledged: Mutex<Vec<u64>> = Mutex::default();
        let url = scene.gateway.url().to_owned();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (acknowledged, url, over) = (&acknowledged, &url, &over);
                scope.spawn(move || {
                    for n in 0.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        let id = round * 1_000_000 + thread * 100_000 + n;
                        let body =
                            payload(PHONE_ID, &[text("16505551234", &id.to_string(), "x")]).to_string();
                        let request = ureq::post(format!("{url}/webhooks/meta"))
                            .header("content-type", "application/json")
                            .header("x-hub-signature-256", signed(body.as_bytes()));
                        match request.send(body.as_str()) {
                            Ok(answer) if answer.status() == 200 => acknowledged.lock().unwrap().push(id),
                            // The gateway is gone.
                            _ => break,
                        }
                    }
                });
            }
            scene.callback.until(100);
            scene.gateway.kill_and_restart();
            over.store(true, Ordering::SeqCst);
        });
        let accepted: HashSet<u64> = scene
            .callback
            .received()
            .iter()
            .flat_map(|one| ids(&one.json()))
            .map(|id| id.parse().unwrap())
            .collect();
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() > 50);
        assert!(acknowledged.iter().all(|id| accepted.contains(id)));
        scene.callback.forget();
    }
}

#[test]
fn a_block_of_one_tenant_does_not_affect_another() {
    let scene = Scene::good();
    let block = |gateway: &Gateway| {
        gateway.api("POST", "/senders/support/entries", ACME, Some(json!({ "number": "16505551235" })))
    };
    block(&scene.gateway).ok();
    let body = payload(super::OTHER_ID, &[text("16505551235", "1", "x")]).to_string();
    assert_eq!(scene.webhook(&body).status, 200);
    assert_eq!(scene.other.received().len(), 1);
}
