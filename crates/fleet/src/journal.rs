//! What this gateway has acknowledged lately, to be written again if a shared ledger loses it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::{ListId, Outcome, Record, Seq, Write, Written};

/// How long an acknowledged write is kept. A standby that takes over is seldom behind by more than seconds.
const KEPT: Duration = Duration::from_secs(300);
/// The most writes that are kept, of all lists: about 100 MB.
const MOST: usize = 200_000;

/// The writes that this gateway acknowledged lately, or whose outcome the ledger did not say. Those that changed nothing are kept, too:
/// the write that had made it so may be lost with the gateway that took it. Kept in memory: a gateway that is killed while the ledger
/// loses changes can't write its own again.
#[derive(Debug)]
pub struct Journal {
    kept: Mutex<Kept>,
    /// The ledger's lineage at the last write, and when it was found to be another one than before.
    lineage: Mutex<(u64, Option<Instant>)>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they were noted.
    writes: VecDeque<Acknowledged>,
    /// How many were ever noted.
    noted: u64,
}

/// A write that was acknowledged, or may have been made.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Tells it from all others of the journal.
    number: u64,
    list: ListId,
    /// When it was acknowledged, by a clock that nobody sets.
    noted: Instant,
    /// When it was asked for.
    made: Timestamp,
    /// What was acknowledged. `None`: the ledger did not say what became of it.
    written: Option<Written>,
    write: Write,
}

impl Acknowledged {
    /// Whether this record of the list's trail is of this write.
    fn is(&self, record: &Record) -> bool {
        self.written.is_some_and(|written| {
            let outcome = match written.outcome {
                Outcome::Already => Outcome::Updated,
                Outcome::Absent | Outcome::Held => Outcome::Noted,
                outcome => outcome,
            };
            record.sequence == written.sequence
                && Some(record.subject) == written.subject
                && record.outcome == outcome
                && record.actor == *self.write.actor()
        })
    }

    /// A reader of the list's trail that has reached this has seen its record, if it has one.
    fn sequence(&self) -> Seq {
        self.written.map_or(Seq::START, |written| written.sequence)
    }

    /// Whether it is a block.
    pub fn is_block(&self) -> bool {
        matches!(self.write, Write::Block(_))
    }

    /// Whether the ledger had lost something, if it lacked this write: it was acknowledged and had changed something, or made again, with
    /// this result, it did.
    pub fn was_lost(&self, again: &Written) -> bool {
        self.written.is_some_and(|written| written.outcome.changed() || again.before != again.after)
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
        write.set_after_loss();
        Some(write)
    }
}

impl Journal {
    /// Creates an empty journal of a ledger that has this [lineage](portcullis_ledger::Ledger::lineage) now.
    pub fn new(lineage: u64) -> Self {
        Journal { kept: Mutex::default(), lineage: Mutex::new((lineage, None)) }
    }

    /// Notes writes that are being acknowledged, and that were asked for at `made`. Those that had no effect are not noted.
    pub fn note(&self, list: ListId, made: Timestamp, writes: Vec<Write>, written: &[Written]) {
        let noted = Instant::now();
        let mut kept = self.kept.lock();
        while kept.writes.front().is_some_and(|first| noted.duration_since(first.noted) > KEPT) {
            kept.writes.pop_front();
        }
        for (write, written) in writes.into_iter().zip(written) {
            let has_effect = match (written.outcome, &write) {
                (Outcome::Full, _) => false,
                (Outcome::Absent, Write::Unblock(unblock)) => unblock.covering.is_none(),
                _ => true,
            };
            if has_effect && written.subject.is_some() {
                kept.push(list, noted, made, Some(*written), write);
            }
        }
    }

    /// Notes writes whose outcome the ledger did not say: they may have been made, and seen, and are lost like others then.
    pub fn note_unknown(&self, list: ListId, made: Timestamp, writes: Vec<Write>) {
        let noted = Instant::now();
        let mut kept = self.kept.lock();
        for write in writes {
            kept.push(list, noted, made, None, write);
        }
    }

    /// Whether the ledger, whose [lineage](portcullis_ledger::Ledger::lineage) this is, has come to another server so lately that other
    /// gateways may yet make writes again that were lost. To be asked before each write.
    pub fn is_after_loss(&self, lineage: u64) -> bool {
        let mut last = self.lineage.lock();
        if last.0 != lineage {
            *last = (lineage, Some(Instant::now()));
        }
        last.1.is_some_and(|since| since.elapsed() < KEPT)
    }

    /// The lists of which something is kept.
    pub fn lists(&self) -> HashSet<ListId> {
        self.kept.lock().writes.iter().map(|write| write.list).collect()
    }

    /// What is kept of a list, the oldest first.
    pub fn of(&self, list: ListId) -> Vec<Acknowledged> {
        let kept = self.kept.lock();
        kept.writes.iter().filter(|write| write.list == list).cloned().collect()
    }

    /// Forgets these writes: they were made again, or can't be. What was found to be there is kept: the next failover may lose it.
    pub fn forget(&self, writes: &[Acknowledged]) {
        let numbers: HashSet<u64> = writes.iter().map(|write| write.number).collect();
        self.kept.lock().writes.retain(|write| !numbers.contains(&write.number));
    }

    /// Forgets what is old of a list, all of which was compared with the ledger.
    pub fn forget_old(&self, list: ListId) {
        self.kept.lock().writes.retain(|write| write.list != list || write.noted.elapsed() <= KEPT);
    }
}

impl Kept {
    fn push(
        &mut self,
        list: ListId,
        noted: Instant,
        made: Timestamp,
        written: Option<Written>,
        write: Write,
    ) {
        if self.writes.len() >= MOST {
            self.writes.pop_front();
        }
        self.noted += 1;
        self.writes.push_back(Acknowledged { number: self.noted, list, noted, made, written, write });
    }
}

/// Those of a list's writes that its trail lacks, in the order in which they were asked for. What has no record, because it changed nothing
/// or its outcome is unknown, is always among them. `records_after` returns a page of the trail, as
/// [`ListReader::records_after`](portcullis_ledger::ListReader::records_after) does.
///
/// # Errors
/// Those of `records_after`.
pub fn lacking<E>(
    writes: Vec<Acknowledged>,
    records_after: impl Fn(Seq) -> Result<Vec<Record>, E>,
) -> Result<Vec<Acknowledged>, E> {
    let (mut writes, mut lacking): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write| write.written.is_some());
    writes.sort_by_key(Acknowledged::sequence);
    let first = writes.first().map_or(0, |write| write.sequence().get());
    let mut after = Seq::new(first.saturating_sub(1));
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let page = records_after(after)?;
        let Some(last) = page.last().map(|record| record.sequence) else {
            lacking.extend(writes);
            break;
        };
        while let Some(write) = writes.next_if(|write| write.sequence() <= last) {
            let sequence = write.sequence();
            let from = page.partition_point(|record| record.sequence < sequence);
            let mut records = page[from..].iter().take_while(|record| record.sequence == sequence);
            if !records.any(|record| write.is(record)) {
                lacking.push(write);
            }
        }
        after = last;
    }
    lacking.sort_by_key(|write| write.made);
    Ok(lacking)
}

#[cfg(test)]
mod tests {
    use portcullis_ledger::{Actor, Block};
    use portcullis_msisdn::{Directions, Subject};

    use super::*;

    const LIST: ListId = ListId(1);

    fn block() -> Write {
        let actor = Actor::new("crm").unwrap();
        Block::new(Subject::new(7).unwrap(), Directions::BOTH, actor).into()
    }

    fn written(outcome: Outcome, sequence: u64) -> Written {
        Written {
            outcome,
            subject: Subject::new(7),
            before: Directions::NONE,
            after: Directions::BOTH,
            sequence: Seq::new(sequence),
        }
    }

    #[test]
    fn what_is_kept_is_forgotten_only_one_by_one() {
        let journal = Journal::new(0);
        let writes = vec![block(), block(), block()];
        let results = [Outcome::Added, Outcome::Already, Outcome::Full].map(|outcome| written(outcome, 1));
        journal.note(LIST, Timestamp::UNIX_EPOCH, writes, &results);
        journal.note_unknown(LIST, Timestamp::UNIX_EPOCH, vec![block()]);
        let kept = journal.of(LIST);
        assert_eq!(kept.len(), 3, "all that may have had an effect");
        journal.forget(&kept[1..]);
        journal.forget_old(LIST);
        let left: Vec<_> = journal.of(LIST).iter().map(|write| write.number).collect();
        assert_eq!(left, [kept[0].number]);
    }

    #[test]
    fn what_changed_nothing_or_is_unknown_is_lacking_from_a_trail_without_its_record() {
        let journal = Journal::new(0);
        journal.note(LIST, Timestamp::UNIX_EPOCH, vec![block()], &[written(Outcome::Already, 5)]);
        journal.note_unknown(LIST, Timestamp::UNIX_EPOCH, vec![block()]);
        let lacking = lacking(journal.of(LIST), |_| Ok::<_, ()>(Vec::new())).unwrap();
        assert_eq!(lacking.len(), 2);
        let again = written(Outcome::Added, 6);
        assert_eq!(lacking.iter().filter(|write| write.was_lost(&again)).count(), 1, "one was acknowledged");
        let again = lacking[0].again(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(again.requested(), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_loss_is_expected_after_a_change_of_server() {
        let journal = Journal::new(1);
        assert!(!journal.is_after_loss(1));
        assert!(journal.is_after_loss(2));
        assert!(journal.is_after_loss(2));
    }
}
