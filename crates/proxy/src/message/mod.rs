//! Reading one element of a webhook: the person it is from or about, what its text asks for, and changes of numbers and ids.

pub mod fuzz;
pub(crate) mod lenient;
pub(crate) mod object;

use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;
use serde_json::value::RawValue;

use lenient::{Values, number, text, text_or_integer, texts_at, times, user, users};
use object::{Inner, Object};
use portcullis_engine::Identity;
use portcullis_keywords::{Intent, Keywords};
use portcullis_numbers::is_same;

/// The number and ids of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) number: Option<Msisdn>,
    /// Meta's user ids: the one for this business, and the one for its parent business.
    pub(crate) users: Vec<UserId>,
}

impl Who {
    /// Returns all identities, the number first.
    pub(crate) fn identities(&self) -> impl Iterator<Item = Identity> {
        let users = self.users.iter().cloned().map(Identity::User);
        self.number.map(Identity::Number).into_iter().chain(users)
    }
}

impl From<&Identity> for Who {
    fn from(identity: &Identity) -> Self {
        match identity {
            Identity::Number(number) => Who { number: Some(*number), users: Vec::new() },
            Identity::User(id) => Who { number: None, users: vec![id.clone()] },
        }
    }
}

/// The members of an object that contain a person's number and ids.
pub(crate) struct Names {
    number: &'static str,
    users: &'static [&'static str],
}

/// The person who wrote or called.
pub(crate) const FROM: Names = Names { number: "from", users: &["from_user_id", "from_parent_user_id"] };
/// The person to whom the business wrote, or whom it called.
pub(crate) const TO: Names = Names { number: "to", users: &["to_user_id", "to_parent_user_id"] };
/// The person whom a contact or a preference describes.
pub(crate) const CONTACT: Names = Names { number: "wa_id", users: &["user_id", "parent_user_id"] };
/// The recipient of a message whose status is reported. The last name is the one on Meta's page of February 2026.
pub(crate) const RECIPIENT: Names = Names {
    number: "recipient_id",
    users: &["recipient_user_id", "recipient_parent_user_id", "parent_recipient_user_id"],
};

/// All numbers and ids by which an object names a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    numbers: Vec<Msisdn>,
    users: Vec<UserId>,
    /// Whether the person is uncertain: a number or id can't be read, or several that should be equal are not.
    pub(crate) is_doubtful: bool,
}

impl Named {
    /// Reads the person from these members of an object.
    pub(crate) fn of(object: &Object<'_>, names: &Names) -> Self {
        let mut named = Named::default();
        named.add_person(object, names.number);
        for name in names.users {
            named.add_users(users(object, name));
        }
        named
    }

    /// The person with whom a thread of the history is. The thread's id is the person's number or user id.
    pub(crate) fn of_thread(thread: &Object<'_>) -> Self {
        let Inner { object, is_odd } = thread.inner("context");
        let mut named = object.map(|context| Named::of(&context, &CONTACT)).unwrap_or_default();
        named.is_doubtful |= is_odd;
        named.add_person(thread, "id");
        named
    }

    /// The person who called the business, or whom it called.
    pub(crate) fn of_call(call: &Object<'_>) -> Self {
        let directions = call.values("direction", text);
        let is_by_business = |direction: &String| direction == "BUSINESS_INITIATED";
        let by_business = directions.read.iter().filter(|direction| is_by_business(direction)).count();
        match by_business {
            _ if directions.is_odd || by_business > 0 && by_business < directions.read.len() => {
                // One of the two is the business, but it is unclear which.
                let mut named = Named::of(call, &FROM);
                named.add(Named::of(call, &TO));
                Named { is_doubtful: true, ..named }
            }
            0 => Named::of(call, &FROM),
            _ => Named::of(call, &TO),
        }
    }

    /// The recipient of a message that the business sent from the app on its phone.
    pub(crate) fn of_echo(echo: &Object<'_>) -> Self {
        let named = Named::of(echo, &TO);
        if !named.is_nobody() || named.is_doubtful {
            return named;
        }
        // Otherwise, the recipient is in the sent message.
        let Inner { object, is_odd } = echo.inner("message");
        let named = object.map(|sent| Named::of(&sent, &TO)).unwrap_or_default();
        Named { is_doubtful: named.is_doubtful || is_odd, ..named }
    }

    /// Adds the values of a member for a number, which may also be the id of a person without a number.
    fn add_person(&mut self, object: &Object<'_>, name: &str) {
        let is_id = |raw: &&RawValue| text(raw).is_some_and(|text| is_user_id(&text));
        let (ids, others): (Vec<_>, Vec<_>) = object.said(name).partition(is_id);
        self.add_users(ids.into_iter().map(user).collect());
        self.add_numbers(others.into_iter().map(number).collect());
    }

    fn add_numbers(&mut self, values: Values<Msisdn>) {
        self.is_doubtful |= values.is_odd;
        for number in values.read {
            if self.numbers.iter().any(|known| is_same(*known, number)) {
                continue;
            }
            self.is_doubtful |= !self.numbers.is_empty();
            self.numbers.push(number);
        }
    }

    /// Adds the ids of one member. Several different ones under the same name make the person doubtful, those of other members
    /// don't.
    fn add_users(&mut self, values: Values<UserId>) {
        self.is_doubtful |= !values.read.is_empty() && values.agreed().is_none() || values.is_odd;
        for user in values.read {
            if !self.users.contains(&user) {
                self.users.push(user);
            }
        }
    }

    /// Adds the numbers and ids of another object that names the same person.
    pub(crate) fn add(&mut self, other: Named) {
        self.add_numbers(Values { read: other.numbers, is_odd: other.is_doubtful });
        self.users.extend(other.users);
    }

    /// Whether there is neither a number nor an id.
    pub(crate) fn is_nobody(&self) -> bool {
        self.numbers.is_empty() && self.users.is_empty()
    }

    /// Returns the person; `None` if the person is doubtful or not named.
    pub(crate) fn who(&self) -> Option<Who> {
        let is_somebody = !self.is_doubtful && !self.is_nobody();
        is_somebody.then(|| Who { number: self.numbers.first().copied(), users: self.users.clone() })
    }

    /// Whether both have a user id in common.
    pub(crate) fn shares_id(&self, other: &Named) -> bool {
        self.users.iter().any(|user| other.users.contains(user))
    }

    /// Returns all identities, including those of doubtful people.
    pub(crate) fn all(&self) -> impl Iterator<Item = Identity> {
        let numbers = self.numbers.iter().copied().map(Identity::Number);
        numbers.chain(self.users.iter().cloned().map(Identity::User))
    }
}

/// Whether a text looks like one of Meta's user ids instead of a number: it begins with a country code and a dot.
fn is_user_id(text: &str) -> bool {
    let country = text.split_once('.').map_or("", |(country, _)| country);
    country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())
}

impl From<Moved> for Named {
    /// Both the old and the new numbers and ids.
    fn from(moved: Moved) -> Self {
        let mut named = Named::from(moved.to);
        named.numbers.extend(moved.left);
        named
    }
}

impl From<Who> for Named {
    fn from(who: Who) -> Self {
        Named { numbers: who.number.into_iter().collect(), users: who.users, is_doubtful: false }
    }
}

/// When a request was made, as the message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At the time in the message, which may be in the future: a clock is ahead, or the message is dated wrongly.
    At(Timestamp),
    /// Now: the interface delivers messages immediately and this one has no time.
    Now,
    /// The message has no readable time.
    Unknown,
}

impl When {
    /// Reads the `timestamp` of an element.
    pub(crate) fn told(element: &Object<'_>) -> Self {
        lenient::time(element, "timestamp").map_or(When::Unknown, When::At)
    }

    /// The time of an opt-out, which was made before now, whatever the message says. `now` is the ledger's.
    pub(crate) fn of_opt_out(self, now: Timestamp) -> Timestamp {
        self.of_opt_in(now).min(precise(now))
    }

    /// The time of an opt-in. The ledger ignores one that is dated ahead.
    pub(crate) fn of_opt_in(self, now: Timestamp) -> Timestamp {
        match self {
            When::At(time) => time,
            When::Now | When::Unknown => precise(now),
        }
    }
}

/// The current time, never with zero milliseconds: a time in whole seconds stands for the entire second.
fn precise(now: Timestamp) -> Timestamp {
    if now.subsec_millisecond() == 0 { now.max(now + Duration::from_millis(1)) } else { now }
}

/// An opt-out or opt-in in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) wish: Intent,
    /// The text that was recognized.
    pub(crate) word: String,
    pub(crate) at: When,
    /// The message's id.
    pub(crate) id: Option<String>,
    /// Whether one message may be sent as a confirmation. `false` for messages of the history.
    pub(crate) may_be_confirmed: bool,
}

/// Paths of the text in a message: what the person wrote, or saw on a button and chose. The id and payload of a button are left
/// out, because only its developer sees them.
const WORDS: [&[&str]; 5] = [
    &["text", "body"],
    &["button", "text"],
    &["interactive", "button_reply", "title"],
    &["interactive", "list_reply", "title"],
    // The new text of an edited message.
    &["edit", "message", "text", "body"],
];

/// What the text of a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An opt-out or opt-in.
    Intent {
        wish: Intent,
        /// The text that was recognized.
        word: String,
    },
    /// There is no text, or it asks for nothing.
    Nothing,
    /// There is something in the place of the text that can't be read.
    Unreadable,
}

/// Reads what the text at these paths asks for.
///
/// A single opt-out counts, whatever else is there. An opt-in counts only if everything is readable, and all texts at one path
/// opt in.
pub(crate) fn said(keywords: &Keywords, object: &Object<'_>, paths: &[&[&str]]) -> Said {
    let mut start = None;
    let mut is_odd = false;
    for path in paths {
        let texts = texts_at(object, path);
        let wishes: Vec<_> = texts.read.iter().map(|text| keywords.wish(text)).collect();
        if let Some(stop) = wishes.iter().position(|wish| *wish == Some(Intent::Stop)) {
            return Said::Intent { wish: Intent::Stop, word: texts.read[stop].clone() };
        }
        let is_start = !texts.is_odd && wishes.iter().all(|wish| *wish == Some(Intent::Start));
        start = start.or_else(|| texts.read.first().filter(|_| is_start).cloned());
        is_odd |= texts.is_odd;
    }
    match start {
        _ if is_odd => Said::Unreadable,
        Some(word) => Said::Intent { wish: Intent::Start, word },
        None => Said::Nothing,
    }
}

/// The result of [`request`].
pub(crate) enum Asked {
    /// An opt-out or opt-in.
    For(Request),
    /// Nothing.
    Nothing,
    /// The text can't be read.
    Unreadable,
}

/// Reads what a message asks for, and when it was written.
///
/// If a message has several times, an opt-out has the latest, and an opt-in the earliest. If a time can't be read, an opt-out has
/// [`When::Unknown`], and an opt-in doesn't count, because it would lift an opt-out that may be newer.
pub(crate) fn request(keywords: &Keywords, message: &Object<'_>) -> Asked {
    let (wish, word) = match said(keywords, message, &WORDS) {
        Said::Intent { wish, word } => (wish, word),
        Said::Nothing => return Asked::Nothing,
        Said::Unreadable => return Asked::Unreadable,
    };
    let times = times(message, "timestamp");
    if wish == Intent::Start && times.is_odd {
        return Asked::Nothing;
    }
    let at = match wish {
        Intent::Stop => times.read.into_iter().max().filter(|_| !times.is_odd),
        Intent::Start => times.read.into_iter().min(),
    };
    let at = at.map_or(When::Unknown, When::At);
    Asked::For(Request { wish, word, at, id: id(message), may_be_confirmed: true })
}

/// Reads the id of a message or call.
pub(crate) fn id(message: &Object<'_>) -> Option<String> {
    message.values("id", text_or_integer).agreed().cloned()
}

/// A change of a person's number or ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The old number, if it is no longer the person's.
    pub(crate) left: Option<Msisdn>,
    /// The number and ids from now on, followed by the old ids.
    pub(crate) to: Who,
}

/// The result of [`moved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The message announces no change.
    None,
    /// The message announces this change.
    To(Moved),
    /// The message announces a change, or may, but the person or the new number or id can't be determined.
    Unreadable,
}

/// Types of system messages that announce a new number, and with it new ids.
const NUMBER_CHANGES: [&str; 2] = ["user_changed_number", "customer_changed_number"];
/// Type of system messages that announce new ids.
const ID_CHANGE: &str = "user_changed_user_id";

/// Reads the change that a system message announces (Meta's page on system messages, 11 August 2026, and earlier forms).
/// `contact` is the person if the message doesn't name one.
pub(crate) fn moved(message: &Object<'_>, contact: Option<&Named>) -> Move {
    let Inner { object, is_odd } = message.inner("system");
    if is_odd {
        return Move::Unreadable;
    }
    let Some(system) = object else { return Move::None };
    let kinds = system.values("type", text);
    let is_move = |kind: &String| kind == ID_CHANGE || NUMBER_CHANGES.contains(&kind.as_str());
    if !kinds.is_odd && !kinds.read.iter().any(is_move) {
        return Move::None;
    }
    let Some(kind) = kinds.agreed() else { return Move::Unreadable };
    let change = Change::of(message, &system, contact);
    let moved = if kind == ID_CHANGE { change.of_ids() } else { change.of_number() };
    moved.map_or(Move::Unreadable, Move::To)
}

/// The people named in a message about a change of number or ids.
struct Change {
    /// The person by their old number and ids: the sender of the message, or `customer` in its earlier form.
    person: Named,
    /// The person by `new_wa_id`, `user_id` and `parent_user_id`.
    now: Named,
    /// The person by `wa_id` and the previous ids.
    before: Named,
}

impl Change {
    fn of(message: &Object<'_>, system: &Object<'_>, contact: Option<&Named>) -> Self {
        let mut person = Named::of(message, &FROM);
        person.add(Named::of(system, &Names { number: "customer", users: &[] }));
        let now = Named::of(system, &Names { number: "new_wa_id", users: &["user_id", "parent_user_id"] });
        let before = Named::of(
            system,
            &Names { number: "wa_id", users: &["previous_user_id", "previous_parent_user_id"] },
        );
        if person.is_nobody() && before.users.is_empty() {
            person.add(contact.cloned().unwrap_or_default());
        }
        Change { person, now, before }
    }

    /// The change that a message about a new number announces. New ids without a new number are accepted as well.
    fn of_number(self) -> Option<Moved> {
        let is_named = !self.person.is_nobody() || !self.before.users.is_empty();
        let new = self.new_number()?;
        (is_named && (new.is_some() || self.has_new_ids())).then(|| self.to(new))
    }

    /// The change that a message about new ids announces. The person may be identified by their unchanged number.
    fn of_ids(self) -> Option<Moved> {
        let named = [&self.person, &self.before];
        let is_named = named.iter().any(|named| !named.is_nobody()) || !self.now.numbers.is_empty();
        let new = self.new_number()?;
        (is_named && self.has_new_ids()).then(|| self.to(new))
    }

    /// Returns the one of `wa_id` and `new_wa_id` that is not the old number, because both have been used for the new one.
    /// `None` if it is doubtful.
    fn new_number(&self) -> Option<Option<Msisdn>> {
        if [&self.person, &self.now, &self.before].iter().any(|named| named.is_doubtful) {
            return None;
        }
        let is_other = |new: &&Msisdn| self.old_number().is_none_or(|old| !is_same(old, **new));
        let mut others = self.now.numbers.iter().chain(&self.before.numbers).filter(is_other).copied();
        let new = others.next();
        let is_one = others.all(|other| new.is_some_and(|new| is_same(new, other)));
        is_one.then_some(new)
    }

    fn old_number(&self) -> Option<Msisdn> {
        self.person.numbers.first().copied()
    }

    fn has_new_ids(&self) -> bool {
        self.now.users.iter().any(|user| !self.before.users.contains(user))
    }

    fn to(self, new: Option<Msisdn>) -> Moved {
        let old = self.old_number();
        let mut ids: Vec<UserId> = Vec::new();
        for user in [self.now, self.before, self.person].into_iter().flat_map(|named| named.users) {
            if !ids.contains(&user) {
                ids.push(user);
            }
        }
        match new {
            Some(_) => Moved { left: old, to: Who { number: new, users: ids } },
            // The number is unchanged, or unknown.
            None => Moved { left: None, to: Who { number: old, users: ids } },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use portcullis_api::settings::OptOut;

    fn with<T>(message: &Value, read: impl FnOnce(&Object<'_>) -> T) -> T {
        let text = message.to_string();
        read(&serde_json::from_str::<Object<'_>>(&text).unwrap())
    }

    #[test]
    fn words_are_found_where_people_and_buttons_leave_them() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        let wish = |message: &Value| match with(message, |message| request(&keywords, message)) {
            Asked::For(asked) => Some(asked.wish),
            _ => None,
        };
        for message in [
            json!({ "type": "text", "text": { "body": "Stop" } }),
            json!({ "type": "button", "button": { "payload": "x", "text": "UNSUBSCRIBE" } }),
            json!({ "type": "button", "button": { "payload": "start", "text": "stop" } }),
            json!({ "interactive": { "type": "button_reply", "button_reply": { "id": "start", "title": "Stop" } } }),
            json!({ "interactive": { "type": "list_reply", "list_reply": { "id": "1", "title": "Stop" } } }),
            json!({ "type": "edit", "edit": { "message": { "type": "text", "text": { "body": "STOP" } } } }),
        ] {
            assert_eq!(wish(&message), Some(Intent::Stop), "{message}");
        }
        for message in [
            json!({ "type": "image", "image": { "caption": "stop" } }),
            // Ids and payloads are the developer's, not the person's.
            json!({ "type": "button", "button": { "payload": "Unsubscribe", "text": "Cancel my order" } }),
            json!({ "type": "button", "button": { "payload": "SUBSCRIBE", "text": "Read more" } }),
            json!({ "interactive": { "type": "button_reply", "button_reply": { "id": "stop", "title": "x" } } }),
            json!({ "interactive": { "type": "list_reply", "list_reply": { "id": "start", "title": "x" } } }),
        ] {
            assert_eq!(wish(&message), None, "{message}");
        }
    }

    #[test]
    fn a_stop_counts_whatever_stands_beside_it_and_a_start_only_alone() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        let said = |json: &str| said(&keywords, &serde_json::from_str(json).unwrap(), &WORDS);
        let wish = |json: &str| match said(json) {
            Said::Intent { wish, .. } => Some(wish),
            _ => None,
        };
        for stop in [
            r#"{"text":{"body":"hi","body":"STOP"}}"#,
            r#"{"text":{"body":"STOP","body":"hi"}}"#,
            r#"{"text":{"body":"STOP","body":["hi"]}}"#,
            r#"{"text":{"body":"STOP"},"text":5}"#,
            r#"{"text":"STOP"}"#,
        ] {
            assert_eq!(wish(stop), Some(Intent::Stop), "{stop}");
        }
        assert_eq!(wish(r#"{"text":{"body":"START","body":"start!"}}"#), Some(Intent::Start));
        assert_eq!(said(r#"{"text":{"body":"START","body":"hi"}}"#), Said::Nothing);
        for odd in
            [r#"{"text":{"body":"START","body":[]}}"#, r#"{"button":["Stop"]}"#, r#"{"text":{"body":1e9}}"#]
        {
            assert_eq!(said(odd), Said::Unreadable, "{odd}");
        }
    }

    #[test]
    fn a_request_says_when_and_by_which_message() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        let message = json!({ "id": "wamid.1", "timestamp": "1749416383", "text": { "body": "Stop" } });
        let Asked::For(asked) = with(&message, |message| request(&keywords, message)) else {
            panic!("no wish")
        };
        let at = |second| When::At(Timestamp::from_second(second).unwrap());
        assert_eq!(asked.at, at(1_749_416_383));
        assert_eq!((asked.id.as_deref(), asked.word.as_str()), (Some("wamid.1"), "Stop"));
        let when = |json: &str| match request(&keywords, &serde_json::from_str(json).unwrap()) {
            Asked::For(asked) => Some(asked.at),
            _ => None,
        };
        let two = r#"{"timestamp":"1749416383","timestamp":"1749416384","text":{"body":"WORD"}}"#;
        assert_eq!(when(&two.replace("WORD", "STOP")), Some(at(1_749_416_384)));
        assert_eq!(when(&two.replace("WORD", "START")), Some(at(1_749_416_383)));
        let odd = r#"{"timestamp":1749416383000,"text":{"body":"WORD"}}"#.replace("000,", "000.0,");
        assert_eq!(when(&odd.replace("WORD", "STOP")), Some(When::Unknown));
        assert_eq!(when(&odd.replace("WORD", "START")), None);
    }

    #[test]
    fn who_wrote_is_a_number_or_ids_or_both() {
        let named = |json: &str| Named::of(&serde_json::from_str(json).unwrap(), &FROM);
        let both = named(r#"{"from":"16505551234","from_user_id":"US.1","from_parent_user_id":"US.ENT.1"}"#);
        let who = both.who().unwrap();
        assert_eq!((who.number.map(Msisdn::get), who.users.len()), (Some(16_505_551_234), 2));
        assert_eq!(both.all().count(), 3);
        assert_eq!(named(r#"{"from":16505551234}"#).numbers.len(), 1);
        assert_eq!(named(r#"{"from_user_id":"US.1"}"#).who().map(|who| who.users.len()), Some(1));
        for nobody in ["{}", r#"{"from":null}"#, r#"{"from":""}"#] {
            assert_eq!(named(nobody), Named::default(), "{nobody}");
        }
        let twice = named(
            r#"{"from":"5215512345678","from":"525512345678","from_user_id":"MX.1","from_user_id":"MX.1"}"#,
        );
        assert!(twice.who().is_some(), "it says the same twice");
        for (doubtful, identities) in [
            (r#"{"from":"nobody"}"#, 0),
            (r#"{"from":16505551234.0,"from_user_id":"US.1"}"#, 1),
            (r#"{"from":"16505551234","from_user_id":["US.1"]}"#, 1),
            (r#"{"from":"16505551234","from":"16505551235","from_user_id":"US.1"}"#, 3),
            (r#"{"from_user_id":"US.1","from_user_id":"US.2"}"#, 2),
        ] {
            let named = named(doubtful);
            assert!(named.is_doubtful && named.who().is_none(), "{doubtful}");
            assert_eq!(named.all().count(), identities, "{doubtful}");
        }
    }

    #[test]
    fn whom_threads_calls_and_echoes_are_with() {
        let digits = |named: Named| named.who().and_then(|who| who.number).map(Msisdn::get);
        let thread = |json: Value| digits(with(&json, Named::of_thread));
        let number = 16_505_551_234;
        assert_eq!(thread(json!({ "id": "16505551234", "context": { "user_id": "US.1" } })), Some(number));
        let by_id = with(&json!({ "id": "US.1" }), Named::of_thread);
        assert_eq!((by_id.users.len(), by_id.is_doubtful), (1, false));
        assert_eq!(thread(json!({ "context": { "wa_id": "16505551234" } })), Some(number));
        assert_eq!(thread(json!({ "id": "16505551234", "context": { "wa_id": "16505551235" } })), None);
        let call = |direction: Value| {
            let call = json!({ "from": "16505551234", "to": "15550783881", "direction": direction });
            with(&call, Named::of_call)
        };
        assert_eq!(digits(call(json!("USER_INITIATED"))), Some(number));
        assert_eq!(digits(call(Value::Null)), Some(number));
        assert_eq!(digits(call(json!("BUSINESS_INITIATED"))), Some(15_550_783_881));
        assert_eq!(call(json!(1)).all().count(), 2);
        let echo = |json: Value| digits(with(&json, Named::of_echo));
        assert_eq!(echo(json!({ "to": "16505551234" })), Some(number));
        assert_eq!(echo(json!({ "message": { "to": "16505551234" } })), Some(number));
        assert_eq!(echo(json!({ "to": "x", "message": { "to": "16505551234" } })), None);
    }

    #[test]
    fn who_moved_is_told_by_a_message_of_the_system() {
        let said = |message: Value| match with(&message, |message| moved(message, None)) {
            Move::To(moved) => Some(moved),
            Move::None => None,
            Move::Unreadable => panic!("{message}"),
        };
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
        // Another spelling of the same number is not a new number.
        let same = said(json!({ "from": "5215512345678", "system": {
            "type": "user_changed_number", "wa_id": "525512345678", "new_wa_id": "12025550173",
        } }));
        assert_eq!(same.map(numbers), Some((Some(5_215_512_345_678), Some(new))));
        for odd in [
            r#"{"from":"16505551234","system":[]}"#,
            r#"{"from":"16505551234","system":{"type":"user_changed_number","wa_id":"x"}}"#,
            r#"{"from":"16505551234","system":{"type":"user_changed_number","type":"other","wa_id":"12025550173"}}"#,
            r#"{"from":"x","system":{"type":"user_changed_number","wa_id":"12025550173"}}"#,
            r#"{"system":{"type":"user_changed_user_id","user_id":"US.1","user_id":"US.2"}}"#,
        ] {
            assert_eq!(moved(&serde_json::from_str(odd).unwrap(), None), Move::Unreadable, "{odd}");
        }
    }

    #[test]
    fn a_move_says_whose_it_is_and_where_to() {
        let number = "16505551234";
        let contact = Named { numbers: vec![Msisdn::parse(number).unwrap()], ..Named::default() };
        let said = |message: &str, contact: Option<&Named>| {
            let message = message.replace('\'', "\"");
            moved(&serde_json::from_str(&message).unwrap(), contact)
        };
        for nowhere in [
            "{'from':'16505551234','system':{'type':'user_changed_number','body':'x'}}",
            "{'from':'16505551234','system':{'type':'customer_changed_number','customer':'16505551234'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','wa_id':null,'new_wa_id':''}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','wa_id':'16505551234'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','wa_id':'12025550173','new_wa_id':'12025550174'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','customer':'16505551239','wa_id':'12025550173'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','previous_user_id':'US.1'}}",
            "{'from':'16505551234','from_user_id':'US.1','system':{'type':'user_changed_user_id'}}",
            "{'from':'16505551234','system':{'type':'user_changed_user_id','previous_user_id':'US.1'}}",
            "{'system':{'type':'user_changed_user_id','user_id':'US.1','previous_user_id':'US.1'}}",
            "{'from':'16505551234','system':{'type':'user_changed_user_id','wa_id':'12025550173'}}",
        ] {
            assert_eq!(said(nowhere, Some(&contact)), Move::Unreadable, "{nowhere}");
        }
        for nobodys in [
            "{'system':{'type':'user_changed_number','wa_id':'12025550173','user_id':'US.1'}}",
            "{'system':{'type':'user_changed_user_id','user_id':'US.1'}}",
        ] {
            assert_eq!(said(nobodys, None), Move::Unreadable, "{nobodys}");
            let Move::To(moved) = said(nobodys, Some(&contact)) else { panic!("{nobodys}") };
            assert!(Named::from(moved).all().any(|one| Some(&one) == contact.all().next().as_ref()));
        }
        for good in [
            "{'from':'16505551234','system':{'type':'user_changed_user_id','user_id':'US.1'}}",
            "{'from_user_id':'US.1','system':{'type':'user_changed_number','wa_id':'12025550173'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','user_id':'US.1'}}",
            "{'from':'16505551234','system':{'type':'user_changed_number','wa_id':'5215512345678','new_wa_id':'525512345678'}}",
            "{'system':{'type':'customer_changed_number','customer':'16505551234','new_wa_id':'12025550173'}}",
            "{'system':{'type':'user_changed_user_id','wa_id':'16505551234','user_id':'US.1'}}",
        ] {
            assert!(matches!(said(good, None), Move::To(_)), "{good}");
        }
    }
}
