//! What this gateway has acknowledged lately, to be written again if a shared ledger loses it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::{ListId, Outcome, Record, Seq, Write, Written};
use portcullis_msisdn::Subject;

/// How long an acknowledged write is kept. A standby that takes over is seldom behind by more than seconds.
const KEPT: Duration = Duration::from_secs(300);
/// The most writes that are kept, of all lists: about 100 MB.
const MOST: usize = 200_000;

/// The writes that this gateway acknowledged lately, and that changed something. Kept in memory: a gateway that is killed while the
/// ledger loses changes can't write its own again.
#[derive(Debug, Default)]
pub struct Journal {
    acknowledged: Mutex<VecDeque<Acknowledged>>,
}

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    list: ListId,
    /// When it was acknowledged, by a clock that nobody sets.
    noted: Instant,
    /// When it was asked for.
    made: Timestamp,
    /// Whose entry it changed.
    pub subject: Subject,
    /// The change's sequence number in its list.
    pub sequence: Seq,
    outcome: Outcome,
    write: Write,
}

impl Acknowledged {
    /// Whether this record of the list's trail is of this write.
    fn is(&self, record: &Record) -> bool {
        record.sequence == self.sequence
            && record.subject == self.subject
            && record.outcome == self.outcome
            && record.actor == *self.write.actor()
    }

    /// Whether it is a block.
    pub fn is_block(&self) -> bool {
        matches!(self.write, Write::Block(_))
    }

    /// The write with its time, so that what was written later counts. `None` if it has expired.
    pub fn again(&self, now: Timestamp) -> Option<Write> {
        let mut write = self.write.clone();
        let requested = match &mut write {
            Write::Block(block) if block.expires.is_some_and(|at| at <= now) => return None,
            Write::Block(block) => &mut block.requested,
            Write::Unblock(unblock) => &mut unblock.requested,
        };
        requested.get_or_insert(self.made);
        Some(write)
    }
}

impl Journal {
    /// Notes writes that are being acknowledged, and that were asked for at `made`.
    pub fn note(&self, list: ListId, made: Timestamp, writes: Vec<Write>, written: &[Written]) {
        let noted = Instant::now();
        let mut acknowledged = self.acknowledged.lock();
        while acknowledged.front().is_some_and(|first| noted.duration_since(first.noted) > KEPT) {
            acknowledged.pop_front();
        }
        for (write, written) in writes.into_iter().zip(written) {
            let Some(subject) = written.subject.filter(|_| written.outcome.changed()) else { continue };
            if acknowledged.len() >= MOST {
                acknowledged.pop_front();
            }
            let (sequence, outcome) = (written.sequence, written.outcome);
            acknowledged.push_back(Acknowledged { list, noted, made, subject, sequence, outcome, write });
        }
    }

    /// The lists of which something is kept.
    pub fn lists(&self) -> HashSet<ListId> {
        self.acknowledged.lock().iter().map(|acknowledged| acknowledged.list).collect()
    }

    /// What is kept of a list, the oldest first.
    pub fn of(&self, list: ListId) -> Vec<Acknowledged> {
        let acknowledged = self.acknowledged.lock();
        acknowledged.iter().filter(|acknowledged| acknowledged.list == list).cloned().collect()
    }

    /// Forgets what was acknowledged of a list until then.
    pub fn forget(&self, list: ListId, until: Instant) {
        let is_kept = |write: &Acknowledged| write.list != list || write.noted > until;
        self.acknowledged.lock().retain(is_kept);
    }
}

/// Those of a list's writes that its trail lacks, in the order of the trail. `records_after` returns a page of the trail, as
/// [`List::records_after`](portcullis_ledger::List::records_after) does.
///
/// # Errors
/// Those of `records_after`.
pub fn lacking<E>(
    mut writes: Vec<Acknowledged>,
    records_after: impl Fn(Seq) -> Result<Vec<Record>, E>,
) -> Result<Vec<Acknowledged>, E> {
    writes.sort_by_key(|write| write.sequence);
    let mut after = match writes.first() {
        Some(first) => Seq::new(first.sequence.get().saturating_sub(1)),
        None => return Ok(writes),
    };
    let mut lacking = Vec::new();
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let page = records_after(after)?;
        let Some(last) = page.last().map(|record| record.sequence) else {
            lacking.extend(writes);
            break;
        };
        while let Some(write) = writes.next_if(|write| write.sequence <= last) {
            let from = page.partition_point(|record| record.sequence < write.sequence);
            let mut records = page[from..].iter().take_while(|record| record.sequence == write.sequence);
            if !records.any(|record| write.is(record)) {
                lacking.push(write);
            }
        }
        after = last;
    }
    Ok(lacking)
}
