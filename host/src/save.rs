//! Saving a generation's list.

use crate::fault::CallError;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::saved_state::{StateHeader, StateStore};
use crate::source::SourceError;

/// Why a list could not be saved. It answers as before, unless the plugin failed for good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The state can't be kept.
    #[error("the saved state can't be kept")]
    Store(#[source] SourceError),
    /// The plugin goes on and on.
    #[error(
        "the plugin's saved state does not end: {entries} entries made {parts} parts with {bytes} bytes, and more"
    )]
    Endless {
        /// How many entries it counts.
        entries: u64,
        /// How many parts it gave.
        parts: u64,
        /// How many bytes those had.
        bytes: u64,
    },
}

/// What a part is asked to be at most: small, as checks wait while it is made (some tens of microseconds with the default plugin).
const PART: u32 = 64 << 10;
/// A state may have this many bytes an entry, and as many besides.
const BYTES_AN_ENTRY: u64 = 64;
const BYTES_BESIDES: u64 = 4 << 20;
/// A part has at least this many entries, but for a few.
const ENTRIES_A_PART: u64 = 256;
const PARTS_BESIDES: u64 = 64;

impl Generation {
    /// Saves the list into `states`, while checks and writes go on: the state is of the sequence number that the list had
    /// at the beginning. Returns its header; `None` where the plugin can't save.
    ///
    /// # Errors
    ///
    /// [`SaveError`]; what was kept before stays.
    pub fn save(&self, states: &dyn StateStore) -> Result<Option<StateHeader>, SaveError> {
        let description = self.recipe().plugin.description();
        let Some(format) = description.saves.clone() else { return Ok(None) };
        let sequence = self.sequence();
        // One instance for all parts: a cursor means nothing to another.
        let replica = self.one()?;
        let entries = replica.call(Instance::count)?;
        let header = StateHeader { format, keyspace: description.keyspace, sequence, entries };
        let mut writer = states.write(&header).map_err(SaveError::Store)?;
        let (mut cursor, mut parts, mut bytes) = (None, 0_u64, 0_u64);
        let (most_parts, most_bytes) =
            (PARTS_BESIDES + entries / ENTRIES_A_PART, BYTES_BESIDES + entries * BYTES_AN_ENTRY);
        loop {
            let part = replica.step(|instance| instance.save(cursor, PART))?;
            parts += 1;
            bytes += part.bytes.len() as u64;
            writer.part(&part.bytes).map_err(SaveError::Store)?;
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
            if parts >= most_parts || bytes > most_bytes {
                return Err(SaveError::Endless { entries, parts, bytes });
            }
        }
        writer.finish().map_err(SaveError::Store)?;
        Ok(Some(header))
    }
}
