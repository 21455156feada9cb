//! `POST …/entries` and `DELETE …/entries`

use std::borrow::Cow;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GivenSource, HoldKind, LiftedHold, NumberText, Outcome};

/// Numbers to block: exactly one of `number`, `numbers` and `entries`. The optional fields apply to every entry that does not set its
/// own.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockRequest<'a> {
    /// One number.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberText<'a>>,
    /// Up to 10,000 numbers.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    pub numbers: Option<Vec<NumberText<'a>>>,
    /// Up to 10,000 numbers, each with its own fields.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    pub entries: Option<Vec<BlockEntry<'a>>>,
    /// Which directions to block. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// Why. Stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<Cow<'a, str>>,
    /// How the block came about. Default: `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<GivenSource>,
    /// Which hold to set. Default: the person's own where the source is `opt_out`, otherwise the business's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    /// When the block ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<Cow<'a, str>>,
    /// When the person asked for it, if that was earlier than now. A request older than the one on record changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
    /// What to do when some numbers can't be read.
    #[serde(default, skip_serializing_if = "OnInvalid::is_default")]
    pub on_invalid: OnInvalid,
    /// Write nothing; the answer says which numbers would be accepted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Leave `results` out of the answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub brief: bool,
}

/// A number to block, with the fields that apply to it alone.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockEntry<'a> {
    /// The number.
    #[serde(borrow)]
    pub number: NumberText<'a>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<Cow<'a, str>>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<GivenSource>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<Cow<'a, str>>,
    /// As in [`BlockRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
}

/// Numbers to unblock: either `number` or `numbers`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnblockRequest<'a> {
    /// One number.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberText<'a>>,
    /// Up to 10,000 numbers.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    pub numbers: Option<Vec<NumberText<'a>>>,
    /// Which directions to unblock. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// Which hold to lift.
    #[serde(default, skip_serializing_if = "LiftedHold::is_default")]
    pub hold: LiftedHold,
    /// When the person asked for it, if that was earlier than now. A request older than the one on record changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
    /// What to do when some numbers can't be read.
    #[serde(default, skip_serializing_if = "OnInvalid::is_default")]
    pub on_invalid: OnInvalid,
    /// Write nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Leave `results` out of the answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub brief: bool,
}

/// What to do when some numbers can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// Refuse the request: nothing is written.
    #[default]
    Refuse,
    /// Write the rest; `invalid` lists the rows that were left out.
    Skip,
}

impl OnInvalid {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_default(&self) -> bool {
        *self == OnInvalid::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The result of a write.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct WriteAnswer {
    /// One result per accepted number, in order. Missing where `brief` was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<WriteResult>>,
    /// How many entries changed.
    pub changed: usize,
    /// How many did not.
    pub unchanged: usize,
    /// The rows that were left out.
    pub invalid: Vec<InvalidRow>,
    /// The list's sequence number after the write: each change takes the next one.
    pub sequence: u64,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// The result for one number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct WriteResult {
    /// In E.164, with its plus; or `user:` and a user id.
    pub number: String,
    /// What happened to it.
    pub outcome: Outcome,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct InvalidRow {
    /// Its index in the request, from 0.
    pub index: usize,
    /// Why. Never contains the number.
    pub reason: String,
}
