//! Checks that see what was written up to some position.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_admission::Overdue;
use portcullis_host::Verdict;
use portcullis_ledger::{Position, SealError, Seq};
use portcullis_msisdn::{Direction, Subject};
use tokio::time::timeout_at;

use super::List;
use super::check::{AnsweredBy, CheckError, Checked, recorded};
use crate::identity::Identity;
use crate::live::{LiveList, Reach};

/// How long a check waits until the plugin has followed.
const PATIENCE: Duration = Duration::from_millis(200);

impl List {
    /// The sealed [`Position`] of this list after a write, of which [`Written::sequence`](portcullis_ledger::Written::sequence) is the
    /// sequence number. Any engine that serves the tenant from the same ledger can [open](Self::open_position) it.
    ///
    /// # Errors
    /// As [`Position::seal`].
    pub fn sealed_position(&self, sequence: Seq) -> Result<Vec<u8>, SealError> {
        let (server, list) = (self.tenant.context.ledger.server(), self.entries().id());
        Position { server, list, sequence }.seal(&self.tenant.keys)
    }

    /// Reads a position of one of the tenant's lists. `None` if it is none: see [`Position::open`].
    pub fn open_position(&self, sealed: &[u8]) -> Option<Position> {
        Position::open(sealed, &self.tenant.keys)
    }

    /// Waits until the plugins that a check consults have what was written up to these positions, for 200 ms at most. Returns whether they
    /// have. If not, [`check_recorded`](Self::check_recorded) answers instead of them.
    ///
    /// Positions of lists that a check does not consult make no difference. Also returns `true` for a list whose plugin does not answer, so
    /// that the [failure policy](crate::OnFailure) does.
    pub async fn reach(&self, positions: &[Position]) -> bool {
        let deadline = Instant::now() + PATIENCE;
        for (_, list) in self.consulted() {
            for position in positions.iter().filter(|position| position.list == list.list().id()) {
                if !self.reach_one(list, position, deadline).await {
                    return false;
                }
            }
        }
        true
    }

    async fn reach_one(&self, list: &Arc<LiveList>, position: &Position, deadline: Instant) -> bool {
        let mut was_evicted = false;
        loop {
            // Before the plugin is looked at, so that no change is missed.
            let followed = list.followed();
            match list.reach(position) {
                Reach::There => return true,
                Reach::Unknown => return false,
                Reach::Evicted if was_evicted => return true,
                Reach::Evicted => {
                    was_evicted = true;
                    let (lane, evicted) = (self.tenant.lane(), Arc::clone(list));
                    let patience = self.tenant.context.check_patience;
                    let until = Instant::now() + patience;
                    // If there is no room, the failure policy answers, as it does without a position.
                    let _ = lane
                        .at_disk(self.runtime(), until, move || {
                            let _ = evicted.restore(patience);
                        })
                        .await;
                }
                Reach::Behind => {
                    let waited = {
                        // The future may be polled outside of the runtime.
                        let _entered = self.runtime().enter();
                        timeout_at(deadline.into(), followed)
                    };
                    if waited.await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Checks several people by the entries in the ledger, on a thread that may block, in turn with the tenant's other checks. Lists whose
    /// plugins have what was written up to these positions are answered by their plugins. The caller bounds the count.
    ///
    /// # Errors
    /// See [`CheckError`]. [`CheckError::PositionLost`] if the ledger does not have what was written up to these positions.
    pub async fn check_recorded(
        &self,
        identities: Vec<Identity>,
        direction: Direction,
        positions: &[Position],
    ) -> Result<Vec<Checked>, CheckError> {
        let (list, positions) = (self.clone(), positions.to_vec());
        let check = move || list.blocking_check_recorded(&identities, direction, &positions);
        let deadline = Instant::now() + self.tenant.context.check_patience;
        match self.tenant.lane().at_disk(self.runtime(), deadline, check).await {
            Ok(Some(checked)) => checked,
            Ok(None) => Err(CheckError::Cancelled),
            Err(Overdue) => Err(CheckError::Overdue),
        }
    }

    fn blocking_check_recorded(
        &self,
        identities: &[Identity],
        direction: Direction,
        positions: &[Position],
    ) -> Result<Vec<Checked>, CheckError> {
        if self.is_closed() {
            return match self.not_served() {
                Some(error) => Err(error.into()),
                None => Ok(vec![self.blocked_by_policy(); identities.len()]),
            };
        }
        let people = self.people(identities)?;
        let mut blocked_by = vec![None; identities.len()];
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.consulted() {
            let lacked = positions.iter().filter(|position| position.list == list.list().id());
            let lacked = lacked.filter(|position| list.reach(position) != Reach::There);
            let (verdicts, by) = match lacked.map(|position| position.sequence).max() {
                None => self.verdicts(list, &people.subjects, direction)?,
                Some(least) => {
                    (recorded_since(list, least, &people.subjects, direction)?, AnsweredBy::Ledger)
                }
            };
            answered_by = answered_by.max(by);
            let mut blocked = vec![false; identities.len()];
            people.mark(&verdicts, &mut blocked);
            for (by, _) in blocked_by.iter_mut().zip(blocked).filter(|(_, blocked)| *blocked) {
                by.get_or_insert(kind);
            }
        }
        Ok(blocked_by.into_iter().map(|blocked_by| Checked { blocked_by, answered_by }).collect())
    }
}

/// The verdicts by the entries in the ledger, which has to have all changes up to this one. Blocks.
fn recorded_since(
    list: &LiveList,
    least: Seq,
    subjects: &[Subject],
    direction: Direction,
) -> Result<Vec<Verdict>, CheckError> {
    list.check_ledger()?;
    // Before the entries, which may be newer.
    match list.list().sequence()? >= least {
        true => Ok(recorded(list, subjects, direction)?),
        false => Err(CheckError::PositionLost),
    }
}
