//! `POST …/check`

use std::sync::LazyLock;

use axum::body::Bytes;
use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer};
use super::auth::Asked;
use super::body::{JsonBody, NumberText};
use super::error::ApiError;
use super::words::{ListWord, SourceOfVerdict, Way};
use crate::core::check;
use crate::core::{Refusal, RowProblem, Target};
use portcullis_engine::ListKind;
use portcullis_engine::{AnsweredBy, Checked, CheckedMany};

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
const SHORT_BODY: usize = 8 << 10;

pub(super) async fn check(asked: Asked, body: JsonBody) -> Answer {
    let Asked { target, .. } = asked;
    match at_once(&target, &body)? {
        Some(text) => Ok(answer::whole(text.into())),
        None => in_time(target, body).await,
    }
}

/// The answer about one number or a few, where it takes no thread that may block.
pub(super) fn at_once(target: &Target, body: &JsonBody) -> Result<Option<Bytes>, ApiError> {
    if body.0.len() > SHORT_BODY {
        return Ok(None);
    }
    let request: CheckRequest<'_> = body.parse()?;
    let way = request.direction;
    match (&request.number, &request.numbers) {
        (Some(number), None) => {
            let checked = check::one(target, &number.0, way.into()).map_err(|error| {
                ApiError::from(Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }]))
            })?;
            Ok(checked.map(|checked| text_for_one(checked, way)))
        }
        (None, Some(numbers)) => {
            let numbers = texts(numbers);
            let checked = check::few(target, &numbers, way.into());
            Ok(checked
                .and_then(|checked| serde_json::to_vec(&many(&numbers, &checked, way)).ok())
                .map(Bytes::from))
        }
        _ => Ok(None),
    }
}

/// The answer, on a thread that may block.
pub(super) async fn in_time(target: Target, body: JsonBody) -> Answer {
    answer::blocking(move || at_leisure(&target, &body)).await
}

/// What needs a thread that may block: many numbers, and one whose list the ledger has to answer for.
fn at_leisure(target: &Target, body: &JsonBody) -> Answer {
    let request: CheckRequest<'_> = body.parse()?;
    let direction = Direction::from(request.direction);
    match (request.number, request.numbers) {
        (Some(number), None) => {
            let checked = check::one_with_ledger(target, &number.0, direction)?;
            Ok(answer::whole(text_for_one(checked, request.direction).into()))
        }
        (None, Some(numbers)) => {
            let numbers = texts(&numbers);
            let checked = check::many(target, &numbers, direction)?;
            Ok(answer::ok(&many(&numbers, &checked, request.direction)))
        }
        (None, None) => {
            Err(ApiError::invalid_request("", "neither number nor numbers is there; send one of them"))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid_request("", "both number and numbers are there; send one of them"))
        }
    }
}

fn texts<'a>(numbers: &'a [NumberText<'_>]) -> Vec<&'a str> {
    numbers.iter().map(|number| number.0.as_ref()).collect()
}

fn many<'a>(numbers: &[&'a str], checked: &CheckedMany, direction: Way) -> CheckManyAnswer<'a> {
    let blocked = numbers.iter().zip(&checked.blocked).filter(|(_, blocked)| **blocked);
    CheckManyAnswer {
        blocked: blocked.map(|(number, _)| *number).collect(),
        checked: numbers.len(),
        direction,
        source: checked.answered_by.into(),
    }
}

/// All answers about one number: by direction, by list, by who answered. There are few, so each is written once.
static TEXTS: LazyLock<[[[Bytes; 3]; 3]; 2]> = LazyLock::new(|| {
    [Way::Inbound, Way::Outbound].map(|direction| {
        [None, Some(ListKind::Sender), Some(ListKind::Tenant)].map(|list| {
            [AnsweredBy::Plugin, AnsweredBy::Ledger, AnsweredBy::Policy].map(|by| {
                let verdict = if list.is_some() { VerdictWord::Block } else { VerdictWord::Allow };
                let (list, source) = (list.map(ListWord::from), by.into());
                // Words alone, which can be written.
                serde_json::to_vec(&CheckAnswer { verdict, direction, list, source })
                    .unwrap_or_default()
                    .into()
            })
        })
    })
});

fn text_for_one(checked: Checked, direction: Way) -> Bytes {
    let list = match checked.blocked_by {
        None => 0,
        Some(ListKind::Sender) => 1,
        Some(ListKind::Tenant) => 2,
    };
    TEXTS[direction as usize][list][checked.answered_by as usize].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_the_one_that_was_meant() {
        for (direction, blocked_by, answered_by, text) in [
            (
                Way::Inbound,
                None,
                AnsweredBy::Plugin,
                r#"{"verdict":"allow","direction":"inbound","source":"plugin"}"#,
            ),
            (
                Way::Outbound,
                Some(ListKind::Sender),
                AnsweredBy::Ledger,
                r#"{"verdict":"block","direction":"outbound","list":"sender","source":"ledger"}"#,
            ),
            (
                Way::Inbound,
                Some(ListKind::Tenant),
                AnsweredBy::Policy,
                r#"{"verdict":"block","direction":"inbound","list":"tenant","source":"policy"}"#,
            ),
        ] {
            assert_eq!(text_for_one(Checked { blocked_by, answered_by }, direction), text);
        }
    }
}
