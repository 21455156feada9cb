//! Filling a generation from a saved state, or entry by entry from its source.

use crate::call_error::CallError;
use crate::contract::Progress;
use crate::error_chain::ErrorChain;
use crate::generation::{Generation, Recipe, STEP, all_taken};
use crate::saved_state::{StateHeader, StateParts, StateStore};
use crate::source::{EntrySource, SourceError};

/// Why a generation can't be filled or caught up, or failed verification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The entry source can't be read.
    #[error("can't read the entries to fill the plugin with")]
    Source(#[source] SourceError),
    /// The plugin rejected an entry that is in force.
    #[error("the plugin rejected an entry: {why}")]
    EntryRefused {
        /// The reason in the plugin's words.
        why: String,
    },
    /// The plugin's entry count is wrong.
    #[error("the plugin was given {given} entries but counts {counted}")]
    Miscounted {
        /// The number of entries in force.
        given: u64,
        /// The number of entries that the plugin reports.
        counted: u64,
    },
    /// The plugin allows subjects that it must block: false negatives.
    #[error("the plugin allows {forgotten} of {sampled} sampled entries")]
    Forgotten {
        /// The number of entries sampled.
        sampled: usize,
        /// The number of those that the plugin does not block.
        forgotten: usize,
    },
    /// The plugin blocks subjects without an entry: false positives.
    #[error("the plugin blocks {blocked} of {sampled} sampled subjects that have no entry")]
    Strangers {
        /// The number of subjects sampled that have no entry.
        sampled: usize,
        /// The number of those that the plugin blocks.
        blocked: usize,
    },
    /// The plugin does not list its entries, or lists others.
    #[error("the plugin's list is wrong about {wrong} of {sampled} sampled subjects")]
    Mislisted {
        /// The number of subjects that are listed, or should be.
        sampled: usize,
        /// The number of those that are not listed, should not be, or are listed with other directions.
        wrong: usize,
    },
    /// The saved state can't be used.
    #[error("the saved state {0}")]
    State(#[from] StateError),
}

impl FillError {
    /// Whether the same may succeed later, with the same plugin and the same limits: others have the memory now, or the entry source
    /// can't be read now.
    pub fn is_transient(&self) -> bool {
        match self {
            FillError::Plugin(error) => error.is_transient(),
            FillError::Source(_) => true,
            _ => false,
        }
    }

    /// The kind of error, for logs and metrics. It never contains the plugin's own words, which may include phone
    /// numbers if the plugin works in the clear.
    pub fn kind(&self) -> &'static str {
        match self {
            FillError::Plugin(fault) => fault.kind(),
            FillError::Source(_) => "source",
            FillError::EntryRefused { .. } => "entry-refused",
            FillError::Miscounted { .. } => "miscounted",
            FillError::Forgotten { .. } => "forgotten",
            FillError::Strangers { .. } => "strangers",
            FillError::Mislisted { .. } => "mislisted",
            FillError::State(_) => "state",
        }
    }

    /// The error on one line, for a log: as [`CallError::reason`], and without what the plugin says of an entry.
    pub fn reason(&self) -> String {
        match self {
            FillError::Plugin(error) => error.reason(),
            // The plugin knows the entry, and maybe its number.
            FillError::EntryRefused { .. } => "the plugin rejected an entry".to_owned(),
            error => ErrorChain(error).to_string(),
        }
    }
}

/// Why a saved state can't be used. The generation is then filled from the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It can't be read, or its integrity check failed.
    #[error("can't be read")]
    Unreadable(#[source] SourceError),
    /// It includes changes that the source does not have: the source was restored from an older backup.
    #[error("is ahead of the entry source: it is at change {state}, the source at {record}")]
    Ahead {
        /// The state's sequence number.
        state: u64,
        /// The source's sequence number.
        record: u64,
    },
    /// The plugin expects more parts than there are, or fewer.
    #[error("is not complete according to the plugin")]
    Incomplete,
}

/// Where a generation's entries came from.
#[derive(Debug)]
pub enum FilledFrom {
    /// The saved state and the changes since.
    State {
        /// The sequence number of the state.
        sequence: u64,
    },
    /// The source, because there was no saved state in a format that the plugin loads.
    Source,
    /// The source, because the saved state was unusable for this reason. The state was discarded.
    Fallback(FillError),
}

impl Generation {
    /// Creates a generation with the contents of `source`: filled, caught up and verified as by [`Generation::prove`].
    ///
    /// With the default plugin, a million entries take tens of milliseconds from a saved state, and otherwise about 1
    /// µs per entry plus the time of the source.
    ///
    /// # Errors
    ///
    /// [`FillError`] if the plugin or the source failed, or if the plugin failed verification.
    pub fn filled(
        recipe: Recipe,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<Self, FillError> {
        Ok(Self::empty(recipe)?.filled_and_proved(source, states)?.0)
    }

    /// Fills this empty generation, catches up and verifies it. Like [`Generation::filled`], but also returns where the
    /// entries came from.
    ///
    /// # Errors
    ///
    /// As [`Generation::filled`].
    pub fn filled_and_proved(
        self,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<(Self, FilledFrom), FillError> {
        let (generation, from) = self.fill(source, states)?;
        // A generation filled from a saved state is already verified: that is how `fill` decides whether the state is
        // usable.
        if !matches!(from, FilledFrom::State { .. }) {
            generation.prove(source)?;
        }
        Ok((generation, from))
    }

    /// Fills this empty generation and catches up. The result is not yet verified, unless it was filled from a saved
    /// state: verification then decides whether the state is usable.
    ///
    /// # Errors
    ///
    /// As [`Generation::filled`].
    pub fn fill(
        self,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<(Self, FilledFrom), FillError> {
        self.set_charged(false);
        let (generation, from) = self.take(source, states)?;
        generation.set_charged(true);
        Ok((generation, from))
    }

    fn take(
        self,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<(Self, FilledFrom), FillError> {
        let recipe = self.recipe().clone();
        let Some(states) = states else { return Ok((self.take_record(source)?, FilledFrom::Source)) };
        match self.take_state(source, states) {
            FromState::Loaded(generation, sequence) => Ok((generation, FilledFrom::State { sequence })),
            FromState::None(empty) => Ok((empty.take_record(source)?, FilledFrom::Source)),
            // A failure to read the source says nothing about the state.
            FromState::Useless(error @ FillError::Source(_)) => Err(error),
            FromState::Useless(error) => {
                // Whatever is wrong with the state would also be wrong the next time.
                let _ = states.discard();
                let empty = Self::empty(recipe)?;
                empty.set_charged(false);
                Ok((empty.take_record(source)?, FilledFrom::Fallback(error)))
            }
        }
    }

    fn take_record(self, source: &dyn EntrySource) -> Result<Self, FillError> {
        let start = source.census().map_err(FillError::Source)?;
        for part in source.entries() {
            // In small steps, because WebAssembly memory never shrinks: the peak of the largest call stays allocated.
            for step in part.map_err(FillError::Source)?.chunks(STEP) {
                self.each(|instance| instance.block(step))?.into_iter().try_for_each(all_taken)?;
            }
        }
        self.set_sequence(start.sequence);
        self.catch_up(source)?;
        Ok(self)
    }

    fn take_state(self, source: &dyn EntrySource, states: &dyn StateStore) -> FromState {
        let useless = |error: StateError| FromState::Useless(error.into());
        match states.read() {
            Err(error) => useless(StateError::Unreadable(error)),
            Ok(Some((header, parts))) if self.loads(&header) => match self.load(source, &header, parts) {
                Ok(()) => FromState::Loaded(self, header.sequence),
                Err(error) => FromState::Useless(error),
            },
            Ok(_) => FromState::None(self),
        }
    }

    fn loads(&self, header: &StateHeader) -> bool {
        let description = self.recipe().plugin.description();
        description.keyspace == header.keyspace && description.loads.contains(&header.format)
    }

    fn load(
        &self,
        source: &dyn EntrySource,
        header: &StateHeader,
        parts: StateParts,
    ) -> Result<(), FillError> {
        let record = source.census().map_err(FillError::Source)?.sequence;
        if header.sequence > record {
            return Err(StateError::Ahead { state: header.sequence, record }.into());
        }
        let mut progress = Progress::More;
        for part in parts {
            let part = part.map_err(StateError::Unreadable)?;
            if progress == Progress::Complete {
                return Err(StateError::Incomplete.into());
            }
            let answers = self.each(|instance| instance.load(&header.format, &part))?;
            let all_complete = answers.iter().all(|answer| *answer == Progress::Complete);
            progress = if all_complete { Progress::Complete } else { Progress::More };
        }
        if progress == Progress::More {
            return Err(StateError::Incomplete.into());
        }
        self.set_sequence(header.sequence);
        self.catch_up(source)?;
        self.prove(source)
    }
}

/// The result of filling a generation from its list's saved state.
enum FromState {
    Loaded(Generation, u64),
    // There is no state, or none that this plugin loads. The generation is unchanged.
    None(Generation),
    Useless(FillError),
}
