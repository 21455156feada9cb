//! The contract of rules plugins as a Rust trait, with types that can't represent invalid values.

use portcullis_msisdn::{Direction, Directions, Subject};

use super::set::{Element, Set};

/// A rules plugin: how it decides about messages, with the settings that it was configured with.
///
/// The answer to a call may depend on nothing but the settings and the arguments: the host runs any number of instances,
/// replaces them at any time, and compares their answers. Arguments are valid according to the contract.
pub trait Rules: Sized + 'static {
    /// Describes the plugin. Must return the same value every time.
    fn describe() -> Description;

    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// A message for the operator if the options are invalid: which one is wrong, why, and what would be right. At most
    /// 2 KiB.
    fn configure(settings: Settings) -> Result<Self, String>;

    /// What the host must count: at most 16 meters, the same every time. Default: nothing.
    fn meters(&self) -> Vec<Meter> {
        Vec::new()
    }

    /// Whether a message may go now. `counts` has one number for each of the [`meters`](Self::meters), in their order,
    /// without this message.
    fn decide(&self, subject: Subject, direction: Direction, message: &Message, counts: &[u32]) -> Decision;

    /// Decides about one message to or from many people. Returns one decision each, in order. Must agree with
    /// [`decide`](Self::decide), which the default calls for each.
    fn decide_many(&self, batch: &Batch<'_>) -> Vec<Decision> {
        batch
            .iter()
            .map(|(subject, message, counts)| self.decide(subject, batch.direction, &message, counts))
            .collect()
    }
}

/// What a rules plugin reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes: `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    /// What the plugin must know. The tenant grants each by name.
    pub needs: Needs,
    /// Why it stops messages: 1 to 64 different names, each like `name`.
    pub reasons: Vec<String>,
    /// The JSON Schema (2020-12) of its options: at most 64 KiB, references only within it. The host checks options against
    /// it first, so [`Rules::configure`] gets only options that fit.
    pub options_schema: Option<String>,
}

impl Description {
    /// Describes a plugin that needs nothing, has these reasons, and no schema.
    pub fn new(name: &str, version: &str, reasons: &[&str]) -> Self {
        Description {
            name: name.to_owned(),
            version: version.to_owned(),
            needs: Needs::NONE,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            options_schema: None,
        }
    }

    /// Declares what the plugin must know.
    #[must_use]
    pub fn needing(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        self.needs = self.needs | needs.into_iter().collect();
        self
    }

    /// Declares the JSON Schema of its options.
    #[must_use]
    pub fn with_options_schema(mut self, schema: &str) -> Self {
        self.options_schema = Some(schema.to_owned());
        self
    }
}

/// Something that a rules plugin must know about messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Phone numbers in the clear: the subject is the E.164 number, and `Msisdn::try_from(subject.get())` converts it.
    /// Subjects of 10^15 and above are identities without a number.
    Number,
    /// [`Message::country`].
    Country,
    /// [`Message::offsets`].
    LocalTime,
    /// [`Message::sender`].
    Sender,
    /// [`Message::listed`].
    Listed,
}

impl Element for Need {
    const ALL: &'static [Self] = &[Need::Number, Need::Country, Need::LocalTime, Need::Sender, Need::Listed];
}

/// A set of needs.
pub type Needs = Set<Need>;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// None of the others, or unknown.
    Other,
    /// SMS.
    Sms,
    /// MMS.
    Mms,
    /// RCS.
    Rcs,
    /// WhatsApp.
    WhatsApp,
    /// A call.
    Voice,
}

impl Element for Channel {
    const ALL: &'static [Self] =
        &[Channel::Other, Channel::Sms, Channel::Mms, Channel::Rcs, Channel::WhatsApp, Channel::Voice];
}

/// A set of channels.
pub type Channels = Set<Channel>;

/// What a message is for, as its sender declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Not declared.
    Unknown,
    /// A one-time code, for example.
    Authentication,
    /// About an order or an account, for example.
    Utility,
    /// Advertising.
    Marketing,
    /// An answer to what the person wrote.
    Service,
}

impl Element for Purpose {
    const ALL: &'static [Self] =
        &[Purpose::Unknown, Purpose::Authentication, Purpose::Utility, Purpose::Marketing, Purpose::Service];
}

/// A set of purposes.
pub type Purposes = Set<Purpose>;

/// An ISO 3166-1 country code of two ASCII capitals.
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

    /// Reads the contract's spelling, in which 0 stands for none.
    pub(super) fn from_contract(country: u16) -> Option<Self> {
        (country != 0).then(|| Country(country.to_be_bytes()))
    }
}

/// The offsets from UTC that a person's clock may have, in minutes. It has one of those between the least and the greatest,
/// both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offsets {
    min: i16,
    max: i16,
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

/// What rules are told about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What carries it.
    pub channel: Channel,
    /// What it is for.
    pub purpose: Purpose,
    /// The time by the host's clock: milliseconds since 1970 in UTC.
    pub time: u64,
    /// Where the person's number is from. `None`: unknown, not one country's, or not granted.
    pub country: Option<Country>,
    /// The offsets from UTC that the person's clock may have at `time`.
    pub offsets: Offsets,
    /// Who sends for the business, or receives: an index into [`Settings::senders`]. `None`: none of these, or not granted.
    pub sender: Option<usize>,
    /// The parts that are charged for; 1 where unknown.
    pub segments: u16,
    /// Whether the person is on the list that the tenant names beside the rule. `false` where none is named, or not granted.
    pub listed: bool,
}

impl Message {
    /// A message of which nothing is known but when: for tests.
    pub fn at(time: u64) -> Self {
        Message {
            channel: Channel::Other,
            purpose: Purpose::Unknown,
            time,
            country: None,
            offsets: Offsets::UNKNOWN,
            sender: None,
            segments: 1,
            listed: false,
        }
    }
}

/// Messages that differ in the person alone: one content to many people.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The direction of all.
    pub direction: Direction,
    /// What they have in common. What depends on the person is as if not granted: see [`message`](Self::message).
    pub message: Message,
    pub(super) subjects: &'a [Subject],
    /// Empty where not granted, as those that follow.
    pub(super) countries: &'a [u16],
    pub(super) offsets_min: &'a [i16],
    pub(super) offsets_max: &'a [i16],
    pub(super) listed: &'a [u8],
    pub(super) counts: &'a [u32],
    /// The number of meters.
    pub(super) width: usize,
}

impl<'a> Batch<'a> {
    /// The people, in order.
    pub fn subjects(&self) -> &'a [Subject] {
        self.subjects
    }

    /// The number of people.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there are no people, which the host never passes.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// The message to or from one person. `None` past the last one.
    #[inline]
    pub fn message(&self, i: usize) -> Option<Message> {
        let offsets = match (self.offsets_min.get(i), self.offsets_max.get(i)) {
            (Some(&min), Some(&max)) => Offsets { min, max },
            _ => self.message.offsets,
        };
        let country =
            self.countries.get(i).map_or(self.message.country, |&code| Country::from_contract(code));
        let listed = self.listed.get(i / 8).is_some_and(|bits| bits >> (i % 8) & 1 == 1);
        (i < self.len()).then_some(Message { offsets, country, listed, ..self.message })
    }

    /// The counts for one person: one number for each meter.
    #[inline]
    pub fn counts(&self, i: usize) -> &'a [u32] {
        self.counts.get(i * self.width..(i + 1) * self.width).unwrap_or_default()
    }

    /// Each person with the message and the counts.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (Subject, Message, &'a [u32])> {
        let (subjects, batch) = (self.subjects, *self);
        subjects
            .iter()
            .enumerate()
            .map(move |(i, &subject)| (subject, batch.message(i).unwrap_or(batch.message), batch.counts(i)))
    }
}

/// What a plugin instance is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The tenant's options: a JSON object of at most 64 KiB, `{}` where there are none.
    pub options: String,
    /// The names of the tenant's senders: at most 4,096. Empty without [`Need::Sender`].
    pub senders: Vec<String>,
}

/// Which messages are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of the tenant.
    Tenant,
    /// Those of one person.
    Subject,
    /// Those of one sender; those with none of the tenant's senders together.
    Sender,
    /// Those to or from one country; those of no known country together.
    Country,
    /// Those to or from numbers that share this many leading digits, 1 to 15. Shorter numbers, and identities without a
    /// number, are counted each by itself.
    Prefix(u8),
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// One for each message.
    Messages,
    /// The [segments](Message::segments) of each message.
    Segments,
}

/// A counter that the host keeps: of messages that match the filters and that no rule stopped. See the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Which messages are counted together.
    pub scope: Scope,
    /// What is added up.
    pub unit: Unit,
    /// The window in seconds: 1 to 2,678,400, which is 31 days.
    pub window: u32,
    /// The directions that count; at least one.
    pub directions: Directions,
    /// The channels that count; at least one.
    pub channels: Channels,
    /// The purposes that count; at least one.
    pub purposes: Purposes,
}

impl Meter {
    /// Counts all messages in these directions within the last `window` seconds.
    pub fn new(scope: Scope, window: u32, directions: Directions) -> Self {
        let (channels, purposes) = (Channels::ALL, Purposes::ALL);
        Meter { scope, unit: Unit::Messages, window, directions, channels, purposes }
    }

    /// Counts only messages that are for one of these purposes.
    #[must_use]
    pub fn of_purposes(mut self, purposes: impl IntoIterator<Item = Purpose>) -> Self {
        self.purposes = purposes.into_iter().collect();
        self
    }

    /// Counts only messages by these channels.
    #[must_use]
    pub fn by_channels(mut self, channels: impl IntoIterator<Item = Channel>) -> Self {
        self.channels = channels.into_iter().collect();
        self
    }

    /// Adds up segments instead of messages.
    #[must_use]
    pub fn in_segments(mut self) -> Self {
        self.unit = Unit::Segments;
        self
    }
}

/// Whether a message may go now. Reasons are indexes into [`Description::reasons`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It may go.
    Allow,
    /// It must not go.
    Block {
        /// Why.
        reason: u16,
    },
    /// It must not go yet. Only for outbound messages.
    Later {
        /// Why.
        reason: u16,
        /// When to ask again, in milliseconds since 1970 in UTC: after the message's time, by at most 7 days.
        until: u64,
    },
}
