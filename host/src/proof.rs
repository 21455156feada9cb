//! Verification of a generation's contents before it serves.

use std::hash::{BuildHasher as _, RandomState};

use portcullis_msisdn::{Direction, Directions, Subject};

use crate::call_error::CallError;
use crate::contract::{Keyspace, Verdict};
use crate::fill::FillError;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::source::EntrySource;

/// Entries sampled. A plugin that forgets 1 % of its entries is detected with a probability of 99.4 %.
const MEMBERS: usize = 512;
/// Positions in the list that the sample is taken from.
const PLACES: usize = 16;
/// Random subjects sampled, in addition to the neighbours of the sampled entries.
const STRANGERS: usize = 512;
/// Sampled subjects that are also checked one by one, because batches must return the same verdicts.
const ONE_BY_ONE: usize = 64;

/// How often a subject is looked at again that a spot check found wrong.
const SECOND_LOOKS: usize = 16;

impl Generation {
    /// Verifies that each instance reports as many entries as `source` has, blocks a sample of them in exactly their
    /// directions, and allows a sample of subjects without an entry.
    ///
    /// Catches up first. The source may change during the call.
    ///
    /// The sample is random, so a plugin can't predict it. A plugin that works in the clear has rules of its own, so
    /// only its entries are verified, not what else it blocks.
    ///
    /// Takes a few milliseconds with the default plugin, regardless of the list's length.
    ///
    /// # Errors
    ///
    /// [`FillError`] says which verification failed, or what error occurred.
    pub fn prove(&self, source: &dyn EntrySource) -> Result<(), FillError> {
        self.uncharged(|| self.prove_contents(source))
    }

    fn prove_contents(&self, source: &dyn EntrySource) -> Result<(), FillError> {
        self.prove_count(source)?;
        let mut random = Random::new();
        let members = members(source, &mut random)?;
        let (wrong, tried) = (self.wrong(source, &members)?, members.len());
        if wrong > 0 {
            return Err(FillError::Forgotten { sampled: tried, forgotten: wrong });
        }
        if self.recipe().plugin.description().keyspace == Keyspace::Hashed {
            let strangers = strangers(&members, &mut random);
            let (wrong, tried) = (self.wrong(source, &strangers)?, strangers.len());
            if wrong > 0 {
                return Err(FillError::Strangers { sampled: tried, blocked: wrong });
            }
        }
        Ok(())
    }

    /// Verifies a few members and strangers at random, while the generation serves: a plugin may have begun to lie after
    /// [`prove`](Self::prove). Each is checked like a message, one by one, so that the plugin can't tell which is which.
    ///
    /// Samples up to `members` entries and twice as many strangers, in both directions. Costs some 10 µs per member with
    /// the default plugin.
    ///
    /// # Errors
    ///
    /// As [`prove`](Self::prove).
    pub fn spot_check(&self, source: &dyn EntrySource, members: usize) -> Result<(), FillError> {
        let mut random = Random::new();
        let from = |after| source.members(after, members).map_err(FillError::Source);
        let mut sampled = from(Some(random.subject()))?;
        if sampled.is_empty() {
            // The random subject is beyond the last entry.
            sampled = from(None)?;
        }
        let sampled: Vec<Subject> = sampled.into_iter().map(|entry| entry.subject).collect();
        let wrong = self.wrong_one_by_one(source, &sampled)?;
        if wrong > 0 {
            return Err(FillError::Forgotten { sampled: sampled.len(), forgotten: wrong });
        }
        if self.recipe().plugin.description().keyspace == Keyspace::Hashed {
            let mut strangers: Vec<Subject> = sampled.iter().filter_map(|member| member.next()).collect();
            strangers.resize_with(2 * members, || random.subject());
            let wrong = self.wrong_one_by_one(source, &strangers)?;
            if wrong > 0 {
                return Err(FillError::Strangers { sampled: strangers.len(), blocked: wrong });
            }
        }
        Ok(())
    }

    /// Like [`wrong`](Self::wrong), but gives checks of messages a turn after each subject.
    fn wrong_one_by_one(&self, source: &dyn EntrySource, subjects: &[Subject]) -> Result<usize, FillError> {
        let expected = source.directions(subjects).map_err(FillError::Source)?;
        let mut wrong = 0;
        for (&subject, &expected) in subjects.iter().zip(&expected) {
            let answers = self.each(|instance| {
                let mut answer = Directions::NONE;
                for (direction, flag) in BOTH {
                    if instance.check(subject, direction)? == Verdict::Block {
                        answer = answer | flag;
                    }
                }
                Ok(answer)
            })?;
            if answers.into_iter().all(|answer| self.agrees(answer, expected)) {
                continue;
            }
            // A write may have come between. A plugin that lies now and then is looked at more than once.
            for _ in 0..SECOND_LOOKS {
                if self.is_wrong(source, subject)? {
                    wrong += 1;
                    break;
                }
            }
        }
        Ok(wrong)
    }

    /// Verifies the entry count only.
    pub(crate) fn prove_count(&self, source: &dyn EntrySource) -> Result<(), FillError> {
        let census = source.census().map_err(FillError::Source)?;
        let (sequence, _writing) = self.catch_up_held(source)?;
        // How much the list can have grown or shrunk since the census. Usually 0.
        let moved = sequence.saturating_sub(census.sequence);
        for counted in self.each(Instance::count)? {
            if counted.abs_diff(census.entries) > moved {
                return Err(FillError::Miscounted { given: census.entries, counted });
            }
        }
        Ok(())
    }

    /// The number of subjects that any instance blocks in other directions than the source says.
    fn wrong(&self, source: &dyn EntrySource, subjects: &[Subject]) -> Result<usize, FillError> {
        let expected = source.directions(subjects).map_err(FillError::Source)?;
        let mut suspects = Vec::new();
        for answers in self.each(|instance| answers(instance, subjects))? {
            let differs = |(n, answer): (usize, Directions)| !self.agrees(answer, expected[n]);
            let differing = answers.into_iter().enumerate().filter(|&(n, answer)| differs((n, answer)));
            suspects.extend(differing.map(|(n, _)| subjects[n]));
        }
        let mut wrong = 0;
        for suspect in suspects {
            wrong += usize::from(self.is_wrong(source, suspect)?);
        }
        Ok(wrong)
    }

    /// Whether a suspect subject is really wrong, and did not merely change between the query of the source and the
    /// check.
    fn is_wrong(&self, source: &dyn EntrySource, subject: Subject) -> Result<bool, FillError> {
        let expected = || {
            let mut directions = source.directions(&[subject]).map_err(FillError::Source)?;
            Ok::<_, FillError>(directions.pop().unwrap_or_default())
        };
        loop {
            let before = expected()?;
            self.catch_up(source)?;
            let answers = self.each(|instance| answers(instance, &[subject]))?;
            if before == expected()? {
                return Ok(answers.into_iter().flatten().any(|answer| !self.agrees(answer, before)));
            }
        }
    }

    fn agrees(&self, answer: Directions, expected: Directions) -> bool {
        match self.recipe().plugin.description().keyspace {
            Keyspace::Hashed => answer == expected,
            Keyspace::Clear => answer & expected == expected,
        }
    }
}

const BOTH: [(Direction, Directions); 2] =
    [(Direction::Inbound, Directions::INBOUND), (Direction::Outbound, Directions::OUTBOUND)];

/// The directions in which an instance blocks each subject.
fn answers(instance: &mut Instance, subjects: &[Subject]) -> Result<Vec<Directions>, CallError> {
    let mut directions = vec![Directions::NONE; subjects.len()];
    for (direction, flag) in BOTH {
        let verdicts = instance.check_many(subjects, direction)?;
        for (n, &verdict) in verdicts.iter().enumerate() {
            if verdict == Verdict::Block {
                directions[n] = directions[n] | flag;
            }
        }
        for (&subject, &verdict) in subjects.iter().zip(&verdicts).take(ONE_BY_ONE) {
            if instance.check(subject, direction)? != verdict {
                return Err(instance.contradicts());
            }
        }
    }
    Ok(directions)
}

/// A sample of the entries in force. It includes all entries of a short list.
fn members(source: &dyn EntrySource, random: &mut Random) -> Result<Vec<Subject>, FillError> {
    let from = |after, limit| source.sample(after, limit).map_err(FillError::Source);
    let mut members = from(None, MEMBERS + 1)?;
    if members.len() > MEMBERS {
        members.truncate(MEMBERS / PLACES);
        for _ in 1..PLACES {
            members.extend(from(Some(random.subject()), MEMBERS / PLACES)?);
        }
    }
    Ok(members.into_iter().map(|entry| entry.subject).collect())
}

/// Subjects that mostly have no entry: random ones, and the neighbours of the sampled entries to detect off-by-one
/// errors. The source knows which of them do have an entry.
fn strangers(members: &[Subject], random: &mut Random) -> Vec<Subject> {
    let next = members.iter().filter_map(|member| member.next());
    let before = members.iter().filter_map(|member| member.get().checked_sub(1).and_then(Subject::new));
    (0..STRANGERS).map(|_| random.subject()).chain(next).chain(before).collect()
}

/// Random subjects that a plugin can't predict.
struct Random {
    state: RandomState,
    drawn: u64,
}

impl Random {
    fn new() -> Self {
        Random { state: RandomState::new(), drawn: 0 }
    }

    fn subject(&mut self) -> Subject {
        self.drawn += 1;
        let bits = self.state.hash_one(self.drawn) >> (u64::BITS - Subject::BITS);
        Subject::new(bits).unwrap_or(Subject::MIN)
    }
}
