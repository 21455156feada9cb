//! Secrets of which several are valid at the same time, while one replaces another.

use std::borrow::Cow;
use std::fmt;

use portcullis_api::settings::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq as _};

/// One secret, or several that are all valid: written as a text, or as a list of texts. `Debug` does not show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The most secrets at a time: each is tried for every webhook.
    pub const MOST: usize = 4;

    /// The secrets, in the order in which they are written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.0.as_str())
    }

    /// Whether the text is one of them. Takes the same time whichever it is.
    pub fn has(&self, text: &str) -> bool {
        let is_one = self
            .iter()
            .fold(Choice::from(0), |found, secret| found | secret.as_bytes().ct_eq(text.as_bytes()));
        is_one.into()
    }

    /// What is wrong with them and what to do, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self.0.len() {
            0 => Some("an empty list: use the value of the Meta app, or leave it out"),
            count if count > Self::MOST => {
                Some("more than 4 secrets: take out those that Meta does not use any more")
            }
            _ if self.iter().any(str::is_empty) => {
                Some("empty, so anybody could guess it: use the value of the Meta app, or leave it out")
            }
            _ => None,
        }
    }
}

impl JsonSchema for Secrets {
    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Secret>();
        json_schema!({ "anyOf": [secret, { "type": "array", "items": secret, "minItems": 1, "maxItems": Self::MOST }] })
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Secrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secrets, E> {
                Ok(Secrets(vec![Secret(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
                let mut secrets = Vec::new();
                while let Some(secret) = list.next_element()? {
                    secrets.push(secret);
                }
                Ok(Secrets(secrets))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Secrets, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_is_a_list_of_one() {
        assert_eq!(read(r#""one""#), read(r#"["one"]"#));
        let two = read(r#"["one", "other"]"#).unwrap();
        assert!(two.has("one") && two.has("other") && !two.has("on") && !two.has(""));
        assert_eq!(two.problem(), None);
        assert!(!format!("{two:?}").contains("other"));
    }

    #[test]
    fn what_anybody_could_guess_and_what_costs_too_much_is_refused() {
        for json in [r#""""#, r#"["one", ""]"#, "[]", r#"["1", "2", "3", "4", "5"]"#] {
            assert!(read(json).unwrap().problem().is_some(), "{json}");
        }
        for json in ["1", "{}", "[1]"] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(
            read("1").unwrap_err().ends_with("expected a string or a list of strings at line 1 column 1")
        );
    }
}
