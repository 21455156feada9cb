//! Shadow runs: a candidate answers live checks next to the serving generation, and its verdicts are only compared.

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

/// Observes the checks of one list.
///
/// Observing adds tens of nanoseconds to a check and never blocks: checks that the run can't keep up with are skipped
/// and counted.
pub(crate) struct Shadow {
    list: usize,
    observed: SyncSender<ObservedCheck>,
    skipped: Arc<AtomicU64>,
}

/// A check and its verdict.
struct ObservedCheck {
    list: usize,
    subject: Subject,
    direction: Direction,
    verdict: Verdict,
}

impl Shadow {
    #[cold]
    pub(crate) fn observe(&self, subjects: &[Subject], direction: Direction, verdicts: &[Verdict]) {
        let mut checks = subjects.iter().zip(verdicts);
        for (&subject, &verdict) in &mut checks {
            let observed = ObservedCheck { list: self.list, subject, direction, verdict };
            if self.observed.try_send(observed).is_err() {
                self.skipped.fetch_add(1 + checks.len() as u64, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// A list and the candidate that may come to serve it.
pub struct ShadowTarget {
    /// The list whose checks are observed.
    pub list: Arc<Blacklist>,
    /// The source of the list's entries.
    pub source: Arc<dyn EntrySource + Send + Sync>,
    /// The candidate, already filled.
    pub candidate: Arc<Generation>,
}

/// A shadow run over one or more lists. It ends when dropped.
pub struct ShadowRun {
    lists: Vec<(ShadowTarget, Arc<Shadow>)>,
    observed: Receiver<ObservedCheck>,
    skipped: Arc<AtomicU64>,
    tally: ShadowTally,
}

/// The results of a shadow run so far.
#[derive(Clone, Debug, Default)]
pub struct ShadowTally {
    /// Checks answered by both generations.
    pub compared: u64,
    /// Checks not passed to the candidate because it did not keep up.
    pub skipped: u64,
    /// Checks answered differently although both generations had the same entries.
    pub disagreements: u64,
    /// The latest disagreements: at most 16, one per subject and direction.
    pub latest: Vec<Disagreement>,
}

/// A check that two generations answer differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The index of the list among those of the run.
    pub list: usize,
    /// The subject. Its `Debug` output is masked.
    pub subject: Subject,
    /// The direction.
    pub direction: Direction,
    /// The verdict of the serving generation. The candidate returned the opposite.
    pub serving: Verdict,
}

/// When a shadow run ends, and what it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowPlan {
    /// The number of checks to compare; `None` to compare until the run's time is up.
    pub checks: Option<u64>,
    /// The most disagreements tolerated. With more, the run ends at once and the candidate is discarded; otherwise the
    /// candidate is promoted at the end.
    pub max_disagreements: u64,
}

/// The result of a shadow run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowVerdict {
    /// The candidate may serve.
    Promote,
    /// The candidate must not serve.
    Discard,
}

impl ShadowPlan {
    /// Returns the result if the run is over: with enough checks, too many disagreements, or because its time is up.
    pub fn verdict(&self, tally: &ShadowTally, time_is_up: bool) -> Option<ShadowVerdict> {
        if tally.disagreements > self.max_disagreements {
            return Some(ShadowVerdict::Discard);
        }
        let has_enough = self.checks.is_some_and(|checks| tally.compared >= checks);
        (has_enough || time_is_up).then_some(ShadowVerdict::Promote)
    }
}

/// The number of checks that can wait to be compared. Further ones are skipped.
const QUEUE: usize = 4096;
/// The number of disagreements kept.
const LATEST: usize = 16;

impl ShadowRun {
    /// Starts a run. From now on the checks of each list are observed.
    pub fn begin(lists: Vec<ShadowTarget>) -> Self {
        let (sender, observed) = sync_channel(QUEUE);
        let skipped = Arc::new(AtomicU64::new(0));
        let lists = lists
            .into_iter()
            .enumerate()
            .map(|(list, target)| {
                let shadow =
                    Arc::new(Shadow { list, observed: sender.clone(), skipped: Arc::clone(&skipped) });
                target.list.set_shadow(Arc::clone(&shadow));
                (target, shadow)
            })
            .collect();
        ShadowRun { lists, observed, skipped, tally: ShadowTally::default() }
    }

    /// Passes observed checks to the candidates and compares the verdicts. Waits at most `wait` for the first check.
    /// Call it repeatedly, on a dedicated thread.
    ///
    /// A write between the two answers is not a disagreement: a check that was answered differently is repeated on both
    /// generations at the same sequence number.
    ///
    /// # Errors
    ///
    /// [`FillError`] if a candidate fails: it must not serve.
    pub fn compare(&mut self, wait: Duration) -> Result<&ShadowTally, FillError> {
        if let Ok(first) = self.observed.recv_timeout(wait) {
            let batch: Vec<ObservedCheck> =
                std::iter::once(first).chain(self.observed.try_iter().take(QUEUE)).collect();
            // A stale candidate could agree by accident.
            for list in batch.iter().map(|check| check.list).collect::<BTreeSet<_>>() {
                let (target, _) = &self.lists[list];
                target.candidate.catch_up(&*target.source)?;
            }
            for check in batch {
                self.compare_one(&check)?;
            }
        }
        self.tally.skipped = self.skipped.load(Ordering::Relaxed);
        Ok(&self.tally)
    }

    fn compare_one(&mut self, check: &ObservedCheck) -> Result<(), FillError> {
        let &ObservedCheck { list, subject, direction, verdict } = check;
        let ShadowTarget { list: blacklist, source, candidate } = &self.lists[list].0;
        self.tally.compared += 1;
        if candidate.check(subject, direction)? == verdict {
            return Ok(());
        }
        let settled = blacklist.with_writes_blocked(|serving| {
            // The source may be ahead of the acknowledged writes and may still advance. It can't advance for long,
            // because writers wait for this closure, so the loop ends.
            loop {
                let known = candidate.catch_up(&**source)?;
                // A serving generation that fails now answered the check earlier. Its failure is handled elsewhere.
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

    /// The results so far.
    pub fn tally(&self) -> &ShadowTally {
        &self.tally
    }
}

impl Drop for ShadowRun {
    fn drop(&mut self) {
        for (target, shadow) in &self.lists {
            target.list.end_shadow(shadow);
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
    fn a_run_ends_after_enough_checks_or_when_its_time_is_up() {
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
