//! What rules are told about a message.

use std::fmt;
use std::str::FromStr;

use portcullis_msisdn::Subject;

use super::set::{Element, Set};

/// Defines an enum of the contract, with the names of its values.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident: $what:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl Element for $name {
            const ALL: &'static [Self] = &[$($name::$value,)+];
        }

        impl $name {
            /// The name in the APIs and in configurations.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$value => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// Parses exactly what `as_str` returns. The error says what would be right, and does not repeat the text.
        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|one| one.as_str()).collect();
                    format!(concat!("not a ", $what, ": write one of {}"), names.join(", "))
                })
            }
        }
    };
}
pub(super) use names;

names! {
    /// What carries a message.
    Channel: "channel" {
        /// None of the others, or unknown.
        Other = "other",
        /// SMS.
        Sms = "sms",
        /// MMS.
        Mms = "mms",
        /// RCS.
        Rcs = "rcs",
        /// WhatsApp.
        WhatsApp = "whatsapp",
        /// A call.
        Voice = "voice",
    }
}

names! {
    /// What a message is for, as its sender declares it.
    Purpose: "purpose" {
        /// Not declared.
        Unknown = "unknown",
        /// A one-time code, for example.
        Authentication = "authentication",
        /// About an order or an account, for example.
        Utility = "utility",
        /// Advertising.
        Marketing = "marketing",
        /// An answer to what the person wrote.
        Service = "service",
    }
}

/// A set of channels.
pub type Channels = Set<Channel>;

/// A set of purposes.
pub type Purposes = Set<Purpose>;

/// An ISO 3166-1 country code of two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Creates a country from its code. Returns `None` unless it is two ASCII capitals.
    pub fn new(code: &str) -> Option<Self> {
        match *code.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Some(Country([a, b])),
            _ => None,
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The country as the contract spells it.
    pub(super) fn to_contract(country: Option<Self>) -> u16 {
        country.map_or(0, |country| u16::from_be_bytes(country.0))
    }
}

/// The offsets from UTC that a person's clock may have, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offsets {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Offsets {
    /// Anywhere on earth: -12:00 to +14:00.
    pub const UNKNOWN: Offsets = Offsets { min: -720, max: 840 };

    /// The largest offset to either side: 18 hours.
    const MOST: i16 = 1080;

    /// Creates a range of offsets. Returns `None` if `min` is more than `max`, or either is beyond 18 hours.
    pub fn new(min: i16, max: i16) -> Option<Self> {
        let fits = -Self::MOST <= min && min <= max && max <= Self::MOST;
        fits.then_some(Offsets { min, max })
    }

    /// The least offset.
    pub fn min(self) -> i16 {
        self.min
    }

    /// The greatest offset.
    pub fn max(self) -> i16 {
        self.max
    }
}

/// One of a tenant's senders: an index into [`Recipe::senders`](super::Recipe::senders).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderIndex(pub(super) u32);

/// The most senders that rules know by name.
pub const SENDERS: usize = 4096;

impl SenderIndex {
    /// Creates an index. Returns `None` unless it is below 4,096.
    pub fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok().filter(|_| index < SENDERS).map(SenderIndex)
    }

    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The sender as the contract spells it.
    pub(super) fn to_contract(sender: Option<Self>) -> u32 {
        sender.map_or(u32::MAX, |sender| sender.0)
    }
}

/// What rules are told about a message, apart from whom it is to or from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What carries it.
    pub channel: Channel,
    /// What it is for.
    pub purpose: Purpose,
    /// The time: milliseconds since 1970 in UTC. Clamped to below 2^48.
    pub time: u64,
    /// Who sends it for the business, or receives it. Needed with [`Need::Sender`](super::Need::Sender) only. One beyond the
    /// recipe's senders is taken as none.
    pub sender: Option<SenderIndex>,
    /// The parts that are charged for; 1 where unknown. 0 is taken as 1.
    pub segments: u16,
}

/// The latest time.
const LAST: u64 = (1 << 48) - 1;

impl Message {
    /// A message of which nothing is known but when.
    pub fn at(time: u64) -> Self {
        Message { channel: Channel::Other, purpose: Purpose::Unknown, time, sender: None, segments: 1 }
    }

    /// The time as the plugin gets it.
    pub(super) fn time(&self) -> u64 {
        self.time.min(LAST)
    }
}

/// Whom a message is to or from, and what is known about them.
///
/// Rules that [need](super::Need) something else than the subject get it, if the tenant grants it. The rest may be left
/// as [`Person::new`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person's number, under the tenant's permutation. A plugin that needs numbers gets the number.
    pub subject: Subject,
    /// Where the number is from, with [`Need::Country`](super::Need::Country).
    pub country: Option<Country>,
    /// The offsets that the person's clock may have, with [`Need::LocalTime`](super::Need::LocalTime).
    pub offsets: Offsets,
    /// Whether the person is on the list that the tenant names beside the rule, with [`Need::Listed`](super::Need::Listed).
    pub listed: bool,
}

impl Person {
    /// A person of whom nothing else is known.
    pub fn new(subject: Subject) -> Self {
        Person { subject, country: None, offsets: Offsets::UNKNOWN, listed: false }
    }
}
