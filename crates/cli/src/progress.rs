//! What a command that takes long says on standard error.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use super::output;

/// Says what is being done, and to somebody who looks at it, now and then how far it is.
pub(super) struct Progress {
    every: Duration,
    /// What `done` of `total` is called.
    amount: fn(u64, u64) -> String,
    is_for_people: bool,
    doing: String,
    said: Instant,
}

impl Progress {
    /// Says how far it is once in `every`, as `amount` writes it.
    pub(super) fn new(every: Duration, amount: fn(u64, u64) -> String) -> Self {
        let is_for_people = io::stderr().is_terminal();
        Progress { every, amount, is_for_people, doing: String::new(), said: Instant::now() }
    }

    /// Whether standard error is a terminal.
    pub(super) fn is_for_people(&self) -> bool {
        self.is_for_people
    }

    /// So much of so much was done of what `doing` says.
    pub(super) fn say(&mut self, doing: &str, done: u64, total: u64) {
        if self.doing != doing {
            output::note(doing);
            doing.clone_into(&mut self.doing);
        } else if self.is_for_people && self.said.elapsed() >= self.every {
            output::note(format_args!("{doing}: {}", (self.amount)(done, total)));
        } else {
            return;
        }
        self.said = Instant::now();
    }
}

/// How many percent `done` of `total` are. `None` if it is of nothing.
pub(super) fn percent(done: u64, total: u64) -> Option<u64> {
    done.saturating_mul(100).checked_div(total)
}
