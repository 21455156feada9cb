//! A shadow run: a candidate answers live checks beside the generation that serves, and is heard by nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use portcullis_msisdn::{Direction, Subject};

use crate::blacklist::Blacklist;
use crate::contract::Verdict;
use crate::fill::FillError;
use crate::generation::Generation;
use crate::source::EntrySource;

/// Where one list's checks are seen.
///
/// Seeing costs a check some tens of nanoseconds, and never waits: what the run can't keep up with is skipped, and counted.
pub(crate) struct Shadow {
    list: usize,
    seen: SyncSender<Seen>,
    skipped: Arc<AtomicU64>,
}

/// A check that was answered.
struct Seen {
    list: usize,
    subject: Subject,
    direction: Direction,
    verdict: Verdict,
}

impl Shadow {
    #[cold]
    pub(crate) fn see(&self, subjects: &[Subject], direction: Direction, verdicts: &[Verdict]) {
        let mut checks = subjects.iter().zip(verdicts);
        for (&subject, &verdict) in &mut checks {
            let seen = Seen { list: self.list, subject, direction, verdict };
            if self.seen.try_send(seen).is_err() {
                self.skipped.fetch_add(1 + checks.len() as u64, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// A list, and who may come to answer for it.
pub struct Understudy {
    /// The list whose checks are seen.
    pub list: Arc<Blacklist>,
    /// The record of its entries.
    pub source: Arc<dyn EntrySource + Send + Sync>,
    /// The generation that answers beside it: filled.
    pub candidate: Arc<Generation>,
}

/// A shadow run over one or more lists. Dropped, it ends.
pub struct ShadowRun {
    lists: Vec<(Understudy, Arc<Shadow>)>,
    seen: Receiver<Seen>,
    skipped: Arc<AtomicU64>,
    tally: ShadowTally,
}

/// What a shadow run found so far.
#[derive(Clone, Debug, Default)]
pub struct ShadowTally {
    /// Checks that both answered.
    pub compared: u64,
    /// Checks that the candidate was not asked, as it did not keep up.
    pub skipped: u64,
    /// Checks that they answered differently, both knowing the same entries.
    pub disagreements: u64,
    /// The latest of those, at most 16, each subject once.
    pub latest: Vec<Disagreement>,
}

/// A check that two generations answer differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which list, by its place among those of the run.
    pub list: usize,
    /// About whom. Shown masked.
    pub subject: Subject,
    /// Which way.
    pub direction: Direction,
    /// What the generation that serves says; the candidate says the other.
    pub serving: Verdict,
}

/// When a shadow run is over, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowPlan {
    /// So many checks are to be compared; `None` for as many as come in the run's time.
    pub checks: Option<u64>,
    /// With more disagreements than this the candidate is discarded, and at once; otherwise promoted at the end.
    pub max_disagreements: u64,
}

/// What a shadow run leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowVerdict {
    /// The candidate may serve.
    Promote,
    /// It may not.
    Discard,
}

impl ShadowPlan {
    /// What the run leads to, if it is over: with enough checks or disagreements, or because its time is.
    pub fn verdict(&self, tally: &ShadowTally, time_is_up: bool) -> Option<ShadowVerdict> {
        if tally.disagreements > self.max_disagreements {
            return Some(ShadowVerdict::Discard);
        }
        let has_enough = self.checks.is_some_and(|checks| tally.compared >= checks);
        (has_enough || time_is_up).then_some(ShadowVerdict::Promote)
    }
}

/// How many checks wait to be compared; more are skipped.
const QUEUE: usize = 4096;
const LATEST: usize = 16;

impl ShadowRun {
    /// Begins a run. From now on, each check of each list is seen.
    pub fn begin(lists: Vec<Understudy>) -> Self {
        let (sender, seen) = sync_channel(QUEUE);
        let skipped = Arc::new(AtomicU64::new(0));
        let lists = lists
            .into_iter()
            .enumerate()
            .map(|(list, understudy)| {
                let shadow = Arc::new(Shadow { list, seen: sender.clone(), skipped: Arc::clone(&skipped) });
                understudy.list.set_shadow(Arc::clone(&shadow));
                (understudy, shadow)
            })
            .collect();
        ShadowRun { lists, seen, skipped, tally: ShadowTally::default() }
    }

    /// Has the candidates answer what was seen, and waits for that at most as long as `wait`. To be called over and over, on a thread of
    /// its own.
    ///
    /// A write that comes between two answers makes no disagreement: a check that was answered differently is asked again of
    /// both, at the same sequence number.
    ///
    /// # Errors
    ///
    /// [`FillError`] where a candidate fails: it must not serve.
    pub fn compare(&mut self, wait: Duration) -> Result<&ShadowTally, FillError> {
        if let Ok(first) = self.seen.recv_timeout(wait) {
            let batch: Vec<Seen> = std::iter::once(first).chain(self.seen.try_iter().take(QUEUE)).collect();
            // So that what the candidate answers is not stale, where both would agree by chance.
            for list in batch.iter().map(|seen| seen.list).collect::<BTreeSet<_>>() {
                let (understudy, _) = &self.lists[list];
                understudy.candidate.catch_up(&*understudy.source)?;
            }
            for seen in batch {
                self.compare_one(&seen)?;
            }
        }
        self.tally.skipped = self.skipped.load(Ordering::Relaxed);
        Ok(&self.tally)
    }

    fn compare_one(&mut self, seen: &Seen) -> Result<(), FillError> {
        let &Seen { list, subject, direction, verdict } = seen;
        let Understudy { list: blacklist, source, candidate } = &self.lists[list].0;
        self.tally.compared += 1;
        if candidate.check(subject, direction)? == verdict {
            return Ok(());
        }
        let settled = blacklist.held(|serving| {
            // The source may be ahead of what was acknowledged, and moves on. Whoever writes waits for us meanwhile: so this
            // ends.
            loop {
                let known = candidate.catch_up(&**source)?;
                // A generation that fails now has answered before, and its failing is for its keeper to see.
                let Ok(same) = serving.catch_up(&**source) else { return Ok(None) };
                if known == same {
                    let answered = candidate.check(subject, direction)?;
                    let serving = serving.check(subject, direction).unwrap_or(answered);
                    return Ok::<_, FillError>(Some((serving, answered)));
                }
            }
        });
        let Some((serving, answered)) = settled? else { return Ok(()) };
        if serving != answered {
            self.tally.disagreements += 1;
            self.tally.latest.retain(|known| (known.subject, known.direction) != (subject, direction));
            self.tally.latest.push(Disagreement { list, subject, direction, serving });
            if self.tally.latest.len() > LATEST {
                self.tally.latest.remove(0);
            }
        }
        Ok(())
    }

    /// What was found so far.
    pub fn tally(&self) -> &ShadowTally {
        &self.tally
    }
}

impl Drop for ShadowRun {
    fn drop(&mut self) {
        for (understudy, shadow) in &self.lists {
            understudy.list.end_shadow(shadow);
        }
    }
}

impl std::fmt::Debug for ShadowRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShadowRun").field("lists", &self.lists.len()).field("tally", &self.tally).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(compared: u64, disagreements: u64) -> ShadowTally {
        ShadowTally { compared, disagreements, ..ShadowTally::default() }
    }

    #[test]
    fn a_run_is_over_with_enough_checks_or_when_its_time_is_up() {
        let plan = ShadowPlan { checks: Some(100), max_disagreements: 1 };
        assert_eq!(plan.verdict(&tally(99, 1), false), None);
        assert_eq!(plan.verdict(&tally(100, 1), false), Some(ShadowVerdict::Promote));
        assert_eq!(plan.verdict(&tally(0, 0), true), Some(ShadowVerdict::Promote));
    }

    #[test]
    fn one_disagreement_too_many_ends_a_run_at_once() {
        let plan = ShadowPlan { checks: None, max_disagreements: 1 };
        assert_eq!(plan.verdict(&tally(2, 2), false), Some(ShadowVerdict::Discard));
    }
}
