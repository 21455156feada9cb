//! The plugin `policy` as clients meet it: ceilings, quiet hours and caps, their reasons, and what must be granted.

use portcullis_plugin_bundle::POLICY;
use serde_json::{Value, json};

use super::support::{Answer, Gateway, SERVER, TENANTS, digest, refused_start, variant};

const GRANTS: [&str; 2] = ["country", "local-time"];

/// A tenant whose rule is a plugin with these options and grants, written in TOML.
fn config(plugin: &str, options: &str, grants: &[&str]) -> String {
    let rules = format!("rules = [{{ plugin = \"{plugin}\", grants = {grants:?}, options = {options} }}]");
    let tenants = TENANTS.replacen("id = \"acme\"", &format!("id = \"acme\"\n{rules}"), 1);
    format!("{SERVER}{tenants}")
}

fn start(options: &str) -> Gateway {
    Gateway::with(&config("policy", options, &GRANTS))
}

fn check(gateway: &Gateway, number: &str, purpose: &str, at: Option<&str>) -> Value {
    let mut body = json!({ "number": number, "direction": "outbound", "channel": "sms", "purpose": purpose });
    if let Some(at) = at {
        body["at"] = json!(at);
    }
    gateway.post("/senders/support/check", body).ok().clone()
}

/// Sends a message on its way.
fn send(gateway: &Gateway, number: &str, purpose: &str) -> Answer {
    gateway.post(
        "/route",
        json!({
            "sender": "support", "recipient": number, "direction": "outbound", "body": "Hello", "channel": "sms",
            "purpose": purpose,
        }),
    )
}

/// How many messages were stopped for this reason.
fn stops(gateway: &Gateway, reason: &str, verdict: &str) -> u64 {
    let labels = format!(r#"tenant="acme",rule="policy",reason="{reason}",verdict="{verdict}""#);
    gateway.metric("portcullis_rule_stops_total", &labels)
}

#[test]
fn a_ceiling_cuts_an_attack_on_one_country_while_others_pass() {
    let gateway = start(r#"{ ceilings = [{ purposes = ["authentication"], per_minute = 10 }] }"#);
    // One-time codes to Latvia, each to another number, and a customer in Sweden after each.
    let mut passed = 0;
    for n in 0..60 {
        let attacked = send(&gateway, &format!("+371210000{n:02}"), "authentication");
        match attacked.status {
            200 => passed += 1,
            _ => assert!(attacked.error(403, "blocked").contains("ceiling-minute"), "{}", attacked.text),
        }
        if n < 10 {
            send(&gateway, &format!("+4673200110{n}"), "authentication").ok();
        }
    }
    assert_eq!(passed, 10, "exactly the ceiling");
    let stopped = check(&gateway, "+37121000099", "authentication", None);
    assert_eq!(
        (&stopped["verdict"], &stopped["rule"], &stopped["reason"]),
        (&json!("block"), &json!("policy"), &json!("ceiling-minute")),
        "{stopped}"
    );
    assert_eq!(check(&gateway, "+4512345678", "authentication", None)["verdict"], "allow");
    // Other purposes have no ceiling.
    send(&gateway, "+37121000099", "marketing").ok();
    assert!(stops(&gateway, "ceiling-minute", "block") >= 50, "{}", gateway.metrics());
    let meters = gateway.admin("GET", "/acme/meters", None);
    let highest = &meters.ok()["meters"][0]["highest"];
    assert_eq!(highest[0]["count"], 10, "{}", meters.text);
}

#[test]
fn a_ceiling_by_prefix_is_for_the_plugin_that_gets_numbers() {
    let options = r#"{ ceilings = [{ purposes = ["authentication"], count_by = "prefix", digits = 7, per_hour = 3 }], prefixes = { block = ["46939"] } }"#;
    let gateway = Gateway::with(&config("policy-numbers", options, &["country", "local-time", "number"]));
    for n in 0..3 {
        send(&gateway, &format!("+3712100{n:04}"), "authentication").ok();
    }
    let stopped = send(&gateway, "+37121009999", "authentication");
    assert!(stopped.error(403, "blocked").contains("ceiling-hour"), "{}", stopped.text);
    send(&gateway, "+37122000000", "authentication").ok();
    assert_eq!(check(&gateway, "+46939123456", "utility", None)["reason"], "prefix");
}

#[test]
fn quiet_hours_hold_over_the_change_of_clocks() {
    let gateway = start(r#"{ quiet_hours = [{ from = "21:00", to = "08:00" }] }"#);
    let swedish = "+46732001122";
    for (at, until) in [
        ("2026-10-24T18:59:59Z", None),
        ("2026-10-24T21:30:00+02:00", Some("2026-10-25T06:00:00.000Z")),
        // Clocks are put back an hour at 01:00 UTC: 08:00 is an hour later than it would have been.
        ("2026-10-25T06:00:00Z", Some("2026-10-25T07:00:00.000Z")),
        ("2026-10-25T07:00:00Z", None),
        // They are put forward an hour at 01:00 UTC.
        ("2027-03-27T20:00:00Z", Some("2027-03-28T07:00:00.000Z")),
        ("2027-03-28T06:00:00Z", None),
    ] {
        let answer = check(&gateway, swedish, "marketing", Some(at));
        let verdict = if until.is_some() { "later" } else { "allow" };
        assert_eq!(
            (&answer["verdict"], answer["until"].as_str()),
            (&json!(verdict), until),
            "{at}: {answer}"
        );
        if until.is_some() {
            assert_eq!((&answer["reason"], &answer["blocked"]), (&json!("quiet-hours"), &json!(true)));
        }
        assert_eq!(check(&gateway, swedish, "authentication", Some(at))["verdict"], "allow", "{at}");
    }
    // Somewhere it is night, whenever it is, and the satellite telephone may be there.
    let satellite = check(&gateway, "+881612345678", "marketing", Some("2026-07-01T12:00:00Z"));
    assert_eq!((&satellite["verdict"], &satellite["reason"]), (&json!("block"), &json!("quiet-hours")));
    assert!(stops(&gateway, "quiet-hours", "later") >= 3 && stops(&gateway, "quiet-hours", "block") >= 1);
    let wrong = json!({ "number": swedish, "direction": "outbound", "at": "tonight" });
    let refused = gateway.post("/senders/support/check", wrong);
    assert!(refused.error(400, "invalid_request").contains("RFC 3339"), "{}", refused.text);
}

#[test]
fn a_cap_outlives_a_restart_and_an_exchange() {
    let mut gateway = start("{ caps = [{ per_day = 2 }] }");
    let (person, other) = ("+46732001122", "+46732002244");
    for _ in 0..2 {
        send(&gateway, person, "marketing").ok();
    }
    let is_capped = |gateway: &Gateway| {
        let stopped = send(gateway, person, "marketing");
        assert!(stopped.error(403, "blocked").contains("cap-day"), "{}", stopped.text);
        assert_eq!(check(gateway, person, "marketing", None)["reason"], "cap-day");
        assert_eq!(check(gateway, other, "marketing", None)["verdict"], "allow");
        send(gateway, person, "authentication").ok();
    };
    is_capped(&gateway);
    gateway.restart();
    is_capped(&gateway);
    // Another version, and then other options: the meter is declared alike.
    let component = variant(POLICY.component, b'a');
    gateway.put_plugin("policy", &component).ok();
    gateway.until("the new version decides", |gateway| {
        gateway.plugin("acme")["rules"][0]["version"] == digest(&component)
    });
    is_capped(&gateway);
    let exchange = |options: Value| {
        gateway.admin("POST", "/acme/rules/policy", Some(json!({ "options": options }))).ok();
    };
    exchange(json!({ "caps": [{ "per_day": 3 }] }));
    assert_eq!(gateway.plugin("acme")["rules"][0]["options"]["caps"][0]["per_day"], 3);
    send(&gateway, person, "marketing").ok();
    is_capped(&gateway);
    exchange(json!({ "caps": [{ "per_day": 2 }] }));
    is_capped(&gateway);
    assert!(stops(&gateway, "cap-day", "block") >= 2);
}

#[test]
fn what_options_would_stop_is_known_before_they_do() {
    let gateway = start("{}");
    let shadow =
        json!({ "options": { "countries": { "allow": ["SE"] } }, "shadow": { "max_disagreements": 1000 } });
    gateway.admin("POST", "/acme/rules/policy", Some(shadow)).ok();
    for number in ["+46732001122", "+4512345678", "+37121000000", "+46732002244"] {
        send(&gateway, number, "utility").ok();
    }
    gateway
        .until("all are compared", |gateway| gateway.plugin("acme")["rules"][0]["shadow"]["compared"] == 4);
    let told = gateway.plugin("acme")["rules"][0]["shadow"].clone();
    assert_eq!((&told["stopped_share"], &told["reasons"]), (&json!(0.5), &json!({ "country": 2 })), "{told}");
    gateway.admin("POST", "/acme/rules/policy/promote", None).ok();
    assert_eq!(check(&gateway, "+4512345678", "utility", None)["reason"], "country");
    assert_eq!(check(&gateway, "+46732001122", "utility", None)["verdict"], "allow");
}

#[test]
fn what_is_sent_while_a_cap_is_tried_counts_when_it_serves() {
    let gateway = start("{}");
    let person = "+46732001122";
    let cap = json!({ "options": { "caps": [{ "per_day": 3 }] }, "shadow": {} });
    gateway.admin("POST", "/acme/rules/policy", Some(cap)).ok();
    for _ in 0..3 {
        send(&gateway, person, "marketing").ok();
    }
    gateway.admin("POST", "/acme/rules/policy/promote", None).ok();
    let stopped = send(&gateway, person, "marketing");
    assert!(stopped.error(403, "blocked").contains("cap-day"), "{}", stopped.text);
    assert_eq!(check(&gateway, "+46732002244", "marketing", None)["verdict"], "allow");
}

#[test]
fn recorded_messages_show_what_other_options_would_have_stopped() {
    let gateway = start("{}");
    let page = |from: Option<&Value>| {
        let from = from.map(|from| format!("?from={from}")).unwrap_or_default();
        gateway.admin("GET", &format!("/acme/messages{from}"), None).ok().clone()
    };
    let begun = page(None);
    assert_eq!(begun["messages"], json!([]));
    let person = "+46732001122";
    for _ in 0..3 {
        send(&gateway, person, "marketing").ok();
    }
    check(&gateway, "+4512345678", "utility", None);
    let recorded = page(Some(&begun["next"]));
    let messages = recorded["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &recorded["skipped"]), (4, &json!(0)), "{recorded}");
    let told = |field: &str| messages.iter().map(|message| message[field].clone()).collect::<Vec<_>>();
    assert_eq!(told("sent"), [json!(true), json!(true), json!(true), json!(false)]);
    assert_eq!(told("country"), [json!("SE"), json!("SE"), json!("SE"), json!("DK")]);
    assert_eq!((&messages[0]["verdict"], &messages[0]["sender"]), (&json!("allow"), &json!("support")));
    assert_eq!(messages[0]["person"], messages[2]["person"]);
    assert!(!recorded.to_string().contains("46732001122"), "{recorded}");
    assert_eq!(page(Some(&recorded["next"]))["messages"], json!([]), "each is read once");
    let file = gateway.folder().join("minute.ndjson");
    let lines: Vec<String> = messages.iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let replay = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["plugin", "replay", "--plugin", "policy", "--options", r#"{"caps": [{"per_day": 2}]}"#])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&replay.stdout).into_owned();
    assert!(said.contains("it stops 1 of them (25.00 %), 1 on their way"), "{said} {replay:?}");
    assert!(said.contains("  cap-day: 1"), "{said}");
    // A tenant without rules is asked nothing.
    let none = gateway.admin("GET", "/globex/messages", None);
    assert!(none.error(404, "unknown_rule").contains("add a rule"), "{}", none.text);
}

#[test]
fn a_plugin_gets_what_is_granted_to_it_by_name_or_is_refused() {
    let gateway = Gateway::start();
    let put = |plugin: &str, grants: &[&str]| {
        let rules = json!([{ "plugin": plugin, "grants": grants }]);
        let body = json!({ "plugin": "exact", "tokens": ["initech-secret"], "rules": rules });
        gateway.admin("PUT", "/initech", Some(body))
    };
    let refused = put("policy", &["country"]);
    let why = refused.error(400, "invalid_request");
    assert!(why.contains("rules[0]") && why.contains("it needs local-time, which is not granted"), "{why}");
    let refused = put("policy-numbers", &GRANTS);
    assert!(refused.error(400, "invalid_request").contains("it needs number, which"), "{}", refused.text);
    let refused = put("policy", &["country", "local-time", "listed"]);
    assert!(refused.error(400, "invalid_request").contains("grants[2]"), "{}", refused.text);
    gateway.admin("GET", "/initech", None).error(404, "unknown_tenant");
    assert_eq!(put("policy", &GRANTS).status, 201);
    // What needs to know whether people are on a list beside the rule, nobody can grant.
    let listed = portcullis_plugin_bundle::ECHO_RULES.component;
    gateway.put_plugin("echo-rules", listed).ok();
    let refused = put("echo-rules", &["country", "local-time", "number", "sender"]);
    assert!(refused.error(400, "invalid_request").contains("it needs `listed`"), "{}", refused.text);
    let folder = tempfile::TempDir::new().unwrap();
    let strict = config("policy", "{}", &[])
        .replace("dir = \"plugins\"", "dir = \"plugins\"\non_start_failure = \"refuse\"");
    let error = refused_start(folder.path(), &strict);
    assert!(error.contains("needs country, local-time"), "{error}");
}

#[test]
fn where_there_is_no_room_to_count_the_failure_policy_answers_and_says_so() {
    let config = config("policy", "{ caps = [{ per_day = 3 }] }", &GRANTS);
    let gateway =
        Gateway::with(&config.replacen("id = \"acme\"", "id = \"acme\"\nmeter_memory_bytes = 1048576", 1));
    let marketing = |number: u64| send(&gateway, &format!("+{number}"), "marketing");
    let is_full = |answer: &Answer| answer.status == 403;
    let first = 46_700_000_000;
    let full =
        (first..first + 40_000).find(|&number| is_full(&marketing(number))).expect("memory is bounded");
    let refused = marketing(full);
    assert!(refused.error(403, "blocked").contains("the rule policy fails"), "{}", refused.text);
    assert_eq!(check(&gateway, &format!("+{full}"), "marketing", None)["source"], "policy");
    // Those who are counted are served as ever, and what counts nothing is.
    marketing(first).ok();
    send(&gateway, &format!("+{full}"), "utility").ok();
    assert!(gateway.logged("its meter_memory_bytes sets"));
    let faults = r#"tenant="acme",list="rule:policy",kind="uncounted""#;
    assert!(gateway.metric("portcullis_plugin_faults_total", faults) > 0, "{}", gateway.metrics());
    assert_eq!(stops(&gateway, "cap-day", "block"), 0);
    // The room is a setting, which applies at once.
    let settings = gateway.admin("GET", "/acme", None).ok()["settings"].clone();
    assert_eq!(settings["meter_memory_bytes"], 1 << 20);
}

#[test]
fn a_plugin_that_is_told_of_no_sender_takes_any_number_of_them() {
    let senders: String = (0..4096).map(|n| format!("\n[[tenants.senders]]\nid = \"s{n}\"\n")).collect();
    let sales = "id = \"sales\"\n";
    let crowd = config("policy", "{}", &GRANTS).replacen(sales, &format!("{sales}{senders}"), 1);
    let gateway = Gateway::starting(&crowd, None);
    gateway.until_long("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
    let rule = &gateway.plugin("acme")["rules"][0];
    assert!(rule.get("problem").is_none() && rule["instances"] == 1, "{rule}");
    assert_eq!(check(&gateway, "+46732001122", "utility", None)["verdict"], "allow");
}
