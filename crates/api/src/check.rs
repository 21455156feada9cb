//! `POST …/check`: may a message pass?

use std::borrow::Cow;

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
}

/// The verdict on one number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckAnswer {
    /// Whether the message may pass.
    pub verdict: Verdict,
    /// The direction in the request.
    pub direction: Direction,
    /// The list that blocks the number. Omitted if the message may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListKind>,
    /// What decided.
    pub source: AnsweredBy,
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
}

/// Which of several numbers are blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckManyAnswer<'a> {
    /// The blocked numbers, as they are written in the request, and in its order.
    pub blocked: Vec<Cow<'a, str>>,
    /// How many numbers were checked.
    pub checked: usize,
    /// The direction in the request.
    pub direction: Direction,
    /// What decided.
    pub source: AnsweredBy,
}
