//! What a plugin logs while it is examined.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_host::ForeignText;
use serde::Serialize;

/// The interface that a plugin imports to log.
pub(crate) const LOG: &str = "portcullis:debug/log@0.1.0";
/// The most lines that are kept.
const MOST: usize = 100;

/// What a plugin logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// The latest lines, at most 100, the latest last. Foreign text, bounded and escaped.
    pub latest: Vec<String>,
    /// How many lines came before these.
    pub earlier: u64,
}

/// Takes lines of a plugin.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    latest: VecDeque<String>,
    earlier: u64,
}

impl Log {
    pub(crate) fn into_sink(self) -> impl Fn(&str) + Send + Sync + 'static {
        move |line| {
            let line = ForeignText(line).to_string();
            let mut lines = self.0.lock();
            if lines.latest.len() == MOST {
                lines.latest.pop_front();
                lines.earlier += 1;
            }
            lines.latest.push_back(line);
        }
    }

    /// What was logged so far.
    pub(crate) fn take(&self) -> Logged {
        let Lines { latest, earlier } = std::mem::take(&mut *self.0.lock());
        Logged { latest: latest.into(), earlier }
    }
}
