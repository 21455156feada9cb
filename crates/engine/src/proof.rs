//! Verification of plugins while they serve: one that was proven may begin to lie.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_host::{CallError, FillError};
use portcullis_ledger::TenantId;
use tracing::{debug, error};

use crate::directory::Directory;
use crate::live::LiveList;
use crate::reason;
use crate::tenant::Tenant;

/// How long the shortest pause between two rounds is.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, after a round at a slow plugin.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Entries that are looked at in one list at a time, and of a slow plugin.
const MEMBERS: usize = 8;
const MEMBERS_OF_SLOW: usize = 1;
/// How often plugins that could not be loaded are tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Verifies lists in turn, until it is aborted or the engine is closed. Takes the engine's share of one processor at most, and
/// nothing while no checks are made.
pub(crate) async fn run(directory: Arc<Directory>) {
    let share = directory.context.proof_share;
    let (mut turns, mut retried) = (Turns::default(), Instant::now());
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let background = Arc::clone(&directory);
        let retries = retried.elapsed() >= RETRY;
        let mut known = std::mem::take(&mut turns);
        let round = move || {
            let Ok(_operation) = background.context.lifecycle.begin() else { return None };
            if retries {
                background.retry_missing();
            }
            let start = Instant::now();
            verify(&background, &mut known, PAUSE.mul_f64(share));
            // What was in use when it was to be evicted may not be any more, and nothing may grow that asks again.
            background.context.residency.make_room();
            Some((known, start.elapsed()))
        };
        match tokio::task::spawn_blocking(round).await {
            Ok(Some((known, took))) => {
                turns = known;
                pause = match share > 0.0 {
                    true => took.div_f64(share).clamp(PAUSE, LONGEST_PAUSE),
                    false => RETRY,
                };
            }
            Ok(None) => return,
            Err(_) => error!("the verification of serving plugins panicked"),
        }
        if retries {
            retried = Instant::now();
        }
    }
}

/// Verifies lists that were checked since they were last verified, one after the other, for as long as `budget` lasts.
fn verify(directory: &Directory, turns: &mut Turns, budget: Duration) {
    if budget.is_zero() {
        return;
    }
    let tenants = directory.tenants();
    turns.forget_others(|id| tenants.contains_key(id));
    let waiting = tenants.iter().filter(|(_, tenant)| has_unproven(tenant)).map(|(id, _)| id);
    turns.round(waiting, budget, |id, place| {
        let list = next_unproven(tenants.get(id)?, place)?;
        let start = Instant::now();
        verify_one(&list);
        Some(start.elapsed())
    });
}

fn has_unproven(tenant: &Tenant) -> bool {
    tenant.members.load().as_ref().is_some_and(|members| members.lists().any(|list| list.is_unproven()))
}

/// The tenant's next list from `place` on that was checked since it was last verified. Moves `place` behind it.
fn next_unproven(tenant: &Tenant, place: &mut usize) -> Option<Arc<LiveList>> {
    let members = tenant.members.load_full()?;
    let lists = || members.lists().enumerate();
    let mut round = lists().skip(*place).chain(lists().take(*place));
    let (found, list) = round.find(|(_, list)| list.is_unproven() && list.take_unproven())?;
    *place = found + 1;
    Some(Arc::clone(list))
}

/// Whose lists are verified next. Tenants share the time equally, so that one whose plugin is slow, which takes long for each of its
/// lists, does not postpone the others' by more than one of these.
///
/// A plain value without a clock: the caller says what a list took.
#[derive(Debug, Default)]
struct Turns {
    accounts: HashMap<TenantId, Account>,
    /// The least that a tenant had taken which had something to verify, at the last turn. Who had nothing to verify meanwhile has saved
    /// nothing up.
    least: Duration,
}

/// What a tenant has had.
#[derive(Debug, Default)]
struct Account {
    /// The time that it has taken.
    taken: Duration,
    /// The place among its lists where its next turn begins.
    place: usize,
}

impl Turns {
    /// Has the tenants that wait take turns until `budget` is spent. `verify` verifies the next list of a tenant, and returns what that
    /// took; `None` if there is none.
    fn round<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a TenantId>,
        budget: Duration,
        mut verify: impl FnMut(&TenantId, &mut usize) -> Option<Duration>,
    ) {
        let least = self.least;
        let mut queue: BTreeSet<(Duration, &TenantId)> = waiting
            .map(|id| {
                let account = self.accounts.entry(id.clone()).or_default();
                account.taken = account.taken.max(least);
                (account.taken, id)
            })
            .collect();
        let mut spent = Duration::ZERO;
        while spent < budget
            && let Some((taken, id)) = queue.pop_first()
        {
            self.least = taken;
            let Some(account) = self.accounts.get_mut(id) else { continue };
            let Some(took) = verify(id, &mut account.place) else { continue };
            account.taken = taken + took;
            spent += took;
            queue.insert((account.taken, id));
        }
    }

    /// Forgets tenants that are no longer there.
    fn forget_others(&mut self, is_there: impl Fn(&TenantId) -> bool) {
        self.accounts.retain(|id, _| is_there(id));
    }
}

fn verify_one(list: &Arc<LiveList>) {
    let generation = list.generation();
    if !list.is_serving() {
        return;
    }
    list.account_memory();
    let members = if generation.is_slow() { MEMBERS_OF_SLOW } else { MEMBERS };
    match generation.spot_check(&**list.entries(), members) {
        Ok(()) => {}
        // It answers for what the ledger has lost, and is filled again.
        Err(FillError::Forgotten { .. } | FillError::Strangers { .. }) if list.may_have_lost_history() => {}
        Err(error @ (FillError::Forgotten { .. } | FillError::Strangers { .. })) => {
            error!(
                tenant = %list.list().tenant(), list = list.name(), kind = error.kind(), error = reason::of_fill(&error),
                "the plugin gives wrong verdicts: it is out of service, and the tenant's policy answers until it has recovered"
            );
            list.distrust(&generation, &error);
        }
        // It was evicted, replaced, or taken out of service by somebody who reported why.
        Err(FillError::Plugin(CallError::OutOfService)) => {}
        Err(FillError::Plugin(fault)) => list.fault_of(&generation, &fault),
        // The ledger can't be read, which others report.
        Err(error) => debug!(list = list.name(), kind = error.kind(), "the plugin can't be verified now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(2);
    const SLOW: Duration = Duration::from_millis(240);
    const FAST: Duration = Duration::from_micros(200);

    fn id(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    /// Has tenants with so many lists, all of which wait, take turns in `rounds` rounds. Returns whose lists were verified, in order.
    fn verified(
        turns: &mut Turns,
        tenants: &[(&TenantId, usize, Duration)],
        rounds: usize,
    ) -> Vec<(TenantId, usize)> {
        let mut verified = Vec::new();
        for _ in 0..rounds {
            turns.round(tenants.iter().map(|(id, ..)| *id), BUDGET, |id, place| {
                let (_, lists, took) = tenants.iter().find(|(other, ..)| *other == id).unwrap();
                verified.push((id.clone(), *place % lists));
                *place = *place % lists + 1;
                Some(*took)
            });
        }
        verified
    }

    #[test]
    fn a_tenant_waits_for_one_slow_list_of_another_and_not_for_all_of_them() {
        let (a, b) = (id("a"), id("b"));
        let (slow, lying) = ((&a, 100, SLOW), (&b, 1, FAST));
        let mut turns = Turns::default();
        assert_eq!(verified(&mut turns, &[slow, lying], 2).last(), Some(&(b.clone(), 0)));
        // Also if it was not checked for long.
        assert!(verified(&mut turns, &[slow], 50).iter().all(|(id, _)| *id == a));
        let both = verified(&mut turns, &[slow, lying], 2);
        assert!(both.iter().any(|(id, _)| *id == b), "{both:?}");
        // It is not owed for the time in which it had nothing to verify.
        let both = verified(&mut turns, &[slow, lying], 200);
        assert!(both.iter().any(|(id, _)| *id == a), "{both:?}");
    }

    #[test]
    fn a_tenant_s_lists_take_turns() {
        let (a, b) = (id("a"), id("b"));
        let mut turns = Turns::default();
        let verified = verified(&mut turns, &[(&a, 3, SLOW), (&b, 1, SLOW)], 8);
        let of_a: Vec<usize> = verified.iter().filter(|(id, _)| *id == a).map(|(_, list)| *list).collect();
        assert_eq!(of_a, [0, 1, 2, 0]);
    }

    #[test]
    fn tenants_that_are_gone_are_forgotten() {
        let (a, mut turns) = (id("a"), Turns::default());
        verified(&mut turns, &[(&a, 1, FAST)], 1);
        turns.forget_others(|_| false);
        assert!(turns.accounts.is_empty());
    }
}
