//! How long reading a long list may take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::Refusal;

/// Bounds the time for reading through a list, and ends it when nobody waits for it any more.
pub struct Patience {
    /// When the work began: it may have waited for its turn.
    began: OnceLock<Instant>,
    abandoned: Arc<AtomicBool>,
}

/// Whoever waits. Dropping it ends the reading.
#[must_use]
pub struct Waiter(Arc<AtomicBool>);

/// The longest time that is spent on one request.
pub const LONGEST_READ: Duration = Duration::from_secs(2);

impl Patience {
    /// Creates the two sides. Keep the second value for as long as the client waits.
    pub fn new() -> (Self, Waiter) {
        let abandoned = Arc::<AtomicBool>::default();
        (Patience { began: OnceLock::new(), abandoned: Arc::clone(&abandoned) }, Waiter(abandoned))
    }

    /// To be called before each page. The first call starts the time.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] after [`LONGEST_READ`], and if nobody waits.
    pub fn check(&self) -> Result<(), Refusal> {
        let began = self.began.get_or_init(Instant::now);
        match self.abandoned.load(Ordering::Relaxed) || began.elapsed() >= LONGEST_READ {
            true => Err(Refusal::TooLong),
            false => Ok(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_when_nobody_waits_or_the_time_is_up() {
        let (patience, waiter) = Patience::new();
        assert!(patience.check().is_ok());
        drop(waiter);
        assert!(matches!(patience.check(), Err(Refusal::TooLong)));
        let (patience, _waiter) = Patience::new();
        patience.began.set(Instant::now().checked_sub(LONGEST_READ).unwrap()).unwrap();
        assert!(matches!(patience.check(), Err(Refusal::TooLong)));
    }
}
