//! What is wrong for as long as it lasts, and when the log last said so.

use std::time::Duration;

use tokio::time::Instant;

/// How often the log repeats what is wrong.
const AGAIN: Duration = Duration::from_secs(60);

/// What the log last said is wrong, and when.
pub struct Reported<T>(Option<(T, Instant)>);

impl<T> Default for Reported<T> {
    fn default() -> Self {
        Reported(None)
    }
}

impl<T: PartialEq> Reported<T> {
    /// Whether the log is to say that this is wrong, which it has not said for a while. Another trouble does not wait.
    pub fn is_due(&mut self, what: T) -> bool {
        let is_known = self.0.as_ref().is_some_and(|(said, at)| *said == what && at.elapsed() < AGAIN);
        if !is_known {
            self.0 = Some((what, Instant::now()));
        }
        !is_known
    }

    /// Nothing is wrong now. Returns whether the log said that something is.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn trouble_is_repeated_after_a_while_and_another_one_at_once() {
        let mut reported = Reported::default();
        assert!(!reported.is_over());
        assert!(reported.is_due("lost"));
        assert!(!reported.is_due("lost"));
        assert!(reported.is_due("full"));
        let now = Instant::now();
        reported.0 = now.checked_sub(AGAIN).map(|before| ("full", before));
        assert!(reported.is_due("full"));
        assert!(reported.is_over());
        assert!(!reported.is_over());
    }
}
