//! A bound on how many wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::turn::Overdue;

/// The most of one tenant that wait for their turn.
pub(crate) const MOST_WAITING: usize = 1024;

/// Bounds how many wait at a time. Beyond that, it is refused at once to wait.
pub(crate) struct WaitingRoom {
    most: usize,
    waiting: AtomicUsize,
}

/// A place in a [`WaitingRoom`], until it is dropped: also if its future is, because its client has left.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl WaitingRoom {
    pub(crate) fn new(most: usize) -> Self {
        WaitingRoom { most, waiting: AtomicUsize::new(0) }
    }

    pub(crate) fn enter(&self) -> Result<Place<'_>, Overdue> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        if waiting < self.most { Ok(place) } else { Err(Overdue) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
