//! Verification of plugins while they serve: one that was proven may begin to lie.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_admission::Rounds;
use portcullis_host::{CallError, FillError};
use tracing::{debug, error};

use crate::directory::Directory;
use crate::live::LiveList;
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
    let (mut rounds, mut retried) = (Rounds::default(), Instant::now());
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let background = Arc::clone(&directory);
        let retries = retried.elapsed() >= RETRY;
        let mut known = std::mem::take(&mut rounds);
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
                rounds = known;
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
fn verify(directory: &Directory, rounds: &mut Rounds, budget: Duration) {
    if budget.is_zero() {
        return;
    }
    let tenants = directory.tenants();
    rounds.forget_others(|id| tenants.contains_key(id));
    let is_waiting = |tenant: &Tenant| has_unproven(tenant) || tenant.rules.is_any();
    let waiting = tenants.iter().filter(|(_, tenant)| is_waiting(tenant)).map(|(id, _)| id);
    rounds.round(waiting, budget, |id, place| {
        let tenant = tenants.get(id)?;
        let start = Instant::now();
        match next_unproven(tenant, place) {
            Some(list) => verify_one(&list),
            // After the lists.
            None if tenant.rules.spot_check() => {}
            None => return None,
        }
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
                tenant = %list.list().tenant(), list = list.name(), kind = error.kind(), error = error.reason(),
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
