//! The options of a rules plugin, checked against its schema before it gets them.

use std::collections::BTreeMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::answer::Breach;
use crate::call_error::CallError;
use crate::foreign_text::ForeignText;

/// The most bytes of a plugin's options: 64 KiB.
pub const OPTIONS_BYTES: usize = 64 << 10;

/// The language of schemas, which they may name.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most bytes of a schema.
const SCHEMA_BYTES: usize = 64 << 10;
/// The most values in a schema, with each reference replaced by what it refers to: as many are looked at for each value of
/// the options. A regular expression counts as [`PATTERN`].
const VALUES: usize = 10_000;
/// How deep they lie inside each other.
const DEEPEST: usize = 128;
/// What a regular expression counts, and the most bytes of it when it is compiled.
const PATTERN: usize = 100;
const PATTERN_BYTES: usize = 256 << 10;
/// The most mistakes that are told at once.
const MISTAKES: usize = 3;
/// The most values of the schema, multiplied with those of the options, for which options are checked. Each of the one may be
/// compared with each of the other.
const COMPARED: usize = 50_000_000;
/// The same for which mistakes are told with their places: all are collected, and each takes some hundred bytes.
const COLLECTED: usize = 400_000;

/// A plugin's schema for its options.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    /// Its weight.
    values: usize,
}

impl Schema {
    /// Reads a schema. It comes from the plugin, so what it takes to compile and to use it is bounded first.
    pub(super) fn parse(text: &str) -> Result<Self, Breach> {
        let breach = |why: String| Breach(format!("returned a schema of options {why}"));
        if text.len() > SCHEMA_BYTES {
            return Err(breach(format!("of {} bytes; the limit is {SCHEMA_BYTES}", text.len())));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|error| breach(format!("that is not JSON: {error}")))?;
        if let Some(other) = schema.get("$schema").filter(|draft| **draft != *DRAFT) {
            return Err(breach(format!(
                "that is not one, at /$schema: {} is not {DRAFT}",
                ForeignText(&other.to_string())
            )));
        }
        let weight =
            Weighing { root: &schema, weighed: BTreeMap::new() }.weigh(&schema, 0).map_err(breach)?;
        // A regular expression that looks back or ahead could take exponential time.
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .offline()
            .build(&schema)
            .map_err(|error| {
                let why = ForeignText(&error.to_string()).to_string();
                breach(format!("that is not one, at {}: {why}", ForeignText(error.instance_path().as_str())))
            })?;
        Ok(Schema { validator, values: weight.values })
    }

    fn check(&self, options: &Value) -> Result<(), CallError> {
        let compared = self.values.saturating_mul(count(options));
        if compared > COMPARED {
            return Err(CallError::Refused(format!(
                "the options have {} values, which are too many for a schema of {}",
                count(options),
                self.values
            )));
        }
        if self.validator.is_valid(options) {
            return Ok(());
        }
        if compared > COLLECTED {
            let why = "the options don't fit the plugin's schema, and are too large to tell where: try a part of them";
            return Err(CallError::Refused(why.to_owned()));
        }
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(options)
            .take(MISTAKES)
            .map(|error| {
                let place = error.instance_path().as_str();
                let place = if place.is_empty() { "/" } else { place };
                // The values may be phone numbers.
                format!(
                    "{}: {}",
                    ForeignText(place),
                    ForeignText(&error.masked_with("the value").to_string())
                )
            })
            .collect();
        Err(CallError::Refused(format!(
            "the options don't fit the plugin's schema: {}",
            ForeignText(&mistakes.join("; ")).within(2048)
        )))
    }
}

/// The values in a JSON value, itself included. A parsed one is nested at most 128 deep.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Checks that options are a JSON object of at most [`OPTIONS_BYTES`] that fits the schema.
pub(super) fn check(options: &str, schema: Option<&Schema>) -> Result<(), CallError> {
    if options.len() > OPTIONS_BYTES {
        return Err(CallError::Refused(format!(
            "the options have {} bytes, and {OPTIONS_BYTES} are allowed",
            options.len()
        )));
    }
    let parsed: Value = serde_json::from_str(options)
        .map_err(|error| CallError::Refused(format!("the options are not JSON: {error}")))?;
    if !parsed.is_object() {
        return Err(CallError::Refused("the options are not a JSON object: write {…}".to_owned()));
    }
    schema.map_or(Ok(()), |schema| schema.check(&parsed))
}

/// The values in a schema, and how deep they lie inside each other, with references replaced.
#[derive(Clone, Copy)]
struct Weight {
    values: usize,
    depth: usize,
}

struct Weighing<'a> {
    root: &'a Value,
    /// What was referred to. `None` while it is being weighed.
    weighed: BTreeMap<&'a str, Option<Weight>>,
}

impl<'a> Weighing<'a> {
    /// Weighs a value that lies in so many others.
    fn weigh(&mut self, value: &'a Value, depth: usize) -> Result<Weight, String> {
        if depth > DEEPEST {
            return Err(format!("that is nested more than {DEEPEST} deep, with its references replaced"));
        }
        let mut all = Weight { values: 1, depth: 1 };
        match value {
            Value::Array(items) => {
                for item in items {
                    all.add(self.weigh(item, depth + 1)?)?;
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    all.add(self.weigh(member, depth + 1)?)?;
                    match (name.as_str(), member) {
                        ("$ref", Value::String(to)) => all.add(self.weigh_referred(to, depth + 1)?)?,
                        ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                            return Err(format!("with {name}: use $ref"));
                        }
                        ("$id" | "id", Value::String(_)) if depth > 0 => {
                            return Err(format!("with {name} inside, which changes what references mean"));
                        }
                        ("pattern", Value::String(_)) => all.add(Weight { values: PATTERN, depth: 1 })?,
                        ("patternProperties", Value::Object(patterns)) => {
                            all.add(Weight { values: PATTERN.saturating_mul(patterns.len()), depth: 1 })?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        match depth + all.depth > DEEPEST + 1 {
            true => Err(format!("that is nested more than {DEEPEST} deep, with its references replaced")),
            false => Ok(all),
        }
    }

    fn weigh_referred(&mut self, to: &'a str, depth: usize) -> Result<Weight, String> {
        let shown = ForeignText(to);
        if let Some(weight) = self.weighed.get(to) {
            let weight = weight.ok_or_else(|| format!("whose references go in a circle, as {shown} does"))?;
            return match depth + weight.depth > DEEPEST + 1 {
                true => Err(format!("that is nested more than {DEEPEST} deep, with its references replaced")),
                false => Ok(weight),
            };
        }
        let referred = to.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let referred = referred.and_then(|pointer| self.root.pointer(pointer)).ok_or_else(|| {
            format!("that refers to {shown}, which is not a place in it: write #/$defs/NAME")
        })?;
        self.weighed.insert(to, None);
        let weight = self.weigh(referred, depth)?;
        self.weighed.insert(to, Some(weight));
        Ok(weight)
    }
}

impl Weight {
    fn add(&mut self, part: Weight) -> Result<(), String> {
        self.values += part.values;
        self.depth = self.depth.max(part.depth + 1);
        match self.values > VALUES {
            true => Err(format!(
                "of more than {VALUES} values, with its references replaced, a pattern counting as {PATTERN}"
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(schema: &str) -> String {
        let Err(Breach(breach)) = Schema::parse(schema) else { panic!("it was accepted: {schema}") };
        breach
    }

    fn refusal(options: &str, schema: &str) -> String {
        let schema = Schema::parse(schema).map_err(|Breach(breach)| breach).expect("a schema");
        check(options, Some(&schema)).expect_err("they don't fit").to_string()
    }

    const HOURS: &str = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "from": { "$ref": "#/$defs/time" },
            "to": { "$ref": "#/$defs/time" },
            "number": { "type": "integer", "maximum": 100 }
        },
        "required": ["from", "to"],
        "additionalProperties": false,
        "$defs": { "time": { "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$" } }
    }"##;

    #[test]
    fn options_fit_the_schema_or_are_told_where_they_do_not() {
        let schema = Schema::parse(HOURS).map_err(|Breach(breach)| breach).expect("a schema");
        assert_eq!(check(r#"{"from": "08:00", "to": "21:00"}"#, Some(&schema)), Ok(()));
        let refused = refusal(r#"{"from": 8, "to": "21.00", "number": 15551234567}"#, HOURS);
        for part in [
            "/from: the value is not of type",
            "/to: the value does not match",
            "/number: the value is greater",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(!refused.contains("15551234567"), "{refused}");
        assert!(refusal(r#"{"from": "08:00"}"#, HOURS).contains(r#"/: "to" is a required property"#));
        assert!(refusal("[]", HOURS).contains("not a JSON object"));
        assert!(refusal("{", HOURS).contains("not JSON"));
        assert!(refusal(&" ".repeat(OPTIONS_BYTES + 1), HOURS).contains("65536 are allowed"));
        assert_eq!(check("{}", None), Ok(()));
    }

    #[test]
    fn what_stands_in_options_is_escaped_and_bounded() {
        let refused = refusal(&format!(r#"{{"\u001b[2J{}": 1}}"#, "x".repeat(10_000)), HOURS);
        assert!(!refused.contains('\u{1b}') && refused.len() < 2200, "{refused}");
    }

    #[test]
    fn large_options_are_bounded_by_their_schema() {
        let all = vec![r#"{"type": "integer"}"#; 1000].join(",");
        let schema = format!(r#"{{"properties": {{"a": {{"items": {{"allOf": [{all}]}}}}}}}}"#);
        let options = |items: usize, item: &str| format!(r#"{{"a": [{}]}}"#, vec![item; items].join(","));
        let parsed = Schema::parse(&schema).map_err(|Breach(breach)| breach).expect("a schema");
        assert_eq!(check(&options(1000, "1"), Some(&parsed)), Ok(()));
        assert!(refusal(&options(1000, "true"), &schema).contains("too large to tell where"));
        assert!(refusal(&options(100, "true"), &schema).contains("/a/0: the value is not of type"));
        assert!(refusal(&options(30_000, "1"), &schema).contains("too many for a schema of 2"));
    }

    #[test]
    fn a_schema_refers_to_nothing_outside_of_it() {
        for to in
            ["https://example.com/schema.json", "other.json#/a", "file:///etc/passwd", "#/nowhere", "#anchor"]
        {
            let schema = format!(r#"{{"properties": {{"a": {{"$ref": "{to}"}}}}}}"#);
            assert!(breach(&schema).contains("is not a place in it"), "{to}");
        }
        assert!(breach(r##"{"$dynamicRef": "#a"}"##).contains("use $ref"));
        assert!(
            breach(r#"{"properties": {"a": {"$id": "https://example.com/a"}}}"#).contains("with $id inside")
        );
        assert!(breach(r#"{"$schema": "https://example.com/draft"}"#).contains("is not one"));
        assert!(breach(r#"{"type": "nonsense"}"#).contains("is not one, at /type"));
    }

    #[test]
    fn a_schema_that_unfolds_into_a_bomb_is_refused() {
        assert!(breach(r##"{"properties": {"a": {"$ref": "#"}}}"##).contains("circle"));
        let doubling: String = (0..40)
            .map(|n| {
                format!(
                    r##""d{n}": {{"allOf": [{{"$ref": "#/$defs/d{0}"}}, {{"$ref": "#/$defs/d{0}"}}]}},"##,
                    n + 1
                )
            })
            .collect();
        let schema = format!(r##"{{"$ref": "#/$defs/d0", "$defs": {{{doubling} "d40": {{}}}}}}"##);
        assert!(breach(&schema).contains("more than 10000 values"));
        let chain: String =
            (0..500).map(|n| format!(r##""d{n}": {{"$ref": "#/$defs/d{}"}},"##, n + 1)).collect();
        for first in [0, 499] {
            let schema = format!(r##"{{"$ref": "#/$defs/d{first}", "$defs": {{{chain} "d500": {{}}}}}}"##);
            assert!(breach(&schema).contains("nested more than 128 deep"), "{first}");
        }
        let patterns = vec![r#"{"pattern": "a"}"#; 101].join(",");
        assert!(breach(&format!(r#"{{"allOf": [{patterns}]}}"#)).contains("a pattern counting as 100"));
        assert!(breach(r#"{"pattern": "(\\w{100}){100}"}"#).contains("is not one"));
        assert!(breach(&" ".repeat(SCHEMA_BYTES + 1)).contains("the limit is 65536"));
        assert!(breach(&"[".repeat(1000)).contains("not JSON"));
    }
}
