//! `POST …/check`: may a message pass?

use std::borrow::Cow;
use std::num::NonZeroU16;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AnsweredBy, ListKind, NumberText};

/// A check of one number, or of several.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest<'a> {
    /// One number. Send either this or `numbers`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberText<'a>>,
    /// Up to 10,000 numbers. Send either this or `number`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    pub numbers: Option<Vec<NumberText<'a>>>,
    /// The direction of the messages.
    pub direction: Direction,
    /// How the messages go, for the tenant's rules. Omitted: `other`.
    #[serde(default, skip_serializing_if = "Channel::is_other")]
    pub channel: Channel,
    /// What the messages are for, for the tenant's rules. Omitted: `unknown`.
    #[serde(default, skip_serializing_if = "Purpose::is_unknown")]
    pub purpose: Purpose,
    /// The parts that each message is charged as, for the tenant's rules. Omitted: 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1))]
    pub segments: NonZeroU16,
    /// When the messages are to go, RFC 3339, for the tenant's rules: what they would say then, by what is counted now. Omitted: now.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub at: Option<Cow<'a, str>>,
}

/// How a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[schemars(inline)]
pub enum Channel {
    /// Another one, or it is not known
    #[default]
    Other,
    /// SMS
    Sms,
    /// MMS
    Mms,
    /// RCS
    Rcs,
    /// WhatsApp
    Whatsapp,
    /// A call
    Voice,
}

impl Channel {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_other(&self) -> bool {
        *self == Channel::Other
    }
}

/// What a message is for, as its sender declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[schemars(inline)]
pub enum Purpose {
    /// It is not known
    #[default]
    Unknown,
    /// It has a one-time code
    Authentication,
    /// It is about a transaction or an account of the person
    Utility,
    /// It advertises
    Marketing,
    /// It answers the person
    Service,
}

impl Purpose {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_unknown(&self) -> bool {
        *self == Purpose::Unknown
    }
}

fn one() -> NonZeroU16 {
    NonZeroU16::MIN
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_one(segments: &NonZeroU16) -> bool {
    segments.get() == 1
}

/// The verdict on one number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckAnswer {
    /// Whether the message may pass.
    pub verdict: Verdict,
    /// The direction in the request.
    pub direction: Direction,
    /// The list that blocks the number. Omitted if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListKind>,
    /// What decided.
    pub source: AnsweredBy,
    /// True if the message must not go now, whether the verdict is `block` or `later`: for clients that don't know the latter. Omitted if the
    /// message may pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// The rule that stops the message. Omitted if none does.
    #[serde(flatten)]
    pub stop: Option<StopAnswer>,
}

/// The rule that stops a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct StopAnswer {
    /// The rules plugin.
    pub rule: String,
    /// The plugin's reason: 1 to 64 of a-z, 0-9 and '-'. Omitted if the plugin failed, and the tenant's `on_failure` answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With the verdict `later`: when to ask again, RFC 3339. It is not a permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Whether a message may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Verdict {
    /// The message may pass.
    Allow,
    /// The message must not pass.
    Block,
    /// The message must not pass now, says a rule. Ask again later.
    Later,
}

/// Which of several numbers are blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckManyAnswer<'a> {
    /// The numbers whose messages must not pass, as they are written in the request, and in its order.
    pub blocked: Vec<Cow<'a, str>>,
    /// How many numbers were checked.
    pub checked: usize,
    /// The direction in the request.
    pub direction: Direction,
    /// What decided.
    pub source: AnsweredBy,
    /// Those of the blocked numbers whose messages a rule stops, in order, and why. Omitted if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<StoppedAnswer<'a>>,
}

/// A number whose message a rule stops.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct StoppedAnswer<'a> {
    /// The number, as it is written in the request.
    pub number: Cow<'a, str>,
    /// `block` or `later`.
    pub verdict: Verdict,
    /// Always true: the message must not go now.
    pub blocked: bool,
    /// The rule that stops it.
    #[serde(flatten)]
    pub stop: StopAnswer,
}
