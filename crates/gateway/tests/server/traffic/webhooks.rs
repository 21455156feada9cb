//! Meta's webhooks.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use super::stand::{Reply, Stand};
use super::{OTHER_ID, PHONE_ID, Scene, entry, ids, payload, signed, text, webhook};

const FROM: &str = "16505551234";

#[test]
fn the_handshake_returns_the_challenge_for_the_right_token_only() {
    let scene = Scene::good();
    let ask = |query: &str| scene.gateway.call("GET", &format!("/webhooks/meta?{query}"), "", None);
    let right = ask("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-secret");
    assert_eq!((right.status, right.text.as_str()), (200, "1158201444"));
    for query in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong-key",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.challenge=1&hub.verify_token=verify-secret",
        "hub.mode=subscribe&hub.verify_token=verify-secret",
        "",
    ] {
        let wrong = ask(query);
        assert_eq!((wrong.status, wrong.text.as_str()), (403, ""), "{query}");
    }
}

#[test]
fn webhooks_without_metas_signature_are_refused() {
    let scene = Scene::good();
    let body = payload(PHONE_ID, &[text(FROM, "1", "x")]).to_string();
    let right = signed(body.as_bytes());
    for wrong in ["", "sha256=", &right[..70], &right.replace("sha256", "sha1"), &signed(b"x")] {
        assert_eq!(webhook(&scene.gateway, &body, wrong).status, 401, "{wrong}");
    }
    assert_eq!(webhook(&scene.gateway, &body.replace("\"1\"", "\"2\""), &right).status, 401);
    assert_eq!(scene.webhook("{}").status, 400, "it is signed, and no webhook");
    assert!(scene.callback.received().is_empty());
    assert_eq!(webhook(&scene.gateway, &body, &right).status, 200);
    let received = scene.callback.one();
    assert_eq!(received.path, "/in?x=1");
    assert_eq!(received.header("user-agent"), "facebookexternalua");
}

#[test]
fn a_webhook_without_blocked_messages_arrives_byte_for_byte_with_metas_signature() {
    let scene = Scene::good();
    // With spaces, an escaped emoji, a number that no float can represent, and unknown fields.
    let body = format!(
        r#"{{ "object":"whatsapp_business_account", "entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"phone_number_id":"{PHONE_ID}"}},"messages":[{{"from":"{FROM}","id":"wamid.1","type":"text","text":{{"body":"\ud83d\udc4d \/"}},"n":12345678901234567890.10}}]}}}}],"time":1.50}}],"future":{{}} }}"#
    );
    assert_eq!(scene.webhook(&body).status, 200);
    let received = scene.callback.one();
    assert_eq!(received.text(), body);
    assert_eq!(received.header("x-hub-signature-256"), signed(body.as_bytes()));
}

#[test]
fn messages_of_blocked_people_are_removed_and_the_rest_keeps_its_order() {
    let scene = Scene::good();
    scene.gateway.block("+16505551235");
    let kinds = [
        text(FROM, "1", "héj 👍"),
        text("16505551235", "2", "blocked"),
        json!({ "from": FROM, "id": "3", "type": "image", "image": { "id": "media", "mime_type": "image/jpeg" } }),
        json!({ "from": FROM, "id": "4", "type": "interactive", "interactive": {
            "type": "button_reply", "button_reply": { "id": "yes", "title": "Yes" } } }),
        json!({ "from": FROM, "id": "5", "type": "hologram", "hologram": { "new": [1, { "deep": null }] } }),
        json!({ "from": "16505551235", "id": "6", "type": "button", "button": { "payload": "p", "text": "t" } }),
        json!({ "from_user_id": "US.1", "id": "7", "type": "text", "text": { "body": "no number" } }),
    ];
    let mut body = payload(PHONE_ID, &kinds);
    let value = &mut body["entry"][0]["changes"][0]["value"];
    value["statuses"] = json!([{ "id": "s", "status": "delivered", "recipient_id": "16505551235" }]);
    value["unknown_future_field"] = json!({ "a": [1, 2] });
    body["top_future_field"] = json!(true);
    let sent = body.to_string();
    assert_eq!(scene.webhook(&sent).status, 200);
    let received = scene.callback.one();
    // Signed again, and in Meta's formatting.
    assert_eq!(received.header("x-hub-signature-256"), signed(&received.body));
    assert!(received.text().is_ascii());
    assert!(received.text().contains(r"h\u00e9j \ud83d\udc4d"), "{}", received.text());
    let arrived = received.json();
    assert_eq!(ids(&arrived), ["1", "3", "4", "5", "7"]);
    let mut expected = body.clone();
    let value = &mut expected["entry"][0]["changes"][0]["value"];
    let stays = |items: &Value, field: &str| -> Value {
        let items = items.as_array().unwrap().iter();
        items.filter(|item| item[field] != "16505551235").cloned().collect()
    };
    value["messages"] = stays(&value["messages"], "from");
    value["contacts"] = stays(&value["contacts"], "wa_id");
    assert_eq!(arrived, expected);
}

#[test]
fn an_empty_webhook_is_not_sent_and_statuses_are_kept() {
    let scene = Scene::good();
    scene.gateway.block(FROM);
    let alone = payload(PHONE_ID, &[text(FROM, "1", "x")]);
    assert_eq!(scene.webhook(&alone.to_string()).status, 200);
    assert!(scene.callback.received().is_empty());
    let mut with_status = alone.clone();
    with_status["entry"][0]["changes"][0]["value"]["statuses"] = json!([{ "id": "s", "status": "read" }]);
    assert_eq!(scene.webhook(&with_status.to_string()).status, 200);
    let value = scene.callback.one().json()["entry"][0]["changes"][0]["value"].clone();
    assert_eq!(value["statuses"][0]["id"], "s");
    assert_eq!((value.get("messages"), value.get("contacts")), (None, None));
    let metrics = scene.gateway.metrics();
    let line = r#"portcullis_messages_total{tenant="acme",direction="inbound",outcome="blocked"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn several_businesses_in_one_webhook_get_their_own_parts() {
    let scene = Scene::good();
    let entries = [
        entry(PHONE_ID, &[text(FROM, "1", "x")]),
        entry(OTHER_ID, &[text(FROM, "2", "x")]),
        entry(PHONE_ID, &[text(FROM, "3", "x")]),
    ];
    let body = json!({ "object": "whatsapp_business_account", "entry": entries });
    assert_eq!(scene.webhook(&body.to_string()).status, 200);
    let (acme, globex) = (scene.callback.one(), scene.other.one());
    assert_eq!(ids(&acme.json()), ["1", "3"]);
    assert_eq!(ids(&globex.json()), ["2"]);
    for received in [acme, globex] {
        assert_eq!(received.header("x-hub-signature-256"), signed(&received.body));
    }
}

#[test]
fn events_of_an_account_go_to_its_sender_and_unknown_ones_are_retried_by_meta() {
    let scene = Scene::good();
    let of_account = json!({ "object": "whatsapp_business_account", "entry": [{
        "id": "102290129340399", "changes": [{ "field": "account_update", "value": { "event": "VERIFIED" } }],
    }] });
    assert_eq!(scene.webhook(&of_account.to_string()).status, 200);
    assert_eq!(scene.other.one().text(), of_account.to_string());
    let nobody_s = payload("1", &[text(FROM, "1", "x")]);
    let mut nobody_s = nobody_s.clone();
    nobody_s["entry"][0]["id"] = json!("1");
    assert_eq!(scene.webhook(&nobody_s.to_string()).status, 404, "Meta sends it again");

    let default = Stand::good();
    let url = default.url();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), move |config| {
        config.replace("[traffic]", &format!("default_callback_url = \"{url}\"\n[traffic]"))
    });
    assert_eq!(scene.webhook(&nobody_s.to_string()).status, 200);
    assert_eq!(default.one().text(), nobody_s.to_string());
}

#[test]
fn the_callback_s_response_is_returned_to_meta() {
    for (reply, status) in [
        (Reply::Status as fn(u16) -> Reply, 500),
        (Reply::Status, 404),
        (Reply::Status, 204),
        (|_| Reply::Hangs, 504),
        (|_| Reply::BreaksOff, 502),
    ] {
        let callback = Stand::start(move |_| reply(status));
        let scene = Scene::new(Stand::good(), callback, Stand::good());
        let body = payload(PHONE_ID, &[text(FROM, "1", "x")]).to_string();
        assert_eq!(scene.webhook(&body).status, status);
    }
    let says = Stand::start(|_| Reply::Says(200, "text/plain", "EVENT_RECEIVED".to_owned()));
    let scene = Scene::new(Stand::good(), says, Stand::good());
    let answer = scene.webhook(&payload(PHONE_ID, &[text(FROM, "1", "x")]).to_string());
    assert_eq!((answer.status, answer.text.as_str()), (200, "EVENT_RECEIVED"));
}

#[test]
fn a_business_gets_its_part_once_even_if_another_fails() {
    let failures = std::sync::atomic::AtomicU32::new(2);
    let flaky = Stand::start(move |_| {
        use std::sync::atomic::Ordering::Relaxed;
        match failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Reply::Status(500),
            Err(_) => Reply::Status(200),
        }
    });
    let scene = Scene::new(Stand::good(), Stand::good(), flaky);
    let entries = [entry(PHONE_ID, &[text(FROM, "1", "x")]), entry(OTHER_ID, &[text(FROM, "2", "x")])];
    let body = json!({ "object": "whatsapp_business_account", "entry": entries }).to_string();
    let statuses: Vec<u16> = (0..3).map(|_| scene.webhook(&body).status).collect();
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!((scene.callback.received().len(), scene.other.received().len()), (1, 3));
}

#[test]
fn a_webhook_that_arrives_again_is_delivered_once_also_after_a_restart() {
    let mut scene = Scene::good();
    let bodies = ["1", "2"].map(|id| payload(PHONE_ID, &[text(FROM, id, "x")]).to_string());
    for _ in 0..2 {
        assert_eq!(scene.webhook(&bodies[0]).status, 200);
    }
    scene.gateway.restart();
    for body in &bodies {
        assert_eq!(scene.webhook(body).status, 200);
    }
    let received: Vec<String> = scene.callback.received().iter().flat_map(|one| ids(&one.json())).collect();
    assert_eq!(received, ["1", "2"]);
}

#[test]
fn a_webhook_that_arrives_again_while_it_is_being_delivered_is_not_delivered_twice() {
    let ((begin, begun), (release, held)) = (channel(), channel::<()>());
    let held = Mutex::new(held);
    // Answers when it is told to.
    let callback = Stand::start(move |_| {
        begin.send(()).unwrap();
        held.lock().unwrap().recv().unwrap();
        Reply::Status(200)
    });
    let scene = Scene::with(Stand::good(), callback, Stand::good(), |config| {
        config.replace("callback_timeout_seconds = 1", "callback_timeout_seconds = 60")
    });
    let body = payload(PHONE_ID, &[text(FROM, "1", "x")]).to_string();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| scene.webhook(&body).status);
        begun.recv().unwrap();
        assert_eq!(scene.webhook(&body).status, 503, "Meta sends it again");
        release.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(scene.webhook(&body).status, 200);
    scene.callback.one();
}

#[test]
fn blocked_messages_can_be_marked_or_quarantined() {
    let marked = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        config.replacen("waba_id = \"102290129340398\"", "blocked_inbound = \"mark\"", 1)
    });
    marked.gateway.block(FROM);
    let body =
        payload(PHONE_ID, &[text(FROM, "wamid.1", "x"), text("16505551235", "wamid.2", "x")]).to_string();
    assert_eq!(marked.webhook(&body).status, 200);
    let received = marked.callback.one();
    assert_eq!((received.text(), received.header("x-portcullis-blocked")), (body.as_str(), "wamid.1"));
    assert_eq!(received.header("x-hub-signature-256"), signed(body.as_bytes()));

    let aside = Stand::good();
    let url = aside.url();
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), move |config| {
        let quarantine = format!("blocked_inbound = \"quarantine\"\nquarantine_url = \"{url}/aside\"");
        config.replacen("waba_id = \"102290129340398\"", &quarantine, 1)
    });
    scene.gateway.block(FROM);
    assert_eq!(scene.webhook(&body).status, 200);
    assert_eq!(ids(&scene.callback.one().json()), ["wamid.2"]);
    let put_aside = aside.one();
    assert_eq!((put_aside.path.as_str(), ids(&put_aside.json())), ("/aside", vec!["wamid.1".to_owned()]));
    assert_eq!(put_aside.json()["entry"][0]["changes"][0]["value"]["contacts"].as_array().unwrap().len(), 1);
    assert_eq!(put_aside.header("x-hub-signature-256"), signed(&put_aside.body));
}

#[test]
fn a_thousand_marks_fit_into_the_header_and_all_are_in_the_body() {
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        config.replacen("waba_id = \"102290129340398\"", "blocked_inbound = \"mark\"", 1)
    });
    scene.gateway.block(FROM);
    let id = |n: usize| format!("wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTdCNUJENTFDNDA4QzY0RTg{n:04}==");
    let messages: Vec<Value> = (0..1000).map(|n| text(FROM, &id(n), "x")).collect();
    let body = payload(PHONE_ID, &messages);
    assert_eq!(scene.webhook(&body.to_string()).status, 200);
    let received = scene.callback.one();
    let header = received.header("x-portcullis-blocked");
    assert!(header.len() <= 4096, "{} bytes", header.len());
    let (listed, more) = header.rsplit_once(",more=").unwrap();
    let listed: Vec<&str> = listed.split(',').collect();
    assert_eq!(listed.len() + more.parse::<usize>().unwrap(), 1000);
    assert_eq!(listed[0], id(0));
    // The body lists all of them, is otherwise what Meta sent, and has a signature of its own.
    let mut arrived = received.json();
    let all = arrived.as_object_mut().unwrap().remove("x_portcullis_blocked").unwrap();
    assert_eq!(all, json!((0..1000).map(id).collect::<Vec<_>>()));
    assert_eq!(arrived, body);
    assert_eq!(received.header("x-hub-signature-256"), signed(&received.body));
}
