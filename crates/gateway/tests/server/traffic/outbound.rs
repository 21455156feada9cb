//! Messages to Meta's Cloud API.

use serde_json::{Value, json};

use super::super::support::{ACME, Answer, GLOBEX, Gateway, SERVER};
use super::stand::{Reply, Stand};
use super::{PHONE_ID, Scene, config};

const TO: &str = "+16505551234";

fn refused(answer: &Answer, code: u64) {
    assert_eq!((answer.status, answer.json["error"]["code"].as_u64()), (400, Some(code)), "{}", answer.text);
    assert_eq!(answer.json["error"]["type"], "OAuthException");
    assert!(answer.json["error"]["fbtrace_id"].is_string());
}

fn post(scene: &Scene, token: &str, path: &str, body: &str) -> Answer {
    scene.gateway.call("POST", path, token, Some(body.to_owned()))
}

#[test]
fn a_message_passes_and_the_response_is_returned_byte_for_byte() {
    let body = r#"{"messaging_product":"whatsapp",  "contacts":[{"input":"+16505551234","wa_id":"16505551234"}],"messages":[{"id":"wamid.x"}]}"#;
    let upstream =
        Stand::start(move |_| Reply::Says(201, "application/json; charset=UTF-8", body.to_owned()));
    let scene = Scene::new(upstream, Stand::good(), Stand::good());
    let sent = r#"{ "messaging_product":"whatsapp","to":"+16505551234","type":"text","text":{"body":"héj"},"future":[1.50] }"#;
    let path = format!("/v25.0/{PHONE_ID}/messages");
    let answer = post(&scene, ACME, &path, sent);
    assert_eq!((answer.status, answer.text.as_str()), (201, body));
    assert_eq!(answer.header("content-type"), "application/json; charset=UTF-8");
    assert_eq!(answer.header("x-upstream"), "its own");
    let received = scene.upstream.one();
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", path.as_str()));
    assert_eq!(received.text(), sent);
    assert_eq!(received.header("authorization"), format!("Bearer {ACME}"));
    assert_eq!(received.header("host"), scene.upstream.url().trim_start_matches("http://"));
}

#[test]
fn a_long_message_is_checked_like_a_short_one() {
    let scene = Scene::good();
    scene.gateway.post("/senders/support/entries", json!({ "number": TO, "directions": ["outbound"] })).ok();
    let send = |to: &str| {
        let text = json!({ "body": "x".repeat(9 << 10) });
        let body = json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": text });
        post(&scene, ACME, &format!("/v25.0/{PHONE_ID}/messages"), &body.to_string())
    };
    refused(&send(TO), 130_403);
    assert!(scene.upstream.received().is_empty());
    assert_eq!(send("+16505551235").status, 200);
}

#[test]
fn a_message_to_a_blocked_recipient_gets_metas_error_and_is_not_forwarded() {
    let scene = Scene::good();
    scene.gateway.post("/senders/support/entries", json!({ "number": TO, "directions": ["outbound"] })).ok();
    refused(&scene.send(TO), 130_403);
    refused(&scene.send("1 (650) 555-1234"), 130_403);
    assert!(scene.upstream.received().is_empty());
    assert_eq!(scene.send("+16505551235").status, 200);
    // Blocked in the other direction only, and tenant-wide.
    scene
        .gateway
        .post("/senders/support/entries", json!({ "number": "+16505551236", "directions": ["inbound"] }))
        .ok();
    assert_eq!(scene.send("+16505551236").status, 200);
    scene.gateway.post("/tenant/entries", json!({ "number": "+16505551237" })).ok();
    refused(&scene.send("+16505551237"), 130_403);
    assert_eq!(scene.upstream.received().len(), 2);
    let metrics = scene.gateway.metrics();
    for line in [
        r#"portcullis_messages_total{tenant="acme",direction="outbound",outcome="blocked"} 3"#,
        r#"portcullis_messages_total{tenant="acme",direction="outbound",outcome="forwarded"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line}:\n{metrics}");
    }
}

#[test]
fn people_without_a_number_and_other_spellings_are_blocked_too() {
    let scene = Scene::good();
    let path = format!("/v25.0/{PHONE_ID}/messages");
    let block = |number: &str| scene.gateway.block(number);
    block("user:US.13491208655302741918");
    let to_user = |id: &str| {
        let body = json!({ "messaging_product": "whatsapp", "recipient": id, "type": "text" });
        post(&scene, ACME, &path, &body.to_string())
    };
    refused(&to_user("US.13491208655302741918"), 130_403);
    assert_eq!(to_user("US.13491208655302741919").status, 200);
    // The id that WhatsApp uses for the person, and other spellings of the number.
    block("5215512345678");
    refused(&scene.send("+52 55 1234 5678"), 130_403);
    block("+55 11 98765-4321");
    refused(&scene.send("551187654321"), 130_403);
}

#[test]
fn messages_without_a_recipient_pass_and_unreadable_ones_do_not() {
    let scene = Scene::good();
    let path = format!("/v25.0/{PHONE_ID}/messages");
    for body in [
        json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x" }),
        json!({ "messaging_product": "whatsapp", "recipient_type": "group", "to": "Y2FwaV9ncm91cDo", "type": "text" }),
    ] {
        assert_eq!(post(&scene, ACME, &path, &body.to_string()).status, 200, "{body}");
    }
    assert_eq!(scene.upstream.received().len(), 2);
    scene.gateway.block(TO);
    for body in [
        r#"{"to":"nonsense"}"#,
        r#"{"to":""}"#,
        r#"{"to":["+16505551234"]}"#,
        r#"{"to":"+16505551235","to":"+16505551234"}"#,
        r#"{"recipient":""}"#,
        r#"[]x"#,
        "{",
        "",
    ] {
        refused(&post(&scene, ACME, &path, body), 100);
    }
    refused(&post(&scene, ACME, &path, r#"{"to":16505551234}"#), 130_403);
    let form = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}{path}", scene.gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/x-www-form-urlencoded");
    refused(&scene.gateway.send(form.body("to=16505551234".to_owned()).unwrap()), 100);
    assert_eq!(scene.upstream.received().len(), 2);
}

#[test]
fn tokens_are_valid_for_their_own_senders_only() {
    let scene = Scene::good();
    let body = json!({ "to": TO }).to_string();
    let path = format!("/v25.0/{PHONE_ID}/messages");
    for (token, path, status, code) in [
        ("", path.as_str(), 401, 104),
        ("wrong-key", &path, 401, 190),
        (GLOBEX, &path, 400, 100),
        (ACME, "/v25.0/1/messages", 400, 100),
        ("", "/v25.0/me", 401, 104),
        ("wrong-key", "/v25.0/me", 401, 190),
    ] {
        let answer = post(&scene, token, path, &body);
        assert_eq!((answer.status, &answer.json["error"]["code"]), (status, &json!(code)), "{path}");
    }
    assert!(scene.upstream.received().is_empty());
}

#[test]
fn the_rest_of_the_graph_api_passes_unchanged() {
    let big = "x".repeat(3 << 20);
    let answer = big.clone();
    let upstream = Stand::start(move |_| Reply::Says(200, "application/octet-stream", answer.clone()));
    let scene = Scene::new(upstream, Stand::good(), Stand::good());
    let path = "/v25.0/102290129340398/message_templates?limit=3&name=a%20b";
    let answer = scene.gateway.call("GET", path, ACME, None);
    assert_eq!((answer.status, answer.text == big), (200, true));
    assert_eq!(scene.upstream.one().path, path);
    scene.upstream.forget();
    // Larger than any body that the gateway's own API accepts.
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4";
    let body = format!("--b\r\n{head}\r\n\r\n{}\r\n--b--\r\n", "y".repeat(20 << 20));
    let upload = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/v25.0/{PHONE_ID}/media", scene.gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "multipart/form-data; boundary=b");
    assert_eq!(scene.gateway.send(upload.body(body.clone()).unwrap()).status, 200);
    assert!(scene.upstream.one().body == body, "it arrives to the byte");
    scene.upstream.forget();
    // Another method of the messages' path, and a token in the query.
    let path = format!("/v25.0/{PHONE_ID}/messages?access_token={ACME}");
    assert_eq!(scene.gateway.call("GET", &path, "", None).status, 200);
    assert_eq!(scene.upstream.one().path, path);
    // The gateway's own paths are never forwarded.
    scene.gateway.get("/nothing").error(404, "not_found");
    assert_eq!(scene.gateway.call("POST", "/healthz", ACME, None).status, 405);
}

#[test]
fn the_upstream_s_token_replaces_the_client_s() {
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        config.replacen(
            "tokens = [\"acme-secret\"]",
            "tokens = [\"acme-secret\"]\naccess_token = \"EAA-secret\"",
            1,
        )
    });
    scene.send(TO).status.eq(&200).then_some(()).unwrap();
    assert_eq!(scene.upstream.one().header("authorization"), "Bearer EAA-secret");
    scene.upstream.forget();
    let path = format!("/v25.0/{PHONE_ID}?access_token={ACME}&fields=x");
    assert_eq!(scene.gateway.call("GET", &path, "", None).status, 200);
    let received = scene.upstream.one();
    assert_eq!(received.path, format!("/v25.0/{PHONE_ID}?fields=x"));
    assert_eq!(received.header("authorization"), "Bearer EAA-secret");
    let shown = scene.gateway.admin("GET", "/acme", None);
    assert_eq!(shown.ok()["settings"]["access_token"], "(set)");
    let refused = scene.gateway.admin("PUT", "/initech", Some(json!({ "access_token": "(set)" })));
    let refused = refused.error(400, "invalid_request");
    assert!(refused.contains("placeholder for a secret"), "{refused}");
}

#[test]
fn a_failing_upstream_is_distinguished_from_one_that_refuses() {
    let answers = |reply: fn() -> Reply| {
        let scene = Scene::new(Stand::start(move |_| reply()), Stand::good(), Stand::good());
        scene.send(TO)
    };
    let limited = answers(|| Reply::Says(429, "application/json", r#"{"error":{"code":80007}}"#.to_owned()));
    assert_eq!((limited.status, &limited.json["error"]["code"]), (429, &json!(80007)));
    let late = answers(|| Reply::Hangs);
    assert_eq!((late.status, &late.json["error"]["code"]), (504, &json!(2)));
    let gateway = Gateway::with(&config("http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1"));
    let body = json!({ "to": TO }).to_string();
    let gone = gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), ACME, Some(body));
    assert_eq!((gone.status, &gone.json["error"]["code"]), (502, &json!(2)));
}

#[test]
fn without_an_upstream_nothing_passes() {
    let gateway = Gateway::with(&format!(
        "{SERVER}[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n[[tenants.senders]]\nid = \"a\"\nphone_number_id = \"1\"\n"
    ));
    let answer = gateway.call("POST", "/v25.0/1/messages", ACME, Some(json!({ "to": TO }).to_string()));
    assert_eq!((answer.status, &answer.json["error"]["code"]), (404, &json!(2500)));
    gateway.call("GET", "/v25.0/1", ACME, None).error(404, "not_found");
}

#[test]
fn a_marketing_hold_stops_marketing_and_nothing_else() {
    let scene = Scene::good();
    scene.gateway.post("/senders/support/entries", json!({ "number": TO, "hold": "marketing" })).ok();
    let send = |template: Value| {
        let body =
            json!({ "messaging_product": "whatsapp", "to": TO, "type": "template", "template": template });
        post(&scene, ACME, &format!("/v25.0/{PHONE_ID}/messages"), &body.to_string())
    };
    refused(&send(json!({ "name": "promo_summer" })), 131_050);
    refused(&send(json!({ "name": "sale" })), 131_050);
    assert_eq!(send(json!({ "name": "sales" })).status, 200);
    assert_eq!(send(json!({ "name": "order_update" })).status, 200);
    assert_eq!(scene.send(TO).status, 200);
}

#[test]
fn no_spelling_of_a_path_bypasses_the_check() {
    let scene = Scene::good();
    scene.gateway.block(TO);
    let body = json!({ "messaging_product": "whatsapp", "to": TO, "type": "text", "text": { "body": "x" } });
    for path in [
        "/v25.0/106540352242922/%6Dessages",
        "/v25.0/106540352242922/messages/",
        "/v25.0/106540352242922//messages",
        "//v25.0/106540352242922/messages",
        "/v25.0/106540352242922/Messages",
        "/v25.0/106540352242922/messages%20",
        "/v25.0/106540352242922%2Fmessages",
        "/v25.0/x/106540352242922/../messages/",
        "/v25.0/106540352242922/marketing%5Fmessages",
        "/",
        "/v25.0",
        "/v25.0/",
        "/v25.0/106540352242922/messages?method=post",
        "/v25.0/106540352242922?method=POST",
    ] {
        for method in ["POST", "GET"] {
            let sent = (method == "POST").then(|| body.to_string());
            let answer = scene.gateway.call(method, path, ACME, sent);
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
        }
    }
    refused(
        &post(&scene, ACME, &format!("/v25.0/{PHONE_ID}/marketing_messages"), &body.to_string()),
        130_403,
    );
    assert!(scene.upstream.received().is_empty());
}

#[test]
fn marketing_messages_are_marketing() {
    let scene = Scene::good();
    scene.gateway.post("/senders/support/entries", json!({ "number": TO, "hold": "marketing" })).ok();
    let body =
        json!({ "messaging_product": "whatsapp", "to": TO, "type": "template", "template": { "name": "x" } });
    let path = format!("/{PHONE_ID}/marketing_messages");
    refused(&post(&scene, ACME, &path, &body.to_string()), 131_050);
    let other = body.to_string().replace("1234", "1236");
    assert_eq!(post(&scene, ACME, &path, &other).status, 200);
}

#[test]
fn requests_about_another_tenant_s_sender_are_refused() {
    let scene = Scene::good();
    for id in [super::OTHER_ID, "102290129340399"] {
        let answer = scene.gateway.call("GET", &format!("/v25.0/{id}/whatsapp_business_profile"), ACME, None);
        assert_eq!((answer.status, &answer.json["error"]["code"]), (403, &json!(10)), "{id}");
        let own = scene.gateway.call("GET", &format!("/{id}/whatsapp_business_profile"), GLOBEX, None);
        assert_eq!(own.status, 200);
    }
    assert_eq!(scene.upstream.received().len(), 2);
}

#[test]
fn a_response_that_breaks_off_is_passed_on_as_such() {
    let scene = Scene::new(Stand::start(|_| Reply::BreaksOff), Stand::good(), Stand::good());
    let body = json!({ "to": TO }).to_string();
    let sent = ureq::post(format!("{}/v25.0/{PHONE_ID}/messages", scene.gateway.url()))
        .header("authorization", format!("Bearer {ACME}"))
        .header("content-type", "application/json")
        .send(body.as_str());
    // The head announces a thousand bytes that never arrive, so clients see an error.
    assert!(sent.and_then(|mut answer| answer.body_mut().read_to_string()).is_err());
}

#[test]
fn digits_without_a_known_country_code_are_refused() {
    let without_number = |config: String| config.replace("number = \"15550783881\"\n", "");
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), without_number);
    for number in ["+14155550123", "+46732001122"] {
        scene.gateway.block(number);
    }
    for to in ["(415) 555-0123", "4155550123", "732001122", "0732001122", "415.555.0123"] {
        let answer = scene.send(to);
        refused(&answer, 100);
        let details = answer.json["error"]["error_data"]["details"].as_str().unwrap();
        assert!(
            details.contains("write + and the country code") && details.contains("`number`"),
            "{details}"
        );
    }
    for to in ["+1 (415) 555-0123", "14155550123", "46732001122", "0046732001122"] {
        refused(&scene.send(to), 130_403);
    }
    assert!(scene.upstream.received().is_empty());
    for to in ["+12025550173", "12025550173", "5215512345678"] {
        assert_eq!(scene.send(to).status, 200, "{to}");
    }
    assert_eq!(scene.upstream.received().len(), 3);
    // Recipients of calls and marketing messages are read in the same way.
    for (edge, body) in [
        (
            "marketing_messages",
            json!({ "messaging_product": "whatsapp", "to": "4155550123", "type": "template" }),
        ),
        ("calls", json!({ "messaging_product": "whatsapp", "to": 4_155_550_123_u64, "action": "connect" })),
    ] {
        refused(&post(&scene, ACME, &format!("/v25.0/{PHONE_ID}/{edge}"), &body.to_string()), 100);
    }
}

#[test]
fn digits_of_no_country_are_not_read_as_numbers_of_the_sender_s_country() {
    let scene = Scene::good();
    for blocked in ["+4741234567", "+841682345678", "+5511987654322", "+2250707123459", "+34612345678"] {
        scene.gateway.block(blocked);
    }
    for to in [
        "47041234567",
        "84 0168 234 5678",
        "55 011 87654322",
        "225 0 07123459",
        "340612345678",
        "45020123456",
        "102025550173",
        "7 8 100 000-00-00",
    ] {
        for to in [to.to_owned(), format!("+{to}"), format!("00{to}")] {
            let answer = scene.send(&to);
            refused(&answer, 100);
            let details = answer.json["error"]["error_data"]["details"].as_str().unwrap();
            assert!(details.contains("a prefix that is dialled inside its country only"), "{to}: {details}");
        }
    }
    for (edge, rest) in [("marketing_messages", json!("template")), ("calls", json!("audio"))] {
        let body = json!({ "to": "47041234567", "type": rest, "action": "connect" }).to_string();
        refused(&post(&scene, ACME, &format!("/v25.0/{PHONE_ID}/{edge}"), &body), 100);
    }
    assert!(scene.upstream.received().is_empty());
    // New ranges that the numbering plans do not know yet are read as written.
    for to in ["46100000000001", "6505551234", "(650) 555-1234", "011 46 73 200 11 22"] {
        assert_eq!(scene.send(to).status, 200, "{to}");
    }
}

#[test]
fn a_recipient_is_read_as_the_sender_s_country_dials_abroad() {
    let russian = |config: String| config.replace("number = \"15550783881\"", "number = \"79000000001\"");
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), russian);
    scene.gateway.block("+79123456789");
    for to in ["81079123456789", "8 10 7 912 345-67-89", "89123456789", "9123456789"] {
        refused(&scene.send(to), 130_403);
    }
    assert!(scene.upstream.received().is_empty());
}
