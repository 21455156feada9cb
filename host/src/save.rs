//! Saving of a generation's state.

use crate::call_error::CallError;
use crate::generation::Generation;
use crate::saved_state::{StateHeader, StateStore};
use crate::source::SourceError;

/// Why a generation's state could not be saved. The generation keeps serving, unless the plugin failed fatally.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The state can't be stored.
    #[error("can't store the saved state")]
    Store(#[source] SourceError),
    /// The plugin returns more parts or bytes than the list's entries can need.
    #[error(
        "the plugin's saved state does not end: {parts} parts with {bytes} bytes for {entries} entries, and there is more"
    )]
    Endless {
        /// The number of entries in the list.
        entries: u64,
        /// The number of parts that were stored.
        parts: u64,
        /// The size of those parts in bytes.
        bytes: u64,
    },
}

/// The requested size of a part. Small, because checks wait while the plugin produces one (tens of microseconds with
/// the default plugin).
const PART: u32 = 64 << 10;
/// The size limit of a state is this many bytes per entry, plus a constant.
const BYTES_AN_ENTRY: u64 = 64;
const BYTES_BESIDES: u64 = 4 << 20;
/// Each part, apart from a constant number, must cover at least this many entries.
const ENTRIES_A_PART: u64 = 256;
const PARTS_BESIDES: u64 = 64;

impl Generation {
    /// Saves the list to `states` while checks and writes continue. The state is that of the list's sequence number at
    /// the beginning. Returns its header, or `None` if the plugin can't save.
    ///
    /// `entries` is the number of entries in the list according to its source. It bounds the state: 64 bytes for each, and
    /// 4 MiB. The plugin itself is not asked, as it could answer anything.
    ///
    /// # Errors
    ///
    /// [`SaveError`]; the previous state is kept.
    pub fn save(&self, states: &dyn StateStore, entries: u64) -> Result<Option<StateHeader>, SaveError> {
        let description = self.recipe().plugin.description();
        let Some(format) = description.saves.clone() else { return Ok(None) };
        let sequence = self.sequence();
        // All parts must come from the same instance: a cursor is meaningless to another.
        let replica = self.one()?;
        let header = StateHeader { format, keyspace: description.keyspace, sequence, entries };
        let mut writer = states.write(&header).map_err(SaveError::Store)?;
        let (mut cursor, mut parts, mut bytes) = (None, 0_u64, 0_u64);
        let most_parts = PARTS_BESIDES.saturating_add(entries / ENTRIES_A_PART);
        let most_bytes = BYTES_BESIDES.saturating_add(entries.saturating_mul(BYTES_AN_ENTRY));
        loop {
            let part = replica.step(|instance| instance.save(cursor, PART))?;
            let length = part.bytes.len() as u64;
            if parts == most_parts || length > most_bytes - bytes {
                return Err(SaveError::Endless { entries, parts, bytes });
            }
            writer.part(&part.bytes).map_err(SaveError::Store)?;
            parts += 1;
            bytes += length;
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
        }
        writer.finish().map_err(SaveError::Store)?;
        Ok(Some(header))
    }
}
