//! Why a message must not go now.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// The rule that stops a message, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The rules plugin.
    pub rule: Arc<str>,
    /// The plugin's reason: 1 to 64 characters of `a-z`, `0-9` and `-`. `None` if the plugin failed, and the tenant's failure policy stops
    /// the message.
    pub reason: Option<Arc<str>>,
    /// When to ask again; `None` if the message must not go at all. It is no permission.
    pub until: Option<Timestamp>,
}

/// Stands in place of a reason if the plugin failed. No plugin's reason has a capital or a space.
const FAILED: &str = "plugin failed";

impl Stop {
    /// The reason's name, for people, logs and metrics.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or(FAILED)
    }

    /// `block` or `later`.
    pub const fn verdict(&self) -> &'static str {
        if self.until.is_some() { "later" } else { "block" }
    }

    /// How long to wait before asking again: at least a second. `None` if the message must not go at all.
    pub fn wait(&self) -> Option<Duration> {
        let left = self.until?.duration_since(Timestamp::now());
        Some(Duration::try_from(left).unwrap_or_default().max(Duration::from_secs(1)))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stop { rule, reason, .. } = self;
        match reason {
            Some(reason) => write!(f, "the rule {rule} stops it: {reason}"),
            None => write!(f, "the rule {rule} fails, and on_failure is closed"),
        }
    }
}
