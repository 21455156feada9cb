//! Threads that save what rules count, and share it with other engines.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portcullis_admission::LogLimit;
use portcullis_host::ErrorChain;
use portcullis_ledger::LedgerError;
use portcullis_tenant_rules::{Sharing, TenantRules};
use tracing::{debug, warn};

use crate::directory::Directory;

/// How often counts are saved: a process that is killed loses what was counted since. And how often they are shared: a message is known
/// elsewhere after twice this time, and the time of two queries.
const EVERY: Duration = Duration::from_millis(500);
/// Each how many times the disk is flushed, for a machine that stops.
const FLUSH: u32 = 10;

/// Lines about counts that could not be shared.
static NOT_SHARED: LogLimit = LogLimit::new(10);

/// Starts the threads, which end when the engine is closed.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    let mut step: u32 = 0;
    repeat(directory, "portcullis-meters", move |directory| {
        step = step.wrapping_add(1);
        for tenant in directory.tenants().values() {
            tenant.rules.save(step.is_multiple_of(FLUSH));
        }
    })?;
    let Some(counts) = directory.context.ledger.counts_of_all() else { return Ok(()) };
    let mut sharing = Sharing::new(counts);
    repeat(directory, "portcullis-counts", move |directory| share(&mut sharing, directory))
}

fn share(sharing: &mut Sharing, directory: &Directory) {
    let context = &directory.context;
    if context.staleness.check_ledger().is_err() {
        return;
    }
    let tenants = directory.tenants();
    let rules = tenants.values().map(|tenant| -> &Arc<TenantRules> { &tenant.rules });
    if let Err(error) = sharing.step(rules, &context.rules) {
        debug!(error = %ErrorChain(&error), "what rules count can't be shared; retrying");
        if !matches!(error, LedgerError::Unavailable(_)) && NOT_SHARED.admits() {
            warn!(error = %ErrorChain(&error), "what rules count can't be shared with other gateways; retrying");
        }
    }
}

/// Starts a thread that takes a step again and again.
fn repeat(
    directory: &Arc<Directory>,
    name: &str,
    mut step: impl FnMut(&Directory) + Send + 'static,
) -> std::io::Result<()> {
    let (directory, staleness) = (Arc::downgrade(directory), Arc::clone(&directory.context.staleness));
    let run = move || {
        while staleness.pause(EVERY) {
            let Some(directory) = directory.upgrade() else { return };
            let Ok(_operation) = directory.context.lifecycle.begin() else { return };
            step(&directory);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
