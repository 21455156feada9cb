//! Verification of plugins while they serve: one that was proven may begin to lie.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_host::{CallError, FillError};
use portcullis_ledger::TenantId;
use tracing::{debug, error};

use crate::directory::Directory;
use crate::live::LiveList;

/// How long the shortest pause between two rounds is.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, after a round at a slow plugin.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Entries that are looked at in one list at a time, and of a slow plugin.
const MEMBERS: usize = 8;
const MEMBERS_OF_SLOW: usize = 1;
/// How often plugins that could not be loaded are tried again.
const RETRY: Duration = Duration::from_secs(30);

/// A list, by its tenant and its place among the tenant's lists.
type Place = (TenantId, usize);

/// Verifies lists in turn, until it is aborted or the engine is closed. Takes the engine's share of one processor at most, and
/// nothing while no checks are made.
pub(crate) async fn run(directory: Arc<Directory>) {
    let share = directory.context.proof_share;
    let (mut last, mut retried) = (None, Instant::now());
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let background = Arc::clone(&directory);
        let retries = retried.elapsed() >= RETRY;
        let from = last.clone();
        let round = move || {
            let Ok(_operation) = background.context.lifecycle.begin() else { return None };
            if retries {
                background.retry_missing();
            }
            let start = Instant::now();
            let last = verify(&background, from, PAUSE.mul_f64(share));
            Some((last, start.elapsed()))
        };
        match tokio::task::spawn_blocking(round).await {
            Ok(Some((reached, took))) => {
                last = reached;
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

/// Verifies the lists after `from` that were checked since they were last verified, one after the other, for as long as `budget`
/// lasts. Returns the last one.
fn verify(directory: &Directory, from: Option<Place>, budget: Duration) -> Option<Place> {
    if budget.is_zero() {
        return None;
    }
    let start = Instant::now();
    let tenants = directory.tenants();
    let (first, skip) = match &from {
        Some((tenant, place)) => (Some(tenant), place + 1),
        None => (None, 0),
    };
    let after = tenants.iter().filter(|(id, _)| first.is_none_or(|first| *id >= first));
    for (id, tenant) in after {
        let Some(members) = tenant.members.load_full() else { continue };
        let skip = if Some(id) == first { skip } else { 0 };
        for (place, list) in members.lists().enumerate().skip(skip) {
            if list.take_unproven() {
                verify_one(list);
                if start.elapsed() >= budget {
                    return Some((id.clone(), place));
                }
            }
        }
    }
    // The next round begins with the first one.
    None
}

fn verify_one(list: &Arc<LiveList>) {
    let generation = list.generation();
    if !list.is_serving() {
        return;
    }
    let members = if generation.is_slow() { MEMBERS_OF_SLOW } else { MEMBERS };
    match generation.spot_check(&**list.entries(), members) {
        Ok(()) => {}
        Err(error @ (FillError::Forgotten { .. } | FillError::Strangers { .. })) => {
            error!(
                tenant = %list.list().tenant(), list = list.name(), kind = error.kind(),
                "the plugin gives wrong verdicts: it is out of service, and the tenant's policy answers until it has recovered"
            );
            list.distrust(&generation, error.kind());
        }
        // It was evicted, replaced, or taken out of service by somebody who reported why.
        Err(FillError::Plugin(CallError::OutOfService)) => {}
        Err(FillError::Plugin(fault)) => list.fault_of(&generation, &fault),
        // The ledger can't be read, which others report.
        Err(error) => debug!(list = list.name(), kind = error.kind(), "the plugin can't be verified now"),
    }
}
