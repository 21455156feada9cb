//! What the policy is for.

mod support;

use portcullis_plugin_sdk::rules::Purpose;
use portcullis_policy::Reason;
use support::{Gateway, Outcome, millis, number};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// One-time codes to a premium range rise from 1 to 200 a minute, while codes to other countries are sent as ever.
#[test]
fn an_attack_on_a_premium_range_is_cut_while_other_countries_pass() {
    let start = millis("2026-11-30T12:00:00Z");
    for options in [
        r#"{"ceilings": [{"purposes": ["authentication"], "per_minute": 30}]}"#,
        r#"{"ceilings": [{"purposes": ["authentication"], "count_by": "prefix", "digits": 6, "per_minute": 30}]}"#,
    ] {
        let gateway = Gateway::new(options, start);
        let mut attacked: Vec<u64> = Vec::new();
        let mut first_blocked = None;
        let mut sent = 0_u64;
        let mut others = 0;
        for minute in 0..200 {
            let rate = minute + 1;
            for message in 0..rate {
                let now = start + minute * MINUTE + message * MINUTE / rate;
                let to = number(&format!("+371900{:05}", (minute * 200 + message) % 100_000));
                match gateway.send(to, Purpose::Authentication, now) {
                    Outcome::Sent => {
                        attacked.push(now);
                        sent += 1;
                    }
                    Outcome::Blocked(reason) => {
                        assert_eq!(reason, Reason::CeilingMinute);
                        first_blocked.get_or_insert((minute, sent));
                    }
                    Outcome::Later(..) => unreachable!("ceilings don't postpone"),
                }
                // Ten codes a minute to each of two other countries.
                if message * 10 / rate != (message + 1) * 10 / rate {
                    for to in [format!("+46732{:06}", others), format!("+4477009{:05}", others % 100_000)] {
                        assert_eq!(
                            gateway.send(number(&to), Purpose::Authentication, now),
                            Outcome::Sent,
                            "{to}"
                        );
                    }
                    others += 1;
                }
                // Other messages to the attacked country pass, too.
                assert_eq!(gateway.send(to, Purpose::Utility, now), Outcome::Sent);
            }
        }
        // A message counts an eighth longer than a minute: what is cut off begins before 30 a minute are reached.
        let (minute, _) = first_blocked.expect("it is cut off");
        assert!((25..=31).contains(&minute), "{minute}");
        for (place, &at) in attacked.iter().enumerate() {
            let within = attacked[place..].iter().take_while(|&&later| later < at + MINUTE).count();
            assert!(within <= 30, "{within} within a minute");
        }
        assert!(others > 1_500);
    }
}

#[test]
fn quiet_hours_end_when_clocks_on_the_wall_say_so() {
    let options = r#"{"quiet_hours": [{"from": "21:00", "to": "08:00"}]}"#;
    let swedish = number("+46732001122");
    let later = |until: &str| Outcome::Later(Reason::QuietHours, millis(until));
    for (time, expected) in [
        ("2026-10-24T18:59:59Z", Outcome::Sent),
        ("2026-10-24T19:00:00Z", later("2026-10-25T06:00:00Z")),
        // Clocks are put back an hour at 01:00 UTC: 08:00 is an hour later than it would have been.
        ("2026-10-25T00:30:00Z", later("2026-10-25T06:00:00Z")),
        ("2026-10-25T06:00:00Z", later("2026-10-25T07:00:00Z")),
        ("2026-10-25T07:00:00Z", Outcome::Sent),
        ("2026-10-25T19:59:59Z", Outcome::Sent),
        ("2026-10-25T20:00:00Z", later("2026-10-26T07:00:00Z")),
        // They are put forward an hour at 01:00 UTC.
        ("2027-03-27T20:00:00Z", later("2027-03-28T07:00:00Z")),
        ("2027-03-28T06:00:00Z", Outcome::Sent),
    ] {
        let gateway = Gateway::new(options, millis(time));
        assert_eq!(gateway.send(swedish, Purpose::Marketing, millis(time)), expected, "{time}");
        assert_eq!(gateway.send(swedish, Purpose::Authentication, millis(time)), Outcome::Sent, "{time}");
    }
}

#[test]
fn quiet_hours_hold_in_all_zones_that_a_number_may_be_in() {
    let options = r#"{"quiet_hours": [{"from": "21:00", "to": "08:00", "purposes": ["marketing"]}]}"#;
    let gateway = Gateway::new(options, millis("2026-07-01T00:00:00Z"));
    let at = |to: &str, time: &str| gateway.send(number(to), Purpose::Marketing, millis(time));
    // New York is one zone; South Dakota's 605 may be Central or Mountain.
    assert_eq!(at("+12125550123", "2026-07-01T12:00:00Z"), Outcome::Sent);
    assert_eq!(
        at("+16055550123", "2026-07-01T13:00:00Z"),
        Outcome::Later(Reason::QuietHours, millis("2026-07-01T14:00:00Z"))
    );
    assert_eq!(at("+16055550123", "2026-07-01T14:00:00Z"), Outcome::Sent);
    // It is night somewhere, whenever it is.
    assert_eq!(at("+881612345678", "2026-07-01T12:00:00Z"), Outcome::Blocked(Reason::QuietHours));
}

#[test]
fn a_person_gets_so_many_messages_a_day_and_a_week() {
    let options = r#"{"caps": [{"per_day": 2, "per_week": 3}]}"#;
    let start = millis("2026-11-30T12:00:00Z");
    let gateway = Gateway::new(options, start);
    let (anna, bo) = (number("+46732001122"), number("+46732001123"));
    let hour = 60 * MINUTE;
    let at = |to, hours| gateway.send(to, Purpose::Marketing, start + hours * hour);
    assert_eq!([at(anna, 0), at(anna, 1)], [Outcome::Sent; 2]);
    assert_eq!(at(anna, 2), Outcome::Blocked(Reason::CapDay));
    assert_eq!(at(bo, 2), Outcome::Sent);
    assert_eq!(gateway.send(anna, Purpose::Utility, start + 2 * hour), Outcome::Sent);
    assert_eq!(at(anna, 30), Outcome::Sent);
    assert_eq!(at(anna, 60), Outcome::Blocked(Reason::CapWeek));
    assert_eq!(at(anna, 10 * 24), Outcome::Sent);
}

#[test]
fn the_longest_prefix_decides_also_against_the_country() {
    let options = r#"{"countries": {"block": ["LV"]}, "prefixes": {"allow": ["37167"], "block": ["4670000", "371679"]}}"#;
    let gateway = Gateway::new(options, 0);
    let at = |to: &str| gateway.send(number(to), Purpose::Unknown, 0);
    assert_eq!(at("+37120012345"), Outcome::Blocked(Reason::Country));
    assert_eq!(at("+37167012345"), Outcome::Sent);
    assert_eq!(at("+37167912345"), Outcome::Blocked(Reason::Prefix));
    assert_eq!(at("+46700001122"), Outcome::Blocked(Reason::Prefix));
    assert_eq!(at("+46700101122"), Outcome::Sent);
}

#[test]
fn only_numbers_that_are_allowed_get_messages() {
    let options = r#"{"prefixes": {"allow": ["46732001122", "4690"], "others": "block"}}"#;
    let gateway = Gateway::new(options, 0);
    let at = |to: &str| gateway.send(number(to), Purpose::Unknown, 0);
    assert_eq!(at("+46732001122"), Outcome::Sent);
    assert_eq!(at("+46732001123"), Outcome::Blocked(Reason::Prefix));
    assert_eq!(at("+46901234567"), Outcome::Sent);
}

#[test]
fn messages_of_unknown_purpose_are_what_they_are_said_to_be() {
    let held = |options| Gateway::new(options, 0).send(number("+46732001122"), Purpose::Unknown, 0);
    assert_eq!(held(r#"{"hold": ["marketing"]}"#), Outcome::Sent);
    assert_eq!(
        held(r#"{"hold": ["marketing"], "unknown_purpose_is": "marketing"}"#),
        Outcome::Blocked(Reason::PurposeHeld)
    );
    assert_eq!(held(r#"{"hold": ["unknown"]}"#), Outcome::Blocked(Reason::PurposeHeld));
}
