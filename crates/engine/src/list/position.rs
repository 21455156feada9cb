//! Checks that see what was written up to some position.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_admission::Overdue;
use portcullis_entries::Identity;
use portcullis_host::Verdict;
use portcullis_ledger::{ListId, Position, SealError, Seq};
use portcullis_msisdn::{Direction, Subject};
use tokio::time::timeout_at;

use super::List;
use super::check::{AnsweredBy, CheckError, Checked, recorded};
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
    /// Returns `false` at once for a plugin that failed, or finds no room in memory: the [failure policy](crate::OnFailure) knows nothing of
    /// what was written. Positions of lists that a check does not consult make no difference, unless the ledger may have lost the list.
    pub async fn reach(&self, positions: &[Position]) -> bool {
        if !self.doubtful(positions).is_empty() {
            return false;
        }
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

    /// The lists of positions from before a restart of the ledger's server, or a failover, that may be lost: those that a check consults, and
    /// those that are not in service, of which nothing else tells.
    fn doubtful(&self, positions: &[Position]) -> Vec<ListId> {
        let server = self.tenant.context.staleness.server();
        let members = self.tenant.members.load_full();
        let is_consulted = |id: ListId| self.consulted().any(|(_, list)| list.list().id() == id);
        let is_in_service = |id: ListId| {
            members.iter().flat_map(|members| members.lists()).any(|list| list.list().id() == id)
        };
        let earlier = positions.iter().filter(|position| position.server != server);
        earlier.map(|position| position.list).filter(|id| is_consulted(*id) || !is_in_service(*id)).collect()
    }

    async fn reach_one(&self, list: &Arc<LiveList>, position: &Position, deadline: Instant) -> bool {
        let mut was_evicted = false;
        loop {
            // Before the plugin is looked at, so that no change is missed.
            let followed = list.followed();
            match list.reach(position) {
                Reach::There => return true,
                Reach::Unknown => return false,
                // There is no room.
                Reach::Evicted if was_evicted => return false,
                Reach::Evicted => {
                    was_evicted = true;
                    let (lane, evicted) = (self.tenant.lane(), Arc::clone(list));
                    let patience = self.tenant.context.check_patience;
                    let until = Instant::now() + patience;
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
    /// plugins have what was written up to these positions, or that have none of them, are answered as usual: but if a list has one, not by
    /// the [failure policy](crate::OnFailure). The caller bounds the count.
    ///
    /// # Errors
    /// See [`CheckError`]. [`CheckError::PositionLost`] if the ledger does not have what was written up to these positions, or no longer has
    /// their lists.
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
        let doubtful = self.doubtful(positions);
        if !doubtful.is_empty() {
            self.own.check_ledger()?;
            let was_restored = self.tenant.context.staleness.was_restored();
            if was_restored || !self.entries().missing_lists(&doubtful)?.is_empty() {
                return Err(CheckError::PositionLost);
            }
        }
        let people = self.people(identities)?;
        let mut blocked_by = vec![None; identities.len()];
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.consulted() {
            let of_list = || positions.iter().filter(|position| position.list == list.list().id());
            let least = of_list().map(|position| position.sequence).max();
            let answered = match of_list().all(|position| list.reach(position) == Reach::There) {
                true => Some(self.verdicts(list, &people.subjects, direction)?),
                false => None,
            };
            // The failure policy knows nothing of what was written.
            let answered = answered.filter(|(_, by)| least.is_none() || *by != AnsweredBy::Policy);
            let (verdicts, by) = match answered {
                Some(answered) => answered,
                None => {
                    let least = least.unwrap_or_default();
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
