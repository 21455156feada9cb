//! Recorded messages, replayed to rules that do not serve.

use std::fmt::Write as _;
use std::sync::OnceLock;

use portcullis_host::Engine;
use portcullis_plugin_bundle::{EXACT, POLICY, POLICY_NUMBERS};
use portcullis_plugin_verify::{ReplayError, ReplayRequest, Replayed, replay};
use serde_json::json;

fn replayed(component: &[u8], options: &str, recording: &str) -> Result<Replayed, ReplayError> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new().unwrap());
    replay(engine, &ReplayRequest { component, name: "policy", options, recording })
}

/// Three messages to each of ten Swedes an hour apart, from the morning on, and one to a Latvian that was stopped.
fn recording() -> String {
    let mut lines = String::new();
    let mut line = |at: String, person: u64, country: &str, verdict: &str| {
        let message = json!({
            "at": at, "direction": "outbound", "channel": "sms", "purpose": "marketing", "segments": 1, "subject": person,
            "person": person, "country": country, "offsets": [60, 60], "sender": "support", "sent": true, "verdict": verdict,
        });
        writeln!(lines, "{message}").unwrap();
    };
    for person in 0..10 {
        for hour in 10..13 {
            line(format!("2026-02-03T{hour}:00:00.000Z"), person, "SE", "allow");
        }
    }
    line("2026-02-03T20:30:00.000Z".to_owned(), 99, "LV", "block");
    lines
}

#[test]
fn a_rule_decides_about_recorded_messages_with_counts_of_its_own() {
    let found = replayed(POLICY.component, r#"{"caps": [{"per_day": 2}]}"#, &recording()).unwrap();
    assert_eq!((found.messages, found.sent, found.stopped, found.newly_stopped), (31, 31, 10, 10));
    assert_eq!((found.stopped_before, found.newly_allowed), (1, 1));
    assert_eq!(found.reasons.get("cap-day"), Some(&10));
    let lines = found.lines().join("\n");
    assert!(lines.contains("it stops 10 of them (32.26 %)"), "{lines}");
    assert!(
        lines.contains("31 messages from 2026-02-03T10:00:00.000Z to 2026-02-03T20:30:00.000Z"),
        "{lines}"
    );
    // At the time of the message, and by its country.
    let options = r#"{"quiet_hours": [{"from": "21:00", "to": "08:00"}], "countries": {"block": ["SE"]}}"#;
    let found = replayed(POLICY.component, options, &recording()).unwrap();
    assert_eq!((found.reasons.get("quiet-hours"), found.reasons.get("country")), (Some(&1), Some(&30)));
}

#[test]
fn what_can_t_be_replayed_is_said() {
    let error =
        |component, options, recording| replayed(component, options, recording).unwrap_err().to_string();
    assert!(error(EXACT.component, "{}", "").contains("is a list"));
    assert!(
        error(POLICY_NUMBERS.component, "{}", "").contains("needs number, which a recording does not have")
    );
    assert!(error(POLICY.component, r#"{"cap": 1}"#, "").contains("cap"));
    let broken = recording().replacen("\"SE\"", "\"Sweden\"", 2).replacen("\"Sweden\"", "\"SE\"", 1);
    let why = error(POLICY.component, "{}", &broken);
    assert!(why.starts_with("line 2 of the recording") && why.contains("`country`"), "{why}");
    assert!(error(POLICY.component, "{}", "noise").starts_with("line 1"));
    let none = replayed(POLICY.component, "{}", "\n").unwrap();
    assert_eq!(none.lines(), ["the recording has no messages"]);
}
