//! What of a webhook goes where.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use portcullis_msisdn::Direction;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::people;
use super::super::spelling::other_spelling;
use super::Delivery;
use super::payload::{Change, Field, Kept, Object, Payload, array};
use crate::config::{BlockedInbound, SenderConfig};
use crate::core::{Refusal, Target, check};
use crate::identity::Identity;
use crate::registry::{Registry, SenderName};
use crate::tenant::Tenant;

/// What becomes of a webhook.
pub(super) struct Sifted {
    pub(super) deliveries: Vec<Delivery>,
    /// How many messages were blocked, and how many not.
    pub(super) blocked: Vec<(Arc<Tenant>, usize)>,
    pub(super) passed: Vec<(Arc<Tenant>, usize)>,
    /// Whether all of it goes to one place, as it is.
    pub(super) is_whole: bool,
    /// Whether all of it is somebody's.
    pub(super) is_known: bool,
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
    /// Of messages.
    blocked: usize,
    passed: usize,
}

/// Does what people ask for in a webhook, and finds out what of it goes where. May block on the disk.
pub(super) fn sift(registry: &Registry, default: Option<&str>, body: &[u8]) -> Result<Sifted, Refusal> {
    // What is no webhook of Meta's can't be told apart, and so can't pass.
    let payload = Payload::read(body).ok_or(Refusal::InvalidRows(Vec::new()))?;
    let mut fates: BTreeMap<(usize, usize), Fate> = BTreeMap::new();
    let mut places: Vec<Place> = Vec::new();
    for (e, entry) in payload.entries.iter().enumerate() {
        let account: Option<String> = entry.object.read("id");
        for (c, change) in entry.changes.iter().enumerate() {
            let fate = match owner(registry, account.as_deref(), change) {
                Some((tenant, sender)) => of_sender(tenant, sender, change)?,
                None => Fate::whole(default.map(|_| Place::Default)),
            };
            if let Some(place) = fate.place.as_ref().filter(|place| !places.contains(place)) {
                places.push(place.clone());
            }
            fates.insert((e, c), fate);
        }
    }
    let is_known = fates.values().all(|fate| fate.place.is_some());
    let is_whole = is_known
        && places.len() == 1
        && fates.values().all(|fate| matches!(fate.kept, Some(Kept::Whole)) && fate.quarantined.is_none())
        && payload.entries.iter().all(|entry| !entry.changes.is_empty());
    let mut sifted =
        Sifted { deliveries: Vec::new(), blocked: Vec::new(), passed: Vec::new(), is_whole, is_known };
    for place in &places {
        let of_place = || fates.values().filter(|fate| fate.place.as_ref() == Some(place));
        let (tenant, sender) = match place {
            Place::Default => (None, None),
            Place::Sender { tenant, sender } => {
                let tenant = registry.tenant(tenant);
                let sender = tenant.and_then(|tenant| {
                    tenant.config.senders.iter().find(|known| known.id.as_str() == *sender)
                });
                (tenant, sender)
            }
        };
        if let Some(tenant) = tenant {
            sifted.blocked.push((Arc::clone(tenant), of_place().map(|fate| fate.blocked).sum()));
            sifted.passed.push((Arc::clone(tenant), of_place().map(|fate| fate.passed).sum()));
        }
        let delivery = |url: &str, body: String, blocked_ids: Vec<String>| Delivery {
            url: url.to_owned(),
            tenant: tenant.map(|tenant| tenant.config.id.clone()),
            body: Bytes::from(body),
            signature: None,
            blocked_ids,
        };
        let of_this = |fate: &Fate| fate.place.as_ref() == Some(place);
        let url = match place {
            Place::Default => default,
            Place::Sender { .. } => sender.and_then(|sender| sender.callback_url.as_deref()),
        };
        let main = payload.with(|e, c| fates.get(&(e, c)).filter(|fate| of_this(fate))?.kept.clone());
        if let Some((url, body)) = url.zip(main) {
            let ids = of_place().flat_map(|fate| fate.blocked_ids.iter().cloned()).collect();
            sifted.deliveries.push(delivery(url, body, ids));
        }
        let aside = payload.with(|e, c| fates.get(&(e, c)).filter(|fate| of_this(fate))?.quarantined.clone());
        let url = sender.and_then(|sender| sender.quarantine_url.as_deref());
        if let Some((url, body)) = url.zip(aside) {
            sifted.deliveries.push(delivery(url, body, Vec::new()));
        }
    }
    Ok(sifted)
}

/// Whose a change is: by the phone-number-id that it names, or by the account.
fn owner<'a>(
    registry: &'a Registry,
    account: Option<&str>,
    change: &Change<'_>,
) -> Option<(&'a Arc<Tenant>, &'a SenderConfig)> {
    let metadata: Option<Value> = change.value.as_ref().and_then(|value| value.read("metadata"));
    let id = metadata.as_ref().and_then(|metadata| metadata.get("phone_number_id")?.as_str());
    let found = match id {
        Some(id) => registry.sender(&SenderName::PhoneNumberId(id.to_owned())),
        None => registry.sender_of_account(account?),
    };
    // Who has no callback takes no webhooks: they are nobody's yet.
    found.filter(|(_, sender)| sender.callback_url.is_some())
}

impl Fate {
    fn whole(place: Option<Place>) -> Self {
        Fate {
            place,
            kept: Some(Kept::Whole),
            quarantined: None,
            blocked_ids: Vec::new(),
            blocked: 0,
            passed: 0,
        }
    }
}

fn of_sender(tenant: &Arc<Tenant>, sender: &SenderConfig, change: &Change<'_>) -> Result<Fate, Refusal> {
    let place = Place::Sender { tenant: tenant.config.id.to_string(), sender: sender.id.to_string() };
    let mut fate = Fate::whole(Some(place));
    let (Some(value), Some(target)) = (&change.value, people::target(tenant, sender.id.as_str())) else {
        return Ok(fate);
    };
    if change.field == "user_preferences" {
        let preferences: Vec<Value> = value.read("user_preferences").unwrap_or_default();
        for preference in &preferences {
            people::prefer(&target, preference)?;
        }
        return Ok(fate);
    }
    let Some(messages) = value.read::<Vec<&RawValue>>("messages") else { return Ok(fate) };
    let mut blocked = Vec::with_capacity(messages.len());
    for message in &messages {
        let message: Value = serde_json::from_str(message.get()).unwrap_or_default();
        let is_blocked = hear(&target, &message)?;
        if is_blocked && let Some(id) = message.get("id").and_then(Value::as_str) {
            fate.blocked_ids.push(id.to_owned());
        }
        blocked.push(is_blocked);
    }
    fate.blocked = blocked.iter().filter(|blocked| **blocked).count();
    fate.passed = messages.len() - fate.blocked;
    if fate.blocked == 0 {
        return Ok(fate);
    }
    match sender.blocked_inbound {
        BlockedInbound::Mark => return Ok(fate),
        BlockedInbound::Quarantine => fate.quarantined = only(value, &messages, &blocked, true),
        BlockedInbound::Drop => {}
    }
    fate.blocked_ids.clear();
    fate.kept = only(value, &messages, &blocked, false);
    Ok(fate)
}

/// Does what a message asks for, and tells whether it is blocked.
fn hear(target: &Target, message: &Value) -> Result<bool, Refusal> {
    let who = people::senders_of(message);
    if let Some((wish, word)) = people::wish(&target.tenant.config.keywords, message) {
        people::grant(target, &who, wish, word)?;
    }
    if let Some((old, new)) = people::new_number(message) {
        people::follow(target, old, new)?;
    }
    let spellings: Vec<Identity> =
        who.iter().filter_map(|who| other_spelling(who.number()?)).map(Identity::Number).collect();
    let mut is_blocked = false;
    for identity in who.iter().chain(&spellings) {
        let checked = match check::identity(target, identity, Direction::Inbound) {
            Some(checked) => checked,
            None => check::identity_with_ledger(target, identity, Direction::Inbound)?,
        };
        is_blocked |= checked.blocked_by.is_some();
    }
    Ok(is_blocked)
}

/// The value with those messages that are blocked, or with those that are not and all statuses; `None` where nothing is left.
/// Contacts stay as far as somebody is left whom they are of.
fn only(value: &Object<'_>, messages: &[&RawValue], blocked: &[bool], wanted: bool) -> Option<Kept> {
    let left: Vec<&str> = messages
        .iter()
        .zip(blocked)
        .filter(|(_, is_blocked)| **is_blocked == wanted)
        .map(|(message, _)| message.get())
        .collect();
    let is_rest_of_use = !wanted && value.get("statuses").is_some();
    if left.is_empty() && !is_rest_of_use {
        return None;
    }
    let gone = |message: &Value, is_blocked: bool| {
        (is_blocked != wanted).then(|| names(message, "from", "from_user_id"))
    };
    let parsed: Vec<Value> =
        messages.iter().map(|message| serde_json::from_str(message.get()).unwrap_or_default()).collect();
    let gone: Vec<String> = parsed.iter().zip(blocked).filter_map(|(m, b)| gone(m, *b)).flatten().collect();
    let stays: Vec<String> = parsed
        .iter()
        .zip(blocked)
        .filter(|(_, is_blocked)| **is_blocked == wanted)
        .flat_map(|(message, _)| names(message, "from", "from_user_id"))
        .collect();
    let contacts: Option<Vec<&RawValue>> = value.read("contacts");
    let contacts: Option<Vec<Cow<'_, str>>> = contacts.map(|contacts| {
        let is_left = |contact: &&&RawValue| {
            let contact: Value = serde_json::from_str(contact.get()).unwrap_or_default();
            let names = names(&contact, "wa_id", "user_id");
            names.iter().any(|name| stays.contains(name)) || !names.iter().any(|name| gone.contains(name))
        };
        contacts.iter().filter(is_left).map(|contact| Cow::Borrowed(contact.get())).collect()
    });
    let text = value.with(|name| match name {
        "messages" if left.is_empty() => Field::Gone,
        "messages" => Field::Other(array(left.iter().map(|message| Cow::Borrowed(*message)))),
        "statuses" if wanted => Field::Gone,
        "contacts" => match &contacts {
            Some(contacts) if contacts.is_empty() => Field::Gone,
            Some(contacts) => Field::Other(array(contacts.iter().cloned())),
            None => Field::AsItIs,
        },
        _ => Field::AsItIs,
    });
    Some(Kept::Value(text))
}

fn names(value: &Value, number: &str, id: &str) -> Vec<String> {
    [number, id].iter().filter_map(|name| value.get(*name)?.as_str()).map(str::to_owned).collect()
}
