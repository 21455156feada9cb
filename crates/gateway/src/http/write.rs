//! `POST …/entries` and `DELETE …/entries`

use portcullis_ledger::{HoldKind, Outcome, Source};
use portcullis_msisdn::Directions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer};
use super::auth::Asked;
use super::body::{JsonBody, NumberText};
use super::entries::requested;
use super::error::ApiError;
use super::words::{GivenSource, HoldWord, LiftedHold, OutcomeWord, Way, directions};
use crate::core::write::{self, BlockRow, Done, Lift, Manner};

/// Numbers to be blocked. One of `number`, `numbers` and `entries`; the optional fields hold for all entries that don't
/// say otherwise.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockRequest<'a> {
    #[serde(borrow, default)]
    number: Option<NumberText<'a>>,
    #[serde(borrow, default)]
    #[schemars(length(max = 10_000))]
    numbers: Option<Vec<NumberText<'a>>>,
    #[serde(borrow, default)]
    #[schemars(length(max = 10_000))]
    entries: Option<Vec<BlockEntry<'a>>>,
    /// Which ways: both, unless told otherwise.
    #[serde(default)]
    directions: Option<Vec<Way>>,
    /// Why. Kept encrypted.
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: Option<String>,
    #[serde(default)]
    source: Option<GivenSource>,
    /// Whose will it is: the person's own where the source is `opt_out`, else the business's, unless told otherwise.
    #[serde(default)]
    hold: Option<HoldWord>,
    /// When the block ends by itself.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    expires: Option<String>,
    /// When the person asked for it, where that was before now. An older wish than the one on record changes nothing.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    requested: Option<String>,
    #[serde(default)]
    on_invalid: OnInvalid,
    /// Whether nothing is to be written: the answer then says which numbers would be taken.
    #[serde(default)]
    dry_run: bool,
    /// Whether the answer leaves out `results`.
    #[serde(default)]
    brief: bool,
}

/// A number to be blocked, with what holds for it alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockEntry<'a> {
    #[serde(borrow)]
    number: NumberText<'a>,
    #[serde(default)]
    directions: Option<Vec<Way>>,
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: Option<String>,
    #[serde(default)]
    source: Option<GivenSource>,
    #[serde(default)]
    hold: Option<HoldWord>,
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    expires: Option<String>,
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    requested: Option<String>,
}

/// Numbers to be unblocked: either `number` or `numbers`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnblockRequest<'a> {
    #[serde(borrow, default)]
    number: Option<NumberText<'a>>,
    #[serde(borrow, default)]
    #[schemars(length(max = 10_000))]
    numbers: Option<Vec<NumberText<'a>>>,
    /// Which ways: both, unless told otherwise.
    #[serde(default)]
    directions: Option<Vec<Way>>,
    /// Which hold is to be lifted.
    #[serde(default)]
    hold: LiftedHold,
    /// When the person asked for it, where that was before now. An older wish than the one on record changes nothing.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    requested: Option<String>,
    #[serde(default)]
    on_invalid: OnInvalid,
    /// Whether nothing is to be written.
    #[serde(default)]
    dry_run: bool,
    /// Whether the answer leaves out `results`.
    #[serde(default)]
    brief: bool,
}

/// What becomes of the rest where some numbers can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnInvalid {
    /// Nothing is done.
    #[default]
    Refuse,
    /// The rest is done, and `invalid` lists what was left out.
    Skip,
}

/// What became of the numbers.
#[derive(Serialize, JsonSchema)]
pub(super) struct WriteAnswer {
    /// Each number that was taken, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<WriteResult>>,
    /// How many entries are other than before.
    changed: usize,
    /// How many are as before.
    unchanged: usize,
    /// The rows that were left out.
    invalid: Vec<InvalidRow>,
    /// The list's sequence number afterwards: each change takes the next one.
    sequence: u64,
    dry_run: bool,
}

/// What became of one number.
#[derive(Serialize, JsonSchema)]
struct WriteResult {
    /// In E.164, with its plus; or `user:` and a user id.
    number: String,
    outcome: OutcomeWord,
}

/// A row that was left out.
#[derive(Serialize, JsonSchema)]
struct InvalidRow {
    /// Which, from 0 on.
    index: usize,
    /// Why. Never holds the number.
    reason: String,
}

pub(super) async fn block(asked: Asked, body: JsonBody) -> Answer {
    answer::blocking(move || {
        let request: BlockRequest<'_> = body.parse()?;
        let rows = request.rows()?;
        let manner = manner(request.on_invalid, request.dry_run);
        let done = write::block(&asked.target, &rows, manner)?;
        Ok::<_, ApiError>(answer::ok(&WriteAnswer::new(done, request.dry_run, request.brief)))
    })
    .await
}

pub(super) async fn unblock(asked: Asked, body: JsonBody) -> Answer {
    answer::blocking(move || {
        let request: UnblockRequest<'_> = body.parse()?;
        let numbers: Vec<&str> = match (&request.number, &request.numbers) {
            (Some(number), None) => vec![&number.0],
            (None, Some(numbers)) => numbers.iter().map(|number| number.0.as_ref()).collect(),
            _ => return Err(ApiError::invalid_request("", "send exactly one of number and numbers")),
        };
        let directions = some_directions(request.directions.as_deref())?;
        let manner = manner(request.on_invalid, request.dry_run);
        let hold = request.hold.kind();
        let requested = requested(request.requested.as_deref())?;
        let lift = Lift { hold, requested, ..Lift::of(directions) };
        let done = write::unblock(&asked.target, &numbers, lift, manner)?;
        Ok(answer::ok(&WriteAnswer::new(done, request.dry_run, request.brief)))
    })
    .await
}

fn manner(on_invalid: OnInvalid, dry_run: bool) -> Manner {
    Manner { skip_invalid: on_invalid == OnInvalid::Skip, dry_run, ..Manner::default() }
}

fn some_directions(ways: Option<&[Way]>) -> Result<Directions, ApiError> {
    let directions = directions(ways);
    if directions.is_none() {
        return Err(ApiError::invalid_request(
            "directions",
            "names none; name inbound, outbound or both, or leave it out",
        ));
    }
    Ok(directions)
}

impl BlockRequest<'_> {
    /// The rows, with the fields that hold for all filled in.
    fn rows(&self) -> Result<Vec<BlockRow<'_>>, ApiError> {
        let source = self.source.unwrap_or_default();
        let common = BlockRow {
            source: Source::from(source),
            hold: self.hold.map_or(source.hold(), HoldKind::from),
            reason: self.reason.as_deref(),
            expires: self.expires.as_deref(),
            requested: self.requested.as_deref(),
            ..BlockRow::of("", some_directions(self.directions.as_deref())?)
        };
        let alone = |number| BlockRow { number, ..common };
        match (&self.number, &self.numbers, &self.entries) {
            (Some(number), None, None) => Ok(vec![alone(&number.0)]),
            (None, Some(numbers), None) => Ok(numbers.iter().map(|number| alone(&number.0)).collect()),
            (None, None, Some(entries)) => Ok(entries.iter().map(|entry| entry.row(common)).collect()),
            _ => Err(ApiError::invalid_request("", "send exactly one of number, numbers and entries")),
        }
    }
}

impl BlockEntry<'_> {
    fn row<'a>(&'a self, common: BlockRow<'a>) -> BlockRow<'a> {
        // What is said of the entry alone goes before what is said of all.
        let hold = self.hold.map(HoldKind::from).or(self.source.map(GivenSource::hold));
        BlockRow {
            number: &self.number.0,
            directions: self.directions.as_deref().map_or(common.directions, |ways| directions(Some(ways))),
            source: self.source.map_or(common.source, Source::from),
            hold: hold.unwrap_or(common.hold),
            label: None,
            reason: self.reason.as_deref().or(common.reason),
            expires: self.expires.as_deref().or(common.expires),
            requested: self.requested.as_deref().or(common.requested),
        }
    }
}

impl WriteAnswer {
    fn new(done: Done, dry_run: bool, brief: bool) -> Self {
        let changed = done.results.iter().filter(|row| row.outcome.is_some_and(Outcome::changed)).count();
        let unchanged = if dry_run { 0 } else { done.results.len() - changed };
        let results = done
            .results
            .into_iter()
            .map(|row| WriteResult { number: row.identity.text(), outcome: row.outcome.into() });
        let invalid = done
            .invalid
            .into_iter()
            .map(|problem| InvalidRow { index: problem.index, reason: problem.error.to_string() });
        WriteAnswer {
            results: (!brief).then(|| results.collect()),
            changed,
            unchanged,
            invalid: invalid.collect(),
            sequence: done.sequence.get(),
            dry_run,
        }
    }
}
