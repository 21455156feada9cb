//! What was changed lately, to notice what a database server that took over has undone of it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use portcullis_ledger::TenantId;

/// How long a change is remembered.
const KEPT: Duration = Duration::from_secs(300);

/// Settings as stored; `None` if none are.
pub(crate) type Text = Option<Vec<u8>>;

/// The changes of the last minutes, by tenant.
#[derive(Default)]
pub(crate) struct Acknowledged(BTreeMap<TenantId, Change>);

/// What was stored last, and what was stored before that, until when. Of the texts, a hash is enough.
struct Change {
    after: u64,
    before: Vec<(u64, Instant)>,
    at: Instant,
    /// Whether this engine acknowledged any of the changes.
    is_own: bool,
}

impl Acknowledged {
    /// Notes a change that is stored, of this engine or another one: if both are undone, what is there then is from before the first.
    pub(crate) fn note(&mut self, tenant: &TenantId, before: Text, after: Text, is_own: bool) {
        self.0.retain(|_, change| change.at.elapsed() < KEPT);
        let (before, after, at) = (hash(&before), hash(&after), Instant::now());
        let new = || Change { after, before: Vec::new(), at, is_own };
        let change = self.0.entry(tenant.clone()).or_insert_with(new);
        change.before.retain(|(text, until)| *text != before && until.elapsed() < KEPT);
        change.before.push((before, at));
        (change.after, change.at) = (after, at);
        change.is_own |= is_own;
    }

    /// Takes the tenants that this engine changed, and of which another server has what was there before. What is something else was changed
    /// since.
    pub(crate) fn take_undone(&mut self, stored: impl Fn(&TenantId) -> Text) -> Vec<TenantId> {
        let mut undone = Vec::new();
        self.0.retain(|tenant, change| {
            let now = hash(&stored(tenant));
            if now == change.after {
                return true;
            }
            let was_there = |(text, until): &(u64, Instant)| *text == now && until.elapsed() < KEPT;
            if change.is_own && change.before.iter().any(was_there) {
                undone.push(tenant.clone());
            }
            false
        });
        undone
    }
}

fn hash(text: &Text) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_undone_if_what_was_before_it_is_there_again() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let mut acknowledged = Acknowledged::default();
        let tenant = |id: &str| id.parse::<TenantId>().unwrap();
        let [put, forgotten, kept] = ["put", "forgotten", "kept"].map(tenant);
        // Another engine's change was lost together with the own one.
        acknowledged.note(&put, text("1"), text("2"), false);
        acknowledged.note(&put, text("2"), text("3"), true);
        acknowledged.note(&forgotten, text("1"), None, true);
        acknowledged.note(&kept, text("1"), text("2"), true);
        acknowledged.note(&tenant("changed"), text("1"), text("2"), true);
        acknowledged.note(&tenant("of-another"), text("1"), text("2"), false);
        let stored = |tenant: &TenantId| match tenant.as_str() {
            "kept" => text("2"),
            "changed" => text("by another"),
            _ => text("1"),
        };
        assert_eq!(acknowledged.take_undone(stored), [forgotten, put]);
        assert!(acknowledged.take_undone(stored).is_empty());
        // Of yet another server.
        assert_eq!(acknowledged.take_undone(|_| text("1")), [kept]);
    }
}
