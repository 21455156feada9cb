//! Filling a generation: from its list's saved state where there is one that fits, else entry by entry.

use crate::contract::Progress;
use crate::fault::CallError;
use crate::generation::{Generation, Recipe, STEP, all_taken};
use crate::instance::BATCH;
use crate::saved_state::{StateHeader, StateParts, StateStore};
use crate::source::{EntrySource, SourceError};

/// Why a generation can't be filled, or brought up to date, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The record of entries can't be read.
    #[error("the entries to fill the plugin with can't be read")]
    Source(#[source] SourceError),
    /// The plugin does not take an entry that is in force.
    #[error("the plugin does not take an entry: {why}")]
    EntryRefused {
        /// In the plugin's words.
        why: String,
    },
    /// The plugin does not hold what it was given.
    #[error("the plugin was given {given} entries and counts {counted}")]
    Miscounted {
        /// How many entries are in force.
        given: u64,
        /// How many it says it has.
        counted: u64,
    },
    /// The plugin lets through what it was told to block.
    #[error("of {sampled} entries that were tried, the plugin lets {forgotten} through")]
    Forgotten {
        /// How many entries were tried.
        sampled: usize,
        /// How many of them it does not block.
        forgotten: usize,
    },
    /// The plugin blocks whom nobody told it to block.
    #[error("of {sampled} strangers that were tried, the plugin blocks {blocked}")]
    Strangers {
        /// How many subjects without an entry were tried.
        sampled: usize,
        /// How many of them it blocks.
        blocked: usize,
    },
    /// The saved state can't be used.
    #[error("the saved state {0}")]
    State(#[from] StateError),
}

impl FillError {
    /// A short name of the kind, for logs and metrics. The plugin's own words are not in it: one that works on numbers in
    /// clear may put them there.
    pub fn kind(&self) -> &'static str {
        match self {
            FillError::Plugin(fault) => fault.kind(),
            FillError::Source(_) => "source",
            FillError::EntryRefused { .. } => "entry-refused",
            FillError::Miscounted { .. } => "miscounted",
            FillError::Forgotten { .. } => "forgotten",
            FillError::Strangers { .. } => "strangers",
            FillError::State(_) => "state",
        }
    }
}

/// Why a saved state can't be used. No harm is done: there is the record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It can't be read, or is not as it was written.
    #[error("can't be read")]
    Unreadable(#[source] SourceError),
    /// It is of changes that the record does not have: the record was put back to an earlier one.
    #[error("is ahead of the record: it has change {state}, the record {record}")]
    Ahead {
        /// The state's sequence number.
        state: u64,
        /// The record's.
        record: u64,
    },
    /// Its parts end, and the plugin waits for more; or there are more than it takes.
    #[error("is not whole, says the plugin")]
    Incomplete,
}

/// Where a generation's entries came from.
#[derive(Debug)]
pub enum FilledFrom {
    /// The saved state, and the changes since.
    State {
        /// The sequence number of the state.
        sequence: u64,
    },
    /// The record, as there was no state that the plugin loads.
    Record,
    /// The record, as the saved state was of no use: why. It is discarded.
    RecordInstead(FillError),
}

impl Generation {
    /// A generation that holds what `source` holds: filled, caught up, counted, and tried on members and strangers.
    ///
    /// From a saved state a million entries take some tens of milliseconds with the default plugin; otherwise about a
    /// microsecond an entry, besides what the source needs.
    ///
    /// # Errors
    ///
    /// [`FillError`] says whether the plugin or the source failed, or how the plugin lies.
    pub fn filled(
        recipe: Recipe,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<Self, FillError> {
        Ok(Self::empty(recipe)?.filled_and_proved(source, states)?.0)
    }

    /// Fills this generation, which is empty, catches up and proves it: [`Generation::filled`] in two steps, for whoever wants to
    /// know where the entries came from.
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
        // From a saved state it is proved already: that is what told whether the state was of use.
        if !matches!(from, FilledFrom::State { .. }) {
            generation.prove(source)?;
        }
        Ok((generation, from))
    }

    /// Fills this generation, which is empty, and catches up. Not proved yet, unless it was filled from a saved state: then
    /// the proof is what tells whether the state was of use.
    ///
    /// # Errors
    ///
    /// As [`Generation::filled`].
    pub fn fill(
        self,
        source: &dyn EntrySource,
        states: Option<&dyn StateStore>,
    ) -> Result<(Self, FilledFrom), FillError> {
        let recipe = self.recipe().clone();
        let Some(states) = states else { return Ok((self.take_record(source)?, FilledFrom::Record)) };
        match self.take_state(source, states) {
            FromState::Loaded(generation, sequence) => Ok((generation, FilledFrom::State { sequence })),
            FromState::None(empty) => Ok((empty.take_record(source)?, FilledFrom::Record)),
            // That the record can't be read now says nothing about the state.
            FromState::Useless(error @ FillError::Source(_)) => Err(error),
            FromState::Useless(error) => {
                // Whatever is wrong with it: it would be so the next time, too.
                let _ = states.discard();
                let generation = Self::empty(recipe)?.take_record(source)?;
                Ok((generation, FilledFrom::RecordInstead(error)))
            }
        }
    }

    fn take_record(self, source: &dyn EntrySource) -> Result<Self, FillError> {
        let start = source.census().map_err(FillError::Source)?;
        let mut after = None;
        loop {
            let members = source.members(after, BATCH).map_err(FillError::Source)?;
            let Some(last) = members.last() else { break };
            after = Some(last.subject);
            // In small steps, since a plugin never gives back what memory the largest call needed besides its list.
            for step in members.chunks(STEP) {
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

/// What became of filling a generation from its list's saved state.
enum FromState {
    Loaded(Generation, u64),
    /// There is none, or none for this plugin; nothing was done.
    None(Generation),
    Useless(FillError),
}
