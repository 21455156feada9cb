//! A thread that tells other engines which share the ledger what rules have counted here, and hears what they have.
//!
//! Each engine has a few parts in the ledger for each tenant. The first is of all that it has counted, and each of the others of what changed
//! within half a second. When there are none left, it begins again with all. Parts are taken in any order, and any number of times.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_host::ErrorChain;
use portcullis_ledger::store::{Counts, CountsPart, StoredAt};
use portcullis_ledger::{LedgerError, TenantId};
use portcullis_meters::Position;
use tracing::{debug, warn};

use super::FAILED;
use crate::directory::Directory;

/// How often counts are told and heard. A message is known elsewhere after twice this time, and the time of two queries.
const EVERY: Duration = Duration::from_millis(500);
/// The parts of a tenant at an engine. The last one is `PARTS - 1`.
const PARTS: u8 = 32;

/// Starts the thread, which ends when the engine is closed. Does nothing if nobody else writes to the ledger.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    let Some(counts) = directory.context.ledger.counts_of_all() else { return Ok(()) };
    let (directory, staleness) = (Arc::downgrade(directory), Arc::clone(&directory.context.staleness));
    let run = move || {
        let mut sharing = Sharing { counts, told: BTreeMap::new(), after: None, seen: HashMap::new() };
        while staleness.pause(EVERY) {
            let Some(directory) = directory.upgrade() else { return };
            let Ok(_operation) = directory.context.lifecycle.begin() else { return };
            if staleness.check_ledger().is_err() {
                continue;
            }
            if let Err(error) = sharing.step(&directory) {
                debug!(error = %ErrorChain(&error), "what rules count can't be shared; retrying");
                if !matches!(error, LedgerError::Unavailable(_)) && FAILED.admits() {
                    warn!(error = %ErrorChain(&error), "what rules count can't be shared with other gateways; retrying");
                }
            }
        }
    };
    thread::Builder::new().name("portcullis-counts".to_owned()).spawn(run).map(drop)
}

struct Sharing {
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
    fn step(&mut self, directory: &Directory) -> Result<(), LedgerError> {
        let tenants = directory.tenants();
        self.told.retain(|id, _| tenants.get(id).is_some_and(|tenant| tenant.rules.is_any()));
        self.seen.retain(|(id, ..), _| tenants.get(id).is_some_and(|tenant| tenant.rules.is_any()));
        if !tenants.values().any(|tenant| tenant.rules.is_any()) {
            // A tenant that gets rules later hears all.
            self.after = None;
            return Ok(());
        }
        self.tell(directory)?;
        self.hear(directory)
    }

    fn tell(&mut self, directory: &Directory) -> Result<(), LedgerError> {
        let context = &directory.context;
        let (mut parts, mut told) = (Vec::new(), self.told.clone());
        for (id, tenant) in directory.tenants().iter() {
            let Some(counting) = tenant.rules.counted() else { continue };
            let known = told.entry(id.clone()).or_default();
            if known.part == PARTS - 1 {
                known.position = Position::START;
            }
            let changes = counting.meters.changes_since(known.position, context.clock.now());
            known.position = changes.next;
            if changes.counters == 0 && !changes.is_all {
                continue;
            }
            known.part = if changes.is_all { 0 } else { known.part + 1 };
            let place = place(id, &context.node, known.part);
            let sealed =
                counting.keys.state_seal().seal(&place, &changes.bytes).map_err(LedgerError::Seal)?;
            let (tenant, node, part) = (id.clone(), context.node.clone(), known.part);
            parts.push(CountsPart { tenant, node, part, version: version(), sealed });
        }
        if !parts.is_empty() {
            self.counts.put_counts(&parts)?;
        }
        self.told = told;
        Ok(())
    }

    fn hear(&mut self, directory: &Directory) -> Result<(), LedgerError> {
        let context = &directory.context;
        let (parts, after) = self.counts.counts_after(self.after, &context.node)?;
        let tenants = directory.tenants();
        for CountsPart { tenant: id, node, part, version, sealed } in parts {
            let counting = tenants.get(&id).and_then(|tenant| tenant.rules.counted());
            let Some(counting) = counting else { continue };
            let key = (id.clone(), node.clone(), part);
            if self.seen.get(&key) == Some(&version) {
                continue;
            }
            // One that can't be opened is of a tenant that was forgotten and put again, or of nobody who has the key.
            if let Ok(bytes) = counting.keys.state_seal().open(&place(&id, &node, part), &sealed)
                && let Err(error) = counting.meters.merge(&bytes, context.clock.now())
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
