//! The body of a request to an edge that sends.
//!
//! The fields are those of Meta's OpenAPI document v23.0 (`MessageRequest`, `MarketingMessageRequestPayload`,
//! `CallRequestPayload`) and of its page on business-scoped user ids of 2026-02-18. Other fields pass, because Meta adds new
//! ones, unless an upstream could mistake them for the recipient.

use std::borrow::Cow;
use std::fmt;

use portcullis_ledger::{UserId, UserIdError};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::edges::SendingEdge;
use super::parameter::{self, NameError};
use super::path::is_group_id;
use super::rules::{Rule, Rules};
use portcullis_edge::vendor::text::Text;

/// The parts of a message or call that the gateway reads.
#[derive(Debug)]
pub(super) struct Message {
    /// The recipient's phone number as the client wrote it, or a group's id.
    pub(super) to: Option<Text>,
    /// The recipient's user id.
    pub(super) recipient: Option<UserId>,
    pub(super) recipient_type: RecipientType,
    /// The type of the message. If it is missing, Meta assumes `text`.
    pub(super) kind: Option<String>,
    /// The template's name.
    pub(super) template: Option<String>,
    /// A new status of an earlier message, such as `read`. A body with a status sends nothing.
    pub(super) status: Option<String>,
    /// What to do with a call.
    pub(super) action: Option<Action>,
}

/// What `to` identifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RecipientType {
    #[default]
    Individual,
    Group,
}

/// What to do with a call: `connect` starts one, the others answer or end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Connect,
    PreAccept,
    Accept,
    Reject,
    Terminate,
}

/// Why a body is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is not one JSON object: it goes wrong at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error(
        "the body has values in each other more than {} deep: no request of the Graph API has",
        MAX_DEPTH
    )]
    TooDeep,
    #[error("the parameter {0} stands twice: write it once")]
    Twice(&'static str),
    #[error("a parameter stands twice: write it once")]
    TwiceUnknown,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(
        "a parameter resembles {0}, which means something here: write {0} as Meta does, or leave the parameter out"
    )]
    Lookalike(&'static str),
    #[error("the parameter {0} {1}")]
    Wrong(&'static str, &'static str),
    #[error("the parameter recipient can not be taken: {0}")]
    UserId(#[from] UserIdError),
    #[error("the body names nobody: write to, or recipient, or the status of a message")]
    Nobody,
}

/// Maximum nesting depth. Meta's carousels have about ten levels.
const MAX_DEPTH: usize = 64;
/// Members of a message that the gateway reads. No other member may resemble one of these.
const READ: [&str; 7] = ["to", "recipient", "recipient_type", "type", "template", "status", "action"];
/// Other words for the recipient, which no member may resemble either. Written as [`parameter::folded`] returns them.
const RESERVED: [&str; 26] = [
    "tos",
    "recipients",
    "recipientid",
    "recipientids",
    "recipientuserid",
    "recipientphonenumber",
    "recipienttypes",
    "phone",
    "phones",
    "phonenumber",
    "phonenumbers",
    "waid",
    "waids",
    "user",
    "users",
    "userid",
    "userids",
    "userwaid",
    "participants",
    "group",
    "groupid",
    "broadcast",
    "broadcasts",
    "templates",
    "message",
    "messages",
];

/// The members of a JSON object in order, with unparsed values.
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A member's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Parses a body that consists of one JSON object and nothing else.
pub(super) fn members(body: &[u8], rules: Rules) -> Result<Members<'_>, BodyError> {
    let read = if rules.hold(Rule::WholeJson) {
        serde_json::from_slice(body)
    } else {
        Members::deserialize(&mut serde_json::Deserializer::from_slice(body))
    };
    let members: Members<'_> =
        read.map_err(|error| BodyError::NotJson { line: error.line(), column: error.column() })?;
    if members.0.iter().any(|(_, raw)| depth(raw) >= MAX_DEPTH) {
        return Err(BodyError::TooDeep);
    }
    Ok(members)
}

/// Returns the nesting depth of arrays and objects: 0 for a scalar.
fn depth(raw: &RawValue) -> usize {
    let (mut depth, mut most, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in raw.get().bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !in_text => depth -= 1,
            _ => {}
        }
    }
    most
}

impl Message {
    /// Parses and checks the body of a request to an edge that sends.
    pub(super) fn parse(edge: SendingEdge, body: &[u8], rules: Rules) -> Result<Self, BodyError> {
        let Members(members) = members(body, rules)?;
        check_names(&members, rules)?;
        let message = Message {
            to: read(&members, "to", "must be a text or an integer", rules)?,
            recipient: user_id(&members, rules)?,
            recipient_type: read(&members, "recipient_type", "must be individual or group", rules)?
                .unwrap_or_default(),
            kind: read(&members, "type", "must be a text", rules)?,
            template: template(&members, rules)?,
            status: read(&members, "status", "must be a text", rules)?,
            action: read(
                &members,
                "action",
                "must be connect, pre_accept, accept, reject or terminate",
                rules,
            )?,
        };
        message.check(edge, rules)?;
        Ok(message)
    }

    /// Whether the message is a text or interactive message, as opposed to a template, a reaction or a read receipt.
    pub(super) fn is_text_or_interactive(&self) -> bool {
        self.template.is_none()
            && self.status.is_none()
            && matches!(self.kind.as_deref(), None | Some("text" | "interactive"))
    }

    fn check(&self, edge: SendingEdge, rules: Rules) -> Result<(), BodyError> {
        if self.recipient_type == RecipientType::Group && rules.hold(Rule::GroupId) {
            if edge != SendingEdge::Messages {
                return Err(BodyError::Wrong("recipient_type", "must be individual here"));
            }
            if self.recipient.is_some() {
                return Err(BodyError::Wrong("recipient", "is a person: a message to a group has none"));
            }
            if !self.to.as_ref().is_some_and(|to| is_group_id(to.as_str())) {
                return Err(BodyError::Wrong(
                    "to",
                    "must be a group's id, as recipient_type is group: for a telephone number write individual",
                ));
            }
        }
        let is_for_somebody = self.to.is_some() || self.recipient.is_some();
        match edge {
            SendingEdge::Calls => match self.action {
                None => Err(BodyError::Wrong("action", "is missing: write what to do with the call")),
                Some(Action::Connect) if !is_for_somebody => Err(BodyError::Nobody),
                Some(_) => Ok(()),
            },
            SendingEdge::Messages if self.status.is_some() => Ok(()),
            _ if is_for_somebody => Ok(()),
            _ => Err(BodyError::Nobody),
        }
    }
}

type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// Rejects repeated members, and members whose names resemble those in [`READ`] or [`RESERVED`].
fn check_names(members: &[Member<'_>], rules: Rules) -> Result<(), BodyError> {
    for (index, (name, _)) in members.iter().enumerate() {
        let known = READ.into_iter().find(|read| read == name);
        if rules.hold(Rule::UniqueMembers) && members[..index].iter().any(|(other, _)| other == name) {
            return Err(known.map_or(BodyError::TwiceUnknown, BodyError::Twice));
        }
        if known.is_some() || !rules.hold(Rule::LookalikeMembers) {
            continue;
        }
        let folded = parameter::folded(name);
        if let Some(read) = READ.into_iter().find(|read| parameter::folded(read) == folded) {
            return Err(BodyError::Lookalike(read));
        }
        if let Some(reserved) = RESERVED.into_iter().find(|reserved| *reserved == folded) {
            return Err(BodyError::Lookalike(if reserved.starts_with("template") {
                "template"
            } else {
                "to"
            }));
        }
        parameter::refuse_control(name)?;
        if parameter::is_like_token(name) {
            return Err(NameError::Token.into());
        }
        if !parameter::is_plain(name) || name.contains('[') {
            return Err(NameError::Odd.into());
        }
    }
    Ok(())
}

/// Returns the values of the members with this name, of which there is at most one unless a test switches that rule off. Some
/// clients write `null` for missing members, so it is skipped.
fn values<'a>(members: &[Member<'a>], name: &str) -> impl Iterator<Item = &'a RawValue> {
    members
        .iter()
        .filter(move |member| member.0 == name)
        .map(|member| member.1)
        .filter(|raw| raw.get() != "null")
}

fn read<T: for<'a> Deserialize<'a>>(
    members: &[Member<'_>],
    name: &'static str,
    must: &'static str,
    rules: Rules,
) -> Result<Option<T>, BodyError> {
    let Some(raw) = values(members, name).next() else { return Ok(None) };
    match serde_json::from_str(raw.get()) {
        Ok(value) => Ok(Some(value)),
        Err(_) if name == "to" && !rules.hold(Rule::ScalarTo) => Ok(None),
        Err(_) => Err(BodyError::Wrong(name, must)),
    }
}

fn user_id(members: &[Member<'_>], rules: Rules) -> Result<Option<UserId>, BodyError> {
    let text: Option<Text> = read(members, "recipient", "must be a text", rules)?;
    let Some(text) = text else { return Ok(None) };
    if rules.hold(Rule::UserIdShape) && !UserId::is_meta_bsuid(text.as_str()) {
        return Err(BodyError::Wrong(
            "recipient",
            "is no person's id such as US.13491208655302741918: write a telephone number as to",
        ));
    }
    Ok(Some(text.as_str().parse()?))
}

/// Reads the name of the template, if the message has one.
fn template(members: &[Member<'_>], rules: Rules) -> Result<Option<String>, BodyError> {
    const WRONG: BodyError = BodyError::Wrong("template", "must be an object with one name, a text");
    let Some(raw) = values(members, "template").next() else { return Ok(None) };
    let Members(members) = serde_json::from_str(raw.get()).map_err(|_| WRONG)?;
    if rules.hold(Rule::TemplateName) {
        let looks_like_name = |name: &str| parameter::folded(name) == "name";
        let names = members.iter().filter(|member| looks_like_name(&member.0));
        if names.count() > 1 || members.iter().any(|(name, _)| looks_like_name(name) && name != "name") {
            return Err(WRONG);
        }
    }
    let Some(name) = values(&members, "name").next() else { return Ok(None) };
    serde_json::from_str(name.get()).map(Some).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(edge: SendingEdge, body: &str) -> Result<Message, BodyError> {
        Message::parse(edge, body.as_bytes(), Rules::ALL)
    }

    fn message(body: &str) -> Result<Message, BodyError> {
        parse(SendingEdge::Messages, body)
    }

    #[test]
    fn whom_a_message_is_for_is_read() {
        let read = message(
            r#"{"messaging_product":"whatsapp","to":"+16505551234","recipient":"US.ENT.13491208655302741918",
                "type":"template","template":{"name":"promo","language":{"code":"en"}},"future":[1.50]}"#,
        )
        .unwrap();
        assert_eq!(read.to.as_ref().map(Text::as_str), Some("+16505551234"));
        assert_eq!(read.recipient.as_ref().map(UserId::as_str), Some("US.ENT.13491208655302741918"));
        assert_eq!(read.template.as_deref(), Some("promo"));
        let read =
            message(r#"{"to":16505551234,"recipient":null,"template":null,"recipient_type":"individual"}"#)
                .unwrap();
        assert_eq!((read.to.as_ref().map(Text::as_str), read.recipient), (Some("16505551234"), None));
        let read = message(r#"{"\u0074o":"1","recipient_type":"group"}"#);
        assert!(matches!(read, Err(BodyError::Wrong("to", _))), "a name may have escapes");
        assert!(message(r#"{"recipient_type":"group","to":"Y2FwaV9ncm91cDo","type":"text"}"#).is_ok());
        assert!(
            message(r#"{"status":"read","message_id":"wamid.x","typing_indicator":{"type":"text"}}"#).is_ok()
        );
    }

    #[test]
    fn calls_say_what_to_do_and_begin_with_somebody() {
        let call = |body: &str| parse(SendingEdge::Calls, body);
        assert_eq!(call(r#"{"to":"+1","action":"connect"}"#).unwrap().action, Some(Action::Connect));
        assert!(call(r#"{"call_id":"wacid.x","action":"pre_accept"}"#).is_ok());
        assert_eq!(call(r#"{"action":"connect"}"#).unwrap_err(), BodyError::Nobody);
        for body in
            [r#"{"to":"+1"}"#, r#"{"to":"+1","action":"Connect"}"#, r#"{"to":"+1","action":"redial"}"#]
        {
            assert!(matches!(call(body), Err(BodyError::Wrong("action", _))), "{body}");
        }
    }

    #[test]
    fn what_may_be_read_otherwise_is_refused() {
        use BodyError as E;
        for (body, error) in [
            (r#"{"to":"1","to":"2"}"#, E::Twice("to")),
            (r#"{"to":"1","\u0074o":"2"}"#, E::Twice("to")),
            (r#"{"to":"1","x":1,"x":2}"#, E::TwiceUnknown),
            (r#"{"to":"1","To":"2"}"#, E::Lookalike("to")),
            (r#"{"to":"1","to[]":"2"}"#, E::Lookalike("to")),
            (r#"{"to":"1","to[0]":"2"}"#, E::Lookalike("to")),
            (r#"{"to":"1","recipientType":"group"}"#, E::Lookalike("recipient_type")),
            (r#"{"to":"1","recipients":["2"]}"#, E::Lookalike("to")),
            (r#"{"to":"1","phone_number":"2"}"#, E::Lookalike("to")),
            (r#"{"to":"1","Template":{}}"#, E::Lookalike("template")),
            (r#"{"to":"1"," to":"2"}"#, E::Lookalike("to")),
            (r#"{"to":"1","x y":"2"}"#, E::Name(NameError::Odd)),
            (r#"{"to":"1","t\u043e":"2"}"#, E::Name(NameError::Odd)),
            (r#"{"to":"1","":"2"}"#, E::Name(NameError::Odd)),
            (r#"{"to":"1","Batch":[]}"#, E::Name(NameError::Control("batch"))),
            (r#"{"to":"1","method":"post"}"#, E::Name(NameError::Control("method"))),
            (r#"{"to":"1","access_token":"x"}"#, E::Name(NameError::Token)),
            (r#"{}"#, E::Nobody),
            (r#"{"to":null}"#, E::Nobody),
            (r#"{"type":"text","text":{"body":"x"}}"#, E::Nobody),
        ] {
            assert_eq!(message(body).unwrap_err(), error, "{body}");
        }
        for (body, field) in [
            (r#"{"to":["1"]}"#, "to"),
            (r#"{"to":{"x":"1"}}"#, "to"),
            (r#"{"to":1.5}"#, "to"),
            (r#"{"to":1.6505551234e10}"#, "to"),
            (r#"{"to":"1","recipient":"16505551234"}"#, "recipient"),
            (r#"{"to":"1","recipient":16505551234}"#, "recipient"),
            (r#"{"recipient":"us.1"}"#, "recipient"),
            (r#"{"recipient":"US.1.2"}"#, "recipient"),
            (r#"{"recipient":"US."}"#, "recipient"),
            (r#"{"to":"1","recipient_type":"Group"}"#, "recipient_type"),
            (r#"{"to":"16505551234","recipient_type":"group"}"#, "to"),
            (r#"{"to":"Y2FwaV9ncm91cDo","recipient":"US.1","recipient_type":"group"}"#, "recipient"),
            (r#"{"to":"1","template":"{}"}"#, "template"),
            (r#"{"to":"1","template":{"name":"a","name":"b"}}"#, "template"),
            (r#"{"to":"1","template":{"name":"a","Name":"b"}}"#, "template"),
            (r#"{"to":"1","template":{"name":["a"]}}"#, "template"),
        ] {
            assert!(matches!(message(body), Err(E::Wrong(wrong, _)) if wrong == field), "{body}");
        }
        let group = r#"{"to":"Y2FwaV9ncm91cDo","recipient_type":"group"}"#;
        assert!(parse(SendingEdge::MarketingMessages, group).is_err());
    }

    #[test]
    fn a_body_is_one_json_object() {
        for body in [
            "",
            "{",
            "[]",
            "1",
            "{}x",
            "{}{}",
            "{}\0",
            "\u{feff}{}",
            "{\"to\":\"\\ud800\"}x",
            "to=1",
            "{\"a\":tru}",
            "{'to':'1'}",
        ] {
            assert!(matches!(message(body), Err(BodyError::NotJson { .. })), "{body:?}");
        }
        let deep = |depth: usize| {
            format!("{{\"to\":\"1\",\"x\":{}\"[\\\"[\"{}}}", "[".repeat(depth), "]".repeat(depth))
        };
        assert!(message(&deep(63)).is_ok());
        assert_eq!(message(&deep(64)).unwrap_err(), BodyError::TooDeep);
        assert!(message(&deep(100_000)).is_err());
    }
}
