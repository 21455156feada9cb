//! How long a plugin that gave wrong verdicts stays out of service.

use std::time::{Duration, Instant};

/// The lies of a list's plugin. A plugin that is filled again is honest at first, and what it answers until the next lie is found is
/// not to be relied on. So each relapse doubles the pause before it is put back.
///
/// A plain value without a clock: the caller passes the time in.
#[derive(Debug, Default)]
pub(super) struct Lies {
    /// How often it was found to lie, since it last served for [`FORGOTTEN_AFTER`] without.
    found: u32,
    /// Until when it is not put back.
    until: Option<Instant>,
    /// Since when it serves without having been found to lie.
    honest_since: Option<Instant>,
}

/// The first pause, and the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How long the plugin has to serve without a lie for the earlier ones to be forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

impl Lies {
    /// Records that the plugin was found to lie. Returns the pause before it may serve again.
    pub(super) fn find(&mut self, now: Instant) -> Duration {
        let honest = self.honest_since.take().map(|since| now.saturating_duration_since(since));
        if honest.is_some_and(|honest| honest >= FORGOTTEN_AFTER) {
            self.found = 0;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.found.min(16)).min(LONGEST_PAUSE);
        self.found = self.found.saturating_add(1);
        self.until = Some(now + pause);
        pause
    }

    /// What is left of the pause.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Records that the plugin serves again.
    pub(super) fn serve(&mut self, now: Instant) {
        self.honest_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_relapse_doubles_the_pause_until_the_plugin_was_honest_for_an_hour() {
        let (mut lies, mut now) = (Lies::default(), Instant::now());
        assert_eq!(lies.pause(now), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let pause = lies.find(now);
            pauses.push(pause.as_secs());
            assert_eq!(lies.pause(now + pause / 2), pause / 2);
            now += pause;
            assert_eq!(lies.pause(now), Duration::ZERO);
            lies.serve(now);
            now += FORGOTTEN_AFTER - Duration::from_millis(1);
            // It trapped, and recovered, which does not count.
            lies.serve(now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(lies.find(now + Duration::from_millis(1)), FIRST_PAUSE);
    }
}
