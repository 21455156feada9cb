//! Parsing of the plugin's options.
//!
//! A rule may be a complete phone number, and error messages end up in logs. So a rule is identified by its position,
//! from 1, and messages repeat nothing of the options except a short name or a single character.

use std::fmt;

use portcullis_plugin_sdk::{Direction, Directions};

use crate::json::Json;
use crate::rule::{Rule, RuleError};
use crate::rules::{Contradiction, Rules};

/// Why the options are invalid, and how to fix them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("the options are not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error(r#"the options are not a JSON object: write them as in {{"block": ["417152"]}}"#)]
    NotAnObject,
    #[error("{} is not an option of this plugin: its options are `block`, `allow` and `directions`", Shown(.0))]
    Unknown(String),
    #[error("the option `{0}` is given twice: merge the lists")]
    Twice(Name),
    #[error("the option `{0}` is not a list: write {example}", example = .0.example())]
    NotAList(Name),
    #[error("item {1} of the option `{0}` is not a string: write {example}", example = .0.example())]
    NotAText(Name, usize),
    #[error("rule {1} of the option `{0}` {2}")]
    Rule(Name, usize, RuleError),
    #[error("rule {allow} of the option `allow` is also rule {block} of `block`: remove one of them")]
    Contradiction { block: usize, allow: usize },
    #[error("item {0} of the option `directions` is not a direction: write `inbound` or `outbound`")]
    Direction(usize),
    #[error("the option `directions` is empty: write {example}, or omit it to block both directions", example = Name::Directions.example())]
    NoDirection,
}

/// The name of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Block,
    Allow,
    Directions,
}

impl Name {
    const ALL: [Name; 3] = [Name::Block, Name::Allow, Name::Directions];

    fn as_str(self) -> &'static str {
        match self {
            Name::Block => "block",
            Name::Allow => "allow",
            Name::Directions => "directions",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Name::Block | Name::Allow => r#"a list of strings, as in ["417152", "+4121560####"]"#,
            Name::Directions => r#"["inbound"], ["outbound"] or ["inbound", "outbound"]"#,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Displays an unknown name if it looks like a name.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_name = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '-';
        if (1..=32).contains(&self.0.len()) && self.0.chars().all(is_name) {
            write!(f, "`{}`", self.0)
        } else {
            f.write_str("one of the given names")
        }
    }
}

/// Parses the options to rules.
pub(crate) fn parse(json: &str) -> Result<Rules, OptionsError> {
    let json = serde_json::from_str(json).map_err(OptionsError::NotJson)?;
    let Json::Object(pairs) = json else { return Err(OptionsError::NotAnObject) };
    let mut given: [Option<Vec<String>>; Name::ALL.len()] = Default::default();
    for (key, value) in pairs {
        let name = Name::ALL.into_iter().find(|name| name.as_str() == key);
        let Some(name) = name else { return Err(OptionsError::Unknown(key)) };
        if given[name as usize].replace(texts(name, value)?).is_some() {
            return Err(OptionsError::Twice(name));
        }
    }
    let [block, allow, directions] = given;
    let block = rules(Name::Block, &block.unwrap_or_default())?;
    let allow = rules(Name::Allow, &allow.unwrap_or_default())?;
    let directions = directions.map_or(Ok(Directions::BOTH), |texts| directions_of(&texts))?;
    Rules::new(&block, &allow, directions).map_err(|Contradiction { block, allow }| {
        OptionsError::Contradiction { block: block + 1, allow: allow + 1 }
    })
}

fn texts(name: Name, value: Json) -> Result<Vec<String>, OptionsError> {
    let Json::List(list) = value else { return Err(OptionsError::NotAList(name)) };
    let text = |(place, value)| match value {
        Json::Text(text) => Ok(text),
        _ => Err(OptionsError::NotAText(name, place)),
    };
    (1..).zip(list).map(text).collect()
}

fn rules(name: Name, texts: &[String]) -> Result<Vec<Rule>, OptionsError> {
    let rule = |(place, text): (usize, &String)| {
        Rule::parse(text).map_err(|error| OptionsError::Rule(name, place, error))
    };
    (1..).zip(texts).map(rule).collect()
}

fn directions_of(texts: &[String]) -> Result<Directions, OptionsError> {
    if texts.is_empty() {
        return Err(OptionsError::NoDirection);
    }
    let direction = |(place, text): (usize, &String)| {
        text.parse::<Direction>().map_err(|_| OptionsError::Direction(place))
    };
    (1..).zip(texts).map(direction).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        parse(json).expect_err("the options are wrong").to_string()
    }

    #[test]
    fn options_become_rules() {
        let rules = parse(
            r#"{"allow": ["41715209999"], "block": ["417152", "+4121560####"], "directions": ["inbound"]}"#,
        )
        .expect("the options are right");
        for (number, expected) in [
            (41_715_200_000, true),
            (41_715_209_999, false),
            (41_215_600_000, true),
            (412_156_000_000, false),
        ] {
            assert_eq!(rules.block(number, Direction::Inbound), expected, "{number}");
            assert!(!rules.block(number, Direction::Outbound), "{number}");
        }
    }

    #[test]
    fn every_option_is_optional() {
        for json in
            ["{}", " { }\n", r#"{"block": []}"#, r#"{"allow": ["41"]}"#, r#"{"directions": ["outbound"]}"#]
        {
            let rules = parse(json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert!(!rules.block(41_715_209_999, Direction::Outbound), "{json}");
        }
        let rules = parse(r#"{"block": ["41"]}"#).expect("the options are right");
        assert!(Directions::BOTH.iter().all(|direction| rules.block(41_715_209_999, direction)));
        let rules = parse(r#"{"block": ["41"], "directions": ["outbound", "inbound", "outbound"]}"#)
            .expect("the options are right");
        assert!(Directions::BOTH.iter().all(|direction| rules.block(41_715_209_999, direction)));
    }

    #[test]
    fn invalid_options_are_rejected_with_a_correction() {
        for (json, expected) in [
            ("", "the options are not JSON: EOF while parsing a value at line 1 column 0"),
            (r#"{"block": ["41",]}"#, "the options are not JSON: trailing comma at line 1 column 17"),
            ("{} {}", "the options are not JSON: trailing characters at line 1 column 4"),
            ("[]", r#"the options are not a JSON object: write them as in {"block": ["417152"]}"#),
            ("41", r#"the options are not a JSON object: write them as in {"block": ["417152"]}"#),
            (
                r#"{"blok": ["41"]}"#,
                "`blok` is not an option of this plugin: its options are `block`, `allow` and `directions`",
            ),
            (r#"{"block": [], "block": ["41"]}"#, "the option `block` is given twice: merge the lists"),
            (
                r#"{"allow": "41"}"#,
                r#"the option `allow` is not a list: write a list of strings, as in ["417152", "+4121560####"]"#,
            ),
            (
                r#"{"directions": null}"#,
                r#"the option `directions` is not a list: write ["inbound"], ["outbound"] or ["inbound", "outbound"]"#,
            ),
            (
                r#"{"block": ["41", 42]}"#,
                r#"item 2 of the option `block` is not a string: write a list of strings, as in ["417152", "+4121560####"]"#,
            ),
            (
                r#"{"block": ["41", ""]}"#,
                "rule 2 of the option `block` has no digits: write the first digits of the numbers, starting with the \
                 country code, as in 417152",
            ),
            (
                r#"{"allow": ["071"]}"#,
                "rule 1 of the option `allow` begins with 0, but no number does: write the first digits of the numbers, \
                 starting with the country code, as in 417152",
            ),
            (
                r#"{"block": ["41x"]}"#,
                "rule 1 of the option `block` contains 'x': write digits, optionally with a + in front and # at the end, as \
                 in +4121560####",
            ),
            (
                r#"{"block": ["41##5"]}"#,
                "rule 1 of the option `block` has a # before a digit: # can only stand for the last digits of a number, as \
                 in +4121560####",
            ),
            (
                r#"{"block": ["4171520999999999"]}"#,
                "rule 1 of the option `block` has 16 digits and placeholders, but no number has more than 15 digits: shorten \
                 it",
            ),
            (
                r#"{"block": ["41", "42"], "allow": ["+42"]}"#,
                "rule 1 of the option `allow` is also rule 2 of `block`: remove one of them",
            ),
            (
                r#"{"directions": ["inbound", "both"]}"#,
                "item 2 of the option `directions` is not a direction: write `inbound` or `outbound`",
            ),
            (
                r#"{"directions": []}"#,
                r#"the option `directions` is empty: write ["inbound"], ["outbound"] or ["inbound", "outbound"], or omit it to block both directions"#,
            ),
        ] {
            assert_eq!(refusal(json), expected, "{json}");
        }
    }

    #[test]
    fn error_messages_are_short_and_do_not_repeat_numbers() {
        let number = "41715209999";
        let long = number.repeat(5000);
        for what in [number, &long] {
            for json in [
                format!(r#"{{"{what}": []}}"#),
                format!(r#"{{"block": {what}}}"#),
                format!(r#"{{"block": [{what}]}}"#),
                format!(r#"{{"block": ["{what}x"]}}"#),
                format!(r#"{{"block": ["{what}"], "allow": ["{what}"]}}"#),
                format!(r#"{{"directions": "{what}"}}"#),
                format!(r#"{{"directions": ["{what}"]}}"#),
                format!(r#""{what}""#),
                what.to_owned(),
                format!(r#"{{"block": ["{what}"#),
                "[".repeat(what.len()),
            ] {
                let refusal = refusal(&json);
                assert!(refusal.len() <= 300, "{refusal}");
                assert!(!refusal.contains(number), "{refusal}");
            }
        }
    }
}
