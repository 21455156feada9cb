//! The turn of a long body that is being read.

use parking_lot::Mutex;

use crate::turn::Turn;

/// The turn of a [`Work::BulkWrite`](crate::Work::BulkWrite) while it reads its body. Other kinds of work need none.
#[derive(Default)]
pub struct Reading(Mutex<Option<(Option<Turn>, Turn)>>);

impl Reading {
    pub(crate) fn of(turns: Option<(Option<Turn>, Turn)>) -> Self {
        Reading(Mutex::new(turns))
    }

    /// Gives the turn to another one, which reads while this one is written. Does nothing the second time.
    pub fn end(&self) {
        *self.0.lock() = None;
    }
}
