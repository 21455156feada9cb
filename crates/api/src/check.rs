//! `POST …/check`

use std::borrow::Cow;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AnsweredBy, ListKind, NumberText};

/// One number, or several.
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
    /// Which way the messages go.
    pub direction: Direction,
}

/// Whether a message may pass.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckAnswer {
    /// Whether it may.
    pub verdict: Verdict,
    /// As in the request.
    pub direction: Direction,
    /// The list that blocks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListKind>,
    /// Who answered.
    pub source: AnsweredBy,
}

/// A verdict on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// It may not.
    Block,
}

/// Which of several numbers are blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct CheckManyAnswer<'a> {
    /// The blocked numbers, spelled and ordered as in the request.
    pub blocked: Vec<Cow<'a, str>>,
    /// How many numbers were checked.
    pub checked: usize,
    /// As in the request.
    pub direction: Direction,
    /// Who answered.
    pub source: AnsweredBy,
}
