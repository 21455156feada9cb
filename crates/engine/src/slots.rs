//! How many exchanges are at work at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many exchanges are at work at once: more would only get in each other's way, and each holds a second copy of its lists.
pub(crate) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One that is taken. Dropped, it is free.
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    /// Two a processor, so that a plugin that takes its time does not hold up all the others.
    pub(crate) fn for_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Slots { free: Mutex::new(2 * processors), freed: Condvar::new() }
    }

    /// Takes one, and waits for one where all are taken.
    pub(crate) fn take(&self) -> Slot<'_> {
        let mut free = self.free();
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}
