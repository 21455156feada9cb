//! What of one change of a webhook goes on, by whom it is from or about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_msisdn::Direction;
use serde_json::value::RawValue;

use super::owner::{ELEMENTS, Owned};
use super::payload::Kept;
use crate::confirmations::Confirmations;
use crate::message::lenient;
use crate::message::object::{Field, Inner, Object, array, elements};
use crate::message::{self, Asked, CONTACT, FROM, Move, Named, Names, RECIPIENT, Request, When, Who};
use crate::people;
use portcullis_api::settings::{BlockedInbound, UnreadableInbound};
use portcullis_edge::ops::{Refusal, Target, check};
use portcullis_edge::settings::SenderConfig;
use portcullis_keywords::Intent;

/// How many elements of a webhook were what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) blocked: usize,
    /// That could not be read, and went nowhere.
    pub(super) held: usize,
}

/// Where an element goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    On,
    Aside,
    Nowhere,
}

/// What a value, or an element of one, becomes.
pub(super) struct Parts {
    /// What goes on; none where nothing is left.
    pub(super) kept: Option<Kept>,
    /// What goes to the quarantine.
    pub(super) aside: Option<Kept>,
}

/// What is about messages of the business, and goes on whoever is blocked.
const OF_BUSINESS: [&str; 2] = ["statuses", "errors"];
/// The kind of preferences that says whether somebody wants marketing.
const MARKETING: &str = "marketing_messages";

/// Sorts the elements of one change.
pub(super) struct Sorting<'a> {
    target: Target,
    confirmations: Arc<Confirmations>,
    sender: &'a SenderConfig,
    /// Whether it is not known that the change is this sender's: then nothing is noted of it but that somebody wants less.
    pub(super) is_doubtful: bool,
    /// Whether some of it can't be told apart from the rest.
    pub(super) is_torn: bool,
    pub(super) blocked_ids: Vec<String>,
    pub(super) counts: Counts,
}

impl<'a> Sorting<'a> {
    pub(super) fn of(Owned { tenant, sender, confirmations }: Owned<'a>) -> Option<Self> {
        Some(Sorting {
            target: people::target(tenant, sender.id.as_str())?,
            confirmations: confirmations.of(&tenant.config.id, &sender.id),
            sender,
            is_doubtful: false,
            is_torn: false,
            blocked_ids: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// A change's value, or what stands in the place of one in it (`standby`).
    pub(super) fn value(&mut self, value: &Object<'_>) -> Result<Parts, Refusal> {
        // Contacts have no time of their own. They are as they were when the newest of all that stands beside them was told.
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

    /// The arrays of one name, element by element.
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

    /// The same, where an element may become two.
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

    /// Messages, calls, and echoes of what the business sent by telephone. One that says that somebody moved may leave it to the
    /// contact to say who.
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
        let judged = self.judge(&named, is_readable)?;
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

    /// Does what a message asks for; `false` where that can't be read.
    ///
    /// Where it is doubtful who asks, or whom, a stop counts for everybody it may be, and a start for nobody.
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
            Some(who) => people::grant(&self.target, &self.confirmations, &who, &asked)?,
            None if asked.wish == Intent::Stop => {
                named.all().try_for_each(|one| {
                    people::grant(&self.target, &self.confirmations, &Who::from(&one), &asked)
                })?;
            }
            None => {}
        }
        Ok(true)
    }

    /// Messages of the past, by whom they were exchanged with.
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
        Ok(self.judge(&named, is_readable)?.way)
    }

    /// Does what a person asked for in the past, unless they asked for something else since; `false` where some of it can't be
    /// read.
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
                    // It is known whose the thread is, and words of the past are not confirmed.
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

    /// Whether somebody is the same person, under whichever spelling or id.
    fn is_one(&self, one: &Named, other: &Named) -> Result<bool, Refusal> {
        let keys = |named: &Named| -> Result<Vec<_>, Refusal> {
            let mut keys = Vec::new();
            for identity in named.all() {
                keys.extend(self.target.person(&identity)?.map(|person| person.key()));
            }
            Ok(keys)
        };
        // Ids that were never seen have no key.
        if one.shares_id(other) {
            return Ok(true);
        }
        let known = keys(other)?;
        Ok(keys(one)?.iter().any(|key| known.contains(key)))
    }

    /// What is told while another app answers: a value in a value.
    fn standby(&mut self, value: &Object<'_>) -> Result<Sorted, Refusal> {
        let raws: Vec<&RawValue> = value.all("standby").collect();
        let Inner { object, .. } = value.inner("standby");
        // Null, and numbers, say nothing.
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

    /// Those of whom is told, but for the blocked.
    fn contacts(&mut self, value: &Object<'_>, nameless_stay: bool) -> Result<Sorted, Refusal> {
        let counts = self.counts;
        let sorted = self.arrays(value, "contacts", |it, contact| {
            let named = Named::of(contact, &CONTACT);
            // Beside messages of which none goes on, it tells of nobody.
            let is_left = nameless_stay || !named.is_doubtful && !named.is_nobody();
            match named.is_nobody() && !named.is_doubtful {
                _ if !is_left => Ok(Way::Nowhere),
                true => Ok(Way::On),
                false => Ok(it.judge(&named, true)?.way),
            }
        })?;
        // They are told of beside messages, and are none.
        self.counts = Counts { held: self.counts.held, ..counts };
        Ok(sorted)
    }

    fn tie(&self, named: &Named, at: Option<Timestamp>) -> Result<(), Refusal> {
        match named.who().filter(|_| !self.is_doubtful) {
            Some(who) => people::tie(&self.target, &who, at),
            None => Ok(()),
        }
    }

    /// Ties the names of each of these, at the time of each where it has one.
    fn tie_all(
        &self,
        value: &Object<'_>,
        name: &str,
        names: &Names,
        at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        for raw in value.all(name).filter_map(elements).flatten() {
            let Some(object) = Object::read(raw) else { continue };
            // What a group got is nobody's own.
            let kinds = object.values("recipient_type", lenient::text);
            if !kinds.is_odd && kinds.read.iter().all(|kind| kind != "group") {
                self.tie(&Named::of(&object, names), lenient::time(&object, "timestamp").or(at))?;
            }
        }
        Ok(())
    }

    /// Does what somebody wants of marketing. It goes on also of the blocked.
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
            // It lifts something: only where all of it is beyond doubt.
            let is_plain = categories.agreed().is_some() && wishes.agreed().is_some();
            if is_plain && lenient::times(preference, "timestamp").is_at_most_one() {
                people::prefer(&self.target, &who, preference)?;
            }
        }
        let is_told_of = !named.is_doubtful && !named.is_nobody();
        if is_readable && (is_told_of || !is_marketing) { Ok(Way::On) } else { Ok(self.way_of_unreadable()) }
    }

    /// Where what is somebody's goes, and counts it. What can't be read as a whole goes nowhere as if it were.
    fn judge(&mut self, named: &Named, is_readable: bool) -> Result<Judged, Refusal> {
        let mut is_blocked = false;
        // Under any name: a late message may name a number that the person has left.
        for identity in named.all() {
            let checked = check::blocking_one(&self.target, &identity, Direction::Inbound)?;
            is_blocked |= checked.blocked_by.is_some();
        }
        let way = match self.sender.blocked_inbound {
            _ if !is_blocked && (!is_readable || named.who().is_none()) => self.way_of_unreadable(),
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

    /// Where something goes that is not known to be anybody's: never as nobody's, unless the operator wants that.
    pub(super) fn way_of_unreadable(&mut self) -> Way {
        let (way, count) = match self.sender.unreadable_inbound {
            UnreadableInbound::Hold => (Way::Nowhere, &mut self.counts.held),
            UnreadableInbound::Quarantine => (Way::Aside, &mut self.counts.blocked),
            UnreadableInbound::Deliver => (Way::On, &mut self.counts.passed),
        };
        *count += 1;
        way
    }

    /// Where something of the blocked goes that can't be marked. It would go on as if nobody blocked it, so it is held instead also
    /// where the operator wants what can't be read.
    fn way_of_unmarked(&mut self) -> Way {
        if self.sender.unreadable_inbound == UnreadableInbound::Quarantine {
            return self.way_of_unreadable();
        }
        self.counts.held += 1;
        Way::Nowhere
    }

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

/// The arrays of a value whose elements say when they are from.
const TIMED: [&str; 5] = ["messages", "message_echoes", "calls", "statuses", "user_preferences"];

/// Of whom the contacts beside a message tell. `None` where there are several of either: then it is not known which goes with which.
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

/// The time of the newest of the elements of a name.
fn newest(value: &Object<'_>, name: &str) -> Option<Timestamp> {
    let all = value.all(name).filter_map(elements).flatten();
    all.filter_map(Object::read).filter_map(|object| lenient::time(&object, "timestamp")).max()
}

/// Whether an id can stand in the header that names messages of the blocked, between commas.
fn can_be_marked(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// An object that says just these of what it says under these names.
fn narrowed<'a>(object: &Object<'a>, said: &[(&str, &str)]) -> Object<'a> {
    said.iter().fold(object.clone(), |object, (name, text)| {
        let raw = object.said(name).find(|raw| lenient::text(raw).is_some_and(|said| said == *text));
        raw.map(|raw| object.saying(name, raw)).unwrap_or(object)
    })
}

/// What an array becomes.
struct Sorted {
    /// What goes on; none where nothing is left.
    on: Option<String>,
    aside: Option<String>,
    /// Whether all of it goes on.
    is_whole: bool,
}

/// An array that is being sorted.
#[derive(Default)]
struct Piles {
    on: Vec<String>,
    aside: Vec<String>,
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

    /// What becomes of the arrays whose elements these were.
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
