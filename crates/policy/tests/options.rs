//! Options, and what is said of wrong ones.

use portcullis_policy::{Policy, SCHEMA};
use proptest::prelude::*;

fn refusal(options: &str) -> String {
    Policy::parse(options, true).expect_err("the options are wrong")
}

#[test]
fn wrong_options_are_refused_with_their_path_and_what_to_do() {
    for (options, expected) in [
        ("", "the options are not JSON: see line 1, column 0"),
        (
            "[]",
            "the options must be an object with `unknown_purpose_is`, `hold`, `countries`, `prefixes`, `ceilings`, `caps` and `quiet_hours`",
        ),
        (r#"{"holds": []}"#, "`holds` is not an option: there are `unknown_purpose_is`"),
        (r#"{"+46700000000": []}"#, "a name in the options is not an option: there are"),
        (r#"{"hold": "marketing"}"#, r#"`hold` must be a list, such as ["marketing"]"#),
        (r#"{"hold": []}"#, r#"`hold` is empty: leave it out, or write a list such as ["marketing"]"#),
        (
            r#"{"hold": ["marketing", "ads"]}"#,
            r#"`hold[1]` must be one of "unknown", "authentication", "utility", "marketing" and "service""#,
        ),
        (r#"{"hold": ["marketing", "marketing"]}"#, "`hold[1]` is there twice: remove one"),
        (
            r#"{"hold": ["unknown"], "unknown_purpose_is": "utility"}"#,
            "`hold[0]` means nothing, as `unknown_purpose_is` says what such messages are",
        ),
        (r#"{"unknown_purpose_is": 1}"#, r#"`unknown_purpose_is` must be one of "unknown","#),
        (
            r#"{"countries": {}}"#,
            r#"`countries` lacks `allow` or `block`: write a list such as "allow": ["SE", "US"]"#,
        ),
        (r#"{"countries": {"allow": ["SE"], "block": ["US"]}}"#, "`countries` has both `allow` and `block`"),
        (
            r#"{"countries": {"allow": ["se"]}}"#,
            "`countries.allow[0]` must be the two capital letters of a country by ISO 3166-1",
        ),
        (r#"{"countries": {"allow": ["SE", "SE"]}}"#, "`countries.allow[1]` is there twice"),
        (
            r#"{"countries": {"allow": ["SE"], "unknown": true}}"#,
            r#"`countries.unknown` must be one of "allow" and "block""#,
        ),
        (r#"{"prefixes": {}}"#, "`prefixes` has no prefixes"),
        (
            r#"{"prefixes": {"block": ["0046"]}}"#,
            "`prefixes.block[0]` must be the first digits of numbers, country code first",
        ),
        (
            r#"{"prefixes": {"block": ["46"], "allow": ["+46"]}}"#,
            "`prefixes.allow[0]` is there twice, in `block` or `allow`",
        ),
        (r#"{"ceilings": [{}]}"#, "`ceilings[0]` limits nothing: write `per_minute`, `per_hour` or both"),
        (
            r#"{"ceilings": [{"per_minute": 1}, {"per_hour": -1}]}"#,
            "`ceilings[1].per_hour` must be a whole number from 0 to 1000000000",
        ),
        (r#"{"ceilings": [{"per_minute": 1.5}]}"#, "`ceilings[0].per_minute` must be a whole number"),
        (r#"{"ceilings": [{"count_by": "prefix", "per_minute": 1}]}"#, "`ceilings[0]` lacks `digits`"),
        (
            r#"{"ceilings": [{"digits": 7, "per_minute": 1}]}"#,
            "`ceilings[0]` has `digits`, which mean nothing here",
        ),
        (
            r#"{"ceilings": [{"count_by": "prefix", "digits": 16, "per_minute": 1}]}"#,
            "`ceilings[0].digits` must be a whole number from 1 to 15",
        ),
        (
            r#"{"ceilings": [{"countries": ["SE"], "except": ["US"], "per_minute": 1}]}"#,
            "`ceilings[0].except` is not needed",
        ),
        (
            r#"{"caps": [{"per_minute": 1}]}"#,
            "`caps[0].per_minute` is not an option: there are `purposes`, `countries`, `except`, `per_day` and `per_week`",
        ),
        (r#"{"quiet_hours": [{"from": "21:00"}]}"#, r#"`quiet_hours[0]` lacks `to`: write "08:00""#),
        (
            r#"{"quiet_hours": [{"from": "9pm", "to": "08:00"}]}"#,
            r#"`quiet_hours[0].from` must be a time from 00:00 to 24:00, such as "21:00""#,
        ),
        (
            r#"{"quiet_hours": [{"from": "24:00", "to": "00:00"}]}"#,
            "`quiet_hours[0]` begins and ends at the same time",
        ),
        (
            r#"{"quiet_hours": [{"from": "21:00", "to": "08:00", "then": "never"}]}"#,
            r#"`quiet_hours[0].then` must be one of "later" and "block""#,
        ),
    ] {
        let refusal = refusal(options);
        assert!(refusal.starts_with(expected), "{options}: {refusal}");
    }
}

#[test]
fn rules_that_would_need_too_many_counters_are_refused() {
    let ceilings: Vec<String> = (1..=9)
        .map(|digits| {
            format!(r#"{{"count_by": "prefix", "digits": {digits}, "per_minute": 1, "per_hour": 2}}"#)
        })
        .collect();
    let options = |most: usize| format!(r#"{{"ceilings": [{}]}}"#, ceilings[..most].join(","));
    assert_eq!(Policy::parse(&options(8), false).unwrap().meters().len(), 16);
    assert!(
        refusal(&options(9)).starts_with("`ceilings[8].per_minute` would be counter 17, and 16 is the most")
    );
    // Rules that count alike share a counter.
    let same = r#"{"per_minute": 5, "countries": ["SE"]}"#;
    let options = format!(r#"{{"ceilings": [{}]}}"#, [same; 64].join(","));
    assert_eq!(Policy::parse(&options, false).unwrap().meters().len(), 1);
}

#[test]
fn prefixes_need_numbers() {
    let options = r#"{"prefixes": {"block": ["46900"]}}"#;
    let refusal = Policy::parse(options, false).expect_err("this plugin knows no numbers");
    assert!(refusal.starts_with("`prefixes` needs numbers in clear"), "{refusal}");
    assert!(refusal.contains("`policy-numbers`"), "{refusal}");
    assert!(Policy::parse(options, true).is_ok());
}

/// The names in an object of the schema.
fn names(schema: &serde_json::Value) -> Vec<&str> {
    let mut names: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_schema_has_the_names_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert!(SCHEMA.len() < 64 << 10);
    let items = |name: &str| names(&schema["properties"][name]["items"]);
    let told = |options: &str| {
        let refusal = refusal(options);
        let (_, told) = refusal.rsplit_once("there are ").unwrap();
        let mut told: Vec<String> = told
            .split(['`', ',', ' '])
            .filter(|word| !word.is_empty() && *word != "and")
            .map(str::to_owned)
            .collect();
        told.sort_unstable();
        told
    };
    assert_eq!(told(r#"{"x": 1}"#), names(&schema));
    for name in ["ceilings", "caps", "quiet_hours"] {
        assert_eq!(told(&format!(r#"{{"{name}": [{{"x": 1}}]}}"#)), items(name), "{name}");
    }
    for name in ["countries", "prefixes"] {
        assert_eq!(
            told(&format!(r#"{{"{name}": {{"x": 1}}}}"#)),
            names(&schema["properties"][name]),
            "{name}"
        );
    }
}

proptest! {
    /// A refusal repeats no digits of what is there.
    #[test]
    fn a_refusal_repeats_no_number(name in "[a-z_]{1,12}", digits in "[1-9][0-9]{8,14}") {
        for options in [
            format!(r#"{{"{digits}": 1}}"#),
            format!(r#"{{"prefixes": {{"block": ["{digits}x"]}}}}"#),
            format!(r#"{{"hold": ["{digits}"]}}"#),
            format!(r#"{{"countries": {{"allow": ["{digits}"]}}}}"#),
            format!(r#"{{"quiet_hours": [{{"from": "{digits}", "to": "08:00"}}]}}"#),
            format!(r#"{{"{name}": {digits}"#),
        ] {
            prop_assert!(!refusal(&options).contains(&digits), "{options}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a-z0-9_ ]{0,80}") {
        if let Err(refusal) = Policy::parse(&text, true) {
            prop_assert!(refusal.len() < 2048);
        }
    }
}
