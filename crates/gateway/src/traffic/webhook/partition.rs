//! What of a webhook goes where.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::Timestamp;
use portcullis_msisdn::Direction;
use serde_json::value::RawValue;

use super::super::people;
use super::Delivery;
use super::lenient;
use super::message::{self, CONTACT, FROM, Names, RECIPIENT, TO, When, Who};
use super::payload::{Change, Field, Kept, Object, Payload, array};
use crate::config::{BlockedInbound, SenderConfig, UnreadableInbound};
use crate::core::{Refusal, Target, check};
use crate::registry::{Registry, SenderName};
use crate::tenant::Tenant;

/// What becomes of a webhook.
pub(super) struct Partition {
    pub(super) deliveries: Vec<Delivery>,
    /// What became of messages, and calls.
    pub(super) counts: Vec<(Arc<Tenant>, Counts)>,
    /// Whether all of it goes to one place, as it is.
    pub(super) is_whole: bool,
    /// Whether all of it is somebody's.
    pub(super) is_known: bool,
}

/// How many elements of a webhook were what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) blocked: usize,
    /// That could not be read, and went nowhere.
    pub(super) held: usize,
}

/// Why nothing of a webhook goes anywhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartitionError {
    /// It can't be told apart, and so can't pass.
    #[error("the body is no webhook of Meta's")]
    NotAWebhook,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Where changes go: to a sender's callback, or to where what is nobody's goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Sender { tenant: String, sender: String },
    Default,
}

/// What was made of one change.
struct Fate {
    /// Where it goes; none where it is nobody's.
    place: Option<Place>,
    /// What goes there; none where nothing is left.
    kept: Option<Kept>,
    /// What goes to the sender's quarantine.
    quarantined: Option<Kept>,
    blocked_ids: Vec<String>,
    counts: Counts,
}

impl Fate {
    fn whole(place: Option<Place>) -> Self {
        Fate {
            place,
            kept: Some(Kept::Whole),
            quarantined: None,
            blocked_ids: Vec::new(),
            counts: Counts::default(),
        }
    }
}

/// Does what people ask for in a webhook, and finds out what of it goes where. May block on the disk.
pub(super) fn partition(
    registry: &Registry,
    default: Option<&str>,
    body: &[u8],
) -> Result<Partition, PartitionError> {
    let payload = Payload::read(body).ok_or(PartitionError::NotAWebhook)?;
    let mut fates: BTreeMap<(usize, Option<usize>), Fate> = BTreeMap::new();
    let mut places: Vec<Place> = Vec::new();
    for (e, entry) in payload.entries.iter().enumerate() {
        let account: Option<String> = entry.object.get("id").and_then(lenient::text_or_integer);
        if entry.changes.is_empty() {
            // As Messenger's and Instagram's have: nobody's, and whole.
            fates.insert((e, None), Fate::whole(default.map(|_| Place::Default)));
        }
        for (c, change) in entry.changes.iter().enumerate() {
            let fate = match owner(registry, account.as_deref(), change) {
                // Without a callback of its own, and one for all, it is nobody's yet; but what people ask for is done.
                Some((tenant, sender)) => {
                    let mut fate = of_sender(tenant, sender, change)?;
                    if sender.callback_url.is_none() && default.is_none() {
                        fate.place = None;
                    }
                    fate
                }
                None => Fate::whole(default.map(|_| Place::Default)),
            };
            fates.insert((e, Some(c)), fate);
        }
    }
    for place in fates.values().filter_map(|fate| fate.place.as_ref()) {
        if !places.contains(place) {
            places.push(place.clone());
        }
    }
    let is_known = fates.values().all(|fate| fate.place.is_some());
    let url_of = |place: &Place| match place {
        Place::Default => default,
        Place::Sender { tenant, sender } => sender_of(registry, tenant, sender)
            .and_then(|(_, sender)| sender.callback_url.as_deref())
            .or(default),
    };
    let mut urls = places.iter().map(url_of);
    let first = urls.next();
    let is_one_place = first.is_some() && urls.all(|url| Some(url) == first);
    let is_whole = is_known
        && is_one_place
        && fates.values().all(|fate| matches!(fate.kept, Some(Kept::Whole)) && fate.quarantined.is_none());
    let mut partition = Partition { deliveries: Vec::new(), counts: Vec::new(), is_whole, is_known };
    for place in &places {
        let of_place = || fates.values().filter(|fate| fate.place.as_ref() == Some(place));
        let owner = match place {
            Place::Default => None,
            Place::Sender { tenant, sender } => sender_of(registry, tenant, sender),
        };
        let tenant = owner.map(|(tenant, _)| tenant);
        if let Some(tenant) = tenant {
            let sum = |all: Counts, fate: &Fate| Counts {
                passed: all.passed + fate.counts.passed,
                blocked: all.blocked + fate.counts.blocked,
                held: all.held + fate.counts.held,
            };
            partition.counts.push((Arc::clone(tenant), of_place().fold(Counts::default(), sum)));
        }
        let delivery = |url: &str, body: String, blocked_ids: Vec<String>| Delivery {
            url: url.to_owned(),
            tenant: tenant.map(|tenant| tenant.config.id.clone()),
            body: Bytes::from(body),
            signature: None,
            blocked_ids,
        };
        let of_this =
            |e: usize, c: Option<usize>| fates.get(&(e, c)).filter(|fate| fate.place.as_ref() == Some(place));
        let main = payload.with(|e, c| of_this(e, c)?.kept.clone());
        if let Some((url, body)) = url_of(place).zip(main) {
            let ids = of_place().flat_map(|fate| fate.blocked_ids.iter().cloned()).collect();
            partition.deliveries.push(delivery(url, body, ids));
        }
        let aside = payload.with(|e, c| of_this(e, c)?.quarantined.clone());
        let url = owner.and_then(|(_, sender)| sender.quarantine_url.as_deref());
        if let Some((url, body)) = url.zip(aside) {
            partition.deliveries.push(delivery(url, body, Vec::new()));
        }
    }
    Ok(partition)
}

fn sender_of<'a>(
    registry: &'a Registry,
    tenant: &str,
    sender: &str,
) -> Option<(&'a Arc<Tenant>, &'a SenderConfig)> {
    let tenant = registry.tenant(tenant)?;
    let sender = tenant.config.senders.iter().find(|known| known.id.as_str() == sender)?;
    Some((tenant, sender))
}

/// Whose a change is: by the phone-number-id that it names, or by the account.
fn owner<'a>(
    registry: &'a Registry,
    account: Option<&str>,
    change: &Change<'_>,
) -> Option<(&'a Arc<Tenant>, &'a SenderConfig)> {
    // A hand-over names it as whom the person wrote to.
    let named = change.value.as_ref().and_then(|value| {
        let paths: [&[&str]; 2] = [&["metadata", "phone_number_id"], &["recipient", "phone_number_id"]];
        paths.iter().find_map(|path| lenient::at(value, path).and_then(lenient::text_or_integer))
    });
    match named {
        Some(id) => registry.sender(&SenderName::PhoneNumberId(id)),
        None => registry.sender_of_account(account?),
    }
}

fn of_sender(tenant: &Arc<Tenant>, sender: &SenderConfig, change: &Change<'_>) -> Result<Fate, Refusal> {
    let place = Place::Sender { tenant: tenant.config.id.to_string(), sender: sender.id.to_string() };
    let mut fate = Fate::whole(Some(place));
    let Some(target) = people::target(tenant, sender.id.as_str()) else { return Ok(fate) };
    let mut sorting = Sorting { target: &target, sender, blocked_ids: Vec::new(), counts: Counts::default() };
    match &change.value {
        Some(value) => {
            let Parts { kept, aside, .. } = sorting.value(value)?;
            (fate.kept, fate.quarantined) = (kept, aside);
        }
        // It is an object, but says something twice.
        None if change.is_unreadable => {
            let whole = || Some(Kept::Whole);
            sorting.counts.held += 1;
            (fate.kept, fate.quarantined) = match sender.unreadable_inbound {
                UnreadableInbound::Hold => (None, None),
                UnreadableInbound::Quarantine => (None, whole()),
                UnreadableInbound::Deliver => (whole(), None),
            };
            if sender.unreadable_inbound != UnreadableInbound::Hold {
                sorting.counts = Counts { passed: 1, ..Counts::default() };
            }
        }
        None => {}
    }
    fate.counts = sorting.counts;
    if sender.blocked_inbound == BlockedInbound::Mark {
        fate.blocked_ids = sorting.blocked_ids;
    }
    Ok(fate)
}

/// Where an element goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    On,
    Aside,
    Nowhere,
}

/// What a value, or an element of one, becomes.
struct Parts {
    /// What goes on; none where nothing is left.
    kept: Option<Kept>,
    /// What goes to the quarantine.
    aside: Option<Kept>,
}

/// The arrays of a value whose elements are a person's, or about one.
const ELEMENTS: [&str; 3] = ["messages", "message_echoes", "calls"];
/// What is about messages of the business, and goes on whoever is blocked.
const OF_BUSINESS: [&str; 2] = ["statuses", "errors"];

/// The arrays of a value whose elements say when they are from.
const TIMED: [&str; 5] = ["messages", "message_echoes", "calls", "statuses", "user_preferences"];

/// The time of the newest element of an array.
fn newest(value: &Object<'_>, array: &str) -> Option<Timestamp> {
    let all = value.get(array).and_then(elements).unwrap_or_default();
    let times = all.iter().filter_map(|raw| message::object(raw));
    times.filter_map(|object| lenient::time(&object, "timestamp")).max()
}

/// Sorts the elements of one change.
struct Sorting<'a> {
    target: &'a Target,
    sender: &'a SenderConfig,
    blocked_ids: Vec<String>,
    counts: Counts,
}

impl Sorting<'_> {
    /// A change's value, or what stands in the place of one in it (`standby`).
    fn value(&mut self, value: &Object<'_>) -> Result<Parts, Refusal> {
        // Contacts have no time of their own. They are as they were when the newest of all that stands beside them was told.
        let newest = TIMED.iter().filter_map(|array| newest(value, array)).max();
        self.tie_all(value, "contacts", &CONTACT, newest)?;
        self.tie_all(value, "statuses", &RECIPIENT, None)?;
        self.preferences(value)?;
        let mut sorted: BTreeMap<&'static str, Sorted> = BTreeMap::new();
        for name in ELEMENTS {
            if let Some(elements) = value.get(name) {
                sorted.insert(name, self.elements(name, elements)?);
            }
        }
        if let Some(history) = value.get("history") {
            sorted.insert("history", self.history(history)?);
        }
        if let Some(standby) = value.get("standby") {
            sorted.insert("standby", self.standby(standby)?);
        }
        let has_elements = !sorted.is_empty();
        if let Some(contacts) = value.get("contacts") {
            let others_stay = sorted.values().any(|sorted| sorted.on.is_some());
            sorted.insert("contacts", self.contacts(contacts, !has_elements || others_stay)?);
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
        let of_business = OF_BUSINESS.iter().any(|name| value.get(name).is_some());
        let kept = (is_left(|sorted| &sorted.on) || of_business).then(|| build(|sorted| &sorted.on, false));
        let aside = is_left(|sorted| &sorted.aside).then(|| build(|sorted| &sorted.aside, true));
        Ok(Parts { kept, aside })
    }

    /// Messages, calls, and echoes of what the business sent by telephone.
    fn elements(&mut self, name: &str, raw: &RawValue) -> Result<Sorted, Refusal> {
        let Some(elements) = elements(raw) else { return Ok(self.unreadable(raw)) };
        let mut sorted = Piles::default();
        for element in elements {
            let way = match message::object(element) {
                Some(object) => self.element(name, &object)?,
                None => self.way_of_unreadable(),
            };
            sorted.push(element.get(), way);
        }
        Ok(sorted.done(raw))
    }

    fn element(&mut self, name: &str, element: &Object<'_>) -> Result<Way, Refusal> {
        let names = match name {
            "message_echoes" => &TO,
            "calls" if message::is_by_business(element) => &TO,
            _ => &FROM,
        };
        let who = match (name, element.read::<Object<'_>>("message")) {
            // As the business sent it.
            ("message_echoes", Some(sent)) if element.get("to").is_none() => Who::of(&sent, &TO),
            _ => Who::of(element, names),
        };
        let moved = message::moved(element);
        let at = lenient::time(element, "timestamp");
        match &moved {
            Some(moved) => people::follow(self.target, moved, at)?,
            None => people::tie(self.target, &who, at)?,
        }
        if name == "messages"
            && let Some(asked) = message::request(&self.target.tenant.config.keywords, element)
        {
            people::grant(self.target, &who, &asked)?;
        }
        let who = if who.is_nobody() { moved.map(|moved| moved.to).unwrap_or(who) } else { who };
        let judged = self.judge(&who)?;
        if judged.is_blocked {
            self.blocked_ids.extend(message::id(element));
        }
        Ok(judged.way)
    }

    /// Messages of the past, by whom they were exchanged with.
    fn history(&mut self, raw: &RawValue) -> Result<Sorted, Refusal> {
        let Some(chunks) = elements(raw) else { return Ok(self.unreadable(raw)) };
        let mut sorted = Piles::default();
        for element in chunks {
            let Some(chunk) = message::object(element) else {
                let way = self.way_of_unreadable();
                sorted.push(element.get(), way);
                continue;
            };
            let Some(threads) = chunk.get("threads") else {
                sorted.push(element.get(), Way::On);
                continue;
            };
            let threads = self.threads(threads)?;
            if threads.is_whole {
                sorted.push(element.get(), Way::On);
                continue;
            }
            sorted.is_changed = true;
            let with = |threads: &String| {
                chunk.with(
                    |name| if name == "threads" { Field::Other(threads.clone()) } else { Field::AsItIs },
                )
            };
            if let Some(on) = &threads.on {
                sorted.push(&with(on), Way::On);
            }
            if let Some(aside) = &threads.aside {
                sorted.push(&with(aside), Way::Aside);
            }
        }
        Ok(sorted.done(raw))
    }

    fn threads(&mut self, raw: &RawValue) -> Result<Sorted, Refusal> {
        let Some(threads) = elements(raw) else { return Ok(self.unreadable(raw)) };
        let mut sorted = Piles::default();
        for thread in threads {
            let way = match message::object(thread) {
                None => self.way_of_unreadable(),
                Some(thread) => {
                    let who = Who::of_thread(&thread);
                    people::tie(self.target, &who, newest(&thread, "messages"))?;
                    self.hear_the_past(&who, &thread)?;
                    self.judge(&who)?.way
                }
            };
            sorted.push(thread.get(), way);
        }
        Ok(sorted.done(raw))
    }

    /// Does what a person asked for in the past, unless they asked for something else since.
    fn hear_the_past(&mut self, who: &Who, thread: &Object<'_>) -> Result<(), Refusal> {
        let messages = thread.get("messages").and_then(elements).unwrap_or_default();
        for message in messages.iter().filter_map(|raw| message::object(raw)) {
            let from = Who::of(&message, &FROM);
            let is_theirs = from.number.is_some() && from.number == who.number
                || from.users.iter().any(|user| who.users.contains(user));
            let asked = message::request(&self.target.tenant.config.keywords, &message);
            if let Some(asked) = asked.filter(|asked| is_theirs && asked.at != When::Unknown) {
                let asked = message::Request { may_be_confirmed: false, ..asked };
                people::grant(self.target, who, &asked)?;
            }
        }
        Ok(())
    }

    /// What is told while another app answers: a value in a value.
    fn standby(&mut self, raw: &RawValue) -> Result<Sorted, Refusal> {
        let Some(standby) = message::object(raw) else {
            // Null and the like say nothing.
            return Ok(if raw.get().starts_with(['{', '[']) {
                self.unreadable(raw)
            } else {
                Sorted::whole(raw)
            });
        };
        let Parts { kept, aside } = self.value(&standby)?;
        let text = |part: Option<Kept>| {
            part.map(|part| match part {
                Kept::Whole => raw.get().to_owned(),
                Kept::Value(text) => text,
            })
        };
        let is_whole = matches!(kept, Some(Kept::Whole)) && aside.is_none();
        Ok(Sorted { on: text(kept), aside: text(aside), is_whole })
    }

    /// Those of whom is told, but for the blocked.
    fn contacts(&mut self, raw: &RawValue, nameless_stay: bool) -> Result<Sorted, Refusal> {
        let Some(contacts) = elements(raw) else { return Ok(Sorted::whole(raw)) };
        let counts = self.counts;
        let mut sorted = Piles::default();
        for contact in contacts {
            let who = message::object(contact).map(|contact| Who::of(&contact, &CONTACT)).unwrap_or_default();
            let way = match (who.is_nobody(), nameless_stay) {
                (true, true) => Way::On,
                (true, false) => Way::Nowhere,
                (false, _) => self.judge(&who)?.way,
            };
            sorted.push(contact.get(), way);
        }
        // They are told of beside messages, and are none.
        self.counts = counts;
        Ok(sorted.done(raw))
    }

    /// Ties the names of each of these, at the time of each where it has one.
    fn tie_all(
        &self,
        value: &Object<'_>,
        array: &str,
        names: &Names,
        at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let named = value.get(array).and_then(elements).unwrap_or_default();
        for object in named.iter().filter_map(|raw| message::object(raw)) {
            // What a group got is nobody's own.
            let is_group =
                object.get("recipient_type").and_then(lenient::text).is_some_and(|kind| kind == "group");
            if !is_group {
                let at = lenient::time(&object, "timestamp").or(at);
                people::tie(self.target, &Who::of(&object, names), at)?;
            }
        }
        Ok(())
    }

    fn preferences(&self, value: &Object<'_>) -> Result<(), Refusal> {
        let told = value.get("user_preferences").and_then(elements).unwrap_or_default();
        for preference in told.iter().filter_map(|raw| message::object(raw)) {
            let who = Who::of(&preference, &CONTACT);
            people::tie(self.target, &who, lenient::time(&preference, "timestamp"))?;
            people::prefer(self.target, &who, &preference)?;
        }
        Ok(())
    }

    /// Whether somebody is blocked under any name: a late message may name a number that the person has left.
    fn is_blocked(&self, who: &Who) -> Result<bool, Refusal> {
        for identity in who.identities() {
            let checked = match check::identity(self.target, &identity, Direction::Inbound) {
                Some(checked) => checked,
                None => check::identity_with_ledger(self.target, &identity, Direction::Inbound)?,
            };
            if checked.blocked_by.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where what is somebody's goes, and counts it.
    fn judge(&mut self, who: &Who) -> Result<Judged, Refusal> {
        if who.is_nobody() {
            return Ok(Judged { way: self.way_of_unreadable(), is_blocked: false });
        }
        if !self.is_blocked(who)? {
            self.counts.passed += 1;
            return Ok(Judged { way: Way::On, is_blocked: false });
        }
        self.counts.blocked += 1;
        let way = match self.sender.blocked_inbound {
            BlockedInbound::Drop => Way::Nowhere,
            BlockedInbound::Mark => Way::On,
            BlockedInbound::Quarantine => Way::Aside,
        };
        Ok(Judged { way, is_blocked: true })
    }

    /// Where something goes that is not known to be anybody's: never as nobody's, unless the operator wants that.
    fn way_of_unreadable(&mut self) -> Way {
        let (way, count) = match self.sender.unreadable_inbound {
            UnreadableInbound::Hold => (Way::Nowhere, &mut self.counts.held),
            UnreadableInbound::Quarantine => (Way::Aside, &mut self.counts.blocked),
            UnreadableInbound::Deliver => (Way::On, &mut self.counts.passed),
        };
        *count += 1;
        way
    }

    fn unreadable(&mut self, raw: &RawValue) -> Sorted {
        let mut sorted = Sorted::whole(raw);
        match self.way_of_unreadable() {
            Way::On => {}
            Way::Aside => {
                sorted.is_whole = false;
                sorted.aside = sorted.on.take();
            }
            Way::Nowhere => {
                sorted.is_whole = false;
                sorted.on = None;
            }
        }
        sorted
    }
}

struct Judged {
    way: Way,
    is_blocked: bool,
}

/// What an array becomes.
struct Sorted {
    /// What goes on; none where nothing is left.
    on: Option<String>,
    aside: Option<String>,
    /// Whether all of it goes on.
    is_whole: bool,
}

impl Sorted {
    fn whole(raw: &RawValue) -> Self {
        Sorted { on: Some(raw.get().to_owned()), aside: None, is_whole: true }
    }
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

    fn done(self, raw: &RawValue) -> Sorted {
        if !self.is_changed {
            return Sorted::whole(raw);
        }
        let text = |pile: Vec<String>| (!pile.is_empty()).then(|| array(pile.into_iter().map(Cow::Owned)));
        Sorted { on: text(self.on), aside: text(self.aside), is_whole: false }
    }
}

/// The elements of an array; `None` where it is something else.
fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get() == "null" {
        return Some(Vec::new());
    }
    serde_json::from_str(raw.get()).ok()
}
