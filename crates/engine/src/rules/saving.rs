//! A thread that saves what rules count.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::directory::Directory;

/// How often counts are saved: a process that is killed loses what was counted since.
const EVERY: Duration = Duration::from_millis(500);
/// Each how many times the disk is flushed, for a machine that stops.
const FLUSH: u32 = 10;

/// Starts the thread, which ends when the engine is closed.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    let (directory, staleness) = (Arc::downgrade(directory), Arc::clone(&directory.context.staleness));
    let run = move || {
        let mut step: u32 = 0;
        while staleness.pause(EVERY) {
            let Some(directory) = directory.upgrade() else { return };
            let Ok(_operation) = directory.context.lifecycle.begin() else { return };
            step = step.wrapping_add(1);
            for tenant in directory.tenants().values() {
                tenant.rules.save(step.is_multiple_of(FLUSH));
            }
        }
    };
    thread::Builder::new().name("portcullis-meters".to_owned()).spawn(run).map(drop)
}
