//! What this gateway has acknowledged lately, to be written again if a shared ledger loses it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_ledger::{ListId, Mark, Outcome, Seq, Write, Written};

/// How long an acknowledged write is kept. A standby that takes over is seldom behind by more than seconds.
const KEPT: Duration = Duration::from_secs(300);
/// How long a write can be compared with the ledger, which knows the commits of a day. One that is as old was not lost just now.
const COMPARABLE: Duration = Duration::from_secs(12 * 3600);
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
    /// The commit that made it, by the list's position after it. `None` if it changed nothing, or the ledger did not say.
    commit: Option<(Seq, Mark)>,
    write: Write,
}

impl Acknowledged {
    /// Whether it is a block.
    pub fn is_block(&self) -> bool {
        matches!(self.write, Write::Block(_))
    }

    /// Whether the ledger had lost something, if it may have lacked this write: it was acknowledged, and its commit was lost, or, made
    /// again with this result, it changed something.
    pub fn was_lost(&self, again: &Written) -> bool {
        self.written.is_some() && (self.commit.is_some() || again.before != again.after)
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

    /// Notes writes that are being acknowledged, and that were asked for at `made`. Those that had no effect are not noted. `commit` is the
    /// list's position after the commit that made them, if it is known.
    pub fn note(
        &self,
        list: ListId,
        made: Timestamp,
        writes: Vec<Write>,
        written: &[Written],
        commit: Option<(Seq, Mark)>,
    ) {
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
                kept.push(Acknowledged {
                    number: 0,
                    list,
                    noted,
                    made,
                    written: Some(*written),
                    commit,
                    write,
                });
            }
        }
    }

    /// Notes writes whose outcome the ledger did not say: they may have been made, and seen, and are lost like others then.
    pub fn note_unknown(&self, list: ListId, made: Timestamp, writes: Vec<Write>) {
        let noted = Instant::now();
        let mut kept = self.kept.lock();
        for write in writes {
            kept.push(Acknowledged { number: 0, list, noted, made, written: None, commit: None, write });
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
        let is_comparable = |write: &&Acknowledged| write.noted.elapsed() < COMPARABLE;
        kept.writes.iter().filter(|write| write.list == list).filter(is_comparable).cloned().collect()
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
    fn push(&mut self, write: Acknowledged) {
        if self.writes.len() >= MOST {
            self.writes.pop_front();
        }
        self.noted += 1;
        self.writes.push_back(Acknowledged { number: self.noted, ..write });
    }
}

/// Those of a list's writes that it lacks, or may lack, in the order in which they were asked for. What is of no known commit, because it
/// changed nothing or its outcome is unknown, is always among them. `lost` tells which of these positions are not in the list's history, as
/// [`ListReader::lost_positions`](portcullis_ledger::ListReader::lost_positions) does.
///
/// Not what became of the people tells it: another gateway may have done the same for them meanwhile, or nearly the same.
///
/// # Errors
/// Those of `lost`.
pub fn lacking<E>(
    mut writes: Vec<Acknowledged>,
    lost: impl FnOnce(&[(Seq, Mark)]) -> Result<Vec<(Seq, Mark)>, E>,
) -> Result<Vec<Acknowledged>, E> {
    let commits: HashSet<(Seq, Mark)> = writes.iter().filter_map(|write| write.commit).collect();
    let commits: Vec<(Seq, Mark)> = commits.into_iter().collect();
    let lost: HashSet<(Seq, Mark)> = match commits.is_empty() {
        true => HashSet::new(),
        false => lost(&commits)?.into_iter().collect(),
    };
    writes.retain(|write| write.commit.is_none_or(|commit| lost.contains(&commit)));
    writes.sort_by_key(|write| write.made);
    Ok(writes)
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
        journal.note(LIST, Timestamp::UNIX_EPOCH, writes, &results, None);
        journal.note_unknown(LIST, Timestamp::UNIX_EPOCH, vec![block()]);
        let kept = journal.of(LIST);
        assert_eq!(kept.len(), 3, "all that may have had an effect");
        journal.forget(&kept[1..]);
        journal.forget_old(LIST);
        let left: Vec<_> = journal.of(LIST).iter().map(|write| write.number).collect();
        assert_eq!(left, [kept[0].number]);
    }

    #[test]
    fn what_changed_nothing_or_is_unknown_is_always_made_again() {
        let journal = Journal::new(0);
        journal.note(LIST, Timestamp::UNIX_EPOCH, vec![block()], &[written(Outcome::Already, 5)], None);
        journal.note_unknown(LIST, Timestamp::UNIX_EPOCH, vec![block()]);
        let nothing =
            |_: &[(Seq, Mark)]| -> Result<Vec<(Seq, Mark)>, ()> { panic!("there is nothing to ask for") };
        let lacking = lacking(journal.of(LIST), nothing).unwrap();
        assert_eq!(lacking.len(), 2);
        let again = written(Outcome::Added, 6);
        assert_eq!(lacking.iter().filter(|write| write.was_lost(&again)).count(), 1, "one was acknowledged");
        let no_change = Written { before: Directions::BOTH, ..written(Outcome::Already, 6) };
        assert!(!lacking.iter().any(|write| write.was_lost(&no_change)));
        let again = lacking[0].again(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(again.requested(), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_write_is_lost_with_its_commit_whatever_others_did_for_the_same_person() {
        let journal = Journal::new(0);
        let positions = [3, 4].map(|number| (Seq::new(number), Mark(number)));
        for position in positions {
            let written = [written(Outcome::Added, position.0.get())];
            journal.note(LIST, Timestamp::UNIX_EPOCH, vec![block()], &written, Some(position));
        }
        let lacking = lacking(journal.of(LIST), |asked| {
            assert_eq!(asked.len(), 2);
            Ok::<_, ()>(vec![positions[1]])
        });
        let lacking = lacking.unwrap();
        assert_eq!(lacking.iter().map(|write| write.number).collect::<Vec<_>>(), [2]);
        let no_change = Written { before: Directions::BOTH, ..written(Outcome::Already, 6) };
        assert!(lacking[0].was_lost(&no_change));
    }

    #[test]
    fn a_loss_is_expected_after_a_change_of_server() {
        let journal = Journal::new(1);
        assert!(!journal.is_after_loss(1));
        assert!(journal.is_after_loss(2));
        assert!(journal.is_after_loss(2));
    }
}
