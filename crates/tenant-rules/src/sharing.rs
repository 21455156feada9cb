//! Telling other engines which share the ledger what rules have counted here, and hearing what they have.
//!
//! Each engine has a few parts in the ledger for each tenant. The first is of all that it has counted, and each of the others of what changed
//! since the part before. When there are none left, it begins again with all. Parts are taken in any order, and any number of times.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_ledger::store::{Counts, CountsPart, StoredAt};
use portcullis_ledger::{LedgerError, TenantId};
use portcullis_meters::Position;
use tracing::warn;

use crate::surroundings::Surroundings;
use crate::tenant_rules::{FAILED, TenantRules};

type Tenants<'a> = BTreeMap<&'a TenantId, &'a TenantRules>;

/// The parts of a tenant at an engine. The last one is `PARTS - 1`.
const PARTS: u8 = 32;

/// What this engine has told others, and what it has heard.
pub struct Sharing {
    counts: Arc<dyn Counts>,
    told: BTreeMap<TenantId, Told>,
    /// When what was heard last was stored.
    after: Option<StoredAt>,
    /// The versions of others' parts that were taken.
    seen: HashMap<(TenantId, String, u8), u64>,
}

/// What others were told of a tenant.
#[derive(Clone, Copy, Default)]
struct Told {
    position: Position,
    /// The part that was written last.
    part: u8,
}

impl Sharing {
    /// Nothing was told or heard yet.
    pub fn new(counts: Arc<dyn Counts>) -> Self {
        Sharing { counts, told: BTreeMap::new(), after: None, seen: HashMap::new() }
    }

    /// Tells what has changed since the last time, and hears what others have told since. Blocks for two queries of the ledger.
    ///
    /// # Errors
    /// If the ledger can't be asked. What could not be told is told the next time.
    pub fn step<'a>(
        &mut self,
        tenants: impl Iterator<Item = &'a Arc<TenantRules>>,
        around: &Surroundings,
    ) -> Result<(), LedgerError> {
        let tenants: BTreeMap<&TenantId, &TenantRules> =
            tenants.filter(|rules| rules.is_any()).map(|rules| (&rules.tenant, &**rules)).collect();
        self.told.retain(|id, _| tenants.contains_key(id));
        self.seen.retain(|(id, ..), _| tenants.contains_key(id));
        if tenants.is_empty() {
            // A tenant that gets rules later hears all.
            self.after = None;
            return Ok(());
        }
        self.tell(&tenants, around)?;
        self.hear(&tenants, around)
    }

    fn tell(&mut self, tenants: &Tenants<'_>, around: &Surroundings) -> Result<(), LedgerError> {
        let (mut parts, mut told) = (Vec::new(), self.told.clone());
        for (&id, rules) in tenants {
            let Some(counting) = rules.counted() else { continue };
            let known = told.entry(id.clone()).or_default();
            if known.part == PARTS - 1 {
                known.position = Position::START;
            }
            let changes = counting.meters.changes_since(known.position, around.clock.now());
            known.position = changes.next;
            if changes.counters == 0 && !changes.is_all {
                continue;
            }
            known.part = if changes.is_all { 0 } else { known.part + 1 };
            let place = place(id, &around.node, known.part);
            let sealed =
                counting.keys.state_seal().seal(&place, &changes.bytes).map_err(LedgerError::Seal)?;
            let (tenant, node, part) = (id.clone(), around.node.clone(), known.part);
            parts.push(CountsPart { tenant, node, part, version: version(), sealed });
        }
        if !parts.is_empty() {
            self.counts.put_counts(&parts)?;
        }
        self.told = told;
        Ok(())
    }

    fn hear(&mut self, tenants: &Tenants<'_>, around: &Surroundings) -> Result<(), LedgerError> {
        let (parts, after) = self.counts.counts_after(self.after, &around.node)?;
        for CountsPart { tenant: id, node, part, version, sealed } in parts {
            let counting = tenants.get(&id).and_then(|rules| rules.counted());
            let Some(counting) = counting else { continue };
            let key = (id.clone(), node.clone(), part);
            if self.seen.get(&key) == Some(&version) {
                continue;
            }
            // One that can't be opened is of a tenant that was forgotten and put again, or of nobody who has the key.
            if let Ok(bytes) = counting.keys.state_seal().open(&place(&id, &node, part), &sealed)
                && let Err(error) = counting.meters.merge(&bytes, around.clock.now())
                && FAILED.admits()
            {
                warn!(tenant = %id, node, %error, "what another gateway has counted is left out");
            }
            self.seen.insert(key, version);
        }
        self.after = after;
        Ok(())
    }
}

/// What a part is sealed with: it stays in its place.
fn place(tenant: &TenantId, node: &str, part: u8) -> Vec<u8> {
    // No name has a zero byte.
    format!("portcullis counts\0{tenant}\0{node}\0{part}").into_bytes()
}

/// Later ones are greater, also after a restart. A clock that is set back only has parts taken again.
fn version() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}
