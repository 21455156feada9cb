//! `POST …/entries` and `DELETE …/entries`

use axum::http::StatusCode;
use axum::response::Response;
use memchr::memmem;
use portcullis_api::{
    BlockEntry, BlockRequest, GivenSource, InvalidRow, OnInvalid, UnblockRequest, WriteAnswer, WriteResult,
};
use portcullis_ledger::Outcome;
use portcullis_msisdn::{Direction, Directions};
use serde::Deserialize;

use super::entries::requested;
use portcullis_edge::http::answer::{Answer, Room};
use portcullis_edge::http::auth::{Asked, ToBlock};
use portcullis_edge::http::body::{JsonBody, SHORT_BODY};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::http::position;
use portcullis_edge::ops::write::{self, BlockRow, Lift, Named, WriteOptions, WriteReport};
use portcullis_edge::ops::{Target, Work};
use portcullis_edge::wire;

pub(super) async fn block(asked: Asked<ToBlock>, body: JsonBody) -> Answer {
    let (kind, body) = kind(&asked.target, body).await?;
    asked
        .target
        .blocking(kind, move |target| {
            let request: BlockRequest<'_> = body.parse()?;
            let rows = rows(&request)?;
            let options = options(request.on_invalid, request.dry_run);
            let room = room(&target, rows.len(), request.brief, options)?;
            let done = write::block(&target, &rows, options).map_err(|refusal| {
                if request.number.is_some() { refusal.without_index() } else { refusal }
            })?;
            Ok::<_, ApiError>(answer(&target, room, done, request.dry_run, request.brief))
        })
        .await
}

pub(super) async fn unblock(asked: Asked<ToBlock>, body: JsonBody) -> Answer {
    let (kind, body) = kind(&asked.target, body).await?;
    asked
        .target
        .blocking(kind, move |target| {
            let request: UnblockRequest<'_> = body.parse()?;
            let people: Vec<Named<'_>> = match (&request.number, &request.numbers) {
                (Some(number), None) => vec![Named::Text(&number.0)],
                (None, Some(numbers)) => numbers.iter().map(|number| Named::Text(&number.0)).collect(),
                _ => return Err(ApiError::invalid_request("", "send exactly one of number and numbers")),
            };
            let directions = some_directions(request.directions.as_deref())?;
            let options = options(request.on_invalid, request.dry_run);
            let room = room(&target, people.len(), request.brief, options)?;
            let hold = wire::lifted_hold(request.hold);
            let requested = requested(request.requested.as_deref(), target.list.now())?;
            let lift = Lift { hold, requested, ..Lift::of(directions) };
            let done = write::unblock(&target, &people, lift, options).map_err(|refusal| {
                if request.number.is_some() { refusal.without_index() } else { refusal }
            })?;
            Ok(answer(&target, room, done, request.dry_run, request.brief))
        })
        .await
}

/// The field of both requests that says whether to write.
#[derive(Deserialize)]
struct Trial {
    #[serde(default)]
    dry_run: bool,
}

/// What kind of work a request is. A long dry run takes no turn of those who write, and none of their priority: it writes nothing, so
/// nobody waits for it, and it would cost little to ask for one after another.
async fn kind(target: &Target, body: JsonBody) -> Result<(Work, JsonBody), ApiError> {
    if body.0.len() <= SHORT_BODY {
        return Ok((Work::Write, body));
    }
    // An escaped name is missed: such a trial takes a turn of those who write.
    if memmem::find(&body.0, b"dry_run").is_none() {
        return Ok((Work::BulkWrite, body));
    }
    let read = move |_| {
        // What can't be read is refused by the write.
        let is_trial = serde_json::from_slice::<Trial>(&body.0).is_ok_and(|trial| trial.dry_run);
        Ok::<_, ApiError>((if is_trial { Work::Batch } else { Work::BulkWrite }, body))
    };
    target.blocking(Work::Batch, read).await
}

/// Bytes of the result for a row: most have a number, and some a user id.
const RESULT: usize = 64;
/// Bytes about an invalid row.
const INVALID: usize = 128;

/// Memory for the answer about so many rows. More than are accepted get a short one.
fn room(target: &Target, rows: usize, brief: bool, options: WriteOptions) -> Result<Room, ApiError> {
    let result = if brief { 0 } else { RESULT };
    let invalid = if options.skip_invalid { INVALID } else { 0 };
    Ok(Room::of_write(target, rows.min(write::MAX_ROWS), result + invalid)?)
}

fn options(on_invalid: OnInvalid, dry_run: bool) -> WriteOptions {
    WriteOptions { skip_invalid: on_invalid == OnInvalid::Skip, dry_run, ..WriteOptions::default() }
}

fn some_directions(named: Option<&[Direction]>) -> Result<Directions, ApiError> {
    let directions = wire::requested_directions(named);
    if directions.is_none() {
        return Err(ApiError::invalid_request(
            "directions",
            "must not be empty; name inbound, outbound or both, or omit it",
        ));
    }
    Ok(directions)
}

/// The rows of a request. Fields that a row does not set are taken from the request.
fn rows<'a>(request: &'a BlockRequest<'_>) -> Result<Vec<BlockRow<'a>>, ApiError> {
    let source = request.source.unwrap_or_default();
    let common = BlockRow {
        source: wire::given_source(source),
        hold: wire::named_hold(request.hold.unwrap_or(source.implied_hold())),
        reason: request.reason.as_deref(),
        expires: request.expires.as_deref(),
        requested: request.requested.as_deref(),
        ..BlockRow::of("", some_directions(request.directions.as_deref())?)
    };
    let alone = |number| BlockRow { whom: Named::Text(number), ..common };
    match (&request.number, &request.numbers, &request.entries) {
        (Some(number), None, None) => Ok(vec![alone(&number.0)]),
        (None, Some(numbers), None) => Ok(numbers.iter().map(|number| alone(&number.0)).collect()),
        (None, None, Some(entries)) => Ok(entries.iter().map(|entry| row(entry, common)).collect()),
        _ => Err(ApiError::invalid_request("", "send exactly one of number, numbers and entries")),
    }
}

/// Converts a row. Its own fields take precedence over `common`.
fn row<'a>(entry: &'a BlockEntry<'_>, common: BlockRow<'a>) -> BlockRow<'a> {
    let hold = entry.hold.or(entry.source.map(GivenSource::implied_hold));
    let directions = entry.directions.as_deref();
    BlockRow {
        whom: Named::Text(&entry.number.0),
        directions: directions.map_or(common.directions, |named| wire::requested_directions(Some(named))),
        source: entry.source.map_or(common.source, wire::given_source),
        hold: hold.map_or(common.hold, wire::named_hold),
        label: None,
        reason: entry.reason.as_deref().or(common.reason),
        expires: entry.expires.as_deref().or(common.expires),
        requested: entry.requested.as_deref().or(common.requested),
    }
}

fn answer(target: &Target, room: Room, done: WriteReport, dry_run: bool, brief: bool) -> Response {
    let sequence = done.sequence;
    let mut response = room.json(StatusCode::OK, &answer_of(done, dry_run, brief));
    if !dry_run {
        position::add_to(&mut response, target, sequence);
    }
    response
}

fn answer_of(done: WriteReport, dry_run: bool, brief: bool) -> WriteAnswer {
    let changed = done.results.iter().filter(|row| row.outcome.is_some_and(Outcome::changed)).count();
    let unchanged = if dry_run { 0 } else { done.results.len() - changed };
    let results = done
        .results
        .into_iter()
        .map(|row| WriteResult { number: row.identity.text(), outcome: wire::outcome(row.outcome) });
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
