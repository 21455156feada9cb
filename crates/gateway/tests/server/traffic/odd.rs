//! Malformed but valid JSON in webhooks: an opt-out in it counts, and no blocked message passes because of it.

use serde_json::{Value, json};

use super::stand::Stand;
use super::{PHONE_ID, Scene, ids, signed, text};

const FROM: &str = "16505551234";
const BLOCKED: &str = "16505551235";
const ACCOUNT: &str = "102290129340398";
const DEFAULT: &str = "/default";
/// A second sender of the same account, with its own list.
const SALES: &str = "106540352242923";

/// Two senders of one account, and a default callback. One person is blocked for one of the two.
fn scene(setting: &str) -> Scene {
    let default = Stand::good();
    let url = default.url();
    let scene = Scene::with(Stand::good(), default, Stand::good(), |config| {
        let sales = format!(
            "[[tenants.senders]]\nid = \"sales\"\nphone_number_id = \"{SALES}\"\nwaba_id = \"{ACCOUNT}\"\n\
             callback_url = \"{url}/sales\"\n{setting}"
        );
        config
            .replacen("[[tenants]]\nid = \"globex\"", &format!("{sales}\n[[tenants]]\nid = \"globex\""), 1)
            .replacen("callback_url", &format!("{setting}callback_url"), 1)
            .replace("[traffic]", &format!("default_callback_url = \"{url}{DEFAULT}\"\n[traffic]"))
    });
    scene.gateway.post("/senders/sales/entries", json!({ "number": BLOCKED })).ok();
    scene
}

fn is_out(scene: &Scene, sender: &str, number: &str) -> bool {
    scene.gateway.verdict_of(sender, number, "outbound") == "block"
}

/// A webhook for sales, whose content is inserted verbatim.
struct Webhook<'a> {
    account: &'a str,
    metadata: &'a str,
    messages: &'a str,
    /// Additional members of the value, after a comma.
    more: &'a str,
}

const METADATA: &str = r#"{"phone_number_id":"106540352242923"}"#;

impl Webhook<'_> {
    fn value(&self) -> String {
        let Webhook { metadata, messages, more, .. } = self;
        format!(r#"{{"metadata":{metadata},"messages":[{messages}]{more}}}"#)
    }

    fn of(&self, value: &str) -> String {
        let account = self.account;
        format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{account}","changes":[{{"field":"messages","value":{value}}}]}}]}}"#
        )
    }

    fn body(&self) -> String {
        self.of(&self.value())
    }
}

fn of(messages: &str) -> Webhook<'_> {
    Webhook { account: ACCOUNT, metadata: METADATA, messages, more: "" }
}

/// A text message with this content.
fn written(from: &str, content: &str) -> String {
    format!(r#"{{"from":"{from}","id":"{from}","type":"text",{content}}}"#)
}

fn says(from: &str, body: &str) -> String {
    written(from, &format!(r#""text":{{"body":"{body}"}}"#))
}

#[test]
fn the_sender_of_a_webhook_is_read_despite_odd_members() {
    let scene = scene("");
    let blocked = says(BLOCKED, "x");
    let good = of(&blocked);
    for (account, metadata, more) in [
        ("999", r#"{"phone_number_id":"106540352242923","\ud83d":1}"#, ""),
        ("999", r#"{"phone_number_id":"106540352242923","x":1,"x":2}"#, ""),
        ("999", r#"{"phone_number_id":106540352242923,"phone_number_id":"106540352242923"}"#, ""),
        ("999", METADATA, r#","\ud83d":1"#),
        ("999", METADATA, r#","messages":[]"#),
        ("999", METADATA, r#","metadata":{"display_phone_number":"1"}"#),
    ] {
        let odd = Webhook { account, metadata, more, ..good };
        assert_eq!(scene.webhook(&odd.body()).status, 200, "{}", odd.body());
        assert!(scene.callback.received().is_empty(), "{}", odd.body());
    }
    // The same at every level above.
    let value = good.value();
    let once = good.body();
    for odd in [
        good.of(&value).replace(r#""field""#, r#""value":{},"field""#),
        good.of(&value).replace(r#""changes""#, r#""changes":[],"\ud83d":1,"changes""#),
        good.of(&value).replace(r#""entry""#, r#""entry":[],"entry""#),
        good.of(&value).replace(r#"[{"id""#, r#"[{"id":"1","id""#),
        once.replace(r#""object""#, r#""\ud83d":[],"object":"x","object""#),
    ] {
        assert_eq!(scene.webhook(&odd).status, 200, "{odd}");
        assert!(scene.callback.received().is_empty(), "{odd}");
    }
    let stop = of(&says(FROM, "STOP")).body().replace(r#""entry""#, r#""entry":[],"\ud83d":1,"entry""#);
    assert_eq!(scene.webhook(&stop).status, 200);
    assert_eq!(scene.callback.one().text(), stop, "to the byte");
    assert_eq!((is_out(&scene, "sales", FROM), is_out(&scene, "support", FROM)), (true, false));
}

#[test]
fn invalid_utf_8_does_not_hide_an_opt_out() {
    let scene = scene("");
    let stop = of(&says(FROM, "STOP")).body();
    let (before, after) = stop.split_once(r#""object""#).unwrap();
    let body = [before.as_bytes(), b"\"x\":\"\xff\",\"object\"", after.as_bytes()].concat();
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/webhooks/meta", scene.gateway.url()))
        .header("x-hub-signature-256", signed(&body));
    assert_eq!(scene.gateway.send_bytes(request.body(body.clone()).unwrap()).status, 200);
    assert_eq!(scene.callback.one().body, body, "to the byte");
    assert!(is_out(&scene, "sales", FROM));
}

#[test]
fn a_webhook_for_an_unreadable_sender_is_held_and_an_opt_out_in_it_counts() {
    let scene = scene("");
    let stop = says(FROM, "STOP");
    let good = of(&stop);
    let value = good.value();
    let odd: Vec<String> = [
        r#"{"phone_number_id":106540352242923.0}"#,
        r#"{"phone_number_id":"sales"}"#,
        r#"{"phone_number_id":["106540352242923"]}"#,
        r#"{"phone_number_id":"106540352242923","phone_number_id":"106540352242922"}"#,
        "[]",
        // An account with several senders, and nothing to tell them apart.
        "{}",
    ]
    .iter()
    .map(|metadata| Webhook { metadata, ..good }.body())
    .collect();
    for body in &odd {
        let scene = self::scene("");
        assert_eq!(scene.webhook(body).status, 503, "{body}");
        assert!(scene.callback.received().is_empty(), "{body}");
        assert!(is_out(&scene, "sales", FROM), "{body}");
    }
    let metrics = || scene.gateway.metrics();
    for body in [
        good.of("[]"),
        good.of(&format!("[{value}]")),
        good.of(&value).replace(r#""field""#, r#""value":[],"field""#),
        Webhook { account: "999", metadata: "{}", ..good }.body(),
        Webhook { account: "999", ..good }.of("[]"),
        good.of(&value).replace(r#"[{"id""#, r#"[7,{"id""#),
        good.of(&value).replace(r#""changes""#, r#""changes":7,"changes""#),
        good.of(&value).replace(r#""entry""#, r#""entry":7,"entry""#),
        good.of(&value).replace(r#"[{"field""#, r#"[7,{"field""#),
    ] {
        assert_eq!(scene.webhook(&body).status, 503, "{body}");
        let received = scene.callback.received();
        assert!(received.iter().all(|one| ids(&one.json()) == [FROM]), "{body}");
        scene.callback.forget();
    }
    assert!(metrics().contains(r#"tenant="acme",direction="inbound",outcome="unreadable"}"#));
    scene.gateway.until_logged("whose sender can't be determined");
    // An opt-out counts for its sender if that can be read.
    let other = "16505551239";
    let stop = says(other, "STOP");
    let torn = of(&stop).body().replace(r#""changes""#, r#""changes":7,"changes""#);
    assert_eq!(scene.webhook(&torn).status, 503);
    assert_eq!((is_out(&scene, "sales", other), is_out(&scene, "support", other)), (true, false));
    // Webhooks of other products, and those about no person, are forwarded as usual.
    let page = r#"{"object":"page","entry":[{"id":"1","changes":[{"field":"name","value":"x"}]}]}"#;
    assert_eq!(scene.webhook(page).status, 200);
    let account = good.of(r#"{"event":"VERIFIED_ACCOUNT"}"#);
    assert_eq!(scene.webhook(&account).status, 200);
    let others = Webhook { metadata: r#"{"phone_number_id":"1"}"#, ..good }.body();
    assert_eq!(scene.webhook(&others).status, 200);
    let paths: Vec<String> = scene.callback.received().iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths, [DEFAULT, "/in?x=1", DEFAULT]);
}

#[test]
fn unreadable_webhooks_are_delivered_if_configured_unless_somebody_is_blocked() {
    let scene = scene("unreadable_inbound = \"deliver\"\n");
    let two = r#"{"phone_number_id":"106540352242923","phone_number_id":"106540352242922"}"#;
    let blocked = says(BLOCKED, "x");
    assert_eq!(scene.webhook(&Webhook { metadata: two, ..of(&blocked) }.body()).status, 200);
    assert!(scene.callback.received().is_empty());
    let other = says(FROM, "x");
    let body = Webhook { metadata: two, ..of(&other) }.body();
    assert_eq!(scene.webhook(&body).status, 200);
    assert_eq!(scene.callback.one().text(), body);
    scene.callback.forget();
    // A change that can be read in part.
    let both = format!("{blocked},{other}");
    let torn = of(&both).body().replace(r#""field""#, r#""value":[],"field""#);
    assert_eq!(scene.webhook(&torn).status, 200);
    assert_eq!(ids(&scene.callback.one().json()), [FROM]);
}

#[test]
fn an_opt_out_counts_in_duplicate_or_partly_invalid_text() {
    let scene = scene("");
    for (n, content) in [
        r#""text":{"body":"STOP","\ud83d":1}"#,
        r#""text":{"body":"STOP","preview_url":false,"preview_url":false}"#,
        r#""text":{"body":"hi","body":"STOP"}"#,
        r#""text":{"body":"STOP","body":"hi"}"#,
        r#""text":{"body":"STOP"},"text":{"body":"hi"}"#,
        r#""text":"STOP""#,
        r#""text":{"bo\u0064y":"STOP"}"#,
        r#""button":{"payload":"x","text":"STOP","\ud83d":1}"#,
        r#""interactive":{"\ud83d":1,"button_reply":{"id":"x","title":"STOP","title":"x"}}"#,
        r#""interactive":{"list_reply":{"id":"x","id":"y","title":"STOP"}}"#,
        r#""edit":{"message":{"\ud83d":1,"text":{"body":"STOP","body":1}}}"#,
        r#""text":{"body":"STOP"},"\ud83d":1"#,
        r#""text":{"body":"STOP"},"timestamp":"x","timestamp":"y""#,
    ]
    .iter()
    .enumerate()
    {
        let from = format!("1650555{:04}", 2000 + n);
        let body = of(&written(&from, content)).body();
        assert_eq!(scene.webhook(&body).status, 200, "{body}");
        assert!(is_out(&scene, "sales", &from), "{body}");
        assert_eq!(scene.callback.received().last().unwrap().text(), body, "to the byte");
    }
}

#[test]
fn messages_with_unreadable_text_are_held() {
    let scene = scene("");
    for content in [
        r#""text":["STOP"]"#,
        r#""text":{"body":["STOP"]}"#,
        r#""text":{"body":"hi","body":1.5}"#,
        r#""button":7"#,
        r#""interactive":{"button_reply":[]}"#,
        r#""edit":{"message":[]}"#,
    ] {
        let body = of(&written(FROM, content)).body();
        assert_eq!(scene.webhook(&body).status, 503, "{body}");
        assert!(scene.callback.received().is_empty(), "{body}");
        // Messages of a blocked person are dropped in any case.
        assert_eq!(scene.webhook(&of(&written(BLOCKED, content)).body()).status, 200, "{body}");
        assert!(scene.callback.received().is_empty(), "{body}");
    }
    let good = written(FROM, r#""text":null,"button":{"text":"x"},"image":["STOP"]"#);
    assert_eq!(scene.webhook(&of(&good).body()).status, 200);
    assert_eq!(scene.callback.received().len(), 1);
}

#[test]
fn messages_of_an_ambiguous_person_are_held() {
    let scene = scene("");
    scene.gateway.post("/senders/sales/entries", json!({ "number": "user:US.9" })).ok();
    let message = |who: &str| format!(r#"{{{who},"id":"1","type":"text","text":{{"body":"x"}}}}"#);
    for (who, status) in [
        (r#""from":"16505551235.0","from_user_id":"US.1""#, 503),
        (r#""from":16505551235.0,"from_user_id":"US.1""#, 503),
        (r#""from":["16505551235"],"from_user_id":"US.1""#, 503),
        (r#""from":"16505551234","from_user_id":{"id":"US.1"}"#, 503),
        (r#""from":"16505551234","from":"16505551236""#, 503),
        (r#""from_user_id":"US.1","from_user_id":"US.2""#, 503),
        // One of the possible senders is blocked.
        (r#""from":"x","from_user_id":"US.9""#, 200),
        (r#""from":"16505551234","from":"16505551235""#, 200),
        (r#""from_user_id":"US.1","from_user_id":"US.9""#, 200),
    ] {
        let body = of(&message(who)).body();
        assert_eq!(scene.webhook(&body).status, status, "{body}");
        assert!(scene.callback.received().is_empty(), "{body}");
    }
    // An opt-out counts for each possible person, and they are not linked to each other.
    let doubtful = r#"{"from":"16505551237","from":"16505551238","from_user_id":"US.7","id":"1","text":{"body":"STOP"}}"#;
    assert_eq!(scene.webhook(&of(doubtful).body()).status, 503);
    for number in ["16505551237", "16505551238", "user:US.7"] {
        assert!(is_out(&scene, "sales", number), "{number}");
    }
    let start = doubtful.replace("STOP", "START");
    assert_eq!(scene.webhook(&of(&start).body()).status, 503);
    assert!(is_out(&scene, "sales", "16505551237"), "a start counts for nobody");
    scene.gateway.delete("/senders/sales/entries", json!({ "number": "user:US.9" })).ok();
    // The same person twice, or no number.
    for good in [
        r#""from":"5215512345678","from":"525512345678""#,
        r#""from":"","from_user_id":"US.1""#,
        r#""from":null,"from_user_id":"US.1""#,
    ] {
        scene.callback.forget();
        assert_eq!(scene.webhook(&of(&message(good)).body()).status, 200, "{good}");
        assert_eq!(scene.callback.received().len(), 1, "{good}");
    }
}

#[test]
fn calls_echoes_contacts_threads_and_preferences_of_an_ambiguous_person_are_held() {
    let scene = scene("");
    let value = |more: &str| of("").of(&format!(r#"{{"metadata":{METADATA},{more}}}"#));
    for more in [
        r#""calls":[{"from":"x","from_user_id":"US.1","direction":"USER_INITIATED"}]"#,
        r#""calls":[{"from":"16505551235","to":"15550783881","direction":["USER_INITIATED"]}]"#,
        r#""message_echoes":[{"from":"15550783881","to":"x","to_user_id":"US.1"}]"#,
        r#""contacts":[{"wa_id":"16505551235.0","user_id":"US.1"}]"#,
        r#""contacts":7"#,
        r#""history":[{"threads":[{"id":"x","context":{"user_id":"US.1"},"messages":[]}]}]"#,
        r#""history":[{"threads":[{"id":"16505551234","messages":7}]}]"#,
        r#""history":[{"threads":[{"id":"16505551234","messages":[{"from":"16505551234","text":[]}]}]}]"#,
        r#""standby":"x""#,
        r#""user_preferences":[{"wa_id":"x","user_id":"US.1","category":"marketing_messages","value":"x"}]"#,
        r#""user_preferences":[{"wa_id":"16505551234","category":"marketing_messages","value":["stop"]}]"#,
        r#""user_preferences":7"#,
        r#""messages":[{"from":"16505551234","type":"system","system":{"type":"user_changed_number","wa_id":"x"}}]"#,
    ] {
        let body = value(more);
        let status = scene.webhook(&body).status;
        // The call may be from the blocked person.
        assert!(status == 503 || more.contains(r#"["USER"#) && status == 200, "{status} {body}");
        assert!(scene.callback.received().is_empty(), "{body}");
    }
    let stop = r#""user_preferences":[{"wa_id":"16505551234","category":"marketing_messages","value":"resume","value":"stop"}]"#;
    assert_eq!(scene.webhook(&value(stop)).status, 200);
    let entry = scene.gateway.get(&format!("/senders/sales/entries/{FROM}"));
    let hold = || entry.ok()["holds"][0].clone();
    assert_eq!((&hold()["kind"], &hold()["directions"]), (&json!("marketing"), &json!(["outbound"])));
}

/// A system message for sales.
fn told(who: &str, system: &str) -> String {
    format!(r#"{{{who}"id":"m","timestamp":"1749416383","type":"system","system":{{{system}}}}}"#)
}

#[test]
fn a_change_of_number_with_an_unreadable_person_is_held() {
    let scene = scene("");
    let outbound = json!({ "number": FROM, "directions": ["outbound"] });
    scene.gateway.post("/senders/sales/entries", outbound).ok();
    let from = r#""from":"16505551234","#;
    for (who, system) in [
        (from, r#""type":"user_changed_number","body":"x""#),
        (from, r#""type":"user_changed_number","wa_id":null"#),
        (from, r#""type":"customer_changed_number","customer":"16505551234","new_wa_id":"""#),
        (from, r#""type":"user_changed_user_id","body":"x""#),
        (from, r#""type":"user_changed_user_id","previous_user_id":"US.1""#),
        (from, r#""type":"user_changed_number","wa_id":"12025550171","new_wa_id":"12025550172""#),
        ("", r#""type":"user_changed_number","wa_id":"12025550171""#),
    ] {
        let body = of(&told(who, system)).body();
        assert_eq!(scene.webhook(&body).status, 503, "{body}");
        assert!(scene.callback.received().is_empty(), "{body}");
    }
    assert!(!is_out(&scene, "sales", "12025550171") && !is_out(&scene, "sales", "12025550172"));
    // The contact says who moved, if there is one contact and one message.
    let nameless = told("", r#""type":"user_changed_number","wa_id":"12025550173""#);
    let contact = r#","contacts":[{"wa_id":"16505551234"}]"#;
    let both = format!("{nameless},{}", says("16505551239", "x"));
    let body = Webhook { more: contact, ..of(&both) }.body();
    assert_eq!(scene.webhook(&body).status, 503);
    assert!(!is_out(&scene, "sales", "12025550173"));
    scene.callback.forget();
    let body = Webhook { more: contact, ..of(&nameless) }.body();
    assert_eq!(scene.webhook(&body).status, 200);
    assert_eq!(scene.callback.one().text(), body);
    assert!(is_out(&scene, "sales", "12025550173"));
    // The current ids say where the person moved to.
    scene.callback.forget();
    let body = of(&told(from, r#""type":"user_changed_user_id","user_id":"US.1""#)).body();
    assert_eq!(scene.webhook(&body).status, 200);
    assert_eq!(scene.callback.one().text(), body);
    assert!(is_out(&scene, "sales", "user:US.1"));
}

#[test]
fn duplicate_arrays_are_both_filtered() {
    let scene = scene("");
    let (good, blocked) = (says(FROM, "x"), says(BLOCKED, "x"));
    let more = format!(r#","messages":[{good}]"#);
    assert_eq!(scene.webhook(&Webhook { more: &more, ..of(&blocked) }.body()).status, 200);
    let received = scene.callback.one();
    assert_eq!(ids(&received.json()), [FROM]);
    assert_eq!(received.text().matches("messages\":[").count(), 1, "{}", received.text());
    assert_eq!(received.header("x-hub-signature-256"), signed(&received.body));
}

#[test]
fn a_blocked_message_that_can_not_be_marked_is_not_delivered() {
    for unreadable in ["", "unreadable_inbound = \"deliver\"\n"] {
        let scene = scene(&format!("blocked_inbound = \"mark\"\n{unreadable}"));
        for id in [r#""id":"a","id":"b""#, r#""id":["a"]"#, r#""id":"a,b""#, r#""id":"\u00e9""#, r#""x":1"#] {
            let message = format!(r#"{{"from":"{BLOCKED}",{id},"type":"text","text":{{"body":"x"}}}}"#);
            assert_eq!(scene.webhook(&of(&message).body()).status, 503, "{unreadable}{id}");
            assert!(scene.callback.received().is_empty(), "{unreadable}{id}");
        }
        assert_eq!(scene.webhook(&of(&says(BLOCKED, "x")).body()).status, 200, "{unreadable}");
        assert_eq!(scene.callback.one().header("x-portcullis-blocked"), BLOCKED, "{unreadable}");
    }
}

#[test]
fn opt_outs_in_the_history_count_in_every_spelling() {
    let scene = Scene::good();
    let second = jiff::Timestamp::now().as_second() - 60;
    for (thread, from) in [
        ("5491123456789", "541123456789"),
        ("5215512345678", "525512345678"),
        ("5511987654321", "551187654321"),
    ] {
        let message = super::text_at(second, from, from, "STOP");
        let history = json!([{ "threads": [{ "id": thread, "messages": [message] }] }]);
        let mut body = super::payload(PHONE_ID, &[text(FROM, "1", "x")]);
        body["entry"][0]["changes"][0]["value"]["history"] = history;
        assert_eq!(scene.webhook(&body.to_string()).status, 200);
        assert!(is_out(&scene, "support", thread), "{thread}");
    }
    // The business's own messages are ignored.
    let own = super::text_at(second, "15550783881", "1", "STOP");
    let mut body: Value = super::payload(PHONE_ID, &[]);
    body["entry"][0]["changes"][0]["value"]["history"] =
        json!([{ "threads": [{ "id": FROM, "messages": [own] }] }]);
    assert_eq!(scene.webhook(&body.to_string()).status, 200);
    assert!(!is_out(&scene, "support", FROM));
}
