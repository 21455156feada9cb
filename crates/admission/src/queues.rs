//! The queues of one tenant, or of one sender.

use crate::queue::Queue;
use crate::waiting_room::MOST_WAITING;
use crate::work::Work;

/// The most threads of one tenant, for each kind of work.
pub(crate) const LOOKUPS: u32 = 8;
pub(crate) const BATCHES: u32 = 4;
pub(crate) const READS: u32 = 8;
pub(crate) const BULK_WRITES: u32 = 2;
pub(crate) const WRITES: u32 = 64;

/// A queue for each kind of work.
pub(crate) struct Queues {
    pub(crate) lookups: Queue,
    pub(crate) batches: Queue,
    pub(crate) reads: Queue,
    /// Those of [`Work::BulkWrite`] among themselves. After it, they have a turn among all writes.
    pub(crate) bulk_writes: Queue,
    pub(crate) writes: Queue,
}

impl Queues {
    /// Those of a tenant.
    pub(crate) fn whole() -> Self {
        Queues::part(1)
    }

    /// Those of a sender: half of its tenant's.
    pub(crate) fn half() -> Self {
        Queues::part(2)
    }

    fn part(divisor: u8) -> Self {
        let of = |turns: u32| Queue::new(turns / u32::from(divisor), MOST_WAITING / usize::from(divisor));
        Queues {
            lookups: of(LOOKUPS),
            batches: of(BATCHES),
            reads: of(READS),
            bulk_writes: of(BULK_WRITES),
            writes: of(WRITES),
        }
    }

    pub(crate) fn of(&self, kind: Work) -> &Queue {
        match kind {
            Work::Lookup => &self.lookups,
            Work::Batch => &self.batches,
            Work::Read => &self.reads,
            Work::Write | Work::BulkWrite => &self.writes,
        }
    }
}
