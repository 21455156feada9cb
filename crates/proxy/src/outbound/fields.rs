//! The body of a request to an edge that doesn't send: JSON or a form, checked for names and values that it must not contain.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::body::{BodyError, Members, members};
use super::owners::{Owners, names_another};
use super::parameter::{self, NameError};
use super::query::decoded;
use super::rules::{Rule, Rules};

/// Why such a body is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FieldsError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the body: {0}")]
    Name(#[from] NameError),
    #[error(
        "the body has ';', a byte that is no ASCII character, or a '%' without two hexadecimal digits: percent-encode \
         what is no letter, digit, '-', '_', '.' or '~'"
    )]
    Form,
    #[error("the body names a sender or an account that is not this token's")]
    AnotherS,
}

/// Checks a JSON object. An empty body is accepted, because clients declare a type even without a body.
pub(super) fn json(body: &[u8], owners: &dyn Owners, rules: Rules) -> Result<(), FieldsError> {
    if body.is_empty() {
        return Ok(());
    }
    let Members(members) = members(body, rules)?;
    for (name, raw) in &members {
        if rules.hold(Rule::JsonControls) {
            parameter::refuse_control(name)?;
        }
        if rules.hold(Rule::OneCredential) && parameter::is_like_token(name) {
            return Err(NameError::Token.into());
        }
        let mut reader = serde_json::Deserializer::from_str(raw.get());
        // A number that can't be parsed is an error: what follows it would not be checked.
        let names_another = Scalars { owners }
            .deserialize(&mut reader)
            .map_err(|error| BodyError::NotJson { line: error.line(), column: error.column() })?;
        if rules.hold(Rule::ForeignValues) && names_another {
            return Err(FieldsError::AnotherS);
        }
    }
    Ok(())
}

/// Checks a form.
pub(super) fn form(body: &[u8], owners: &dyn Owners, rules: Rules) -> Result<(), FieldsError> {
    let text = std::str::from_utf8(body).map_err(|_| FieldsError::Form)?;
    // A final line break is ignored: `curl -d @file` strips it, other clients don't.
    let text = text.strip_suffix("\r\n").or(text.strip_suffix('\n')).unwrap_or(text);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if rules.hold(Rule::FormControls) {
            let name = decoded(name).filter(|name| parameter::is_plain(name)).ok_or(NameError::Odd)?;
            parameter::refuse_control(&name)?;
        }
        if rules.hold(Rule::OneCredential)
            && decoded(name).is_some_and(|name| parameter::is_like_token(&name))
        {
            return Err(NameError::Token.into());
        }
        let value = decoded(value).ok_or(FieldsError::Form)?;
        if rules.hold(Rule::ForeignValues) && names_another(&value, owners) {
            return Err(FieldsError::AnotherS);
        }
    }
    Ok(())
}

/// Searches all strings and numbers of a value, at any depth, including names of members, for the id of another's sender or
/// account. Works while deserializing, so that every occurrence of a repeated name is checked.
struct Scalars<'a> {
    owners: &'a dyn Owners,
}

impl<'de> DeserializeSeed<'de> for Scalars<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalars<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(names_another(text, self.owners))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<bool, E> {
        Ok(names_another(&number.to_string(), self.owners))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<bool, E> {
        Ok(names_another(&number.to_string(), self.owners))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<bool, E> {
        // Some parsers read `1e3` as 1000. Rust formats floats without an exponent, so this finds it.
        Ok(names_another(&number.to_string(), self.owners))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(names) = items.next_element_seed(Scalars { owners: self.owners })? {
            found |= names;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = members.next_key_seed(Scalars { owners: self.owners })? {
            found |= name;
            found |= members.next_value_seed(Scalars { owners: self.owners })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::owners::{Owner, Reach};
    use super::*;

    struct Two;

    impl Owners for Two {
        fn owner(&self, id: &str) -> Owner {
            if id == "106540352242999" { Owner::Another } else { Owner::Nobody }
        }

        fn reach(&self) -> Reach {
            Reach::Tenant
        }
    }

    fn in_json(body: &str) -> Result<(), FieldsError> {
        json(body.as_bytes(), &Two, Rules::ALL)
    }

    fn in_form(body: &str) -> Result<(), FieldsError> {
        form(body.as_bytes(), &Two, Rules::ALL)
    }

    #[test]
    fn ordinary_bodies_pass() {
        for body in [
            "",
            "{}",
            r#"{"messaging_product":"whatsapp","about":"héj; batch=1","websites":["https://a.example/?to=1"]}"#,
            r#"{"name":"x","category":"UTILITY","components":[{"type":"BODY","text":"to {{1}}"}],"to":"1"}"#,
            r#"{"pin":"123456","x":1.5,"y":null,"z":true,"w":-1}"#,
        ] {
            assert_eq!(in_json(body), Ok(()), "{body}");
        }
        for body in [
            "",
            "messaging_product=whatsapp&pin=123456",
            "tasks=%5B%22MANAGE%22%5D&user=1",
            "a[]=1&a[]=2",
            "a=1\n",
        ] {
            assert_eq!(in_form(body), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_makes_another_request_of_one_does_not() {
        for body in [
            r#"{"batch":[]}"#,
            r#"{"Batch":[]}"#,
            r#"{"b\u0061tch":[]}"#,
            r#"{"x":1,"_method":"post"}"#,
            r#"{"ids":"1"}"#,
        ] {
            assert!(matches!(in_json(body), Err(FieldsError::Name(NameError::Control(_)))), "{body}");
        }
        for body in ["batch=%5B%5D", "x=1&METHOD=post", "b%61tch=1", "batch%5B0%5D=1"] {
            assert!(matches!(in_form(body), Err(FieldsError::Name(NameError::Control(_)))), "{body}");
        }
        for body in ["+batch=1", "b%2561tch=1", "[batch]=1"] {
            assert_eq!(in_form(body), Err(FieldsError::Name(NameError::Odd)), "{body}");
        }
        for body in ["a=1;batch=2", "a=é", "a=%0", "a=1\nbatch=1\0"] {
            assert_eq!(in_form(body), Err(FieldsError::Form), "{body}");
        }
        for body in ["[]", "x", "{}x", "[{\"batch\":1}]", r#"{"a":[1e999,"106540352242999"]}"#] {
            assert!(matches!(in_json(body), Err(FieldsError::Body(_))), "{body}");
        }
        assert_eq!(in_json(r#"{"access_token":"x"}"#), Err(FieldsError::Name(NameError::Token)));
        assert_eq!(in_form("access_token=x"), Err(FieldsError::Name(NameError::Token)));
    }

    #[test]
    fn another_s_ids_do_not() {
        for body in [
            r#"{"source_waba_id":"106540352242999"}"#,
            r#"{"a":{"b":[1,{"c":106540352242999}]}}"#,
            r#"{"a":{"b":"\u0031065403522429\u00399","b":1}}"#,
            r#"{"a":1.06540352242999e14}"#,
            r#"{"a":{"106540352242999":1}}"#,
        ] {
            assert_eq!(in_json(body), Err(FieldsError::AnotherS), "{body}");
        }
        assert_eq!(in_form("a=1&source_waba_id=%31065403522429%39%39"), Err(FieldsError::AnotherS));
    }
}
