//! What is counted, and which messages count together.

use portcullis_msisdn::Directions;

/// Up to eight kinds, each by its index in the contract: of channels, or of purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kinds(u8);

impl Kinds {
    /// All kinds, also those that a later contract adds.
    pub const ALL: Kinds = Kinds(u8::MAX);

    /// Kind `n` is bit `n`.
    pub const fn from_bits(bits: u8) -> Self {
        Kinds(bits)
    }

    /// Kind `n` is bit `n`.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether this kind is among them.
    pub const fn contain(self, kind: Kind) -> bool {
        self.0 >> kind.0 & 1 == 1
    }
}

/// A channel or a purpose, by its index in the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    /// The kind of this index, 0 to 7.
    pub const fn new(index: u8) -> Option<Self> {
        if index < 8 { Some(Kind(index)) } else { None }
    }

    /// The index, 0 to 7.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Which messages are counted together.
///
/// Messages of no sender are counted together, and so are those of no known country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All of the tenant.
    Tenant,
    /// Those of one person.
    Subject,
    /// Those of one sender.
    Sender,
    /// Those of one country.
    Country,
    /// Those of numbers that share so many leading digits. Shorter numbers, and people without a number, are counted each by itself.
    Prefix(Digits),
}

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// One for each message.
    #[default]
    Messages,
    /// The segments of each.
    Segments,
}

/// A number of leading digits, 1 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digits(u8);

impl Digits {
    /// So many digits. `None` if they are not 1 to 15.
    pub const fn new(digits: u8) -> Option<Self> {
        if digits >= 1 && digits <= 15 { Some(Digits(digits)) } else { None }
    }

    /// 1 to 15.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How long a message counts: 1 to 2,678,400 seconds, which is 31 days. It counts at most an eighth longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window(u32);

impl Window {
    /// The longest, in seconds.
    pub const MAX_SECONDS: u32 = 31 * 24 * 60 * 60;

    /// A window of so many seconds. `None` if they are not 1 to [`MAX_SECONDS`](Self::MAX_SECONDS).
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        if seconds >= 1 && seconds <= Self::MAX_SECONDS { Some(Window(seconds)) } else { None }
    }

    /// Seconds.
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// An eighth, in milliseconds.
    pub(crate) fn slot_millis(self) -> u64 {
        u64::from(self.0) * 125
    }
}

/// A counter as a plugin declares it. The declaration is its identity: one that is declared alike continues, one that was changed in
/// anything starts at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Meter {
    /// Which messages are counted together.
    pub scope: Scope,
    /// What is added up.
    pub unit: Unit,
    /// How long a message counts.
    pub window: Window,
    /// The directions that are counted.
    pub directions: Directions,
    /// The channels that are counted.
    pub channels: Kinds,
    /// The purposes that are counted.
    pub purposes: Kinds,
}

impl Meter {
    pub(crate) const ENCODED: usize = 10;

    pub(crate) fn encode(&self) -> [u8; Self::ENCODED] {
        let (scope, digits) = match self.scope {
            Scope::Tenant => (0, 0),
            Scope::Subject => (1, 0),
            Scope::Sender => (2, 0),
            Scope::Country => (3, 0),
            Scope::Prefix(digits) => (4, digits.0),
        };
        let [a, b, c, d] = self.window.0.to_le_bytes();
        let unit = match self.unit {
            Unit::Messages => 0,
            Unit::Segments => 1,
        };
        [scope, digits, unit, a, b, c, d, self.directions.bits(), self.channels.0, self.purposes.0]
    }

    pub(crate) fn decode(bytes: [u8; Self::ENCODED]) -> Option<Self> {
        let [scope, digits, unit, a, b, c, d, directions, channels, purposes] = bytes;
        let scope = match (scope, digits) {
            (0, 0) => Scope::Tenant,
            (1, 0) => Scope::Subject,
            (2, 0) => Scope::Sender,
            (3, 0) => Scope::Country,
            (4, digits) => Scope::Prefix(Digits::new(digits)?),
            _ => return None,
        };
        Some(Meter {
            scope,
            unit: match unit {
                0 => Unit::Messages,
                1 => Unit::Segments,
                _ => return None,
            },
            window: Window::from_seconds(u32::from_le_bytes([a, b, c, d]))?,
            directions: Directions::from_bits(directions)?,
            channels: Kinds(channels),
            purposes: Kinds(purposes),
        })
    }
}
