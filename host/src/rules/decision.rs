//! What rules decide.

/// Why a message was stopped: an index into [`Description::reasons`](super::Description::reasons). See
/// [`RuleSet::reason`](super::RuleSet::reason) for its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(pub(super) u16);

impl Reason {
    /// The index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It may go.
    Allow,
    /// It must not go.
    Block(Reason),
    /// It must not go yet. Only for outbound messages.
    Later {
        /// Why.
        reason: Reason,
        /// When to ask again, in milliseconds since 1970 in UTC: after the message's time, by at most
        /// [`LONGEST_POSTPONEMENT`].
        until: u64,
    },
}

/// The longest time by which a message is postponed, in milliseconds: 7 days.
pub const LONGEST_POSTPONEMENT: u64 = 7 * 24 * 3600 * 1000;

impl Decision {
    /// Whether the message must not go now.
    pub fn is_stopped(self) -> bool {
        self != Decision::Allow
    }

    /// Why the message must not go now.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Decision::Allow => None,
            Decision::Block(reason) | Decision::Later { reason, .. } => Some(reason),
        }
    }
}
