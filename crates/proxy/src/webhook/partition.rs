//! Splits a webhook into deliveries: one per sender, without what is removed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;

use super::Delivery;
use super::marks::Marks;
use super::owner::{Account, Owned, Owner, Owners};
use super::payload::{Change, Entry, Kept, Payload};
use super::sorting::{Counts, Parts, Sorting, Way};
use portcullis_admission::{Unfinished, WebhookTurn};
use portcullis_api::settings::{BlockedInbound, UnreadableInbound};
use portcullis_edge::ops::Refusal;
use portcullis_edge::registry::Registry;
use portcullis_edge::settings::SenderConfig;
use portcullis_edge::tenant::Tenant;
use portcullis_engine::Reservation;
use portcullis_ledger::TenantId;

/// A webhook split into deliveries.
pub(super) struct Partition {
    pub(super) deliveries: Vec<Delivery>,
    /// How many messages and calls were passed, blocked and held, per sender.
    pub(super) counts: Vec<(Arc<Tenant>, Counts)>,
    /// Whether everything goes to one URL, unchanged.
    pub(super) is_whole: bool,
    /// Whether every part has a destination.
    pub(super) is_known: bool,
    /// Number of held parts whose sender can't be determined.
    pub(super) held_of_nobody: usize,
    /// The places of its messages among those that rules count.
    pub(super) reservations: Vec<Reservation>,
}

/// Why a webhook can't be split.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartitionError {
    /// The body doesn't have the structure of a webhook.
    #[error("the body is not a webhook from Meta")]
    NotAWebhook,
    /// A list could not be read or written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// So many webhooks of these tenants are under way that it has to wait for its turn. Nothing was done.
    #[error("too many webhooks of a tenant are under way")]
    NotItsTurn(Vec<TurnOf>),
}

/// A tenant whose turn a webhook needs.
#[derive(Clone)]
pub(super) struct TurnOf {
    tenant: Arc<Tenant>,
    /// Whether one of the lists that the webhook concerns has a slow plugin.
    is_slow: bool,
}

impl TurnOf {
    /// Waits for the turn.
    ///
    /// # Errors
    /// As [`Turns::webhook`](portcullis_admission::Turns::webhook).
    pub(super) async fn wait(&self) -> Result<WebhookTurn, Unfinished> {
        self.tenant.turns.webhook(self.is_slow).await
    }
}

impl fmt::Debug for TurnOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tenant.config.id)
    }
}

impl From<Unfinished> for PartitionError {
    fn from(unfinished: Unfinished) -> Self {
        PartitionError::Refused(unfinished.into())
    }
}

/// Where changes go: to a sender's callback, or to the default callback.
#[derive(Clone, PartialEq, Eq)]
enum Destination {
    Sender { tenant: String, sender: String },
    Default,
}

impl Owned<'_> {
    fn place(&self) -> Destination {
        Destination::Sender { tenant: self.tenant.config.id.to_string(), sender: self.sender.id.to_string() }
    }

    fn has_callback(&self, default: Option<&str>) -> bool {
        self.sender.callback_url.is_some() || default.is_some()
    }
}

/// The decision on one change.
struct Fate {
    /// Where it goes; `None` if it has no destination.
    place: Option<Destination>,
    /// What goes there; `None` if nothing is left.
    kept: Option<Kept>,
    /// What goes to the sender's quarantine.
    quarantined: Option<Kept>,
    blocked_ids: Vec<String>,
    counts: Counts,
    reservations: Vec<Reservation>,
}

impl Fate {
    fn whole(place: Option<Destination>) -> Self {
        Fate {
            place,
            kept: Some(Kept::Whole),
            quarantined: None,
            blocked_ids: Vec::new(),
            counts: Counts::default(),
            reservations: Vec::new(),
        }
    }
}

/// Applies the opt-outs and opt-ins in a webhook and splits it into deliveries. Blocks on disk I/O.
///
/// `default` is the default callback URL. `turns` are the turns that were waited for, of all the tenants of
/// [`PartitionError::NotItsTurn`]; `None` takes them if there are any at once.
pub(super) fn partition(
    registry: &Registry,
    default: Option<&str>,
    body: &[u8],
    turns: Option<Vec<WebhookTurn>>,
) -> Result<Partition, PartitionError> {
    // Invalid UTF-8 in one place must not hide an opt-out in another.
    let text = String::from_utf8_lossy(body);
    let payload = Payload::read(&text).ok_or(PartitionError::NotAWebhook)?;
    let owners = Owners::of(registry, &payload);
    let _turns = match turns {
        Some(turns) => turns,
        None => {
            let needed = turns_of(&owners, &payload);
            let taken: Option<Vec<_>> =
                needed.iter().map(|one| one.tenant.turns.try_webhook(one.is_slow)).collect();
            taken.ok_or(PartitionError::NotItsTurn(needed))?
        }
    };
    let mut fates: BTreeMap<(usize, Option<usize>), Fate> = BTreeMap::new();
    let mut places: Vec<Destination> = Vec::new();
    for (e, entry) in payload.entries.iter().enumerate() {
        let account = Account::of(entry);
        if entry.is_odd {
            fates.insert((e, None), of_odd_entry(&owners, &account, entry, default)?);
            continue;
        }
        if entry.changes.is_empty() {
            // As in webhooks of Messenger and Instagram: to the default callback, unchanged.
            fates.insert((e, None), Fate::whole(default.map(|_| Destination::Default)));
        }
        for (c, change) in entry.changes.iter().enumerate() {
            let fate = match owners.owner(&account, change) {
                Owner::Sender(owned) => of_sender(owned, change, default)?,
                Owner::Unclear(candidates) => {
                    of_unclear(&candidates, hear_unclear(&candidates, change)?, default)
                }
                Owner::Nobody => Fate::whole(default.map(|_| Destination::Default)),
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
    let url_of = |place: &Destination| match place {
        Destination::Default => default,
        Destination::Sender { tenant, sender } => sender_of(registry, tenant, sender)
            .and_then(|(_, sender)| sender.callback_url.as_deref())
            .or(default),
    };
    let mut urls = places.iter().map(url_of);
    let first = urls.next();
    let is_one_place = first.is_some() && urls.all(|url| Some(url) == first);
    let is_whole = is_known
        && is_one_place
        && fates.values().all(|fate| matches!(fate.kept, Some(Kept::Whole)) && fate.quarantined.is_none());
    let placeless = fates.values().filter(|fate| fate.place.is_none());
    let held_of_nobody = placeless.map(|fate| fate.counts.held).sum();
    let mut partition = Partition {
        deliveries: Vec::new(),
        counts: Vec::new(),
        is_whole,
        is_known,
        held_of_nobody,
        reservations: Vec::new(),
    };
    for place in &places {
        let of_place = || fates.values().filter(|fate| fate.place.as_ref() == Some(place));
        let owner = match place {
            Destination::Default => None,
            Destination::Sender { tenant, sender } => sender_of(registry, tenant, sender),
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
        let delivery = |url: &str, body: String, marks: Marks| Delivery {
            url: url.to_owned(),
            tenant: tenant.map(|tenant| tenant.config.id.clone()),
            body: Bytes::from(body),
            signature: None,
            marks,
        };
        let of_this =
            |e: usize, c: Option<usize>| fates.get(&(e, c)).filter(|fate| fate.place.as_ref() == Some(place));
        let main = payload.with(|e, c| of_this(e, c)?.kept.clone());
        if let Some((url, body)) = url_of(place).zip(main) {
            let marks = Marks::of(of_place().flat_map(|fate| fate.blocked_ids.iter().cloned()).collect());
            // With a list in the body, it is no longer the one that Meta signed.
            partition.is_whole &= !marks.overflow();
            partition.deliveries.push(delivery(url, marks.written_into(body), marks));
        }
        let aside = payload.with(|e, c| of_this(e, c)?.quarantined.clone());
        let url = owner.and_then(|(_, sender)| sender.quarantine_url.as_deref());
        if let Some((url, body)) = url.zip(aside) {
            partition.deliveries.push(delivery(url, body, Marks::default()));
        }
    }
    partition.reservations = fates.into_values().flat_map(|fate| fate.reservations).collect();
    Ok(partition)
}

/// The tenants whose lists the webhook concerns, by id, so that two webhooks never wait for each other.
fn turns_of(owners: &Owners<'_>, payload: &Payload<'_>) -> Vec<TurnOf> {
    let mut needed: BTreeMap<&TenantId, TurnOf> = BTreeMap::new();
    for entry in &payload.entries {
        let account = Account::of(entry);
        let of_odd = if entry.is_odd { owners.of_account(&account) } else { Vec::new() };
        let of_changes = entry.changes.iter().flat_map(|change| owners.owner(&account, change).possible());
        for Owned { tenant, sender, .. } in of_odd.into_iter().chain(of_changes) {
            let one = needed
                .entry(&tenant.config.id)
                .or_insert_with(|| TurnOf { tenant: Arc::clone(tenant), is_slow: tenant.wide.is_slow() });
            one.is_slow |= tenant.senders.get(sender.id.as_str()).is_some_and(|sender| sender.list.is_slow());
        }
    }
    needed.into_values().collect()
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

/// Decides on a change that belongs to this sender. Without any callback the change has no destination yet, but its opt-outs and
/// opt-ins are applied.
fn of_sender(owned: Owned<'_>, change: &Change<'_>, default: Option<&str>) -> Result<Fate, Refusal> {
    let Owned { sender, .. } = owned;
    let mut fate = Fate::whole(Some(owned.place()));
    let Some(mut sorting) = Sorting::of(owned) else { return Ok(fate) };
    if let Some(value) = &change.value.object {
        let Parts { kept, aside } = sorting.value(value)?;
        (fate.kept, fate.quarantined) = (kept, aside);
    }
    if change.value.is_odd || sorting.is_torn {
        (fate.kept, fate.quarantined) = match sorting.way_of_unreadable() {
            Way::Nowhere => (None, None),
            Way::Aside => (None, Some(Kept::Whole)),
            Way::On => (fate.kept, fate.quarantined),
        };
    }
    fate.place = fate.place.filter(|_| owned.has_callback(default));
    fate.counts = sorting.counts;
    fate.reservations = sorting.reservations;
    if sender.blocked_inbound == BlockedInbound::Mark {
        fate.blocked_ids = sorting.blocked_ids;
    }
    Ok(fate)
}

/// Applies the opt-outs in a change whose sender is unclear, for each of these candidates. Returns whether none of the candidates
/// blocks anybody in it.
fn hear_unclear(candidates: &[Owned<'_>], change: &Change<'_>) -> Result<bool, Refusal> {
    let mut is_free = true;
    for owned in candidates {
        let (Some(mut sorting), Some(value)) = (Sorting::of(*owned), &change.value.object) else { continue };
        sorting.is_doubtful = true;
        sorting.value(value)?;
        is_free &= sorting.counts.blocked == 0;
    }
    Ok(is_free)
}

/// Decides on a change whose sender is unclear. It is delivered only if all candidates have `unreadable_inbound = "deliver"` and
/// it contains nobody whom one of them blocks (`is_free`).
fn of_unclear(candidates: &[Owned<'_>], is_free: bool, default: Option<&str>) -> Fate {
    let wants = |policy| candidates.iter().find(|owned| owned.sender.unreadable_inbound == policy);
    let (hold, aside) = (wants(UnreadableInbound::Hold), wants(UnreadableInbound::Quarantine));
    let deliver = wants(UnreadableInbound::Deliver);
    let mut fate = Fate::whole(hold.or(aside).or(deliver).map(Owned::place));
    match (hold, aside, deliver) {
        (None, Some(_), _) => {
            fate.quarantined = fate.kept.take();
            fate.counts.blocked = 1;
        }
        (None, None, Some(owned)) if is_free => {
            fate.counts.passed = 1;
            fate.place = fate.place.filter(|_| owned.has_callback(default));
        }
        (None, None, Some(_)) => {
            fate.kept = None;
            fate.counts.blocked = 1;
        }
        (Some(_), _, _) | (None, None, None) => {
            fate.kept = None;
            fate.counts.held = 1;
        }
    }
    fate
}

/// Decides on an entry that can't be split: it is delivered or held as a whole.
fn of_odd_entry(
    owners: &Owners<'_>,
    account: &Account,
    entry: &Entry<'_>,
    default: Option<&str>,
) -> Result<Fate, Refusal> {
    let mut candidates = owners.of_account(account);
    let mut is_free = true;
    for change in &entry.changes {
        let named = owners.owner(account, change).possible();
        is_free &= hear_unclear(&named, change)?;
        candidates.extend(named);
    }
    if candidates.is_empty() && !owners.is_whatsapp {
        return Ok(Fate::whole(default.map(|_| Destination::Default)));
    }
    Ok(of_unclear(&candidates, is_free, default))
}
