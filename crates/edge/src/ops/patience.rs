//! How long reading a long list may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Refusal;

/// Bounds the time for reading through a list, and ends it when nobody waits for it any more.
pub struct Patience {
    until: Instant,
    abandoned: Arc<AtomicBool>,
}

/// Whoever waits. Dropping it ends the reading.
#[must_use]
pub struct Waiter(Arc<AtomicBool>);

/// The longest time that is spent on one request.
pub const LONGEST_READ: Duration = Duration::from_secs(2);

impl Patience {
    /// Starts the time. Keep the second value for as long as the client waits.
    pub fn start() -> (Self, Waiter) {
        let abandoned = Arc::<AtomicBool>::default();
        (
            Patience { until: Instant::now() + LONGEST_READ, abandoned: Arc::clone(&abandoned) },
            Waiter(abandoned),
        )
    }

    /// To be called after each page.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] after [`LONGEST_READ`], and if nobody waits.
    pub fn check(&self) -> Result<(), Refusal> {
        match self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.until {
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
        let (mut patience, waiter) = Patience::start();
        assert!(patience.check().is_ok());
        drop(waiter);
        assert!(matches!(patience.check(), Err(Refusal::TooLong)));
        let (fresh, _waiter) = Patience::start();
        patience = fresh;
        patience.until = Instant::now();
        assert!(matches!(patience.check(), Err(Refusal::TooLong)));
    }
}
