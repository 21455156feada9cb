//! The file of the master key, and what is wrong with it.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_ledger::{KeyError, KeyFile};

/// The file of the master key, and what is wrong with it.
pub(crate) struct KeyState {
    file: Mutex<KeyFile>,
    trouble: Mutex<Option<Arc<KeyError>>>,
}

impl KeyState {
    pub(crate) fn new(file: KeyFile) -> Self {
        KeyState { file: Mutex::new(file), trouble: Mutex::default() }
    }

    /// What was wrong with the file at the last look.
    pub(crate) fn trouble(&self) -> Option<Arc<KeyError>> {
        self.trouble.lock().clone()
    }

    /// Looks at the file. Blocks.
    pub(crate) fn look(&self) {
        let checked = self.file.lock().check();
        *self.trouble.lock() = checked.err().map(Arc::new);
    }

    /// The command that copies the file back, as long as this process runs; empty if there is none.
    pub(crate) fn rescue(&self) -> String {
        let rescue = self.file.lock().rescue();
        rescue.map_or_else(String::new, |(from, to)| format!("cp {} {}", from.display(), to.display()))
    }
}
