//! Why a message is stopped.

/// Why a message is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Messages of its purpose are held.
    PurposeHeld,
    /// Its country is blocked, or not allowed.
    Country,
    /// The number begins with digits that are blocked, or with none that are allowed.
    Prefix,
    /// More messages a minute would be sent than a ceiling allows.
    CeilingMinute,
    /// More messages an hour would be sent than a ceiling allows.
    CeilingHour,
    /// The person would get more messages a day than a cap allows.
    CapDay,
    /// The person would get more messages a week than a cap allows.
    CapWeek,
    /// It is, or may be, a quiet hour where the person is.
    QuietHours,
}

impl Reason {
    /// All reasons, in the order of the description.
    pub const ALL: [Reason; 8] = [
        Reason::PurposeHeld,
        Reason::Country,
        Reason::Prefix,
        Reason::CeilingMinute,
        Reason::CeilingHour,
        Reason::CapDay,
        Reason::CapWeek,
        Reason::QuietHours,
    ];

    /// The name in responses and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::PurposeHeld => "purpose-held",
            Reason::Country => "country",
            Reason::Prefix => "prefix",
            Reason::CeilingMinute => "ceiling-minute",
            Reason::CeilingHour => "ceiling-hour",
            Reason::CapDay => "cap-day",
            Reason::CapWeek => "cap-week",
            Reason::QuietHours => "quiet-hours",
        }
    }

    /// The index in the description.
    pub const fn index(self) -> u16 {
        self as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_at_its_index() {
        for (index, reason) in (0..).zip(Reason::ALL) {
            assert_eq!(reason.index(), index);
        }
    }
}
