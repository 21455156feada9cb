//! Verification of a generation's contents, before it serves and while it does.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_msisdn::{Direction, Directions, Subject};

use crate::call_error::CallError;
use crate::contract::{Keyspace, Verdict};
use crate::fill::FillError;
use crate::generation::{Generation, STEP};
use crate::instance::Instance;
use crate::random::Random;
use crate::source::EntrySource;
use crate::witness::Answer;

/// Entries sampled. A plugin that forgets 1 % of its entries is detected with a probability of 99.4 %.
const MEMBERS: usize = 512;
/// Positions in the list that the sample is taken from.
const PLACES: usize = 16;
/// Random subjects sampled, in addition to the neighbours of the sampled entries.
const STRANGERS: usize = 512;
/// Sampled entries that are also checked one by one, because batches must return the same verdicts. As many other
/// subjects are.
const ONE_BY_ONE: usize = 64;

/// Entries per page of the list that are verified.
const LISTED: usize = 256;
/// The pages that are requested until one has an entry: a page may be empty.
const PAGES: usize = 8;

/// Wrong answers for which the source is read again, until one of them is confirmed.
const SECOND_READS: usize = 8;

/// The sample from which a spot check also makes large batches. A smaller one is meant to cost little.
const LARGE_SAMPLE: usize = 8;
/// The sizes of large batches: what a client checks at a time, and the most that it may.
const LARGE_BATCH: usize = 64;
const LARGEST_BATCH: usize = 1000;

impl Generation {
    /// Verifies that each instance reports as many entries as `source` has, blocks a sample of them in exactly their
    /// directions, allows a sample of subjects without an entry, and lists the entries around a sample of them.
    ///
    /// Catches up first. The source may change during the call.
    ///
    /// The sample is random, and so is the order in which it is checked, so a plugin can predict neither. A plugin that
    /// works in the clear has rules of its own, so only its entries are verified, not what else it blocks.
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
        let sequence = self.sequence();
        let mut random = Random::new();
        let members = members(source, &mut random)?;
        let mut strangers = if self.is_hashed() { strangers(&members, &mut random) } else { Vec::new() };
        random.shuffle(&mut strangers);
        let entries = members.clone();
        // Each with whether it is also checked by itself.
        let mut sample: Vec<(Subject, bool)> = Vec::with_capacity(members.len() + strangers.len());
        let mut by_itself: Vec<bool> = (0..members.len()).map(|n| n < ONE_BY_ONE).collect();
        random.shuffle(&mut by_itself);
        sample.extend(members.into_iter().zip(by_itself));
        sample.extend(strangers.into_iter().enumerate().map(|(n, subject)| (subject, n < ONE_BY_ONE)));
        random.shuffle(&mut sample);
        let mut questions: Vec<_> = batches(&sample, &mut random)
            .into_iter()
            .flat_map(|batch| [(batch, Direction::Inbound), (batch, Direction::Outbound)])
            .collect();
        random.shuffle(&mut questions);
        let mut answers = Vec::new();
        for (batch, direction) in questions {
            let singles_first = random.below(2) == 0;
            let asked = self.each(|instance| ask_both_ways(instance, batch, direction, singles_first))?;
            answers.extend(asked.into_iter().flatten());
        }
        self.forget_answers()?;
        self.judge(source, sequence, &answers)?;
        self.prove_list(source, sequence, &entries, &mut random)
    }

    /// Forgets what the instances answered so far.
    fn forget_answers(&self) -> Result<(), CallError> {
        let forget = |instance: &mut Instance| {
            instance.forget_answers();
            Ok(())
        };
        self.each(forget).map(drop)
    }

    /// Verifies what the generation answers while it serves: a plugin may have begun to lie after
    /// [`prove`](Self::prove).
    ///
    /// Verifies some of the answers that checks got since the last call, which a plugin can't know. Then it makes checks
    /// of its own, for a list that has little traffic: of up to `members` entries and twice as many strangers, mixed at
    /// random, each in one direction, by themselves and in batches, as traffic is.
    ///
    /// Costs some 10 µs per member with the default plugin. Checks of messages have a turn after each of these checks.
    ///
    /// # Errors
    ///
    /// As [`prove`](Self::prove).
    pub fn spot_check(&self, source: &dyn EntrySource, members: usize) -> Result<(), FillError> {
        let sequence = self.sequence();
        let mut answers: Vec<Answer> =
            self.each(|instance| Ok(instance.take_answers()))?.into_iter().flatten().collect();
        let mut random = Random::new();
        for (batch, direction) in self.questions(source, members, &mut random)? {
            let asked = self.each(|instance| ask(instance, &batch, direction))?;
            answers.extend(asked.into_iter().flatten());
        }
        // These were verified now, and would crowd out those of the next messages.
        self.forget_answers()?;
        self.judge(source, sequence, &answers)
    }

    /// The checks of a spot check: subjects that are checked together, and the direction.
    fn questions(
        &self,
        source: &dyn EntrySource,
        members: usize,
        random: &mut Random,
    ) -> Result<Vec<(Vec<Subject>, Direction)>, FillError> {
        let from = |after| source.sample(after, 1).map_err(FillError::Source);
        let mut sample = Vec::with_capacity(3 * members);
        for _ in 0..members {
            let mut found = from(Some(random.subject()))?;
            if found.is_empty() {
                // The random subject is beyond the last entry.
                found = from(None)?;
            }
            sample.extend(found.first().map(|entry| entry.subject));
        }
        if self.is_hashed() {
            // No neighbours of entries: nobody else asks for these.
            sample.extend((0..2 * members).map(|_| random.subject()));
        }
        random.shuffle(&mut sample);
        let mut questions = Vec::new();
        while !sample.is_empty() {
            let size = match random.below(32) {
                0..16 => 1,
                // The spellings of one person.
                16..29 => 2 + random.below(3),
                _ if members < LARGE_SAMPLE => 4,
                31 => LARGE_BATCH + random.below(LARGEST_BATCH - LARGE_BATCH + 1),
                _ => LARGE_BATCH,
            };
            let rest = sample.len().saturating_sub(size.min(4));
            let mut batch = sample.split_off(rest);
            if self.is_hashed() {
                batch.resize_with(size, || random.subject());
                random.shuffle(&mut batch);
            }
            questions.push((batch, random.direction()));
        }
        Ok(questions)
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

    /// Compares answers with the source. The instances had at least the changes up to `sequence` when they gave them, and
    /// for each subject, all that they had by then. Subjects that changed since `sequence` are left out.
    fn judge(&self, source: &dyn EntrySource, sequence: u64, answers: &[Answer]) -> Result<(), FillError> {
        let mut subjects: Vec<Subject> = answers.iter().map(|answer| answer.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let expected = source.directions(&subjects).map_err(FillError::Source)?;
        let expected_of = |subject: Subject| {
            let place = subjects.binary_search(&subject).ok();
            place.and_then(|place| expected.get(place)).copied().unwrap_or_default()
        };
        let mut wrong: Vec<&Answer> =
            answers.iter().filter(|answer| !self.agrees(answer, expected_of(answer.subject))).collect();
        leave_out_changed(source, sequence, &mut wrong, |answer| answer.subject)?;
        let mut suspects = wrong.iter().take(SECOND_READS);
        let is_confirmed = suspects.try_fold(false, |is_confirmed, answer| {
            Ok::<_, FillError>(
                is_confirmed || is_confirmed_by(source, answer.subject, expected_of(answer.subject))?,
            )
        });
        if !is_confirmed? {
            return Ok(());
        }
        let count = |verdict: Verdict| {
            let wrong = wrong.iter().filter(|answer| answer.verdict == verdict);
            wrong.map(|answer| answer.subject).collect::<BTreeSet<_>>().len()
        };
        let (forgotten, blocked) = (count(Verdict::Allow), count(Verdict::Block));
        let sampled = expected.iter().filter(|directions| !directions.is_none()).count();
        match (forgotten, blocked) {
            (0, 0) => Ok(()),
            (0, blocked) => Err(FillError::Strangers { sampled: subjects.len() - sampled, blocked }),
            (forgotten, _) => Err(FillError::Forgotten { sampled, forgotten }),
        }
    }

    /// Verifies that each instance lists what `source` has: all of a short list, and else the entries that follow some of
    /// `members`. That pages are in ascending order is verified with each.
    fn prove_list(
        &self,
        source: &dyn EntrySource,
        sequence: u64,
        members: &[Subject],
        random: &mut Random,
    ) -> Result<(), FillError> {
        let mut starts: Vec<Option<Subject>> = vec![None];
        starts.extend(
            (1..PLACES.min(members.len())).map(|_| members.get(random.below(members.len())).copied()),
        );
        for start in starts {
            for stretch in self.each(|instance| Stretch::of(instance, start, members))? {
                self.judge_list(source, sequence, stretch)?;
            }
        }
        Ok(())
    }

    fn judge_list(&self, source: &dyn EntrySource, sequence: u64, stretch: Stretch) -> Result<(), FillError> {
        let Stretch { after, last, mut listed, members } = stretch;
        let mut subjects: BTreeSet<Subject> = listed.keys().copied().chain(members).collect();
        if self.is_hashed() {
            // The source has them in the same order.
            let here = source.sample(after, LISTED).map_err(FillError::Source)?;
            let here = here.into_iter().map(|entry| entry.subject);
            subjects.extend(here.take_while(|&subject| last.is_none_or(|last| subject <= last)));
        }
        let subjects: Vec<Subject> = subjects.into_iter().collect();
        let expected = source.directions(&subjects).map_err(FillError::Source)?;
        let mut wrong: Vec<(Subject, Directions)> = subjects
            .iter()
            .copied()
            .zip(expected)
            .filter(|(subject, expected)| listed.remove(subject).unwrap_or_default() != *expected)
            .collect();
        leave_out_changed(source, sequence, &mut wrong, |(subject, _)| *subject)?;
        for &(subject, expected) in wrong.iter().take(SECOND_READS) {
            if is_confirmed_by(source, subject, expected)? {
                return Err(FillError::Mislisted { sampled: subjects.len(), wrong: wrong.len() });
            }
        }
        Ok(())
    }

    fn agrees(&self, answer: &Answer, expected: Directions) -> bool {
        match answer.verdict {
            Verdict::Allow => !expected.covers(answer.direction),
            // A plugin that works in the clear has rules of its own.
            Verdict::Block => expected.covers(answer.direction) || !self.is_hashed(),
        }
    }

    fn is_hashed(&self) -> bool {
        self.recipe().plugin.description().keyspace == Keyspace::Hashed
    }
}

/// A part of what an instance lists, without gaps.
struct Stretch {
    /// It begins after this subject.
    after: Option<Subject>,
    /// It ends with this subject; `None` if it is the end of the list.
    last: Option<Subject>,
    listed: BTreeMap<Subject, Directions>,
    /// Sampled entries that belong to it.
    members: Vec<Subject>,
}

impl Stretch {
    /// Lists from `start` on, or from the beginning.
    fn of(instance: &mut Instance, start: Option<Subject>, members: &[Subject]) -> Result<Self, CallError> {
        let after = start.and_then(|start| instance.before(start));
        let (mut listed, mut cursor) = (BTreeMap::new(), after);
        let mut last = None;
        for _ in 0..PAGES {
            let page = instance.list(cursor, LISTED)?;
            listed.extend(page.entries.iter().map(|entry| (entry.subject, entry.directions)));
            last = page.next;
            cursor = page.next;
            if page.next.is_none() || !listed.is_empty() {
                break;
            }
        }
        let is_in = |member: &Subject| {
            let is_before = |a: Option<Subject>, b| a.is_none_or(|a| instance.precedes(a, b));
            is_before(after, *member) && last.is_none_or(|last| !instance.precedes(last, *member))
        };
        let members = members.iter().copied().filter(is_in).collect();
        Ok(Stretch { after, last, listed, members })
    }
}

/// Leaves out what is about subjects that changed since `sequence`.
fn leave_out_changed<T>(
    source: &dyn EntrySource,
    sequence: u64,
    wrong: &mut Vec<T>,
    subject_of: impl Fn(&T) -> Subject,
) -> Result<(), FillError> {
    let mut since = sequence;
    while !wrong.is_empty() {
        let changes = source.changes_since(since, STEP).map_err(FillError::Source)?;
        let Some(last) = changes.last() else { break };
        since = last.sequence;
        let changed: BTreeSet<Subject> = changes.iter().map(|change| change.subject).collect();
        wrong.retain(|wrong| !changed.contains(&subject_of(wrong)));
    }
    Ok(())
}

/// Whether a source that checks what it reads says the same of a subject: it may be the source that is wrong.
fn is_confirmed_by(
    source: &dyn EntrySource,
    subject: Subject,
    expected: Directions,
) -> Result<bool, FillError> {
    let before = subject.get().checked_sub(1).and_then(Subject::new);
    let found = source.members(before, 1).map_err(FillError::Source)?;
    let entry = found.first().filter(|entry| entry.subject == subject);
    Ok(entry.map_or(Directions::NONE, |entry| entry.directions) == expected)
}

/// Checks subjects as messages do: one by itself, or several in a batch.
fn ask(
    instance: &mut Instance,
    subjects: &[Subject],
    direction: Direction,
) -> Result<Vec<Answer>, CallError> {
    let verdicts = match *subjects {
        [subject] => vec![instance.check(subject, direction)?],
        _ => instance.check_many(subjects, direction)?,
    };
    let answer = |(&subject, verdict)| Answer { subject, direction, verdict };
    Ok(subjects.iter().zip(verdicts).map(answer).collect())
}

/// Checks a batch, and those of it by themselves that are marked.
fn ask_both_ways(
    instance: &mut Instance,
    batch: &[(Subject, bool)],
    direction: Direction,
    singles_first: bool,
) -> Result<Vec<Answer>, CallError> {
    let subjects: Vec<Subject> = batch.iter().map(|&(subject, _)| subject).collect();
    let together = |instance: &mut Instance| instance.check_many(&subjects, direction);
    let apart = |instance: &mut Instance| {
        let marked = batch.iter().enumerate().filter(|(_, (_, is_marked))| *is_marked);
        marked.map(|(n, &(subject, _))| Ok((n, instance.check(subject, direction)?))).collect()
    };
    let (verdicts, singles): (Vec<Verdict>, Vec<(usize, Verdict)>) = if singles_first {
        let singles: Result<_, CallError> = apart(instance);
        let singles = singles?;
        (together(instance)?, singles)
    } else {
        let verdicts = together(instance)?;
        let singles: Result<_, CallError> = apart(instance);
        (verdicts, singles?)
    };
    if singles.into_iter().any(|(n, single)| verdicts.get(n) != Some(&single)) {
        return Err(instance.contradicts());
    }
    let answer = |(&subject, verdict)| Answer { subject, direction, verdict };
    Ok(subjects.iter().zip(verdicts).map(answer).collect())
}

/// Cuts a sample into batches of random sizes.
fn batches<'a, T>(sample: &'a [T], random: &mut Random) -> Vec<&'a [T]> {
    let (mut batches, mut rest) = (Vec::new(), sample);
    while !rest.is_empty() {
        let size = match random.below(4) {
            0 => 1 + random.below(4),
            1 => LARGE_BATCH,
            _ => 1 + random.below(LARGEST_BATCH),
        };
        let (batch, left) = rest.split_at(size.min(rest.len()));
        batches.push(batch);
        rest = left;
    }
    batches
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
