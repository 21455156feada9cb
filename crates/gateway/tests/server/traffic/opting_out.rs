//! People who opt out and in by message.

use serde_json::{Value, json};

use super::stand::Stand;
use super::{PHONE_ID, Scene, ids, payload, text, text_at};

const FROM: &str = "16505551234";

fn hear(scene: &Scene, message: Value) {
    assert_eq!(scene.webhook(&payload(PHONE_ID, &[message]).to_string()).status, 200);
}

fn says(scene: &Scene, words: &str) {
    hear(scene, text(FROM, "wamid", words));
}

fn kinds_in_force(scene: &Scene) -> Vec<String> {
    let entry = scene.gateway.get(&format!("/senders/support/entries/{FROM}"));
    let holds = entry.ok()["holds"].as_array().unwrap().iter();
    holds
        .filter(|hold| hold["directions"] != json!([]))
        .map(|hold| hold["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn after_an_opt_out_one_confirmation_passes_and_nothing_more_until_an_opt_in() {
    let scene = Scene::good();
    assert_eq!(scene.send(FROM).status, 200);
    says(&scene, " Stop ");
    assert_eq!(ids(&scene.callback.one().json()), ["wamid"], "the business hears it");
    assert_eq!(kinds_in_force(&scene), ["opt_out"]);
    assert_eq!(scene.send(FROM).status, 200, "the confirmation");
    let refused = scene.send(FROM);
    assert_eq!(refused.json["error"]["code"], 130_403);
    // They can still write, and nobody else can lift their opt-out.
    says(&scene, "where is my parcel?");
    assert_eq!(scene.callback.received().len(), 2);
    scene.gateway.delete("/senders/support/entries", json!({ "number": FROM })).ok();
    assert_eq!(scene.send(FROM).json["error"]["code"], 130_403);
    says(&scene, "START");
    assert_eq!(scene.send(FROM).status, 200);
    assert_eq!(scene.send(FROM).status, 200);
    let history = scene.gateway.get(&format!("/senders/support/entries/{FROM}/history"));
    let first = history.ok()["records"].as_array().unwrap().last().unwrap();
    assert_eq!((&first["reason"], &first["source"]), (&json!("Stop"), &json!("opt_out")));
    assert_eq!(first["actor"], json!({ "name": "person", "interface": "meta-webhook" }));
}

#[test]
fn an_opt_in_lifts_only_the_person_s_own_hold_even_if_they_are_blocked() {
    let scene = Scene::good();
    says(&scene, "unsubscribe");
    scene.gateway.post("/senders/support/entries", json!({ "number": FROM, "reason": "rude" })).ok();
    scene.callback.forget();
    says(&scene, "start");
    assert!(scene.callback.received().is_empty(), "the operator blocks them, so nothing arrives");
    assert_eq!(kinds_in_force(&scene), ["operator"]);
    assert_eq!(scene.send(FROM).json["error"]["code"], 130_403);
}

#[test]
fn buttons_and_a_tenant_s_own_words_and_languages_count() {
    // Later than the messages before.
    let now = || text(FROM, "", "")["timestamp"].clone();
    let button = |payload: &str, text: &str| {
        json!({
            "from": FROM, "id": text, "timestamp": now(), "type": "button", "button": { "payload": payload, "text": text },
            "context": { "from": "15550783881", "id": "wamid.0" },
        })
    };
    let reply = |id: &str, title: &str| {
        json!({
            "from": FROM, "id": id, "timestamp": now(), "type": "interactive",
            "interactive": { "type": "button_reply", "button_reply": { "id": id, "title": title } },
        })
    };
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        config.replacen(
            "opt_out = {",
            "opt_out = { languages = [\"fr\"], stop = [\"Basta Ya\"], start = [\"OK_GO\"], confirmation_seconds = 0,",
            1,
        )
    });
    let is_out = || scene.send(FROM).json["error"]["code"] == 130_403;
    for (word, out) in
        [("ARRÊT", true), ("reprendre", false), ("unsubscribe", false), ("basta ya", true), ("ok_go", false)]
    {
        says(&scene, word);
        assert_eq!(is_out(), out, "{word}");
    }
    hear(&scene, button("x", "Basta ya"));
    assert!(is_out());
    // The title of a button counts, which the person sees, not its payload.
    hear(&scene, button("OK_GO", "Read more"));
    hear(&scene, reply("ok_go", "Start the quiz"));
    assert!(is_out());
    hear(&scene, button("basta ya", "OK_GO"));
    assert!(!is_out());
    hear(&scene, reply("stop", "Cancel my appointment"));
    hear(&scene, button("unsubscribe", "Cancel my order"));
    assert!(!is_out());
    says(&scene, "STOP 12345");
    assert!(!is_out(), "a word is one alone");
}

#[test]
fn stop_counts_as_people_write_it_and_start_only_alone() {
    let scene = Scene::with(Stand::good(), Stand::good(), Stand::good(), |config| {
        config.replacen("opt_out = {", "opt_out = { stop = [\"İPTAL\"], confirmation_seconds = 0,", 1)
    });
    for stop in ["STOP.", "(stop)", "Stop. Thank you", "STOP\u{200b}", "opt\u{a0}out", "ＳＴＯＰ", "iptal"]
    {
        says(&scene, stop);
        assert_eq!(scene.send(FROM).json["error"]["code"], 130_403, "{stop}");
        says(&scene, "start please");
        assert_eq!(scene.send(FROM).json["error"]["code"], 130_403, "a start is the word alone");
        says(&scene, "Start!");
        assert_eq!(scene.send(FROM).status, 200, "{stop}");
    }
    says(&scene, "stop sending me invoices, call me");
    assert_eq!(scene.send(FROM).status, 200);
}

#[test]
fn preferences_set_and_lift_a_marketing_hold() {
    let scene = Scene::good();
    let prefer = |value: &str, second: i64| {
        let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [{
            "field": "user_preferences",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "15550783881", "phone_number_id": PHONE_ID },
                "user_preferences": [{
                    "wa_id": FROM, "detail": "User requested to stop marketing messages",
                    "category": "marketing_messages", "value": value, "timestamp": second,
                }],
            },
        }] }] });
        scene.callback.forget();
        assert_eq!(scene.webhook(&body.to_string()).status, 200);
        assert_eq!(scene.callback.one().text(), body.to_string());
    };
    prefer("stop", 1_731_705_721);
    assert_eq!(kinds_in_force(&scene), ["marketing"]);
    assert_eq!(scene.send(FROM).status, 200, "it stops marketing only");
    prefer("resume", 1_731_705_722);
    assert_eq!(kinds_in_force(&scene), Vec::<String>::new());
}

#[test]
fn a_block_follows_its_person_to_a_new_number() {
    let scene = Scene::good();
    says(&scene, "STOP");
    scene.gateway.post("/senders/support/entries", json!({ "number": FROM, "directions": ["inbound"] })).ok();
    let moved = json!({
        "from": FROM, "id": "m", "type": "system",
        "system": { "type": "user_changed_number", "wa_id": "12025550173", "body": "User A changed" },
    });
    hear(&scene, moved);
    let entry = scene.gateway.get("/senders/support/entries/12025550173");
    let kinds: Vec<&Value> =
        entry.ok()["holds"].as_array().unwrap().iter().map(|hold| &hold["kind"]).collect();
    assert_eq!(kinds, ["opt_out", "operator"]);
    assert_eq!(scene.send("+12025550173").json["error"]["code"], 130_403);
}

#[test]
fn an_opt_out_and_its_confirmation_survive_a_kill() {
    let mut scene = Scene::good();
    says(&scene, "STOP");
    scene.gateway.kill_and_restart();
    assert_eq!(scene.send(FROM).status, 200, "the confirmation");
    scene.gateway.kill_and_restart();
    assert_eq!(scene.send(FROM).json["error"]["code"], 130_403);
}

#[test]
fn no_confirmation_is_sent_to_people_whom_the_business_blocks() {
    let scene = Scene::good();
    scene
        .gateway
        .post("/senders/support/entries", json!({ "number": FROM, "directions": ["outbound"] }))
        .ok();
    says(&scene, "STOP");
    assert_eq!(scene.send(FROM).json["error"]["code"], 130_403);
    let scene = Scene::good();
    scene.gateway.post("/tenant/entries", json!({ "number": FROM, "directions": ["outbound"] })).ok();
    says(&scene, "STOP");
    assert_eq!(scene.send(FROM).json["error"]["code"], 130_403);
}

#[test]
fn an_opt_out_holds_and_is_lifted_in_both_spellings_of_a_number() {
    let scene = Scene::good();
    let as_whatsapp_has_it = |second: i64, words: &str| {
        hear(&scene, text_at(jiff::Timestamp::now().as_second() + second, "5215512345678", "m", words));
    };
    as_whatsapp_has_it(-60, "STOP");
    assert_eq!(scene.send("+525512345678").status, 200, "the confirmation");
    assert_eq!(scene.send("+525512345678").json["error"]["code"], 130_403);
    scene
        .gateway
        .post("/senders/support/entries", json!({ "number": "+525512345678", "source": "opt_out" }))
        .ok();
    // A time in the near future counts as now, because clocks differ. Of two requests in one millisecond, the opt-out would
    // count.
    let then = jiff::Timestamp::now().as_millisecond();
    while jiff::Timestamp::now().as_millisecond() <= then {
        std::thread::yield_now();
    }
    as_whatsapp_has_it(60, "START");
    assert_eq!(scene.send("+525512345678").status, 200);
    assert_eq!(scene.send("+525512345678").status, 200);
}
