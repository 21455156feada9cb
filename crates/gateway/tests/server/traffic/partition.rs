//! Webhooks with more than plain messages, and those that can't be read.

use serde_json::{Value, json};

use super::super::support::{ACME, Gateway, SERVER};
use super::stand::Stand;
use super::{APP_SECRET, PHONE_ID, Scene, ids, payload, signed, text, webhook};

const FROM: &str = "16505551234";
const BLOCKED: &str = "16505551235";
const ACCOUNT: &str = "102290129340398";

/// A scene in which one person is blocked.
fn scene() -> Scene {
    let scene = Scene::good();
    scene.gateway.block(BLOCKED);
    scene
}

fn change(field: &str, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": "15550783881", "phone_number_id": PHONE_ID });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": ACCOUNT, "changes": [
        { "value": value, "field": field },
    ] }] })
}

/// The part of the only change of a webhook that reaches the callback, or null.
fn arrives(scene: &Scene, body: &Value) -> Value {
    scene.callback.forget();
    assert_eq!(scene.webhook(&body.to_string()).status, 200, "{body}");
    match &scene.callback.received()[..] {
        [] => Value::Null,
        [one] => one.json()["entry"][0]["changes"][0]["value"].clone(),
        several => panic!("{several:?}"),
    }
}

fn is_out(scene: &Scene, number: &str) -> bool {
    scene.gateway.verdict_of("support", number, "outbound") == "block"
}

/// A webhook with one message, inserted verbatim.
fn raw(message: &str) -> String {
    payload(PHONE_ID, &[json!("MESSAGE")]).to_string().replace("\"MESSAGE\"", message)
}

#[test]
fn odd_members_do_not_let_a_blocked_message_pass_or_hide_an_opt_out() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for odd in [r#""n":1e999"#, r#""n":"\ud83d""#, &format!("\"n\":{deep}"), r#""timestamp":-1"#] {
        let scene = scene();
        let message = |from: &str, body: &str| {
            raw(&format!(r#"{{"from":"{from}","id":"1","type":"text","text":{{"body":"{body}"}},{odd}}}"#))
        };
        assert_eq!(scene.webhook(&message(BLOCKED, "x")).status, 200, "{odd}");
        assert!(scene.callback.received().is_empty(), "{odd}");
        assert_eq!(scene.webhook(&message(FROM, "STOP")).status, 200, "{odd}");
        assert!(is_out(&scene, FROM), "{odd}");
        let received = scene.callback.one();
        assert_eq!(received.text(), message(FROM, "STOP"), "to the byte");
        assert_eq!(received.header("x-hub-signature-256"), signed(&received.body));
    }
    // In the text itself.
    let scene = scene();
    let words = |from: &str, body: &str| {
        raw(&format!(r#"{{"from":"{from}","id":"1","type":"text","text":{{"body":"{body}"}}}}"#))
    };
    assert_eq!(scene.webhook(&words(BLOCKED, r"x \ud83d")).status, 200);
    assert!(scene.callback.received().is_empty());
    assert_eq!(scene.webhook(&words(FROM, r"STOP \ud83d")).status, 200);
    assert!(is_out(&scene, FROM));
}

#[test]
fn a_number_written_as_an_integer_is_the_same_number() {
    let scene = scene();
    let blocked = json!({ "from": 16_505_551_235_u64, "id": "1", "type": "text", "text": { "body": "x" } });
    assert_eq!(arrives(&scene, &payload(PHONE_ID, &[blocked])), Value::Null);
}

#[test]
fn messages_of_unreadable_people_are_held_and_the_rest_arrives_once() {
    let scene = scene();
    let odd = [
        json!({ "from": "nobody", "id": "2", "type": "text", "text": { "body": "x" } }),
        json!({ "id": "2", "type": "text", "text": { "body": "x" } }),
        json!({ "from": ["16505551235"], "id": "2", "type": "text", "text": { "body": "x" } }),
        json!({ "from": "1", "id": "2", "type": "text", "text": { "body": "x" } }),
        json!("16505551235"),
    ];
    for (n, odd) in odd.iter().enumerate() {
        scene.callback.forget();
        let good = text(FROM, &format!("good.{n}"), "x");
        let mut body = payload(PHONE_ID, &[good]);
        body["entry"][0]["changes"][0]["value"]["messages"].as_array_mut().unwrap().push(odd.clone());
        let body = body.to_string();
        for _ in 0..3 {
            assert_eq!(scene.webhook(&body).status, 503, "{odd}");
        }
        assert_eq!(ids(&scene.callback.one().json()), [format!("good.{n}")], "{odd}");
    }
    let metrics = scene.gateway.metrics();
    let line = r#"portcullis_messages_total{tenant="acme",direction="inbound",outcome="unreadable"} 15"#;
    assert!(metrics.contains(line), "{metrics}");
    scene.gateway.until_logged("unreadable_inbound");
    // With a duplicate name, two parsers could read different values.
    let twice = raw(&format!(r#"{{"from":"{FROM}","from":"16505551236","id":"1","type":"text"}}"#));
    scene.callback.forget();
    assert_eq!(scene.webhook(&twice).status, 503);
    assert!(scene.callback.received().is_empty());
}

#[test]
fn unreadable_messages_can_be_quarantined_or_delivered() {
    let odd = payload(PHONE_ID, &[json!({ "from": "nobody", "id": "2", "type": "text" })]).to_string();
    let aside = Stand::good();
    let url = aside.url();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        let setting = format!(
            "unreadable_inbound = \"quarantine\"\nquarantine_url = \"{url}\"\nwaba_id = \"{ACCOUNT}\""
        );
        config.replacen(&format!("waba_id = \"{ACCOUNT}\""), &setting, 1)
    });
    assert_eq!(scene.webhook(&odd).status, 200);
    assert!(scene.callback.received().is_empty());
    assert_eq!(ids(&aside.one().json()), ["2"]);
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        let setting = format!("unreadable_inbound = \"deliver\"\nwaba_id = \"{ACCOUNT}\"");
        config.replacen(&format!("waba_id = \"{ACCOUNT}\""), &setting, 1)
    });
    assert_eq!(scene.webhook(&odd).status, 200);
    assert_eq!(scene.callback.one().text(), odd);
}

#[test]
fn messages_and_calls_of_blocked_people_are_removed_from_every_field() {
    let scene = scene();
    // Messages to another app.
    let standby = |messages: &[Value]| change("standby", json!({ "standby": { "messages": messages } }));
    assert_eq!(arrives(&scene, &standby(&[text(BLOCKED, "1", "x")])), Value::Null);
    let both = arrives(&scene, &standby(&[text(BLOCKED, "1", "x"), text(FROM, "2", "x")]));
    assert_eq!(both["standby"]["messages"].as_array().unwrap().len(), 1);
    assert_eq!(both["standby"]["messages"][0]["id"], "2");
    arrives(&scene, &standby(&[text(FROM, "3", "STOP")]));
    assert!(is_out(&scene, FROM), "a STOP is heard there, too");

    let call = |from: &str, id: &str| {
        json!({
            "id": id, "from": from, "to": "15550783881", "event": "connect", "timestamp": "1749416383",
            "direction": "USER_INITIATED", "session": { "sdp_type": "offer", "sdp": "v=0" },
        })
    };
    assert_eq!(arrives(&scene, &change("calls", json!({ "calls": [call(BLOCKED, "1")] }))), Value::Null);
    let calls = arrives(&scene, &change("calls", json!({ "calls": [call(BLOCKED, "1"), call(FROM, "2")] })));
    assert_eq!(calls["calls"].as_array().unwrap().len(), 1);

    let thread = |with: &str| {
        json!({ "id": with, "messages": [
        { "from": with, "id": "h", "timestamp": "1749416383", "type": "text", "text": { "body": "x" } },
    ] })
    };
    let history = |threads: &[Value]| {
        change("history", json!({ "history": [{ "metadata": { "phase": 0 }, "threads": threads }] }))
    };
    assert_eq!(arrives(&scene, &history(&[thread(BLOCKED)])), Value::Null);
    let some = arrives(&scene, &history(&[thread(BLOCKED), thread(FROM)]));
    assert_eq!(some["history"][0]["threads"], json!([thread(FROM)]));
    assert_eq!(some["history"][0]["metadata"], json!({ "phase": 0 }));

    let echo = |to: &str| {
        json!({
            "from": "15550783881", "to": to, "id": "e", "timestamp": "1749416383", "type": "text", "text": { "body": "STOP" },
        })
    };
    let echoes = |to: &[&str]| {
        let echoes: Vec<Value> = to.iter().map(|to| echo(to)).collect();
        change("smb_message_echoes", json!({ "message_echoes": echoes }))
    };
    assert_eq!(arrives(&scene, &echoes(&[BLOCKED])), Value::Null);
    let stranger = "16505551236";
    assert_eq!(arrives(&scene, &echoes(&[BLOCKED, stranger]))["message_echoes"], json!([echo(stranger)]));
    assert!(!is_out(&scene, stranger), "these are the business's own words");

    let contact = |id: &str| json!({ "profile": { "name": "N" }, "wa_id": id });
    let contacts = |ids: &[&str]| {
        let contacts: Vec<Value> = ids.iter().map(|id| contact(id)).collect();
        change("messages", json!({ "contacts": contacts }))
    };
    assert_eq!(arrives(&scene, &contacts(&[BLOCKED])), Value::Null);
    assert_eq!(arrives(&scene, &contacts(&[BLOCKED, FROM]))["contacts"], json!([contact(FROM)]));
}

#[test]
fn an_edit_can_opt_out_and_old_messages_count_by_their_time() {
    let scene = Scene::good();
    let edit = json!({
        "from": FROM, "id": "2", "timestamp": jiff::Timestamp::now().as_second().to_string(), "type": "edit",
        "edit": { "original_message_id": "1", "message": { "type": "text", "text": { "body": "STOP" } } },
    });
    arrives(&scene, &payload(PHONE_ID, &[edit]));
    assert!(is_out(&scene, FROM));
    // Opted in, out and in again, and received after the latest request.
    let other = "16505551236";
    let at = |second: i64, body: &str| {
        json!({
            "from": other, "id": second.to_string(), "timestamp": second.to_string(), "type": "text", "text": { "body": body },
        })
    };
    let now = jiff::Timestamp::now().as_second();
    arrives(&scene, &payload(PHONE_ID, &[at(now - 10, "START")]));
    let threads = json!([{ "id": other, "messages": [at(now - 1000, "STOP")] }]);
    let history = |threads: &Value| change("history", json!({ "history": [{ "threads": threads }] }));
    arrives(&scene, &history(&threads));
    assert!(!is_out(&scene, other), "they opted in since");
    let threads = json!([{ "id": other, "messages": [at(now - 5, "STOP")] }]);
    arrives(&scene, &history(&threads));
    assert!(is_out(&scene, other));
    assert_eq!(scene.send(other).status, 400, "words of the past are not confirmed");
}

#[test]
fn the_default_callback_is_gated_too() {
    let default = Stand::good();
    let url = default.url();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        let lines = config.lines().filter(|line| !line.starts_with("callback_url"));
        let config: String = lines.map(|line| format!("{line}\n")).collect();
        config.replace("[traffic]", &format!("default_callback_url = \"{url}\"\n[traffic]"))
    });
    scene.gateway.block(BLOCKED);
    let body = payload(PHONE_ID, &[text(BLOCKED, "1", "x"), text(FROM, "2", "STOP")]);
    assert_eq!(scene.webhook(&body.to_string()).status, 200);
    assert_eq!(ids(&default.one().json()), ["2"]);
    assert!(is_out(&scene, FROM));
    // A webhook without blocked messages is forwarded unchanged.
    default.forget();
    let whole = payload(PHONE_ID, &[text("16505551236", "3", "x")]).to_string();
    assert_eq!(scene.webhook(&whole).status, 200);
    let received = default.one();
    assert_eq!(
        (received.text(), received.header("x-hub-signature-256")),
        (&*whole, &*signed(whole.as_bytes()))
    );
}

#[test]
fn an_opt_out_counts_even_without_a_callback() {
    let gateway = Gateway::with(&format!(
        "{SERVER}[meta]\napp_secret = \"{APP_SECRET}\"\n[[tenants]]\nid = \"acme\"\ntokens = [\"{ACME}\"]\n\
         [[tenants.senders]]\nid = \"support\"\nphone_number_id = \"{PHONE_ID}\"\n"
    ));
    let body = payload(PHONE_ID, &[text(FROM, "1", "STOP")]).to_string();
    assert_eq!(webhook(&gateway, &body, &signed(body.as_bytes())).status, 404, "Meta sends it again");
    assert_eq!(gateway.verdict_of("support", FROM, "outbound"), "block");
}

#[test]
fn webhooks_of_messenger_and_instagram_go_to_the_default_callback_unchanged() {
    let messenger = r#"{"object":"page","entry":[{"id":"1","time":1458692752478,"messaging":[{"sender":{"id":"2"},"message":{"text":"h\u00e9"}}]}]}"#;
    assert_eq!(Scene::good().webhook(messenger).status, 404, "there is no default");
    let default = Stand::good();
    let url = default.url();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), move |config| {
        config.replace("[traffic]", &format!("default_callback_url = \"{url}\"\n[traffic]"))
    });
    assert_eq!(scene.webhook(messenger).status, 200);
    let received = default.one();
    assert_eq!(
        (received.text(), received.header("x-hub-signature-256")),
        (messenger, &*signed(messenger.as_bytes()))
    );
    // Together with those of a WhatsApp business.
    default.forget();
    let mut mixed = payload(PHONE_ID, &[text(FROM, "1", "x")]);
    mixed["entry"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "1", "messaging": [{ "message": { "text": "x" } }] }));
    assert_eq!(scene.webhook(&mixed.to_string()).status, 200);
    assert_eq!(default.one().json()["entry"], json!([mixed["entry"][1]]));
    assert_eq!(scene.callback.one().json()["entry"], json!([mixed["entry"][0]]));
}

#[test]
fn a_number_and_an_id_in_one_message_are_one_person() {
    let scene = Scene::good();
    let with_ids = json!({
        "from": FROM, "from_user_id": "US.1", "from_parent_user_id": "US.ENT.1", "id": "1", "type": "text",
        "text": { "body": "x" },
    });
    let by_id = |id: &str| json!({ "from_user_id": id, "id": "2", "type": "text", "text": { "body": "x" } });
    arrives(&scene, &payload(PHONE_ID, &[with_ids]));
    // A block of the number then applies to messages that name only the id.
    scene.gateway.block(FROM);
    assert_eq!(arrives(&scene, &payload(PHONE_ID, &[by_id("US.1")])), Value::Null);
    let parent = json!({ "from_parent_user_id": "US.ENT.1", "id": "2", "type": "text" });
    assert_eq!(arrives(&scene, &payload(PHONE_ID, &[parent])), Value::Null);
    let to_user = |id: &str| {
        let body = json!({ "messaging_product": "whatsapp", "recipient": id, "type": "text", "text": { "body": "x" } });
        scene.gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), ACME, Some(body.to_string()))
    };
    assert_eq!(to_user("US.1").json["error"]["code"], 130_403);
    // A block of the id applies to the number.
    let number = "16505551236";
    let contacts = json!([{ "wa_id": number, "user_id": "US.2" }]);
    arrives(&scene, &change("messages", json!({ "contacts": contacts, "statuses": [{ "id": "s" }] })));
    scene.gateway.block("user:US.2");
    assert_eq!(scene.send(number).json["error"]["code"], 130_403);
    scene.gateway.delete("/senders/support/entries", json!({ "number": number })).ok();
    assert_eq!(to_user("US.2").status, 200);
    // A person who was blocked by id before the number was known.
    scene.gateway.block("user:US.3");
    let number = "16505551237";
    let first =
        json!({ "from": number, "from_user_id": "US.3", "id": "1", "type": "text", "text": { "body": "x" } });
    assert_eq!(arrives(&scene, &payload(PHONE_ID, &[first])), Value::Null);
    assert_eq!(scene.send(number).json["error"]["code"], 130_403);
}

#[test]
fn holds_follow_a_person_to_new_ids_and_a_new_number() {
    let scene = Scene::good();
    scene.gateway.block("user:US.old");
    let changed = json!({ "id": "1", "timestamp": "1749416383", "type": "system", "system": {
        "type": "user_changed_user_id", "user_id": "US.new", "previous_user_id": "US.old", "body": "changed",
    } });
    arrives(&scene, &payload(PHONE_ID, &[changed]));
    let by_new = json!({ "from_user_id": "US.new", "id": "2", "type": "text", "text": { "body": "x" } });
    assert_eq!(arrives(&scene, &payload(PHONE_ID, &[by_new])), Value::Null);
    // With numbers and ids at once, and for the tenant-wide list as well.
    scene.gateway.post("/tenant/entries", json!({ "number": FROM, "directions": ["outbound"] })).ok();
    let moved = json!({ "from": FROM, "id": "3", "timestamp": "1749416383", "type": "system", "system": {
        "type": "user_changed_number", "wa_id": "12025550173", "user_id": "US.5", "previous_user_id": "US.4",
    } });
    arrives(&scene, &payload(PHONE_ID, &[moved]));
    assert_eq!(scene.send("12025550173").json["error"]["code"], 130_403);
    let to_user = json!({ "messaging_product": "whatsapp", "recipient": "US.5", "type": "text" });
    let path = format!("/v25.0/{PHONE_ID}/messages");
    let refused = scene.gateway.call("POST", &path, ACME, Some(to_user.to_string()));
    assert_eq!(refused.json["error"]["code"], 130_403);
}
