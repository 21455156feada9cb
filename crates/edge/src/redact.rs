//! Error messages of serde without the values of the input.
//!
//! serde's messages repeat parts of the input, and those may be phone numbers or tokens. Neither values nor anything
//! that does not look like a field name may reach a response or a log.

/// Rewrites an error message of serde without the values of the input, as "must be …", "unknown field …" or
/// "missing field …".
pub fn without_values(message: &str) -> String {
    let expected = || message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if message.starts_with("unknown field ") {
        let name = message.split('`').nth(1).unwrap_or_default();
        let unknown =
            if is_field_name(name) { format!("unknown field `{name}`") } else { "unknown field".to_owned() };
        return match expected() {
            Some(known) => {
                format!("{unknown}; known are {}", known.trim_start_matches("one of ").replace(" or ", ", "))
            }
            None => unknown,
        };
    }
    match expected() {
        Some(expected) if message.starts_with("invalid ") || message.starts_with("unknown variant ") => {
            format!("must be {expected}")
        }
        None if message.starts_with("invalid ") || message.starts_with("unknown variant ") => {
            "has an unexpected value".to_owned()
        }
        _ => message.to_owned(),
    }
}

/// The place in a document, such as `entries[3].number`. Empty for the document itself.
pub fn place(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut place = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => place.push_str(&format!("[{index}]")),
            Segment::Map { key } if is_field_name(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(key);
            }
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    place
}

/// Whether a name may be repeated: it looks like a field name, and has too few digits to be a phone number.
fn is_field_name(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && name.chars().filter(char::is_ascii_digit).count() <= 3
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Example {
        name: String,
        colour: Option<Colour>,
        sizes: Option<BTreeMap<String, u8>>,
    }

    fn said(json: &str) -> (String, String) {
        let mut reader = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, Example>(&mut reader).unwrap_err();
        (place(error.path()), without_values(&error.inner().to_string()))
    }

    #[test]
    fn values_are_not_repeated() {
        for json in [
            r#"{"name": 46732001122}"#,
            r#"{"name": [46732001122]}"#,
            r#"{"name": "a", "colour": "46732001122"}"#,
            r#"{"name": "a", "46732001122": 1}"#,
            r#"{"name": "a", "n46732001122": 1}"#,
            r#"{"name": "a", "sizes": {"+46732001122": "x, expected 46732001122"}}"#,
            r#"{"name": "a", "colour": "46732001122, expected 46732001122"}"#,
        ] {
            let (place, message) = said(json);
            assert!(!place.contains("4673") && !message.contains("4673"), "{json}: {place}: {message}");
        }
    }

    #[test]
    fn what_was_expected_and_where_is_told() {
        let (place, message) = said(r#"{"name": 1}"#);
        assert_eq!((place.as_str(), message.split(" at ").next()), ("name", Some("must be a string")));
        let (_, message) = said(r#"{"name": "a", "colour": "green"}"#);
        assert!(message.starts_with("must be `red` or `blue`"), "{message}");
        let (_, message) = said(r#"{"nome": "a"}"#);
        assert!(
            message.starts_with("unknown field `nome`; known are `name`, `colour`, `sizes`"),
            "{message}"
        );
        let (_, message) = said("{}");
        assert!(message.starts_with("missing field `name`"), "{message}");
    }
}
