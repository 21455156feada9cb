//! How webhooks are taken apart, written again, and divided.

use portcullis_edge::registry::Registry;

use super::partition::partition;
use super::payload::{Kept, Payload};
use crate::message::object::Field;

/// A webhook, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// The values of the changes of each entry, as they are written.
    pub entries: Vec<Vec<Option<String>>>,
    /// Whether something in it can't be told apart.
    pub is_odd: bool,
    /// It again, with all that is in it.
    pub whole: Option<String>,
    /// It again, with the members of each value put together anew.
    pub rewritten: Option<String>,
}

/// Reads a webhook; `None` where it is none.
pub fn read(body: &str) -> Option<Read> {
    let payload = Payload::read(body)?;
    let value = |e: usize, c: usize| {
        let value = payload.entries[e].changes[c].value.object.as_ref();
        value.map(|value| value.with(|_| Field::AsItIs))
    };
    let all = |kept: &dyn Fn(usize, usize) -> Kept| {
        payload.with(|e, change| {
            let entry = &payload.entries[e];
            match change {
                // As `partition` does it.
                None => (entry.is_odd || entry.changes.is_empty()).then_some(Kept::Whole),
                Some(c) => (!entry.is_odd).then(|| kept(e, c)),
            }
        })
    };
    let entries = payload.entries.iter().enumerate();
    Some(Read {
        entries: entries.map(|(e, entry)| (0..entry.changes.len()).map(|c| value(e, c)).collect()).collect(),
        is_odd: payload.entries.iter().any(|entry| {
            entry.is_odd
                || entry.changes.iter().any(|change| change.value.is_odd || change.value.object.is_none())
        }),
        whole: all(&|_, _| Kept::Whole),
        rewritten: all(&|e, c| value(e, c).map_or(Kept::Whole, Kept::Value)),
    })
}

/// What of a webhook goes where: URLs and bodies. `None` where nothing goes anywhere.
pub fn divided(registry: &Registry, default: Option<&str>, body: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let partition = partition(registry, default, body, None).ok()?;
    let deliveries = partition.deliveries.into_iter();
    Some(deliveries.map(|delivery| (delivery.url, delivery.body.to_vec())).collect())
}
