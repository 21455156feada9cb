//! An entry, as this dialect sees and writes it.

use jiff::Timestamp;
use portcullis_edge::ops::Target;
use portcullis_edge::ops::read::{self, Shown};
use portcullis_edge::settings::SenderConfig;
use portcullis_edge::vendor::fault::Fault;
use portcullis_ledger::Source;
use portcullis_msisdn::Subject;
use serde_json::{Value, json};

use super::{COVERED, ID_PREFIX};

/// Which fields of an entry a response has. Each operation documents its own.
#[derive(Clone, Copy)]
pub(super) enum Fields {
    /// Those of `blacklistEntries` in the list.
    All,
    /// Those of `items`, the list's alias for generic clients.
    Brief,
    /// Those of a single entry.
    One,
    /// Those after adding.
    Added,
    /// Those after an update.
    Updated,
    /// Those after a removal.
    Removed,
}

/// Whether the entry is active in this dialect: it blocks outbound messages.
pub(super) fn covers(shown: &Shown) -> bool {
    (COVERED & !shown.entry.directions).is_none()
}

/// Reads an entry. Entries that never blocked outbound messages, or have no number, are not found in this dialect.
pub(super) fn shown(target: &Target, subject: Subject) -> Result<Shown, Fault> {
    let shown = read::entry(target, subject)?;
    let is_seen = (COVERED & !shown.entry.ever).is_none()
        && shown.identity.as_ref().is_some_and(|identity| identity.number().is_some());
    if is_seen { Ok(shown) } else { Err(Fault::EntryNotFound) }
}

/// Maps a client's source to one of the ledger's. The label itself is stored as well, and returned as it was given.
pub(super) fn source_of(label: &str) -> Source {
    match label.to_ascii_uppercase().as_str() {
        "MANUAL" => Source::Manual,
        "IMPORT" => Source::Import,
        _ => Source::Api,
    }
}

/// The data of a response with a single entry.
pub(super) fn one(target: &Target, shown: &Shown, fields: Fields) -> Value {
    json!({ "blacklistEntry": entry(target.sender_config(), shown, fields) })
}

/// The digits of the sender's number.
pub(super) fn sender_number(sender: Option<&SenderConfig>) -> Option<String> {
    sender.and_then(|sender| sender.number).map(|number| number.digits().to_string())
}

/// Writes an entry with these fields.
pub(super) fn entry(sender: Option<&SenderConfig>, shown: &Shown, fields: Fields) -> Value {
    let entry = &shown.entry;
    let hold = entry.holds.lead();
    let uid = format!("{ID_PREFIX}{}", shown.id);
    let number = shown.identity.as_ref().and_then(|identity| identity.number());
    let number = number.map(|number| number.digits().to_string());
    // As it was typed, without separators.
    let display = entry.display.as_ref().map(|display| {
        display.as_str().chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>()
    });
    let display = display.or_else(|| number.clone());
    let source = match &hold.label {
        Some(label) => label.as_str().to_owned(),
        None => source_name(hold.source).to_owned(),
    };
    let reason = hold.reason.as_ref().map(|reason| reason.as_str());
    let is_active = covers(shown);
    let status = if is_active { "ACTIVE" } else { "INACTIVE" };
    // An entry that still blocks inbound messages has no deactivation time.
    let deactivated = (!is_active).then(|| time(entry.deactivated.unwrap_or(entry.updated)));
    let phone_number_id = sender.and_then(|sender| sender.phone_number_id.as_ref());
    match fields {
        Fields::All => json!({
            "blacklistUid": uid,
            "uid": uid,
            "phoneNumberId": phone_number_id,
            "senderPhoneNumber": sender_number(sender),
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
            "createdAt": time(entry.created),
            "updatedAt": time(entry.updated),
            "deactivatedAt": deactivated,
        }),
        Fields::Brief => json!({ "blacklistUid": uid, "normalizedPhone": number, "status": status }),
        Fields::One => json!({
            "blacklistUid": uid,
            "uid": uid,
            "senderPhoneNumber": sender_number(sender),
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
            "deactivatedAt": deactivated,
        }),
        Fields::Added => json!({
            "blacklistUid": uid,
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
        }),
        Fields::Updated => json!({
            "blacklistUid": uid,
            "reason": reason,
            "status": status,
            "deactivatedAt": deactivated,
        }),
        Fields::Removed => json!({ "blacklistUid": uid, "status": status, "deactivatedAt": deactivated }),
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Api => "API",
        Source::Manual => "MANUAL",
        Source::Import => "IMPORT",
        Source::OptOut => "UNSUBSCRIBE",
        Source::System => "SYSTEM",
    }
}

fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}
