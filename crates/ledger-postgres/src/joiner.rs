//! Writes of one list that wait for each other are committed together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Instant;

use parking_lot::Mutex;
use portcullis_keys::TenantKeys;
use portcullis_ledger::LedgerError;
use portcullis_ledger_model::{Committed, Span, Write, Written};

use crate::failure::Failure;
use crate::pool::DEADLINE;

/// The most writes of one commit, unless a single call has more.
const MOST: usize = 2_000;

/// Queues of calls, one for each list with any. The thread of the first caller commits for those that come meanwhile.
#[derive(Default)]
pub(crate) struct Joiner {
    queues: Mutex<HashMap<i64, VecDeque<Call>>>,
    next: AtomicU64,
}

/// A call of one client.
pub(crate) struct Call {
    id: u64,
    pub(crate) keys: TenantKeys,
    pub(crate) writes: Vec<Write>,
    /// The maximum number of active entries.
    pub(crate) max_active: u64,
    caller: SyncSender<Turn>,
}

/// What a waiting caller is told.
enum Turn {
    /// Its call is done.
    Done(Result<Committed, LedgerError>),
    /// It is the first in the queue, and commits for itself and those behind it.
    Lead,
}

/// Applies calls in their order, all or none.
type Commit<'a> = &'a dyn Fn(&[Call]) -> Result<Joined, LedgerError>;

/// What a commit has come to.
pub(crate) struct Joined {
    /// The results of each call.
    pub(crate) written: Vec<Vec<Written>>,
    pub(crate) span: Option<Arc<Span>>,
}

impl Joiner {
    /// Writes to a list. Waits for up to twice the deadline: for the commit under way, and for the call's own.
    pub(crate) fn write(
        &self,
        list: i64,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
        commit: Commit<'_>,
    ) -> Result<Committed, LedgerError> {
        // Room for both messages, so that nobody waits to send one.
        let (caller, told) = sync_channel(2);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let call = Call { id, keys: keys.clone(), writes, max_active, caller };
        {
            let mut queues = self.queues.lock();
            let is_first = !queues.contains_key(&list);
            if is_first {
                let _ = call.caller.try_send(Turn::Lead);
            }
            queues.entry(list).or_default().push_back(call);
        }
        let until = Instant::now() + 2 * DEADLINE;
        loop {
            let turn = match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(turn) => turn,
                Err(_) => self.withdraw(list, id, &told)?,
            };
            match turn {
                Turn::Done(result) => return result,
                Turn::Lead => {
                    let _leading = Leading { joiner: self, list };
                    answer(self.take(list), commit);
                }
            }
        }
    }

    /// The caller has waited for long enough. It may have been told something meanwhile.
    fn withdraw(&self, list: i64, id: u64, told: &Receiver<Turn>) -> Result<Turn, LedgerError> {
        // Nobody hands over meanwhile.
        let mut queues = self.queues.lock();
        match told.try_recv() {
            Ok(turn) => return Ok(turn),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let queue = queues.get_mut(&list);
        let place = queue.as_ref().and_then(|queue| queue.iter().position(|call| call.id == id));
        match (queue, place) {
            (Some(queue), Some(place)) => {
                queue.remove(place);
                Err(Failure::Deadline.into_ledger_error())
            }
            // Somebody commits it now.
            _ => Err(LedgerError::OutcomeUnknown),
        }
    }

    /// Takes the first calls of the queue, which stays, so that those who come meanwhile wait.
    fn take(&self, list: i64) -> Vec<Call> {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&list) else { return Vec::new() };
        let mut writes = 0;
        let mut batch = Vec::new();
        while let Some(call) = queue.front() {
            writes += call.writes.len();
            if writes > MOST && !batch.is_empty() {
                break;
            }
            batch.extend(queue.pop_front());
        }
        batch
    }
}

/// A caller that leads. Dropping it lets the next one lead, also after a panic.
struct Leading<'a> {
    joiner: &'a Joiner,
    list: i64,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut queues = self.joiner.queues.lock();
        let Some(queue) = queues.get_mut(&self.list) else { return };
        // A caller that is gone withdraws its call first, so each of these is told.
        while let Some(call) = queue.front() {
            if call.caller.try_send(Turn::Lead).is_ok() {
                return;
            }
            queue.pop_front();
        }
        queues.remove(&self.list);
    }
}

/// Commits the calls and tells their callers. If they can't be committed together, each is committed alone.
fn answer(batch: Vec<Call>, commit: Commit<'_>) {
    match commit(&batch) {
        Ok(Joined { written, span }) => {
            for (call, written) in batch.into_iter().zip(written) {
                let _ = call.caller.try_send(Turn::Done(Ok(Committed { written, span: span.clone() })));
            }
        }
        Err(error) if batch.len() > 1 && is_of_one(&error) => {
            for call in batch {
                answer(vec![call], commit);
            }
        }
        Err(error) => {
            for call in batch {
                let _ = call.caller.try_send(Turn::Done(Err(again(&error))));
            }
        }
    }
}

/// Whether an error may be due to a single call, so that the others would succeed without it.
fn is_of_one(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Damaged { .. } | LedgerError::Seal(_) | LedgerError::Defect)
}

/// The same error for each caller of a commit that failed.
fn again(error: &LedgerError) -> LedgerError {
    let cause = || -> Box<dyn std::error::Error + Send + Sync> {
        let cause = std::error::Error::source(error);
        cause.map_or_else(|| error.to_string(), ToString::to_string).into()
    };
    match error {
        LedgerError::OutcomeUnknown => LedgerError::OutcomeUnknown,
        LedgerError::TenantForgotten => LedgerError::TenantForgotten,
        LedgerError::TooOld => LedgerError::TooOld,
        LedgerError::TookTooLong => LedgerError::TookTooLong,
        LedgerError::Defect => LedgerError::Defect,
        LedgerError::Full(_) => LedgerError::Full(cause()),
        LedgerError::Io(_) => LedgerError::Io(cause()),
        LedgerError::Unavailable(_) => LedgerError::Unavailable(cause()),
        LedgerError::Damaged { what, .. } => LedgerError::Damaged { what, source: Some(cause()) },
        _ => LedgerError::Storage(cause()),
    }
}
