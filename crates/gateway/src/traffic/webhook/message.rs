//! What is read of one element of a webhook: whose it is, and what it says.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;
use serde_json::value::RawValue;

use super::super::keywords::{Keywords, Wish};
use super::lenient::{at, number, text, time, user};
use super::payload::Object;
use portcullis_engine::Identity;

/// Somebody, by all that names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Who {
    pub(in super::super) number: Option<Msisdn>,
    /// Meta's ids: towards this business, and its parent's.
    pub(in super::super) users: Vec<UserId>,
}

/// The names under which an object names somebody.
pub(super) struct Names {
    number: &'static str,
    users: &'static [&'static str],
}

/// Who wrote or called.
pub(super) const FROM: Names = Names { number: "from", users: &["from_user_id", "from_parent_user_id"] };
/// Whom the business wrote to or called.
pub(super) const TO: Names = Names { number: "to", users: &["to_user_id", "to_parent_user_id"] };
/// Somebody of whom is told.
pub(super) const CONTACT: Names = Names { number: "wa_id", users: &["user_id", "parent_user_id"] };
/// Whom a message of the business was for. The last name is that of Meta's page of February 2026.
pub(super) const RECIPIENT: Names = Names {
    number: "recipient_id",
    users: &["recipient_user_id", "recipient_parent_user_id", "parent_recipient_user_id"],
};

impl Who {
    pub(super) fn of(object: &Object<'_>, names: &Names) -> Self {
        let users = names.users.iter().filter_map(|name| user(object, name)).collect();
        Who { number: number(object, names.number), users }
    }

    /// Whom a thread of the past is with. Its id is the number.
    pub(super) fn of_thread(thread: &Object<'_>) -> Self {
        let mut who = match thread.read::<Object<'_>>("context") {
            Some(context) => Who::of(&context, &CONTACT),
            None => Who::default(),
        };
        who.number = number(thread, "id").or(who.number);
        who
    }

    pub(in super::super) fn is_nobody(&self) -> bool {
        self.number.is_none() && self.users.is_empty()
    }

    /// All that it is known by, what says most first.
    pub(in super::super) fn identities(&self) -> impl Iterator<Item = Identity> {
        let users = self.users.iter().cloned().map(Identity::User);
        self.number.map(Identity::Number).into_iter().chain(users)
    }
}

/// When something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum When {
    /// At the time that the message names.
    At(Timestamp),
    /// Whoever tells of it does so at once.
    Now,
    /// The message names none that can be read, as none of Meta's does.
    Unknown,
}

impl When {
    /// The time that an element names.
    pub(in super::super) fn told(element: &Object<'_>) -> Self {
        time(element, "timestamp").map_or(When::Unknown, When::At)
    }

    /// The time, or now where that is not known. Never a whole second, which would stand for all of it.
    pub(in super::super) fn or_now(self) -> Timestamp {
        let When::At(time) = self else {
            let now = Timestamp::now();
            return if now.subsec_millisecond() == 0 { now.max(now + Duration::from_millis(1)) } else { now };
        };
        time
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Request {
    pub(in super::super) wish: Wish,
    /// The word that says so.
    pub(in super::super) word: String,
    pub(in super::super) at: When,
    /// The message's id.
    pub(in super::super) id: Option<String>,
    /// Whether one message may confirm it. Not where it is from long ago.
    pub(in super::super) may_be_confirmed: bool,
}

/// The texts of a message that may be words to opt out by: what was written, or what a button says.
const WORDS: [&[&str]; 8] = [
    &["text", "body"],
    &["button", "payload"],
    &["button", "text"],
    &["interactive", "button_reply", "id"],
    &["interactive", "button_reply", "title"],
    &["interactive", "list_reply", "id"],
    &["interactive", "list_reply", "title"],
    // What somebody makes of what they had written.
    &["edit", "message", "text", "body"],
];

/// What a message asks for. Of several words, one that stops counts.
pub(super) fn request(keywords: &Keywords, message: &Object<'_>) -> Option<Request> {
    let asked = WORDS.iter().filter_map(|path| {
        let word = at(message, path).and_then(text)?;
        Some((keywords.wish(&word)?, word))
    });
    let (wish, word) = asked.min_by_key(|(wish, _)| *wish != Wish::Stop)?;
    Some(Request { wish, word, at: When::told(message), id: id(message), may_be_confirmed: true })
}

/// The id of a message, or of a call.
pub(super) fn id(message: &Object<'_>) -> Option<String> {
    message.get("id").and_then(text)
}

/// That somebody has another number, or other ids, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Moved {
    pub(in super::super) left: Option<Msisdn>,
    /// With the ids of old behind those of now.
    pub(in super::super) to: Who,
}

/// What a message of the system says of its person (Meta's page on system messages, 11 August 2026, and earlier forms).
///
/// The old number is who it is from, or `customer` of the form of old. The new one is of `wa_id` and `new_wa_id` that which is
/// another, as both were used for either.
pub(super) fn moved(message: &Object<'_>) -> Option<Moved> {
    const TYPES: [&str; 3] = ["user_changed_number", "customer_changed_number", "user_changed_user_id"];
    let system: Object<'_> = message.read("system")?;
    let kind = system.get("type").and_then(text)?;
    if !TYPES.contains(&kind.as_str()) {
        return None;
    }
    let old = number(message, "from").or_else(|| number(&system, "customer"));
    let news = ["new_wa_id", "wa_id"].iter().filter_map(|name| number(&system, name));
    let new = news.into_iter().find(|new| Some(*new) != old);
    let ids_of_now = ["user_id", "parent_user_id"].iter().filter_map(|name| user(&system, name));
    let ids_of_old =
        ["previous_user_id", "previous_parent_user_id"].iter().filter_map(|name| user(&system, name));
    let ids_of_sender = FROM.users.iter().filter_map(|name| user(message, name));
    let mut users: Vec<UserId> = ids_of_now.chain(ids_of_old).chain(ids_of_sender).collect();
    let mut known = Vec::new();
    users.retain(|user| {
        !known.contains(user) && {
            known.push(user.clone());
            true
        }
    });
    match new {
        Some(_) => Some(Moved { left: old, to: Who { number: new, users } }),
        // Whose number is still the same, or not told.
        None => Some(Moved { left: None, to: Who { number: old, users } }),
    }
}

/// Whether a call was made by the business.
pub(super) fn is_by_business(call: &Object<'_>) -> bool {
    call.get("direction").and_then(text).is_some_and(|direction| direction == "BUSINESS_INITIATED")
}

/// An element of an array as an object, if it is one that can be told apart.
pub(super) fn object<'a>(raw: &'a RawValue) -> Option<Object<'a>> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::OptOut;

    fn with<T>(message: &Value, read: impl FnOnce(&Object<'_>) -> T) -> T {
        let text = message.to_string();
        read(&serde_json::from_str::<Object<'_>>(&text).unwrap())
    }

    #[test]
    fn words_are_found_where_people_and_buttons_leave_them() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        let wish =
            |message: &Value| with(message, |message| request(&keywords, message).map(|asked| asked.wish));
        for message in [
            json!({ "type": "text", "text": { "body": "Stop" } }),
            json!({ "type": "button", "button": { "payload": "Unsubscribe", "text": "No, thanks" } }),
            json!({ "type": "button", "button": { "payload": "x", "text": "UNSUBSCRIBE" } }),
            json!({ "type": "button", "button": { "payload": "start", "text": "stop" } }),
            json!({ "interactive": { "type": "button_reply", "button_reply": { "id": "stop", "title": "x" } } }),
            json!({ "interactive": { "type": "list_reply", "list_reply": { "id": "1", "title": "Stop" } } }),
            json!({ "type": "edit", "edit": { "message": { "type": "text", "text": { "body": "STOP" } } } }),
        ] {
            assert_eq!(wish(&message), Some(Wish::Stop), "{message}");
        }
        assert_eq!(wish(&json!({ "type": "image", "image": { "caption": "stop" } })), None);
    }

    #[test]
    fn a_request_says_when_and_by_which_message() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        let message = json!({ "id": "wamid.1", "timestamp": "1749416383", "text": { "body": "Stop" } });
        let asked = with(&message, |message| request(&keywords, message)).unwrap();
        assert_eq!(asked.at, When::At(Timestamp::from_second(1_749_416_383).unwrap()));
        assert_eq!((asked.id.as_deref(), asked.word.as_str()), (Some("wamid.1"), "Stop"));
    }

    #[test]
    fn who_wrote_is_a_number_or_ids_or_both() {
        let who = |message: Value| with(&message, |message| Who::of(message, &FROM));
        let both =
            who(json!({ "from": "16505551234", "from_user_id": "US.1", "from_parent_user_id": "US.ENT.1" }));
        assert_eq!((both.number.map(Msisdn::get), both.users.len()), (Some(16_505_551_234), 2));
        assert_eq!(who(json!({ "from": 16_505_551_234_u64 })).number.map(Msisdn::get), Some(16_505_551_234));
        assert!(who(json!({ "from": "nobody" })).is_nobody());
        assert_eq!(who(json!({ "from_user_id": "US.1" })).users.len(), 1);
        let thread = json!({ "id": "16505551234", "context": { "wa_id": "1", "user_id": "US.1" } });
        let whose = with(&thread, Who::of_thread);
        assert_eq!((whose.number.map(Msisdn::get), whose.users.len()), (Some(16_505_551_234), 1));
    }

    #[test]
    fn who_moved_is_told_by_a_message_of_the_system() {
        let said = |message: Value| with(&message, moved);
        let numbers = |moved: Moved| (moved.left.map(Msisdn::get), moved.to.number.map(Msisdn::get));
        let (old, new) = (16_505_551_234, 12_025_550_173);
        for system in [
            json!({ "type": "user_changed_number", "wa_id": "12025550173", "body": "moved" }),
            json!({ "type": "customer_changed_number", "customer": "16505551234", "new_wa_id": "12025550173" }),
            json!({ "type": "user_changed_number", "wa_id": "16505551234", "new_wa_id": "12025550173" }),
        ] {
            let message = json!({ "from": "16505551234", "type": "system", "system": system });
            assert_eq!(said(message).map(numbers), Some((Some(old), Some(new))), "{system}");
        }
        let ids = said(json!({ "type": "system", "system": {
            "type": "user_changed_user_id", "user_id": "US.new", "parent_user_id": "US.ENT.new",
            "previous_user_id": "US.old", "previous_parent_user_id": "US.ENT.old",
        } }));
        let ids = ids.unwrap();
        assert_eq!(numbers(ids.clone()), (None, None));
        let names: Vec<&str> = ids.to.users.iter().map(UserId::as_str).collect();
        assert_eq!(names, ["US.new", "US.ENT.new", "US.old", "US.ENT.old"]);
        for other in ["other", "customer_identity_changed"] {
            let message =
                json!({ "from": "16505551234", "system": { "type": other, "wa_id": "12025550173" } });
            assert_eq!(said(message), None, "{other}");
        }
    }
}
