//! `POST …/check`

use axum::http::StatusCode;
use axum::response::Response;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer};
use super::auth::Asked;
use super::body::{JsonBody, NumberText};
use super::error::ApiError;
use super::words::{ListWord, SourceOfVerdict, Way};
use crate::core::check::{self, Checked};
use crate::core::{Refusal, RowProblem, Target};

/// One number, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest<'a> {
    /// One number. Either this or `numbers`.
    #[serde(borrow, default)]
    number: Option<NumberText<'a>>,
    /// Up to 10,000 numbers. Either this or `number`.
    #[serde(borrow, default)]
    #[schemars(length(max = 10_000))]
    numbers: Option<Vec<NumberText<'a>>>,
    /// Which way the messages go.
    direction: Way,
}

/// Whether a message may pass.
#[derive(Serialize, JsonSchema)]
pub(super) struct CheckAnswer {
    verdict: VerdictWord,
    direction: Way,
    /// The list that blocks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListWord>,
    source: SourceOfVerdict,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum VerdictWord {
    Allow,
    Block,
}

/// Which of several numbers are blocked.
#[derive(Serialize, JsonSchema)]
pub(super) struct CheckManyAnswer<'a> {
    /// Those that are blocked, as they were written, in their order.
    blocked: Vec<&'a str>,
    /// How many were checked.
    checked: usize,
    direction: Way,
    source: SourceOfVerdict,
}

/// A longer body is parsed where it doesn't hold other requests up.
const SHORT_BODY: usize = 1024;

pub(super) async fn check(asked: Asked, body: JsonBody) -> Answer {
    let Asked { target, .. } = asked;
    if body.0.len() <= SHORT_BODY {
        let request: CheckRequest<'_> = body.parse()?;
        if let (Some(number), None) = (&request.number, &request.numbers) {
            let direction = Direction::from(request.direction);
            let checked = check::one(&target, &number.0, direction).map_err(|error| {
                ApiError::from(Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }]))
            })?;
            if let Some(checked) = checked {
                return Ok(answer_for_one(checked, request.direction));
            }
        }
    }
    answer::blocking(move || at_leisure(&target, &body)).await
}

/// What needs a thread that may block: many numbers, and one whose list the ledger has to answer for.
fn at_leisure(target: &Target, body: &JsonBody) -> Answer {
    let request: CheckRequest<'_> = body.parse()?;
    let direction = Direction::from(request.direction);
    match (request.number, request.numbers) {
        (Some(number), None) => {
            let checked = check::one_with_ledger(target, &number.0, direction)?;
            Ok(answer_for_one(checked, request.direction))
        }
        (None, Some(numbers)) => {
            let numbers: Vec<&str> = numbers.iter().map(|number| number.0.as_ref()).collect();
            let checked = check::many(target, &numbers, direction)?;
            let blocked = numbers.iter().zip(&checked.blocked).filter(|(_, blocked)| **blocked);
            Ok(answer::ok(&CheckManyAnswer {
                blocked: blocked.map(|(number, _)| *number).collect(),
                checked: numbers.len(),
                direction: request.direction,
                source: checked.answered_by.into(),
            }))
        }
        (None, None) => {
            Err(ApiError::invalid_request("", "neither number nor numbers is there; send one of them"))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid_request("", "both number and numbers are there; send one of them"))
        }
    }
}

fn answer_for_one(checked: Checked, direction: Way) -> Response {
    let verdict = if checked.blocked_by.is_some() { VerdictWord::Block } else { VerdictWord::Allow };
    let list = checked.blocked_by.map(ListWord::from);
    answer::json(
        StatusCode::OK,
        &CheckAnswer { verdict, direction, list, source: checked.answered_by.into() },
    )
}
