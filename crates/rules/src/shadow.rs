//! Shadow runs: a candidate decides beside the rule that serves, and its decisions are only counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use portcullis_host::CallError;
use portcullis_host::rules::Needs;
use portcullis_meters::{Declared, Meter, Meters, Time, TooManyMeters};

use crate::chain::{Asked, meter, needs_of};
use crate::rule::Rule;

/// Observes the messages that a rule is asked about.
///
/// Observing takes tens of nanoseconds and never blocks: messages that the run can't keep up with are skipped and counted.
pub(crate) struct Shadow {
    pub(crate) needs: Needs,
    /// What the candidate reads.
    pub(crate) meters: Vec<Meter>,
    observed: SyncSender<Observed>,
    skipped: AtomicU64,
}

#[derive(Clone, Copy)]
struct Observed {
    asked: Asked,
    now: Time,
    /// Whether the message is on its way, rather than only asked about.
    is_sent: bool,
    /// Whether the rule that serves stops it.
    is_stopped: bool,
}

/// The results of a shadow run so far.
#[derive(Clone, Debug, Default)]
pub struct ShadowTally {
    /// Messages that the candidate decided on.
    pub compared: u64,
    /// Messages that the run could not keep up with.
    pub skipped: u64,
    /// Messages that the candidate would have stopped.
    pub stopped: u64,
    /// Of the messages compared, those that the serving rule stopped.
    pub stopped_by_serving: u64,
    /// Messages that one of the two stops, and the other one does not.
    pub disagreements: u64,
    /// The messages that the candidate would have stopped, by its reasons.
    pub reasons: BTreeMap<String, u64>,
}

/// A shadow run. It counts by itself what the candidate lets pass, beginning with what was counted when the run began.
pub struct ShadowRun {
    shadow: Arc<Shadow>,
    observed: Receiver<Observed>,
    candidate: Arc<Rule>,
    meters: Meters,
    declared: Declared,
    tally: ShadowTally,
}

/// The messages that can wait to be compared. Further ones are skipped.
const QUEUE: usize = 4096;
/// The most messages that are compared before the caller hears of it.
const AT_A_TIME: usize = 1024;

impl ShadowRun {
    pub(crate) fn begin(candidate: Arc<Rule>, meters: &Meters, now: Time) -> Result<Self, TooManyMeters> {
        let meters = meters.fork();
        let all: Vec<Meter> = candidate.meters().iter().map(meter).collect();
        let declared = meters.declare(&all, now)?;
        let (sender, observed) = sync_channel(QUEUE);
        let shadow = Arc::new(Shadow {
            needs: needs_of(&candidate),
            meters: all,
            observed: sender,
            skipped: AtomicU64::new(0),
        });
        Ok(ShadowRun { shadow, observed, candidate, meters, declared, tally: ShadowTally::default() })
    }

    /// What observes messages for this run.
    pub(crate) fn shadow(&self) -> &Arc<Shadow> {
        &self.shadow
    }

    /// The rule that may come to serve.
    pub fn candidate(&self) -> &Arc<Rule> {
        &self.candidate
    }

    /// Compares what was observed, or waits for at most `pause` if nothing was. Returns the results so far. Blocks for the calls that it
    /// makes.
    ///
    /// # Errors
    /// If the candidate fails.
    pub fn compare(&mut self, pause: Duration) -> Result<&ShadowTally, CallError> {
        let first = self.observed.recv_timeout(pause).ok();
        let mut counts = vec![0; self.declared.len()];
        let observed: Vec<Observed> =
            first.into_iter().chain(self.observed.try_iter().take(AT_A_TIME)).collect();
        for Observed { asked, now, is_sent, is_stopped } in observed {
            let counted = if is_sent {
                Some(self.meters.reserve(&self.declared, &asked.counted, now, &mut counts))
            } else {
                None
            };
            let unknown = match &counted {
                Some(counted) => counted.unknown(),
                None => self.meters.peek(&self.declared, &asked.counted, now, &mut counts),
            };
            if unknown.is_any(0..counts.len()) {
                // Nobody can say what the candidate would have decided.
                self.shadow.skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let Asked { direction, message, person, .. } = asked;
            let decision = self.candidate.present()?.decide(direction, &message, &person, &counts)?;
            let stop = self.candidate.stop(decision);
            if let (Some(counted), Some(_)) = (&counted, &stop) {
                self.meters.release(counted);
            }
            self.tally.compared += 1;
            self.tally.stopped += u64::from(stop.is_some());
            self.tally.stopped_by_serving += u64::from(is_stopped);
            self.tally.disagreements += u64::from(stop.is_some() != is_stopped);
            if let Some(stop) = stop {
                *self.tally.reasons.entry(stop.reason().to_owned()).or_default() += 1;
            }
        }
        self.tally.skipped = self.shadow.skipped.load(Ordering::Relaxed);
        Ok(&self.tally)
    }
}

impl Shadow {
    #[cold]
    pub(crate) fn observe(&self, asked: &Asked, now: Time, is_sent: bool, is_stopped: bool) {
        let observed = Observed { asked: *asked, now, is_sent, is_stopped };
        if self.observed.try_send(observed).is_err() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
