//! The rules of a tenant: what they stop, what is counted for them, and their exchange.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_plugin_bundle::{EVIL_RULES, EXACT, POLICY};
use serde_json::{Value, json};

use super::support::{ACME, Answer, Gateway, SERVER, TENANTS, digest, refused_start, variant};
use super::traffic::stand::{Reply, Stand};
use super::traffic::{self, PHONE_ID, Scene};

/// A plugin that stops pseudonyms that end in 7, postpones those that end in 8, and blocks people who got three messages within a minute.
const RULES: &str = r#"rules = [{ plugin = "evil-rules" }]"#;

/// The configuration of a tenant with these settings.
fn config(settings: &str) -> String {
    let tenants = TENANTS.replacen("id = \"acme\"", &format!("id = \"acme\"\n{settings}"), 1);
    format!("{SERVER}{tenants}")
}

fn start(settings: &str) -> Gateway {
    Gateway::with_plugin(&config(settings), Some(("evil-rules.wasm", EVIL_RULES.component)))
}

fn check(gateway: &Gateway, number: &str) -> Value {
    let body = json!({ "number": number, "direction": "outbound", "channel": "sms", "purpose": "marketing" });
    gateway.post("/senders/support/check", body).ok().clone()
}

/// A message to a number, whose next hop is the tenant's, or none.
fn route(gateway: &Gateway, number: &str) -> Answer {
    let body = json!({
        "sender": "support", "recipient": number, "direction": "outbound", "body": "Hello", "channel": "sms",
        "purpose": "marketing", "segments": 2,
    });
    gateway.post("/route", body)
}

fn numbers() -> impl Iterator<Item = String> {
    (0..1000).map(|number| format!("+46732{number:06}"))
}

/// A number of which the check answers this: pseudonyms are random.
fn number_of(gateway: &Gateway, is_it: impl Fn(&Value) -> bool) -> String {
    numbers().find(|number| is_it(&check(gateway, number))).unwrap()
}

fn allowed(gateway: &Gateway) -> String {
    number_of(gateway, |answer| answer["verdict"] == "allow")
}

#[test]
fn a_check_names_the_rule_that_stops_a_message_and_its_reason() {
    let gateway = start(RULES);
    let blocked = number_of(&gateway, |answer| answer["verdict"] == "block");
    assert_eq!(
        check(&gateway, &blocked),
        json!({
            "verdict": "block", "direction": "outbound", "source": "plugin", "blocked": true, "rule": "evil-rules",
            "reason": "seven",
        })
    );
    let later = number_of(&gateway, |answer| answer["verdict"] == "later");
    let answer = check(&gateway, &later);
    assert_eq!((&answer["blocked"], &answer["reason"]), (&json!(true), &json!("not-yet")));
    let until: jiff::Timestamp = answer["until"].as_str().unwrap().parse().unwrap();
    assert!(until > jiff::Timestamp::now(), "{answer}");
    let allowed = allowed(&gateway);
    let many = json!({ "numbers": [allowed, blocked, later], "direction": "outbound" });
    let many = gateway.post("/senders/support/check", many).ok().clone();
    assert_eq!(many["blocked"], json!([blocked, later]), "{many}");
    let stopped = many["stopped"].as_array().unwrap();
    assert_eq!((&stopped[0]["number"], &stopped[0]["reason"]), (&json!(blocked), &json!("seven")));
    assert_eq!((&stopped[1]["verdict"], &stopped[1]["reason"]), (&json!("later"), &json!("not-yet")));
    // Inbound messages are not postponed.
    let inbound = json!({ "number": later, "direction": "inbound" });
    assert_eq!(gateway.post("/senders/support/check", inbound).ok()["verdict"], "allow");
    let labels = r#"tenant="acme",rule="evil-rules",reason="seven",verdict="block""#;
    assert!(gateway.metric("portcullis_rule_stops_total", labels) >= 2, "{}", gateway.metrics());
    for verdict in ["block", "later"] {
        let labels = format!(r#"tenant="acme",verdict="{verdict}",source="rule""#);
        assert!(gateway.metric("portcullis_checks_total", &labels) >= 2, "{}", gateway.metrics());
    }
    let allowed_so_far = |gateway: &Gateway| {
        gateway.metric("portcullis_checks_total", r#"tenant="acme",verdict="allow",source="plugin""#)
    };
    let before = allowed_so_far(&gateway);
    check(&gateway, &blocked);
    assert_eq!(allowed_so_far(&gateway), before);
    // The list goes first.
    gateway.block(&blocked);
    assert_eq!(check(&gateway, &blocked)["list"], "sender");
    let status = gateway.plugin("acme");
    assert_eq!(status["rules"][0]["reasons"], json!(["seven", "too-many", "not-yet"]), "{status}");
    // A tenant without rules is not concerned.
    let globex = json!({ "number": later, "direction": "outbound" });
    let answer = gateway.api("POST", "/senders/support/check", "globex-secret", Some(globex));
    assert_eq!(answer.ok()["verdict"], "allow");
    let (log, _folder) = gateway.log_after_the_end();
    assert!(log.contains("a rule stops a message") && log.contains("not-yet"), "{log}");
    for number in [blocked, later] {
        assert!(!log.contains(number.trim_start_matches('+')), "{log}");
    }
}

#[test]
fn a_message_that_goes_counts_and_a_check_does_not() {
    let gateway = start(RULES);
    let number = allowed(&gateway);
    for _ in 0..5 {
        assert_eq!(check(&gateway, &number)["verdict"], "allow");
    }
    for _ in 0..3 {
        assert_eq!(route(&gateway, &number).ok()["verdict"], "allow");
    }
    let stopped = route(&gateway, &number);
    assert!(stopped.error(403, "blocked").contains("too-many"), "{}", stopped.text);
    assert_eq!(stopped.json["error"]["details"][0], json!({ "field": "evil-rules", "reason": "too-many" }));
    assert_eq!(check(&gateway, &number)["reason"], "too-many");
    let later = number_of(&gateway, |answer| answer["verdict"] == "later");
    let postponed = route(&gateway, &later);
    postponed.error(429, "postponed");
    assert!(
        (3500..=3600).contains(&postponed.header("retry-after").parse::<u64>().unwrap()),
        "{}",
        postponed.text
    );
}

#[test]
fn what_says_of_itself_what_nobody_knows_is_refused_where_rules_are_to_know() {
    let gateway = start(RULES);
    let number = allowed(&gateway);
    for (field, value) in
        [("channel", json!("fax")), ("purpose", json!("advertising")), ("segments", json!(0))]
    {
        let mut body = json!({ "sender": "support", "recipient": number, "direction": "outbound" });
        body[field] = value.clone();
        let refused = gateway.post("/route", body.clone());
        assert!(refused.error(400, "invalid_request").contains(field), "{}", refused.text);
        // Without rules it is the next hop's.
        gateway.api("POST", "/route", "globex-secret", Some(body)).ok();
        let mut body = json!({ "number": number, "direction": "outbound" });
        body[field] = value;
        gateway.post("/senders/support/check", body).error(400, "invalid_request");
    }
}

#[test]
fn a_message_that_fails_at_the_next_hop_is_taken_off() {
    let hop = Stand::start(|_| Reply::Status(500));
    let gateway = start(&format!("{RULES}\nnext_hops = {{ outbound = \"{}\" }}", hop.url()));
    let number = allowed(&gateway);
    for _ in 0..5 {
        assert_eq!(route(&gateway, &number).status, 500);
    }
    assert_eq!(check(&gateway, &number)["verdict"], "allow");
    assert_eq!(hop.received().len(), 5);
}

#[test]
fn messages_at_the_same_time_never_exceed_a_cap() {
    let gateway = start(&format!("{RULES}\nreplicas = 2"));
    let (number, passed) = (allowed(&gateway), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    passed.fetch_add(usize::from(route(&gateway, &number).status == 200), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 3);
}

#[test]
fn counts_outlive_a_restart_and_an_exchange() {
    let mut gateway = start(RULES);
    let number = allowed(&gateway);
    for _ in 0..3 {
        route(&gateway, &number).ok();
    }
    gateway.restart();
    assert_eq!(check(&gateway, &number)["reason"], "too-many");
    let component = variant(EVIL_RULES.component, b'a');
    gateway.put_plugin("evil-rules", &component).ok();
    gateway.until("the new version decides", |gateway| {
        gateway.plugin("acme")["rules"][0]["version"] == digest(&component)
    });
    assert_eq!(check(&gateway, &number)["reason"], "too-many");
    let back = gateway.admin("POST", "/acme/rules/evil-rules/rollback", None);
    assert_eq!(back.ok()["rules"][0]["version"], digest(EVIL_RULES.component), "{}", back.text);
    assert_eq!(check(&gateway, &number)["reason"], "too-many");
    // The rollback outlives a restart, too.
    gateway.restart();
    assert_eq!(gateway.plugin("acme")["rules"][0]["version"], digest(EVIL_RULES.component));
    assert_eq!(check(&gateway, &number)["reason"], "too-many");
}

#[test]
fn a_candidate_decides_beside_the_rule_first_and_stops_nothing() {
    let gateway = start(RULES);
    let number = allowed(&gateway);
    let shadow = json!({ "options": { "mode": "stop-all" }, "shadow": {} });
    let begun = gateway.admin("POST", "/acme/rules/evil-rules", Some(shadow.clone()));
    assert_eq!(begun.ok()["rules"][0]["shadow"]["running"], true, "{}", begun.text);
    for _ in 0..2 {
        assert_eq!(check(&gateway, &number)["verdict"], "allow");
    }
    route(&gateway, &number).ok();
    let run = |gateway: &Gateway| gateway.plugin("acme")["rules"][0]["shadow"].clone();
    gateway.until("all are compared", |gateway| run(gateway)["compared"] == 3);
    let told = run(&gateway);
    assert_eq!((&told["stopped"], &told["stopped_by_serving"]), (&json!(3), &json!(0)), "{told}");
    assert_eq!((&told["stopped_share"], &told["reasons"]), (&json!(1.0), &json!({ "seven": 3 })));
    gateway.admin("POST", "/acme/rules/evil-rules/rollback", None).ok();
    assert_eq!(run(&gateway)["running"], false);
    assert_eq!(check(&gateway, &number)["verdict"], "allow");
    gateway.admin("POST", "/acme/rules/evil-rules/rollback", None).error(409, "nothing_to_do");
    gateway.admin("POST", "/acme/rules/evil-rules/promote", None).error(409, "nothing_to_do");
    gateway.admin("POST", "/acme/rules/evil-rules", Some(shadow)).ok();
    gateway.admin("POST", "/acme/rules/evil-rules/promote", None).ok();
    assert_eq!(check(&gateway, &number)["reason"], "seven");
    gateway.admin("POST", "/acme/rules/other", Some(json!({}))).error(404, "unknown_rule");
}

#[test]
fn a_shadow_run_ends_by_itself() {
    let gateway = start(RULES);
    let number = allowed(&gateway);
    let shadow = |mode: &str, allowed: u64| {
        let terms = json!({ "checks": 2, "max_disagreements": allowed });
        let body = json!({ "options": { "mode": mode }, "shadow": terms });
        gateway.admin("POST", "/acme/rules/evil-rules", Some(body)).ok();
        for _ in 0..2 {
            check(&gateway, &number);
        }
        gateway
            .until("it is over", |gateway| gateway.plugin("acme")["rules"][0]["shadow"]["running"] == false);
        gateway.plugin("acme")["rules"][0]["last"]["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(shadow("stop-all", 1), "refused");
    assert_eq!(check(&gateway, &number)["verdict"], "allow");
    assert_eq!(shadow("stop-all", 2), "served");
    assert_eq!(check(&gateway, &number)["verdict"], "block");
}

#[test]
fn a_shadow_run_says_how_it_ended_and_a_rollback_to_what() {
    let gateway = start(RULES);
    let number = allowed(&gateway);
    let exchange = |body: Value| gateway.admin("POST", "/acme/rules/evil-rules", Some(body)).ok().clone();
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    let roll_back =
        || gateway.admin("POST", "/acme/rules/evil-rules/rollback", None).ok()["rules"][0].clone();
    let mode = |mode: &str| json!({ "mode": mode });
    exchange(json!({ "options": mode("well-behaved") }));
    // Without terms it goes on, whatever the candidate stops.
    exchange(json!({ "options": mode("stop-all"), "shadow": {} }));
    for _ in 0..3 {
        check(&gateway, &number);
    }
    gateway.until("all are compared", |gateway| rule(gateway)["shadow"]["compared"] == 3);
    let run = rule(&gateway)["shadow"].clone();
    assert_eq!((&run["running"], &run["disagreements"]), (&json!(true), &json!(3)), "{run}");
    assert_eq!((run.get("ended"), run.get("max_disagreements")), (None, None), "{run}");
    let told = roll_back();
    assert_eq!((&told["shadow"]["ended"], &told["options"]), (&json!("rolled_back"), &mode("well-behaved")));
    assert_eq!(told["last"]["why"], "an administrator ended its shadow run");
    // One that is over by itself is not rolled back, but what decides.
    let terms = json!({ "max_disagreements": 0 });
    exchange(json!({ "options": mode("stop-all"), "shadow": terms }));
    check(&gateway, &number);
    gateway.until("it is over", |gateway| rule(gateway)["shadow"]["running"] == false);
    assert_eq!(rule(&gateway)["shadow"]["ended"], "refused");
    let told = roll_back();
    assert_eq!((&told["last"]["outcome"], &told["options"]), (&json!("rolled_back"), &json!({})), "{told}");
    let why = told["last"]["why"].as_str().unwrap();
    assert!(
        why.contains("rolled back: evil-rules") && why.contains("with the options before decides"),
        "{why}"
    );
    exchange(json!({ "options": mode("stop-all"), "shadow": { "checks": 1 } }));
    check(&gateway, &number);
    gateway.until("it decides", |gateway| rule(gateway)["shadow"]["ended"] == "served");
    assert_eq!(check(&gateway, &number)["verdict"], "block");
}

/// A check of many numbers, of which some are asked about when the rule panics.
fn check_many(gateway: &Gateway) -> Value {
    let numbers: Vec<String> = (0..9000).map(|number| format!("+46732{number:06}")).collect();
    gateway
        .post("/senders/support/check", json!({ "numbers": numbers, "direction": "outbound" }))
        .ok()
        .clone()
}

#[test]
fn a_candidate_that_fails_in_its_shadow_run_is_refused() {
    let gateway = start(RULES);
    let body = json!({ "options": { "mode": "panic-later" }, "shadow": { "max_disagreements": 0 } });
    gateway.admin("POST", "/acme/rules/evil-rules", Some(body)).ok();
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    gateway.until("it has panicked", |gateway| {
        check_many(gateway);
        rule(gateway)["shadow"]["running"] == false
    });
    let told = rule(&gateway);
    assert_eq!(told["last"]["outcome"], "refused", "{told}");
    assert!(told["last"]["why"].as_str().unwrap().contains("shadow run"), "{told}");
    assert_eq!(check(&gateway, &allowed(&gateway))["verdict"], "allow");
}

#[test]
fn rules_are_proven_before_they_serve() {
    let gateway = start(RULES);
    let share = gateway.plugin("acme")["rules"][0]["strangers_stopped_share"].as_f64().unwrap();
    assert!((0.02..0.6).contains(&share), "it stops those that end in 7 or 8: {share}");
    for mode in ["panic", "disagree", "remember", "count-by-itself"] {
        let body = json!({ "options": { "mode": mode } });
        let refused = gateway.admin("POST", "/acme/rules/evil-rules", Some(body));
        assert_ne!(refused.status, 200, "{mode}: {}", refused.text);
        assert_eq!(gateway.plugin("acme")["rules"][0]["last"]["outcome"], "refused");
    }
    let number = allowed(&gateway);
    assert_eq!(check(&gateway, &number)["verdict"], "allow");
    // One that can't be proven at the start of the gateway does not keep it from starting.
    let rules = r#"rules = [{ plugin = "evil-rules", options = { mode = "remember" } }]"#;
    let gateway = start(&format!("{rules}\non_failure = \"closed\""));
    assert_eq!(check(&gateway, &number)["source"], "policy");
    // Nor are messages that pass without it passed off as its decision.
    let gateway = start(&format!("{rules}\non_failure = \"open\""));
    let passed = check(&gateway, &number);
    assert_eq!((&passed["verdict"], &passed["source"]), (&json!("allow"), &json!("policy")), "{passed}");
}

#[test]
fn a_rule_that_begins_to_answer_otherwise_is_found() {
    let gateway = start(RULES);
    let body = json!({ "options": { "mode": "count-later" } });
    gateway.admin("POST", "/acme/rules/evil-rules", Some(body)).ok();
    gateway.until("it is asked again", |gateway| {
        check_many(gateway);
        gateway.metric("portcullis_plugin_faults_total", r#"list="rule:evil-rules",kind="broken""#) > 0
    });
}

#[test]
fn a_rule_that_fails_follows_the_tenants_policy() {
    for policy in ["closed", "open", "ledger"] {
        let rules = r#"rules = [{ plugin = "evil-rules", options = { mode = "panic-later" } }]"#;
        let gateway = start(&format!("{rules}\non_failure = \"{policy}\""));
        let answer = check_many(&gateway);
        assert_eq!(answer["source"], "policy", "{policy}: it did not decide about all");
        let failed: Vec<&Value> =
            answer["stopped"].as_array().unwrap().iter().filter(|one| one.get("reason").is_none()).collect();
        assert_eq!(failed.is_empty(), policy != "closed", "{policy}: {failed:?}");
        if let Some(one) = failed.first() {
            assert_eq!((&one["rule"], &one["verdict"]), (&json!("evil-rules"), &json!("block")));
        }
        let faults =
            gateway.metric("portcullis_plugin_faults_total", r#"list="rule:evil-rules",kind="trapped""#);
        assert!(faults > 0, "{}", gateway.metrics());
    }
}

#[test]
fn a_rule_that_failed_says_why_and_when() {
    let rules = r#"rules = [{ plugin = "evil-rules", options = { mode = "panic-later" } }]"#;
    let gateway = start(&format!("{rules}\non_failure = \"closed\""));
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    assert_eq!(rule(&gateway).get("last_fault"), None);
    gateway.until("it is out of service", |gateway| {
        check_many(gateway);
        rule(gateway)["instances"] == 0
    });
    let told = rule(&gateway);
    let why = told["last_fault"].as_str().unwrap();
    assert!(why.contains("the plugin trapped in decide"), "{told}");
    assert_eq!(told["last_fault_kind"], "trapped");
    let at: jiff::Timestamp = told["last_fault_at"].as_str().unwrap().parse().unwrap();
    assert!(at <= jiff::Timestamp::now(), "{told}");
    let (log, _folder) = gateway.log_after_the_end();
    let line = log.lines().find(|line| line.contains("a rule failed")).unwrap();
    assert!(line.contains("error=") && line.contains("the plugin trapped in decide"), "{line}");
}

/// The gauge of the rule: 1 if it decides.
fn serving(gateway: &Gateway) -> u64 {
    gateway.metric("portcullis_rule_serving", r#"tenant="acme",rule="evil-rules""#)
}

#[test]
fn a_rule_that_is_missing_is_told_of() {
    // It does not pass its proof.
    let gateway = start(r#"rules = [{ plugin = "evil-rules", options = { mode = "remember" } }]"#);
    let ready = |gateway: &Gateway| gateway.call("GET", "/readyz", "", None).ok().clone();
    let told = ready(&gateway);
    assert_eq!((&told["status"], &told["degraded"]["rules_out"]), (&json!("degraded"), &json!(1)), "{told}");
    assert!(gateway.metrics().contains(r#"portcullis_rule_serving{tenant="acme",rule="evil-rules"} 0"#));
    // A rule that decides in its place.
    gateway.admin("POST", "/acme/rules/evil-rules", Some(json!({ "options": {} }))).ok();
    gateway.until("readyz says so", |gateway| ready(gateway) == json!({ "status": "ready" }));
    assert_eq!(serving(&gateway), 1, "{}", gateway.metrics());
}

#[test]
fn a_rule_that_failed_comes_back_although_nobody_asks() {
    let gateway = start(r#"rules = [{ plugin = "evil-rules", options = { mode = "panic-later" } }]"#);
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    gateway.until("it is out of service", |gateway| {
        check_many(gateway);
        rule(gateway)["instances"] == 0
    });
    gateway.until("it is back", |gateway| rule(gateway)["instances"] == 1);
    gateway.until("readyz says so", |gateway| {
        gateway.call("GET", "/readyz", "", None).ok()["status"] == "ready"
    });
    assert_eq!(serving(&gateway), 1, "{}", gateway.metrics());
}

#[test]
fn settings_that_name_no_rules_plugin_are_refused() {
    let gateway = start(RULES);
    let put = |rules: Value, plugin: &str| {
        let body = json!({ "plugin": plugin, "tokens": ["initech-secret"], "rules": rules });
        gateway.admin("PUT", "/initech", Some(body))
    };
    let refused = put(json!([{ "plugin": "exact" }]), "exact");
    let why = refused.error(400, "invalid_request");
    assert!(why.contains("rules[0].plugin") && why.contains("exact is a list plugin"), "{why}");
    let refused = put(json!([]), "evil-rules");
    assert!(refused.error(400, "invalid_request").contains("is a rules plugin"), "{}", refused.text);
    let refused = put(json!([{ "plugin": "evil-rules", "options": { "mode": "unheard-of" } }]), "exact");
    let why = refused.error(400, "invalid_request");
    assert!(why.contains("rules[0].options") && why.contains("not the name of a mode"), "{why}");
    let refused = put(json!([{ "plugin": "evil-rules" }, { "plugin": "evil-rules" }]), "exact");
    assert!(refused.error(400, "invalid_request").contains("rules[1].plugin"), "{}", refused.text);
    let refused = put(json!([{ "plugin": "missing" }]), "exact");
    assert!(
        refused.error(400, "invalid_request").contains("there is no plugin of this name"),
        "{}",
        refused.text
    );
    gateway.admin("GET", "/initech", None).error(404, "unknown_tenant");
    let put = put(json!([{ "plugin": "evil-rules", "grants": ["country", "local-time"] }]), "exact");
    assert_eq!(put.status, 201, "{}", put.text);
    let rules = &put.json["settings"]["rules"];
    assert_eq!(
        *rules,
        json!([{ "plugin": "evil-rules", "options": {}, "grants": ["country", "local-time"] }])
    );
    let folder = tempfile::TempDir::new().unwrap();
    let strict = "dir = \"plugins\"\non_start_failure = \"refuse\"";
    let missing = config(r#"rules = [{ plugin = "missing" }]"#).replace("dir = \"plugins\"", strict);
    let error = refused_start(folder.path(), &missing);
    assert!(
        error.contains("tenants[0].rules[0].plugin") && error.contains("no plugin of this name"),
        "{error}"
    );
}

#[test]
fn refused_options_are_told_as_what_they_are_without_the_numbers_in_them() {
    let wrong = r#"rules = [{ plugin = "evil-rules", options = { mode = "+46732001122 is unheard of" } }]"#;
    let gateway = start(RULES);
    std::fs::write(gateway.folder().join("portcullis.toml"), config(wrong)).unwrap();
    gateway.hang_up();
    let refused = |gateway: &Gateway| gateway.plugin("acme")["rules"][0]["last"]["outcome"] == "refused";
    gateway.until("the options are refused", refused);
    let rule = &gateway.plugin("acme")["rules"][0];
    let why = rule["last"]["why"].as_str().unwrap();
    assert!(why.contains("not the name of a mode"), "{rule}");
    assert!(rule.get("problem").is_none() && rule["instances"] == 1, "{rule}");
    gateway.until_logged("the rule evil-rules can't be put into service: refused by the plugin:");
    assert!(gateway.logged("not the name of a mode") && !gateway.logged("46732001122"), "{}", gateway.log());
    // The same at a start.
    let gateway = Gateway::starting(&config(wrong), Some(("evil-rules.wasm", EVIL_RULES.component)));
    let is_put = |gateway: &Gateway| gateway.admin("GET", "/acme/plugin", None).status == 200;
    gateway.until("the tenant is put", is_put);
    let rule = &gateway.plugin("acme")["rules"][0];
    let why = rule["problem"].as_str().unwrap();
    assert!(why.contains("not the name of a mode") && !why.contains("there is no plugin"), "{rule}");
    gateway.until_logged("a rule of the tenant does not start");
    assert!(!gateway.logged("46732001122"), "{}", gateway.log());
}

#[test]
fn a_version_of_a_rule_that_was_refused_in_service_is_no_outage_after_a_restart() {
    let mine = variant(EVIL_RULES.component, b'a');
    let settings = r#"rules = [{ plugin = "mine" }]"#;
    let mut gateway = Gateway::with_plugin(&config(settings), Some(("mine.wasm", &mine)));
    let number = allowed(&gateway);
    let rule = |gateway: &Gateway| gateway.plugin("acme")["rules"][0].clone();
    let refused = gateway.put_plugin("mine", EXACT.component);
    assert!(refused.error(400, "invalid_plugin").contains("no rules plugin"), "{}", refused.text);
    // It needs what is not granted.
    gateway.put_plugin("mine", POLICY.component).ok();
    gateway.until("it is refused", |gateway| rule(gateway)["last"]["outcome"] == "refused");
    for _ in 0..2 {
        assert_eq!(rule(&gateway)["version"], digest(&mine));
        assert_eq!(check(&gateway, &number)["verdict"], "allow");
        gateway.restart();
        gateway.until_logged("the newest version of a rule does not start: an earlier one decides");
        let told = rule(&gateway);
        let why = told["last"]["why"].as_str().unwrap();
        assert!(why.contains("it needs country, local-time") && told.get("problem").is_none(), "{told}");
        assert_eq!((&told["pinned"], &told["instances"]), (&json!(false), &json!(1)), "{told}");
    }
    let next = variant(EVIL_RULES.component, b'b');
    gateway.put_plugin("mine", &next).ok();
    gateway.until("a newer one decides", |gateway| rule(gateway)["version"] == digest(&next));
}

#[test]
fn the_cloud_api_tells_clients_to_wait_or_not_to_send() {
    let [upstream, callback, other] = [(); 3].map(|()| Stand::good());
    let config = traffic::config(&upstream.url(), &callback.url(), &other.url());
    let config = config.replacen("id = \"acme\"", &format!("id = \"acme\"\n{RULES}"), 1);
    let plugin = ("evil-rules.wasm", EVIL_RULES.component);
    let scene = Scene { gateway: Gateway::with_plugin(&config, Some(plugin)), upstream, callback, other };
    let by = |verdict: &str| number_of(&scene.gateway, |answer| answer["verdict"] == verdict);
    let send = |to: &str| {
        let body =
            json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "hi" } });
        scene.gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), ACME, Some(body.to_string()))
    };
    let later = send(&by("later"));
    assert_eq!((later.status, &later.json["error"]["code"]), (429, &json!(130_429)), "{}", later.text);
    assert!((3500..=3600).contains(&later.header("retry-after").parse::<u64>().unwrap()));
    let details = later.json["error"]["error_data"]["details"].as_str().unwrap();
    assert!(details.contains("not-yet"), "{details}");
    let blocked = send(&by("block"));
    assert_eq!((blocked.status, &blocked.json["error"]["code"]), (400, &json!(131_049)), "{}", blocked.text);
    assert!(scene.upstream.received().is_empty());
    let number = by("allow");
    for _ in 0..3 {
        assert_eq!(send(&number).status, 200);
    }
    assert_eq!(send(&number).json["error"]["code"], 131_049);
    // A read receipt reaches nobody.
    let read = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x" });
    let path = format!("/v25.0/{PHONE_ID}/messages");
    assert_eq!(scene.gateway.call("POST", &path, ACME, Some(read.to_string())).status, 200);
}
