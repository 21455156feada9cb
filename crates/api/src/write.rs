//! `POST …/entries` and `DELETE …/entries`: blocking and unblocking.

use std::borrow::Cow;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GivenSource, HoldKind, LiftedHold, NumberText, Outcome};

/// A request to block numbers. Send exactly one of `number`, `numbers` and `entries`. The optional fields are the
/// defaults of entries that don't set their own.
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
    /// The directions to block. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// The reason. Stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<Cow<'a, str>>,
    /// How the block came about. Default: `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<GivenSource>,
    /// Which hold to set. Default: `opt_out` if the source is `opt_out`, otherwise `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    /// When the block expires. Must be in the future. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<Cow<'a, str>>,
    /// When the person made the request, if that was earlier than now. A request that is older than the one on record changes
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
    /// What to do if some rows are invalid. Default: `refuse`.
    #[serde(default, skip_serializing_if = "OnInvalid::is_default")]
    pub on_invalid: OnInvalid,
    /// Write nothing. The response says which numbers would be accepted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Omit `results` from the response.
    #[serde(default, skip_serializing_if = "is_false")]
    pub brief: bool,
}

/// A number to block, with its own fields. An omitted field has the value in the request.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockEntry<'a> {
    /// The number.
    #[serde(borrow)]
    pub number: NumberText<'a>,
    /// The directions to block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// The reason. Stored encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<Cow<'a, str>>,
    /// How the block came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<GivenSource>,
    /// Which hold to set. Default: the one that the entry's own `source` implies, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    /// When the block expires. Must be in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<Cow<'a, str>>,
    /// When the person made the request, if that was earlier than now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
}

/// A request to unblock numbers. Send either `number` or `numbers`.
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
    /// The directions to unblock. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directions: Option<Vec<Direction>>,
    /// Which hold to lift. Default: `operator`.
    #[serde(default, skip_serializing_if = "LiftedHold::is_default")]
    pub hold: LiftedHold,
    /// When the person made the request, if that was earlier than now. A request that is older than the one on record changes
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub requested: Option<Cow<'a, str>>,
    /// What to do if some rows are invalid. Default: `refuse`.
    #[serde(default, skip_serializing_if = "OnInvalid::is_default")]
    pub on_invalid: OnInvalid,
    /// Write nothing. The response says which numbers would be accepted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Omit `results` from the response.
    #[serde(default, skip_serializing_if = "is_false")]
    pub brief: bool,
}

/// What to do if some rows are invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// Refuse the whole request, and write nothing.
    #[default]
    Refuse,
    /// Write the other rows. `invalid` lists the ones that were skipped.
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
    /// The result of each accepted number, in the order of the request. Omitted if `brief` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<WriteResult>>,
    /// How many entries changed. 0 in a dry run.
    pub changed: usize,
    /// How many entries did not change. 0 in a dry run.
    pub unchanged: usize,
    /// The rows that were skipped, with `on_invalid` set to `skip`.
    #[serde(default)]
    pub invalid: Vec<InvalidRow>,
    /// The list's sequence number after the write. Each change takes the next number.
    pub sequence: u64,
    /// Whether this was a dry run, so that nothing was written.
    pub dry_run: bool,
}

/// The result for one number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct WriteResult {
    /// The number in E.164 with its plus, or `user:` and a user id.
    pub number: String,
    /// What happened to it.
    pub outcome: Outcome,
}

/// A row that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct InvalidRow {
    /// The row's index in the request, from 0.
    pub index: usize,
    /// What is wrong with it. Never contains the number.
    pub reason: String,
}
