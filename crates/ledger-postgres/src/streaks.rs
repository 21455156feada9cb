//! Lists to which many new people were just added, as by an import: the next ones are likely to be new, too.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::head::Head;

/// The fewest entries of a commit that begins a streak: a guess that is wrong costs a statement.
pub(crate) const LEAST: usize = 500;
/// The most lists that are remembered.
const MOST: usize = 1_000;

/// The heads that this node gave to lists when it last added only new people, and many.
#[derive(Default)]
pub(crate) struct Streaks(Mutex<HashMap<i64, Head>>);

impl Streaks {
    pub(crate) fn put(&self, list: i64, head: Head) {
        let mut lists = self.0.lock();
        if lists.len() >= MOST {
            lists.clear();
        }
        lists.insert(list, head);
    }

    /// Ends a streak. What comes next may begin a new one.
    pub(crate) fn take(&self, list: i64) -> Option<Head> {
        self.0.lock().remove(&list)
    }
}
