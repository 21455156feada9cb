//! Sorts the elements of one change in a webhook by the person they are from or about: deliver, quarantine or drop.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_msisdn::Direction;
use serde_json::value::RawValue;

use super::owner::{ELEMENTS, Owned};
use super::payload::Kept;
use crate::message::lenient;
use crate::message::object::{Field, Inner, Object, array, elements};
use crate::message::{self, Asked, CONTACT, FROM, Move, Named, Names, RECIPIENT, Request, When, Who};
use crate::people;
use portcullis_api::settings::{BlockedInbound, UnreadableInbound};
use portcullis_edge::ops::{Refusal, Target, check, rules};
use portcullis_edge::settings::SenderConfig;
use portcullis_engine::{Channel, Identity, Message, Reservation};
use portcullis_keywords::Intent;

/// Numbers of sorted elements, by outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) blocked: usize,
    /// Elements that are not delivered, because they can't be read or can't be marked. Meta has to send them again.
    pub(super) held: usize,
}

/// Where an element goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the callback.
    On,
    /// To the quarantine.
    Aside,
    /// Nowhere: it is dropped or held.
    Nowhere,
}

/// A value, split by destination.
pub(super) struct Parts {
    /// What goes to the callback; `None` if nothing is left.
    pub(super) kept: Option<Kept>,
    /// What goes to the quarantine.
    pub(super) aside: Option<Kept>,
}

/// Members that are about the business's own messages. They are delivered even if the person is blocked.
const OF_BUSINESS: [&str; 2] = ["statuses", "errors"];
/// The category of preferences about marketing.
const MARKETING: &str = "marketing_messages";

/// The state of sorting one change.
pub(super) struct Sorting<'a> {
    target: Target,
    sender: &'a SenderConfig,
    /// Whether the change may belong to another sender. If so, only opt-outs are applied.
    pub(super) is_doubtful: bool,
    /// Whether a member has several values of which some can't be split, so the change has to be handled as unreadable.
    pub(super) is_torn: bool,
    /// Ids of the messages from blocked people, if those are delivered and marked.
    pub(super) blocked_ids: Vec<String>,
    pub(super) counts: Counts,
    /// The places of its messages among those that the tenant's rules count.
    pub(super) reservations: Vec<Reservation>,
}

impl<'a> Sorting<'a> {
    /// Prepares sorting for a sender; `None` if the tenant has no list for it.
    pub(super) fn of(Owned { tenant, sender }: Owned<'a>) -> Option<Self> {
        Some(Sorting {
            target: people::target(tenant, sender.id.as_str())?,
            sender,
            is_doubtful: false,
            is_torn: false,
            blocked_ids: Vec::new(),
            counts: Counts::default(),
            reservations: Vec::new(),
        })
    }

    /// Sorts the value of a change, or a nested value (`standby`), and applies the opt-outs, opt-ins and other changes in it.
    pub(super) fn value(&mut self, value: &Object<'_>) -> Result<Parts, Refusal> {
        // Contacts have no timestamp: they are as of the newest element beside them.
        let newest = TIMED.iter().filter_map(|name| newest(value, name)).max();
        self.tie_all(value, "contacts", &CONTACT, newest)?;
        self.tie_all(value, "statuses", &RECIPIENT, None)?;
        let mut sorted: BTreeMap<&'static str, Sorted> = BTreeMap::new();
        let contact = only_contact(value);
        for name in ELEMENTS {
            if value.has(name) {
                let way_of = |it: &mut Self, raw: &Object<'_>| it.element(name, raw, contact.as_ref());
                sorted.insert(name, self.arrays(value, name, way_of)?);
            }
        }
        if value.has("history") {
            sorted.insert("history", self.history(value)?);
        }
        if value.has("standby") {
            sorted.insert("standby", self.standby(value)?);
        }
        let preferences = self.arrays(value, "user_preferences", Self::preference)?;
        if !preferences.is_whole {
            sorted.insert("user_preferences", preferences);
        }
        let has_elements = !sorted.is_empty();
        if value.has("contacts") {
            let others_stay = sorted.values().any(|sorted| sorted.on.is_some());
            sorted.insert("contacts", self.contacts(value, !has_elements || others_stay)?);
        }
        if sorted.values().all(|sorted| sorted.is_whole) {
            return Ok(Parts { kept: Some(Kept::Whole), aside: None });
        }
        let is_left = |part: fn(&Sorted) -> &Option<String>| {
            sorted
                .iter()
                .any(|(name, sorted)| (!has_elements || *name != "contacts") && part(sorted).is_some())
        };
        let build = |part: fn(&Sorted) -> &Option<String>, is_aside: bool| {
            let text = value.with(|name| match sorted.get(name) {
                Some(sorted) => part(sorted).clone().map_or(Field::Gone, Field::Other),
                None if is_aside && OF_BUSINESS.contains(&name) => Field::Gone,
                None => Field::AsItIs,
            });
            Kept::Value(text)
        };
        let of_business = OF_BUSINESS.iter().any(|name| value.has(name));
        let kept = (is_left(|sorted| &sorted.on) || of_business).then(|| build(|sorted| &sorted.on, false));
        let aside = is_left(|sorted| &sorted.aside).then(|| build(|sorted| &sorted.aside, true));
        Ok(Parts { kept, aside })
    }

    /// Sorts the elements of all arrays with one name.
    fn arrays(
        &mut self,
        value: &Object<'_>,
        name: &str,
        way_of: impl Fn(&mut Self, &Object<'_>) -> Result<Way, Refusal>,
    ) -> Result<Sorted, Refusal> {
        self.pile(value, name, |it, raw, piles| {
            let way = match Object::read(raw) {
                Some(object) => way_of(it, &object)?,
                None => it.way_of_unreadable(),
            };
            piles.push(raw.get(), way);
            Ok(())
        })
    }

    /// Like [`arrays`](Self::arrays), for elements that may be split themselves.
    fn pile(
        &mut self,
        value: &Object<'_>,
        name: &str,
        sort: impl Fn(&mut Self, &RawValue, &mut Piles) -> Result<(), Refusal>,
    ) -> Result<Sorted, Refusal> {
        let raws: Vec<&RawValue> = value.all(name).collect();
        let mut piles = Piles::default();
        for raw in &raws {
            let Some(elements) = elements(raw) else {
                if raws.len() == 1 {
                    return Ok(self.unreadable(raw));
                }
                self.is_torn = true;
                continue;
            };
            for element in elements {
                sort(self, element, &mut piles)?;
            }
        }
        Ok(piles.done(&raws))
    }

    /// Sorts a message, a call, or the echo of a message that the business sent from the app on its phone. `contact` is the
    /// person who changed their number or ids, if a message announces that without naming the person.
    fn element(&mut self, name: &str, element: &Object<'_>, contact: Option<&Named>) -> Result<Way, Refusal> {
        let mut named = match name {
            "message_echoes" => Named::of_echo(element),
            "calls" => Named::of_call(element),
            _ => Named::of(element, &FROM),
        };
        let mut is_readable = true;
        let at = lenient::time(element, "timestamp");
        match message::moved(element, contact) {
            Move::None => self.tie(&named, at)?,
            Move::Unreadable => {
                is_readable = false;
                if named.is_nobody() {
                    named.add(contact.cloned().unwrap_or_default());
                }
            }
            Move::To(moved) => {
                if !self.is_doubtful {
                    people::follow(&self.target, &moved, at)?;
                }
                if named.is_nobody() {
                    named = moved.into();
                }
            }
        }
        if name == "messages" {
            is_readable &= self.hear(&named, element, Some)?;
        }
        let message = Message { channel: Channel::WhatsApp, ..Message::new(Direction::Inbound) };
        let judged = self.judge(&named, is_readable, (name == "messages").then_some(message))?;
        if !judged.is_blocked || self.sender.blocked_inbound != BlockedInbound::Mark {
            return Ok(judged.way);
        }
        match message::id(element).filter(|id| can_be_marked(id)) {
            Some(id) => {
                self.blocked_ids.push(id);
                Ok(judged.way)
            }
            None => {
                self.counts.blocked -= 1;
                Ok(self.way_of_unmarked())
            }
        }
    }

    /// Applies the opt-out or opt-in in a message. Returns `false` if its text can't be read.
    ///
    /// If the person or the sender is doubtful, an opt-out counts for all candidates, and an opt-in for none.
    fn hear(
        &self,
        named: &Named,
        message: &Object<'_>,
        accept: impl Fn(Request) -> Option<Request>,
    ) -> Result<bool, Refusal> {
        let asked = match message::request(&self.target.tenant.config.keywords, message) {
            Asked::For(asked) => asked,
            Asked::Nothing => return Ok(true),
            Asked::Unreadable => return Ok(false),
        };
        let Some(asked) = accept(asked) else { return Ok(true) };
        match named.who().filter(|_| !self.is_doubtful) {
            Some(who) => people::grant(&self.target, &who, &asked)?,
            None if asked.wish == Intent::Stop => {
                named.all().try_for_each(|one| people::grant(&self.target, &Who::from(&one), &asked))?;
            }
            None => {}
        }
        Ok(true)
    }

    /// Sorts the threads of the history by the person with whom they are.
    fn history(&mut self, value: &Object<'_>) -> Result<Sorted, Refusal> {
        self.pile(value, "history", |it, raw, piles| {
            let Some(chunk) = Object::read(raw) else {
                let way = it.way_of_unreadable();
                piles.push(raw.get(), way);
                return Ok(());
            };
            let threads = it.arrays(&chunk, "threads", Self::thread)?;
            if threads.is_whole {
                piles.push(raw.get(), Way::On);
                return Ok(());
            }
            piles.is_changed = true;
            let with = |threads: &String| {
                chunk.with(
                    |name| if name == "threads" { Field::Other(threads.clone()) } else { Field::AsItIs },
                )
            };
            if let Some(on) = &threads.on {
                piles.push(&with(on), Way::On);
            }
            if let Some(aside) = &threads.aside {
                piles.push(&with(aside), Way::Aside);
            }
            Ok(())
        })
    }

    fn thread(&mut self, thread: &Object<'_>) -> Result<Way, Refusal> {
        let named = Named::of_thread(thread);
        self.tie(&named, newest(thread, "messages"))?;
        let is_readable = self.hear_the_past(&named, thread)?;
        Ok(self.judge(&named, is_readable, None)?.way)
    }

    /// Applies the opt-outs and opt-ins in a thread of the history. The ledger ignores those that are older than the latest one
    /// on record. Returns `false` if some of the thread can't be read.
    fn hear_the_past(&mut self, named: &Named, thread: &Object<'_>) -> Result<bool, Refusal> {
        let mut is_readable = true;
        for raw in thread.all("messages") {
            let Some(messages) = elements(raw) else {
                is_readable = false;
                continue;
            };
            for message in messages {
                let Some(message) = Object::read(message) else {
                    is_readable = false;
                    continue;
                };
                let from = Named::of(&message, &FROM);
                if from.is_doubtful || self.is_one(&from, named)? {
                    // The thread says who the person is, and opt-outs of the past are not confirmed.
                    let accept = |asked: Request| {
                        let asked = Request { may_be_confirmed: false, ..asked };
                        (asked.at != When::Unknown && (!from.is_doubtful || asked.wish == Intent::Stop))
                            .then_some(asked)
                    };
                    is_readable &= self.hear(named, &message, accept)?;
                }
            }
        }
        Ok(is_readable)
    }

    /// Whether both are the same person, under any number or id.
    fn is_one(&self, one: &Named, other: &Named) -> Result<bool, Refusal> {
        let keys = |named: &Named| -> Result<Vec<_>, Refusal> {
            let mut keys = Vec::new();
            for identity in named.all() {
                keys.extend(self.target.person(&identity)?.map(|person| person.key()));
            }
            Ok(keys)
        };
        // Ids that are not on record have no key, so compare them directly.
        if one.shares_id(other) {
            return Ok(true);
        }
        let known = keys(other)?;
        Ok(keys(one)?.iter().any(|key| known.contains(key)))
    }

    /// Sorts `standby`, which is a value within a value: what arrives while another app is responsible for the conversation.
    fn standby(&mut self, value: &Object<'_>) -> Result<Sorted, Refusal> {
        let raws: Vec<&RawValue> = value.all("standby").collect();
        let Inner { object, .. } = value.inner("standby");
        // An array or a string may contain messages. Other scalars can't.
        self.is_torn |= raws.iter().any(|raw| raw.get().starts_with(['[', '"']));
        let Some(standby) = object else { return Ok(Piles::default().done(&raws)) };
        let Parts { kept, aside } = self.value(&standby)?;
        let text = |part: Option<Kept>| {
            part.map(|part| match part {
                Kept::Whole => standby.with(|_| Field::AsItIs),
                Kept::Value(text) => text,
            })
        };
        let is_whole = matches!(kept, Some(Kept::Whole)) && aside.is_none();
        Ok(Sorted { on: text(kept), aside: text(aside), is_whole })
    }

    /// Sorts the contacts: those of blocked people go where their messages go. `nameless_stay` says whether contacts without a
    /// readable person may stay.
    fn contacts(&mut self, value: &Object<'_>, nameless_stay: bool) -> Result<Sorted, Refusal> {
        let counts = self.counts;
        let sorted = self.arrays(value, "contacts", |it, contact| {
            let named = Named::of(contact, &CONTACT);
            // If no message beside it is delivered, a contact without a readable person is left out.
            let is_left = nameless_stay || !named.is_doubtful && !named.is_nobody();
            match named.is_nobody() && !named.is_doubtful {
                _ if !is_left => Ok(Way::Nowhere),
                true => Ok(Way::On),
                false => Ok(it.judge(&named, true, None)?.way),
            }
        })?;
        // Contacts are not messages, so they don't count, unless they are held.
        self.counts = Counts { held: self.counts.held, ..counts };
        Ok(sorted)
    }

    /// Records that the identities of a person belong together, if there is no doubt.
    fn tie(&self, named: &Named, at: Option<Timestamp>) -> Result<(), Refusal> {
        match named.who().filter(|_| !self.is_doubtful) {
            Some(who) => people::tie(&self.target, &who, at),
            None => Ok(()),
        }
    }

    /// Does this for each element of an array, as of the element's timestamp, or else `at`.
    fn tie_all(
        &self,
        value: &Object<'_>,
        name: &str,
        names: &Names,
        at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        for raw in value.all(name).filter_map(elements).flatten() {
            let Some(object) = Object::read(raw) else { continue };
            // The status of a message to a group doesn't identify one person.
            let kinds = object.values("recipient_type", lenient::text);
            if !kinds.is_odd && kinds.read.iter().all(|kind| kind != "group") {
                self.tie(&Named::of(&object, names), lenient::time(&object, "timestamp").or(at))?;
            }
        }
        Ok(())
    }

    /// Applies a marketing preference. Preferences are delivered even if the person is blocked.
    fn preference(&mut self, preference: &Object<'_>) -> Result<Way, Refusal> {
        let named = Named::of(preference, &CONTACT);
        self.tie(&named, lenient::time(preference, "timestamp"))?;
        let categories = preference.values("category", lenient::text);
        let wishes = preference.values("value", lenient::text);
        let is_marketing = categories.read.iter().any(|category| category == MARKETING);
        let is_stop = wishes.read.iter().any(|wish| wish == "stop");
        let is_readable = !categories.is_odd && (!is_marketing || is_stop || !wishes.is_odd);
        if is_marketing && is_stop {
            let stop = narrowed(preference, &[("category", MARKETING), ("value", "stop")]);
            for identity in named.all() {
                people::prefer(&self.target, &Who::from(&identity), &stop)?;
            }
        } else if let Some(who) = named.who().filter(|_| !self.is_doubtful) {
            // It may lift a hold, so it must be free of doubt.
            let is_plain = categories.agreed().is_some() && wishes.agreed().is_some();
            if is_plain && lenient::times(preference, "timestamp").is_at_most_one() {
                people::prefer(&self.target, &who, preference)?;
            }
        }
        let is_told_of = !named.is_doubtful && !named.is_nobody();
        if is_readable && (is_told_of || !is_marketing) { Ok(Way::On) } else { Ok(self.way_of_unreadable()) }
    }

    /// Decides where an element goes, and counts it. An element of a person who isn't blocked counts as unreadable if the person
    /// is doubtful or `is_readable` is `false`. If the element is a message, the tenant's rules are asked about it, too: one that
    /// they stop goes where those of blocked people go.
    fn judge(
        &mut self,
        named: &Named,
        is_readable: bool,
        message: Option<Message>,
    ) -> Result<Judged, Refusal> {
        let mut is_blocked = false;
        // Check every identity: a delayed message may name a number that the person has since left.
        for identity in named.all() {
            let checked = check::blocking_one(&self.target, &identity, Direction::Inbound)?;
            is_blocked |= checked.blocked_by.is_some();
        }
        let is_known = is_readable && named.who().is_some();
        if let Some(message) = message.filter(|_| is_known && !is_blocked && !self.is_doubtful) {
            let identities: Vec<Identity> = named.all().collect();
            match rules::blocking_reserve(&self.target, &identities, message)? {
                Ok(reservation) => self.reservations.push(reservation),
                Err(_) => is_blocked = true,
            }
        }
        let way = match self.sender.blocked_inbound {
            _ if !is_blocked && !is_known => self.way_of_unreadable(),
            _ if !is_blocked => {
                self.counts.passed += 1;
                Way::On
            }
            blocked => {
                self.counts.blocked += 1;
                match blocked {
                    BlockedInbound::Drop => Way::Nowhere,
                    BlockedInbound::Mark => Way::On,
                    BlockedInbound::Quarantine => Way::Aside,
                }
            }
        };
        Ok(Judged { way, is_blocked })
    }

    /// Where an unreadable element goes according to `unreadable_inbound`, and counts it.
    pub(super) fn way_of_unreadable(&mut self) -> Way {
        let (way, count) = match self.sender.unreadable_inbound {
            UnreadableInbound::Hold => (Way::Nowhere, &mut self.counts.held),
            UnreadableInbound::Quarantine => (Way::Aside, &mut self.counts.blocked),
            UnreadableInbound::Deliver => (Way::On, &mut self.counts.passed),
        };
        *count += 1;
        way
    }

    /// Where an element from a blocked person goes that can't be marked as such, and counts it. It is quarantined or held, even
    /// if `unreadable_inbound` is `deliver`: unmarked, it would look as if the person were not blocked.
    fn way_of_unmarked(&mut self) -> Way {
        if self.sender.unreadable_inbound == UnreadableInbound::Quarantine {
            return self.way_of_unreadable();
        }
        self.counts.held += 1;
        Way::Nowhere
    }

    /// Handles a value in the place of an array.
    fn unreadable(&mut self, raw: &RawValue) -> Sorted {
        let text = || Some(raw.get().to_owned());
        match self.way_of_unreadable() {
            Way::On => Sorted { on: text(), aside: None, is_whole: true },
            Way::Aside => Sorted { on: None, aside: text(), is_whole: false },
            Way::Nowhere => Sorted { on: None, aside: None, is_whole: false },
        }
    }
}

struct Judged {
    way: Way,
    is_blocked: bool,
}

/// Arrays of a value whose elements have a timestamp.
const TIMED: [&str; 5] = ["messages", "message_echoes", "calls", "statuses", "user_preferences"];

/// Returns the contact of a message. `None` unless there is exactly one of each, because otherwise it is unclear which belong
/// together.
fn only_contact(value: &Object<'_>) -> Option<Named> {
    let only = |name: &str| {
        let mut all = value.all(name);
        let mut elements = elements(all.next()?)?;
        (all.next().is_none() && elements.len() == 1).then(|| elements.remove(0))
    };
    only("messages")?;
    let contact = Named::of(&Object::read(only("contacts")?)?, &CONTACT);
    (!contact.is_nobody()).then_some(contact)
}

/// Returns the latest timestamp of the elements with this name.
fn newest(value: &Object<'_>, name: &str) -> Option<Timestamp> {
    let all = value.all(name).filter_map(elements).flatten();
    all.filter_map(Object::read).filter_map(|object| lenient::time(&object, "timestamp")).max()
}

/// Whether an id can be listed in the header `X-Portcullis-Blocked`, which is separated by commas.
fn can_be_marked(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') && !id.starts_with(super::marks::MORE)
}

/// Returns the object with the members of these names reduced to the value with this text.
fn narrowed<'a>(object: &Object<'a>, said: &[(&str, &str)]) -> Object<'a> {
    said.iter().fold(object.clone(), |object, (name, text)| {
        let raw = object.said(name).find(|raw| lenient::text(raw).is_some_and(|said| said == *text));
        raw.map(|raw| object.saying(name, raw)).unwrap_or(object)
    })
}

/// The arrays with one name, sorted, as JSON texts.
struct Sorted {
    /// What goes to the callback; `None` if nothing is left.
    on: Option<String>,
    /// What goes to the quarantine.
    aside: Option<String>,
    /// Whether everything goes to the callback, unchanged.
    is_whole: bool,
}

/// The elements sorted so far.
#[derive(Default)]
struct Piles {
    on: Vec<String>,
    aside: Vec<String>,
    /// Whether any element doesn't go to the callback unchanged.
    is_changed: bool,
}

impl Piles {
    fn push(&mut self, element: &str, way: Way) {
        self.is_changed |= way != Way::On;
        match way {
            Way::On => self.on.push(element.to_owned()),
            Way::Aside => self.aside.push(element.to_owned()),
            Way::Nowhere => {}
        }
    }

    /// Finishes sorting. `raws` are the original arrays.
    fn done(self, raws: &[&RawValue]) -> Sorted {
        let text = |pile: &[String]| {
            (!pile.is_empty()).then(|| array(pile.iter().map(|element| Cow::Borrowed(&**element))))
        };
        if self.is_changed {
            return Sorted { on: text(&self.on), aside: text(&self.aside), is_whole: false };
        }
        let whole = match raws {
            [raw] => Some(raw.get().to_owned()),
            _ => text(&self.on),
        };
        Sorted { on: whole, aside: None, is_whole: true }
    }
}
