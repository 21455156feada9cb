//! Opt-outs and opt-ins count by their own time, in whichever order they arrive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use super::super::support::ACME;
use super::stand::{Reply, Stand};
use super::{PHONE_ID, Scene, payload, text_at};

const FROM: &str = "16505551234";

/// The Unix time this many seconds ago.
fn ago(seconds: i64) -> i64 {
    jiff::Timestamp::now().as_second() - seconds
}

fn hear(scene: &Scene, message: Value) -> u16 {
    scene.webhook(&payload(PHONE_ID, &[message]).to_string()).status
}

fn is_out(scene: &Scene, number: &str) -> bool {
    scene.gateway.verdict_of("support", number, "outbound") == "block"
}

/// All permutations of these.
fn orders(events: &[usize]) -> BTreeSet<Vec<usize>> {
    if events.is_empty() {
        return BTreeSet::from([Vec::new()]);
    }
    let mut all = BTreeSet::new();
    for (index, event) in events.iter().enumerate() {
        let mut others = events.to_vec();
        others.remove(index);
        all.extend(orders(&others).into_iter().map(|mut order| {
            order.push(*event);
            order
        }));
    }
    all
}

#[test]
fn a_late_opt_in_does_not_lift_a_newer_opt_out() {
    let status = Arc::new(AtomicU16::new(503));
    let answers = Arc::clone(&status);
    let callback = Stand::start(move |_| Reply::Status(answers.load(Ordering::SeqCst)));
    let scene = Scene::new(Stand::good(), callback, Stand::good());
    let start = text_at(ago(600), FROM, "wamid.start", "START");
    assert_eq!(hear(&scene, start.clone()), 503);
    status.store(200, Ordering::SeqCst);
    assert_eq!(hear(&scene, text_at(ago(60), FROM, "wamid.stop", "STOP")), 200);
    assert_eq!(hear(&scene, start), 200, "Meta sends it again");
    assert!(is_out(&scene, FROM));
}

#[test]
fn in_every_order_of_arrival_the_latest_request_counts() {
    let scene = Scene::good();
    let newest_is = |words: [&str; 3], stops: bool, region: usize| {
        // Each request once or twice.
        let repeated: [&[usize]; 4] = [&[0, 1, 2], &[0, 0, 1, 2], &[0, 1, 1, 2], &[0, 1, 2, 2]];
        let all: BTreeSet<Vec<usize>> = repeated.iter().flat_map(|events| orders(events)).collect();
        assert_eq!(all.len(), 6 + 3 * 12);
        let base = ago(600);
        for (person, order) in all.iter().enumerate() {
            let from = format!("1650555{region}{person:03}");
            for &event in order {
                let second = base + 60 * i64::try_from(event).unwrap();
                let id = format!("wamid.{from}.{event}");
                assert_eq!(hear(&scene, text_at(second, &from, &id, words[event])), 200);
            }
            assert_eq!(is_out(&scene, &from), stops, "{words:?} in the order {order:?}");
        }
    };
    newest_is(["STOP", "START", "STOP"], true, 1);
    newest_is(["START", "STOP", "START"], false, 2);
    newest_is(["STOP", "STOP", "START"], false, 3);
    newest_is(["START", "START", "STOP"], true, 4);
}

#[test]
fn an_older_request_is_recorded_as_outdated() {
    let scene = Scene::good();
    hear(&scene, text_at(ago(60), FROM, "1", "STOP"));
    hear(&scene, text_at(ago(600), FROM, "2", "START"));
    let history = scene.gateway.get(&format!("/senders/support/entries/{FROM}/history"));
    let newest = &history.ok()["records"][0];
    assert_eq!((&newest["outcome"], &newest["hold"]), (&json!("outdated"), &json!("opt_out")));
    assert!(newest["requested"].as_str() < newest["at"].as_str());
    let entry = scene.gateway.get(&format!("/senders/support/entries/{FROM}"));
    let hold = &entry.ok()["holds"][0];
    assert!(
        hold["requested"].as_str() < hold["since"].as_str(),
        "the hold has the time of the message: {hold}"
    );
}

fn preference(value: &str, second: i64) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [{
        "field": "user_preferences",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550783881", "phone_number_id": PHONE_ID },
            "user_preferences": [{
                "wa_id": FROM, "detail": "x", "category": "marketing_messages", "value": value, "timestamp": second,
            }],
        },
    }] }] })
}

#[test]
fn preferences_count_by_their_time_too() {
    let base = ago(600);
    for order in orders(&[0, 1]) {
        let scene = Scene::good();
        for event in order {
            let value = ["resume", "stop"][event];
            let second = base + 60 * i64::try_from(event).unwrap();
            assert_eq!(scene.webhook(&preference(value, second).to_string()).status, 200);
        }
        let entry = scene.gateway.get(&format!("/senders/support/entries/{FROM}"));
        assert_eq!(entry.ok()["holds"][0]["directions"], json!(["outbound"]));
    }
}

#[test]
fn an_opt_out_received_three_times_is_confirmed_once() {
    let scene = Scene::good();
    let stop = text_at(ago(5), FROM, "wamid.1", "STOP");
    for (delivery, status) in [(1, 200), (2, 400), (3, 400)] {
        assert_eq!(hear(&scene, stop.clone()), 200);
        assert_eq!(scene.send(FROM).status, status, "after delivery {delivery}");
        assert_eq!(scene.send(FROM).status, 400);
    }
    assert_eq!(scene.upstream.received().len(), 1);
    // A person who is opted out already does not opt out again.
    for (id, words) in [("wamid.2", "STOP"), ("wamid.3", "stop!")] {
        hear(&scene, text_at(ago(3), FROM, id, words));
        assert_eq!(scene.send(FROM).status, 400);
    }
    hear(&scene, text_at(ago(2), FROM, "wamid.4", "START"));
    hear(&scene, text_at(ago(1), FROM, "wamid.5", "STOP"));
    assert_eq!(scene.send(FROM).status, 200);
}

#[test]
fn messages_with_the_same_id_all_count() {
    let scene = Scene::good();
    let other = "16505551235";
    for (id, base) in [("seq-1", 200), ("", 100)] {
        hear(&scene, text_at(ago(base), FROM, id, "STOP"));
        hear(&scene, text_at(ago(base), other, id, "STOP"));
        assert!(is_out(&scene, FROM) && is_out(&scene, other), "{id:?}");
        hear(&scene, text_at(ago(base - 10), FROM, "start", "START"));
        hear(&scene, text_at(ago(base - 20), FROM, id, "STOP"));
        assert!(is_out(&scene, FROM), "{id:?}");
        hear(&scene, text_at(ago(base - 30), FROM, "start", "START"));
        hear(&scene, text_at(ago(base - 30), other, "start", "START"));
        assert!(!is_out(&scene, FROM) && !is_out(&scene, other), "{id:?}");
    }
}

#[test]
fn a_request_without_a_readable_time_can_opt_out_but_not_in() {
    let milliseconds = json!(format!("{}000", ago(600)));
    for odd in
        [json!(null), json!(0), json!("0"), json!(-5), json!(1.5), json!("soon"), milliseconds, json!([1])]
    {
        let scene = Scene::good();
        let with = |words: &str| {
            let mut message = text_at(0, FROM, words, words);
            message["timestamp"] = odd.clone();
            message
        };
        hear(&scene, text_at(ago(60), FROM, "stop", "STOP"));
        hear(&scene, with("START"));
        assert!(is_out(&scene, FROM), "{odd}");
        hear(&scene, text_at(ago(50), FROM, "start", "START"));
        hear(&scene, with("STOP"));
        assert!(is_out(&scene, FROM), "{odd}");
    }
    let scene = Scene::good();
    for (value, second) in [("stop", ago(60)), ("resume", 0), ("resume", ago(60))] {
        assert_eq!(scene.webhook(&preference(value, second).to_string()).status, 200);
    }
    let entry = scene.gateway.get(&format!("/senders/support/entries/{FROM}"));
    assert_eq!(entry.ok()["holds"][0]["directions"], json!(["outbound"]), "a resume of the same second");
}

#[test]
fn an_opt_in_that_is_dated_ahead_lifts_nothing_and_an_opt_out_counts_from_now() {
    let scene = Scene::good();
    hear(&scene, text_at(ago(60), FROM, "1", "STOP"));
    for ahead in [3600, 86_000] {
        assert_eq!(hear(&scene, text_at(ago(-ahead), FROM, "2", "START")), 200);
        assert!(is_out(&scene, FROM), "{ahead} s ahead");
        assert_eq!(scene.webhook(&preference("stop", ago(60)).to_string()).status, 200);
        assert_eq!(scene.webhook(&preference("resume", ago(-ahead)).to_string()).status, 200);
        let entry = scene.gateway.get(&format!("/senders/support/entries/{FROM}"));
        for hold in entry.ok()["holds"].as_array().unwrap() {
            assert_eq!(hold["directions"], json!(["outbound"]), "{ahead} s ahead: {hold}");
        }
    }
    // A clock that is a little ahead is no reason to ignore anybody.
    hear(&scene, text_at(ago(-20), FROM, "3", "START"));
    scene.webhook(&preference("resume", ago(-20)).to_string());
    assert!(!is_out(&scene, FROM));
    let other = "16505551235";
    hear(&scene, text_at(ago(-3600), other, "4", "STOP"));
    assert!(is_out(&scene, other));
    hear(&scene, text_at(ago(-20), other, "5", "START"));
    assert!(!is_out(&scene, other), "it was opted out before now");
}

#[test]
fn of_an_opt_out_and_an_opt_in_in_one_second_the_opt_out_counts_even_after_a_crash() {
    let mut scene = Scene::good();
    let (start, stop) = (text_at(ago(50), FROM, "1", "START"), text_at(ago(50), FROM, "2", "STOP"));
    hear(&scene, start.clone());
    hear(&scene, stop);
    hear(&scene, start.clone());
    assert!(is_out(&scene, FROM));
    scene.gateway.kill_and_restart();
    hear(&scene, start);
    assert!(is_out(&scene, FROM));
}

#[test]
fn a_message_from_before_a_change_of_number_does_not_undo_it() {
    let (new, user) = ("12025550173", "US.7");
    let scene = Scene::good();
    let named = |message: Value| {
        let mut message = message;
        message["from_user_id"] = json!(user);
        message
    };
    let early = named(text_at(ago(600), FROM, "1", "hi"));
    let moved = json!({
        "from": FROM, "from_user_id": user, "id": "m", "timestamp": ago(300).to_string(), "type": "system",
        "system": { "type": "user_changed_number", "wa_id": new, "user_id": user, "body": "changed" },
    });
    for message in [&early, &moved, &early, &moved] {
        hear(&scene, message.clone());
    }
    scene.gateway.post("/senders/support/entries", json!({ "number": new, "directions": ["outbound"] })).ok();
    let send = || {
        let body = json!({
            "messaging_product": "whatsapp", "recipient": user, "type": "text", "text": { "body": "x" },
        });
        scene.gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), ACME, Some(body.to_string()))
    };
    assert_eq!(send().json["error"]["code"], 130_403, "the id is that of the new number");
    // Unblocked since, the number stays so if the change is received again.
    scene.gateway.delete("/senders/support/entries", json!({ "number": new })).ok();
    hear(&scene, moved.clone());
    assert_eq!(send().status, 200);
    // What the person asked for before the change counts for the new number, even if it arrives late.
    hear(&scene, named(text_at(ago(500), FROM, "2", "STOP")));
    assert!(is_out(&scene, new) && is_out(&scene, FROM));
    hear(&scene, named(text_at(ago(200), new, "3", "START")));
    assert!(!is_out(&scene, new) && is_out(&scene, FROM));
}

#[test]
fn a_temporary_block_does_not_end_a_permanent_one() {
    let scene = Scene::good();
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    for (number, user) in [("16505550001", "US.1"), ("16505550002", "US.2")] {
        let (brief, lasting) = if user == "US.1" { (user, number) } else { (number, user) };
        let name = |name: &str| if name == user { format!("user:{name}") } else { name.to_owned() };
        let entry = |name: &str| json!({ "number": name, "directions": ["outbound"] });
        let mut timed = entry(&name(brief));
        timed["expires"] = json!(until);
        scene.gateway.post("/senders/support/entries", timed).ok();
        scene.gateway.post("/senders/support/entries", entry(&name(lasting))).ok();
        let mut message = text_at(ago(5), number, "1", "hi");
        message["from_user_id"] = json!(user);
        hear(&scene, message);
        let holds = scene.gateway.get(&format!("/senders/support/entries/{number}"));
        let hold = &holds.ok()["holds"][0];
        assert!(hold.get("expires").is_none_or(Value::is_null), "{hold}");
        assert_eq!(hold["made_by"]["interface"], json!("native"), "who blocked is still who did: {hold}");
    }
}

#[test]
fn the_confirmation_is_one_text_or_interactive_message_and_nothing_else() {
    let body = |kind: &str, content: Value| {
        let mut body = json!({ "messaging_product": "whatsapp", "to": FROM, "type": kind });
        body[kind] = content;
        body
    };
    let post = |scene: &Scene, path: &str, body: &Value| {
        let path = format!("/v25.0/{PHONE_ID}/{path}");
        scene.gateway.call("POST", &path, ACME, Some(body.to_string())).status
    };
    for (path, body) in [
        ("messages", body("template", json!({ "name": "promo_x", "language": { "code": "en" } }))),
        ("messages", body("template", json!({ "name": "other", "language": { "code": "en" } }))),
        ("marketing_messages", body("template", json!({ "name": "other", "language": { "code": "en" } }))),
        ("messages", body("reaction", json!({ "message_id": "wamid.0", "emoji": "\u{1f44d}" }))),
        ("messages", body("image", json!({ "id": "1" }))),
    ] {
        let scene = Scene::good();
        hear(&scene, text_at(ago(1), FROM, "1", "STOP"));
        assert_eq!(post(&scene, path, &body), 400, "{body}");
        // The refused message has not used up the confirmation.
        let interactive = json!({
            "messaging_product": "whatsapp", "to": FROM, "type": "interactive", "interactive": { "type": "button" },
        });
        assert_eq!(post(&scene, "messages", &interactive), 200, "{body}");
        assert_eq!(scene.send(FROM).status, 400);
    }
}
