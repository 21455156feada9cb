//! `POST /route`.

use serde_json::{Value, json};

use super::super::support::{Answer, Gateway, SERVER};
use super::stand::{Reply, Stand};

fn gateway(outbound: &str, inbound: &str) -> Gateway {
    let hop = |name: &str, url: &str| {
        if url.is_empty() { String::new() } else { format!("next_hops.{name} = \"{url}\"\n") }
    };
    Gateway::with(&format!(
        "{SERVER}\n[traffic]\nupstream_timeout_seconds = 1\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n\
         default_region = \"SE\"\n{}{}[[tenants.senders]]\nid = \"support\"\n",
        hop("outbound", outbound),
        hop("inbound", inbound)
    ))
}

fn outbound(gateway: &Gateway, to: &str, body: Value) -> Answer {
    gateway.post(
        "/route",
        json!({ "sender": "support", "recipient": to, "direction": "outbound", "body": body }),
    )
}

#[test]
fn a_message_reaches_the_next_hop_unchanged_and_its_response_is_returned() {
    let hop = Stand::start(|_| Reply::Says(202, "text/plain", "0: Accepted for delivery".to_owned()));
    let gateway = gateway(&format!("{}/sms", hop.url()), "");
    let sent = r#"{ "sender":"support","recipient":"073-200 11 22","direction":"outbound","body":{"text":"héj"},"priority":1.50 }"#;
    let answer = gateway.call("POST", "/portcullis/v1/route", "acme-secret", Some(sent.to_owned()));
    assert_eq!((answer.status, answer.text.as_str()), (202, "0: Accepted for delivery"));
    assert_eq!(answer.header("x-upstream"), "its own");
    let received = hop.one();
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/sms"));
    assert_eq!(received.text(), sent);
    assert_eq!(received.header("authorization"), "", "the token is the gateway's own");
}

#[test]
fn blocked_messages_are_refused_in_their_direction() {
    let (out, inward) = (Stand::good(), Stand::good());
    let gateway = gateway(&out.url(), &inward.url());
    gateway
        .post("/senders/support/entries", json!({ "number": "+46732001122", "directions": ["outbound"] }))
        .ok();
    outbound(&gateway, "+46732001122", json!("x")).error(403, "blocked");
    let inbound =
        json!({ "sender": "+46732001122", "recipient": "support", "direction": "inbound", "body": "x" });
    assert_eq!(gateway.post("/route", inbound).status, 200);
    assert!(out.received().is_empty());
    assert_eq!(inward.received().len(), 1);
}

#[test]
fn a_url_with_placeholders_is_fetched_with_get_as_by_kannel_and_jasmin() {
    let hop = Stand::good();
    let url =
        format!("{}/cgi-bin/sendsms?username=u&from={{sender}}&to={{recipient}}&text={{body}}", hop.url());
    let gateway = gateway(&url, "");
    assert_eq!(outbound(&gateway, "+46732001122", json!("Hi & bye")).status, 200);
    let received = hop.one();
    assert_eq!(received.method, "GET");
    assert_eq!(received.path, "/cgi-bin/sendsms?username=u&from=support&to=46732001122&text=Hi+%26+bye");
    assert!(received.body.is_empty());
}

#[test]
fn a_placeholder_gets_the_digits_of_one_recipient() {
    let hop = Stand::good();
    let gateway = gateway(&format!("{}/sendsms?to={{recipient}}", hop.url()), "");
    gateway.block("+46732001122");
    for (written, sent) in [
        ("4673200112 9", "46732001129"),
        ("46732001122 9", "467320011229"),
        ("+46 73-200 11 29", "46732001129"),
        ("073-200 11 29", "46732001129"),
        ("21000", "21000"),
    ] {
        hop.forget();
        assert_eq!(outbound(&gateway, written, json!("x")).status, 200, "{written}");
        assert_eq!(hop.one().path, format!("/sendsms?to={sent}"), "{written}");
    }
}

#[test]
fn a_placeholder_never_gets_a_user_id_that_looks_like_a_number() {
    let (out, inward) = (Stand::good(), Stand::good());
    let gateway = gateway(
        &format!("{}/sendsms?to={{recipient}}", out.url()),
        &format!("{}/in?from={{sender}}", inward.url()),
    );
    let answer = outbound(&gateway, "user:46732001122", json!("x"));
    let message = answer.error(400, "invalid_request");
    assert!(message.contains("it is a user id") && message.contains("write a number"), "{message}");
    let inbound = json!({
        "sender": "user:46732001122", "recipient": "support", "direction": "inbound", "body": "STOP",
    });
    gateway.post("/route", inbound).error(400, "invalid_request");
    assert!(out.received().is_empty() && inward.received().is_empty());
    // The opt-out counts all the same.
    assert_eq!(gateway.verdict_of("support", "user:46732001122", "outbound"), "block");
}

#[test]
fn a_stop_opts_out_and_gets_one_confirmation() {
    let gateway = gateway("", "");
    let from = |sender: &str, body: Value| {
        let message =
            json!({ "sender": sender, "recipient": "support", "direction": "inbound", "body": body });
        gateway.post("/route", message)
    };
    from("+46732001122", json!("Stop")).ok();
    from("+46732001123", json!({ "text": "STOP" })).ok();
    for to in ["+46732001122", "+46732001123"] {
        outbound(&gateway, to, json!({ "other": 1 })).error(403, "blocked");
        outbound(&gateway, to, json!("You are out")).ok();
        outbound(&gateway, to, json!("Buy!")).error(403, "blocked");
    }
    from("+46732001122", json!("start")).ok();
    outbound(&gateway, "+46732001122", json!("Welcome")).ok();
    let history = gateway.get("/senders/support/entries/+46732001122/history");
    assert_eq!(history.ok()["records"][0]["actor"], json!({ "name": "person", "interface": "route" }));
    // A message that is older than the latest request.
    let message = json!({
        "sender": "+46732001122", "recipient": "support", "direction": "inbound", "body": "STOP", "id": "7",
        "timestamp": "2024-01-01T00:00:00Z",
    });
    gateway.post("/route", message).ok();
    outbound(&gateway, "+46732001122", json!("Hello")).ok();
    // An opt-in that is dated ahead may come again after a later opt-out.
    let in_an_hour = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let message = json!({
        "sender": "+46732001123", "recipient": "support", "direction": "inbound", "body": "START", "id": "8",
        "timestamp": in_an_hour.to_string(),
    });
    gateway.post("/route", message).ok();
    outbound(&gateway, "+46732001123", json!("Hello")).error(403, "blocked");
}

/// An inbound message whose body is inserted verbatim.
fn written(gateway: &Gateway, sender: &str, body: &str) -> Answer {
    let message =
        format!(r#"{{"sender":"{sender}","recipient":"support","direction":"inbound","body":{body}}}"#);
    gateway.call("POST", "/portcullis/v1/route", "acme-secret", Some(message))
}

#[test]
fn a_stop_counts_despite_odd_members_or_the_message_is_refused() {
    let inward = Stand::good();
    let gateway = gateway("", &inward.url());
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (n, body) in [
        r#""STOP \ud83d""#,
        r#"{"text":"STOP","n":1e999}"#,
        &format!(r#"{{"text":"STOP","z":{deep}}}"#),
        r#"{"text":"STOP","n":"\ud83d"}"#,
        r#"{"text":"STOP","\ud83d":1}"#,
        r#"{"text":"hi","text":"STOP"}"#,
        r#"{"text":"STOP","text":["hi"]}"#,
        r#"{"text":{"body":"STOP"}}"#,
        r#"{"te\u0078t":"STOP"}"#,
    ]
    .iter()
    .enumerate()
    {
        let sender = format!("+467320013{n:02}");
        assert_eq!(written(&gateway, &sender, body).status, 200, "{body}");
        assert_eq!(gateway.verdict_of("support", &sender, "outbound"), "block", "{body}");
        assert!(inward.received().last().unwrap().text().contains(body), "{body}");
    }
    inward.forget();
    let sender = "+46732001122";
    for body in [r#"{"text":["STOP"]}"#, r#"{"text":{"body":["STOP"]}}"#, r#"{"text":1.5}"#] {
        let refused = written(&gateway, sender, body);
        refused.error(400, "invalid_request");
        assert!(refused.text.contains("body.text"), "{}", refused.text);
    }
    // The envelope is never guessed.
    written(&gateway, sender, r#""STOP","body":"hi""#).error(400, "invalid_request");
    written(&gateway, sender, r#""STOP","sender":"+46732001123""#).error(400, "invalid_request");
    assert_eq!(written(&gateway, sender, r#""STOP","\ud83d":1"#).status, 400);
    assert!(inward.received().is_empty());
    // An opt-in counts only if it stands alone.
    written(&gateway, sender, r#""STOP""#);
    assert_eq!(written(&gateway, sender, r#"{"text":"START","text":"hi"}"#).status, 200);
    assert_eq!(gateway.verdict_of("support", sender, "outbound"), "block");
}

#[test]
fn a_placeholder_gets_the_decoded_text() {
    let hop = Stand::good();
    let gateway = gateway("", &format!("{}/in?text={{body}}", hop.url()));
    assert_eq!(written(&gateway, "+46732001122", r#""a \ud83d""#).status, 200);
    assert!(hop.one().path.starts_with("/in?text=a+%EF%BF%BD"), "{}", hop.one().path);
}

#[test]
fn short_codes_and_sender_names_pass() {
    let inward = Stand::good();
    let gateway = gateway("", &inward.url());
    let from = |sender: &str| {
        let message =
            json!({ "sender": sender, "recipient": "support", "direction": "inbound", "body": "STOP" });
        gateway.post("/route", message)
    };
    let nobody_s = [
        "21000",
        "+21000",
        "12",
        "112",
        "72123456",
        "ACMEBank",
        "Ac-Me 24",
        "Shop@Home",
        "24:7 Taxi",
        "Tele2 (SE)",
        "Ärzte §5",
        "M&S*sale!",
        "a[b]c",
    ];
    for sender in nobody_s {
        assert_eq!(from(sender).status, 200, "{sender}");
    }
    assert_eq!(inward.received().len(), nobody_s.len());
    // What may be a mistyped number is refused.
    for sender in [
        "4673200112a",
        "+46732001122x5",
        "0043",
        "+0043",
        "1",
        "++21000",
        "+1234567",
        "+12345678",
        "user:",
        "user:a b",
        "Bank\u{7}",
        "[abcdefgh]x",
        "46732001122.0",
        "tel:46732001122",
        "ACMEBankOfSweden",
    ] {
        let refused = from(sender);
        assert_eq!(refused.status, 400, "{sender}");
        refused.error(400, "invalid_number");
    }
    // Without a default region, it may be a national number.
    let anywhere = Gateway::with(&format!(
        "{SERVER}\n[[tenants]]\nid = \"acme\"\ntokens = [\"acme-secret\"]\n[[tenants.senders]]\nid = \"support\"\n"
    ));
    written(&anywhere, "72123456", "1").error(400, "invalid_number");
    written(&anywhere, "721234", "1").ok();
    outbound(&gateway, "21000", json!("HELP")).ok();
    for recipient in ["ACMEBank", "+21000", "12", "72123456"] {
        outbound(&gateway, recipient, json!("x")).error(400, "invalid_number");
    }
    assert_eq!(gateway.get("/senders/support/entries?status=all").ok()["entries"], json!([]));
}

#[test]
fn without_a_hop_the_verdict_is_returned() {
    let gateway = gateway("", "");
    assert_eq!(*outbound(&gateway, "+46732001122", Value::Null).ok(), json!({ "verdict": "allow" }));
    gateway.block("+46732001122");
    outbound(&gateway, "+46732001122", Value::Null).error(403, "blocked");
}

#[test]
fn invalid_requests_are_refused_and_not_sent() {
    let hop = Stand::good();
    let gateway = gateway(&hop.url(), "");
    outbound(&gateway, "nonsense", Value::Null).error(400, "invalid_number");
    for body in [
        json!({}),
        json!({ "sender": "support", "recipient": "+46732001122" }),
        json!({ "sender": "support", "recipient": "+46732001122", "direction": "sideways" }),
        json!({ "sender": 1, "recipient": "+46732001122", "direction": "outbound" }),
    ] {
        gateway.post("/route", body).error(400, "invalid_request");
    }
    let body = json!({ "sender": "nobody", "recipient": "+46732001122", "direction": "outbound" });
    gateway.post("/route", body).error(404, "unknown_sender");
    assert!(hop.received().is_empty());
}

#[test]
fn a_hop_that_does_not_respond_is_reported() {
    let hangs = Stand::start(|_| Reply::Hangs);
    outbound(&gateway(&hangs.url(), ""), "+46732001122", Value::Null).error(504, "next_hop_late");
    outbound(&gateway("http://127.0.0.1:1", ""), "+46732001122", Value::Null).error(502, "next_hop_failed");
}

#[test]
fn long_messages_are_read_like_short_ones() {
    let (out, inward) = (Stand::good(), Stand::good());
    let gateway = gateway(&out.url(), &inward.url());
    let long = json!({ "text": "STOP", "more": "x".repeat(100 << 10) });
    let inbound =
        json!({ "sender": "+46732001122", "recipient": "support", "direction": "inbound", "body": long });
    assert_eq!(gateway.post("/route", inbound.clone()).status, 200);
    assert_eq!(inward.one().json(), inbound);
    // Not a text, which might be the confirmation.
    let long = json!({ "other": "x".repeat(100 << 10) });
    outbound(&gateway, "+46732001122", long.clone()).error(403, "blocked");
    assert_eq!(outbound(&gateway, "+46732003344", long.clone()).status, 200);
    assert_eq!(out.one().json()["body"], long);
    let unreadable = json!({ "sender": 5, "more": "x".repeat(9 << 10) });
    gateway.post("/route", unreadable).error(400, "invalid_request");
}
