//! What people ask for by writing: to be left alone, and not to be any more; and that they have another number now.

use std::sync::Arc;
use std::time::Duration;

use portcullis_ledger::{Actor, HoldKind, Reason, Source, Write};
use portcullis_msisdn::{Directions, Msisdn, Subject};
use serde_json::Value;

use super::keywords::{Keywords, Wish};
use super::spelling::other_spelling;
use crate::core::{Refusal, Target};
use crate::identity::Identity;
use crate::tenant::Tenant;

/// What an opt-out covers: the person can still write, and so opt in again.
const COVERED: Directions = Directions::OUTBOUND;

/// Who did it, in the record: the person, through Meta's webhook.
pub(super) fn target(tenant: &Arc<Tenant>, sender: &str) -> Option<Target> {
    let actor = Actor::new("person").and_then(|actor| actor.through("meta-webhook")).ok()?;
    Target::own(tenant, sender, actor)
}

/// Who a message is from: a number, a person without one, or both.
pub(super) fn senders_of(message: &Value) -> Vec<Identity> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let number = text("from").and_then(|from| Msisdn::parse(from).ok()).map(Identity::Number);
    let id = text("from_user_id").and_then(|id| id.parse().ok()).map(Identity::User);
    number.into_iter().chain(id).collect()
}

/// The texts of a message that may be words to opt out by: what was written, or what a button says.
fn words(message: &Value) -> impl Iterator<Item = &str> {
    const PLACES: [&str; 7] = [
        "/text/body",
        "/button/payload",
        "/button/text",
        "/interactive/button_reply/id",
        "/interactive/button_reply/title",
        "/interactive/list_reply/id",
        "/interactive/list_reply/title",
    ];
    PLACES.into_iter().filter_map(|place| message.pointer(place).and_then(Value::as_str))
}

/// What a message asks for, and the word.
pub(super) fn wish<'a>(keywords: &Keywords, message: &'a Value) -> Option<(Wish, &'a str)> {
    words(message).find_map(|word| keywords.wish(word).map(|wish| (wish, word)))
}

/// Does what a person asks for. When this returns, it is on disk, and the next check sees it.
pub(super) fn grant(target: &Target, who: &[Identity], wish: Wish, word: &str) -> Result<(), Refusal> {
    let patience = Duration::from_secs(target.tenant.config.opt_out.confirmation_seconds);
    for identity in who {
        let subject = target.ensure_subject(identity)?;
        match wish {
            Wish::Stop => {
                let reason = Reason::new(word.trim()).ok();
                hold(target, subject, HoldKind::OptOut, Source::OptOut, reason)?;
                target.gate.allow_confirmation(subject, patience);
            }
            Wish::Start => {
                lift(target, subject, HoldKind::OptOut)?;
                target.gate.forget_confirmation(subject);
                // The opt-out may stand under the other way in which the number is written.
                if let Some(other) = identity.number().and_then(other_spelling) {
                    lift(target, target.subject_of_number(other), HoldKind::OptOut)?;
                }
            }
        }
    }
    Ok(())
}

/// Notes what somebody wants of marketing (`user_preferences`).
pub(super) fn prefer(target: &Target, preference: &Value) -> Result<(), Refusal> {
    let text = |name: &str| preference.get(name).and_then(Value::as_str);
    if text("category") != Some("marketing_messages") {
        return Ok(());
    }
    let number = text("wa_id").and_then(|id| Msisdn::parse(id).ok()).map(Identity::Number);
    let id = text("user_id").and_then(|id| id.parse().ok()).map(Identity::User);
    for identity in number.into_iter().chain(id) {
        let subject = target.ensure_subject(&identity)?;
        match text("value") {
            Some("stop") => {
                let reason = text("detail").and_then(|detail| Reason::new(detail).ok());
                hold(target, subject, HoldKind::Marketing, Source::OptOut, reason)?;
            }
            Some("resume") => lift(target, subject, HoldKind::Marketing)?,
            _ => {}
        }
    }
    Ok(())
}

/// Has the holds on a number follow its person to a new one.
pub(super) fn follow(target: &Target, old: Msisdn, new: Msisdn) -> Result<(), Refusal> {
    let list = target.gate.list();
    let Some(entry) = list.get(target.subject_of_number(old))? else { return Ok(()) };
    let in_force = entry.holds.iter().filter(|hold| !hold.directions.is_none());
    let writes: Vec<Write> = in_force
        .map(|hold| Write::Block {
            subject: target.subject_of_number(new),
            hold: hold.kind,
            directions: hold.directions,
            source: hold.source,
            label: hold.label.clone(),
            actor: target.actor.clone(),
            reason: hold.reason.clone(),
            display: None,
            expires: hold.expires,
        })
        .collect();
    written(target, writes)
}

/// The number that a message says its person has now, in the place of the one it is from.
pub(super) fn new_number(message: &Value) -> Option<(Msisdn, Msisdn)> {
    let text = |place: &str| message.pointer(place).and_then(Value::as_str);
    let is_change = matches!(text("/system/type"), Some("user_changed_number" | "customer_changed_number"));
    let old = text("/from").filter(|_| is_change)?;
    let new = text("/system/wa_id").or_else(|| text("/system/new_wa_id"))?;
    Some((Msisdn::parse(old).ok()?, Msisdn::parse(new).ok()?))
}

fn hold(
    target: &Target,
    subject: Subject,
    kind: HoldKind,
    source: Source,
    reason: Option<Reason>,
) -> Result<(), Refusal> {
    written(
        target,
        vec![Write::Block {
            subject,
            hold: kind,
            directions: COVERED,
            source,
            label: None,
            actor: target.actor.clone(),
            reason,
            display: None,
            expires: None,
        }],
    )
}

fn lift(target: &Target, subject: Subject, kind: HoldKind) -> Result<(), Refusal> {
    written(
        target,
        vec![Write::Unblock {
            covering: Directions::NONE,
            subject,
            hold: Some(kind),
            directions: Directions::BOTH,
            actor: target.actor.clone(),
        }],
    )
}

fn written(target: &Target, writes: Vec<Write>) -> Result<(), Refusal> {
    let written = target.gate.list().write(writes)?;
    if written.iter().any(|written| written.outcome.changed()) {
        target.gate.catch_up();
        target.tenant.told.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::OptOut;

    #[test]
    fn words_are_found_where_people_and_buttons_leave_them() {
        let keywords = Keywords::of(&OptOut::default()).unwrap();
        for message in [
            json!({ "type": "text", "text": { "body": "Stop" } }),
            json!({ "type": "button", "button": { "payload": "Unsubscribe", "text": "No, thanks" } }),
            json!({ "type": "button", "button": { "payload": "x", "text": "UNSUBSCRIBE" } }),
            json!({ "interactive": { "type": "button_reply", "button_reply": { "id": "stop", "title": "x" } } }),
            json!({ "interactive": { "type": "list_reply", "list_reply": { "id": "1", "title": "Stop" } } }),
        ] {
            assert_eq!(wish(&keywords, &message).map(|(wish, _)| wish), Some(Wish::Stop), "{message}");
        }
        let none = json!({ "type": "image", "image": { "caption": "stop" } });
        assert_eq!(wish(&keywords, &none), None);
    }

    #[test]
    fn who_wrote_is_a_number_or_an_id_or_both() {
        let count = |message: Value| senders_of(&message).len();
        assert_eq!(count(json!({ "from": "16505551234" })), 1);
        assert_eq!(count(json!({ "from_user_id": "US.1" })), 1);
        assert_eq!(count(json!({ "from": "16505551234", "from_user_id": "US.1" })), 2);
        assert_eq!(count(json!({ "from": "nobody" })), 0);
        assert_eq!(count(json!({ "from": 16_505_551_234_u64 })), 0);
    }

    #[test]
    fn a_new_number_is_told_by_a_message_of_the_system() {
        let told = json!({
            "from": "16505551234", "type": "system",
            "system": { "type": "user_changed_number", "wa_id": "12025550173", "body": "moved" },
        });
        let (old, new) = new_number(&told).unwrap();
        assert_eq!((old.get(), new.get()), (16_505_551_234, 12_025_550_173));
        let other = json!({ "from": "16505551234", "system": { "type": "other", "wa_id": "12025550173" } });
        assert_eq!(new_number(&other), None);
    }
}
