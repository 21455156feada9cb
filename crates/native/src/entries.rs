//! `GET …/entries`, and `GET` and `DELETE` of single entries.

use std::num::NonZeroUsize;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use portcullis_api::{LiftedHold, PageAnswer, RemovalAnswer};
use portcullis_ledger::{Paging, PublicId, StatusFilter};
use portcullis_msisdn::{Direction, Directions, Person};
use serde::Deserialize;
use std::sync::Arc;

use portcullis_edge::AppState;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Asked, ToBlock, ToRead};
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::http::position;
use portcullis_edge::ops::Work;
use portcullis_edge::ops::read;
use portcullis_edge::ops::write::{self, Lift};
use portcullis_edge::ops::{Refusal, Target};
use portcullis_edge::wire;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

/// The query of a page. Values are strings, so that errors are reported per parameter.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
    status: Option<String>,
}

/// The query for unblocking a single entry.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RemovalQuery {
    direction: Option<String>,
    hold: Option<String>,
    requested: Option<String>,
}

/// The entry named in the path, by its id or its number.
pub(super) struct EntryName(String);

impl FromRequestParts<Arc<AppState>> for EntryName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct InPath {
            entry: String,
        }
        let Path(InPath { entry }) =
            Path::from_request_parts(parts, app).await.map_err(|_| ApiError::not_found())?;
        Ok(EntryName(entry))
    }
}

impl EntryName {
    /// The person whose entry this is. May read the ledger.
    pub(super) fn person(&self, target: &Target) -> Result<Person, ApiError> {
        if wire::is_entry_id(&self.0) {
            // A malformed id belongs to no entry.
            let id = wire::parse_entry_id(&self.0).ok_or(Refusal::EntryNotFound)?;
            let list = target.list.entries();
            return Ok(list.person_of(list.subject_of(&id)).map_err(Refusal::from)?);
        }
        let identity = target.read(&self.0).map_err(|error| Refusal::InvalidRow(error.into()))?;
        Ok(target.person(&identity)?.ok_or(Refusal::EntryNotFound)?)
    }
}

pub(super) async fn page(asked: Asked<ToRead>, Query(query): Query<PageQuery>) -> Answer {
    let (after, limit, filter) = (query.after()?, query.limit()?, query.filter()?);
    asked
        .target
        .blocking(Work::Read, move |target| {
            let list = target.list.entries();
            let from = after.map_or(Paging::Start, |id| Paging::After(list.subject_of(&id)));
            let page = read::page(&target, from, limit, filter)?;
            let entries = page.entries.into_iter().map(wire::entry).collect();
            let page = PageAnswer { entries, next: page.next.map(wire::entry_id) };
            Ok::<_, ApiError>(answer::to(&target, StatusCode::OK, &page)?)
        })
        .await
}

pub(super) async fn get(asked: Asked<ToRead>, name: EntryName) -> Answer {
    asked
        .target
        .blocking(Work::Lookup, move |target| {
            let entry = read::entry_of(&target, &name.person(&target)?)?;
            Ok::<_, ApiError>(answer::ok(&wire::entry(entry)))
        })
        .await
}

pub(super) async fn remove(
    asked: Asked<ToBlock>,
    name: EntryName,
    Query(query): Query<RemovalQuery>,
) -> Answer {
    let hold = match query.hold.as_deref() {
        None => LiftedHold::default(),
        Some(text) => LiftedHold::parse(text).ok_or_else(|| {
            ApiError::invalid_request("hold", "must be operator, opt_out, marketing or all")
        })?,
    };
    let directions = match query.direction.as_deref().map(str::parse::<Direction>) {
        None => Directions::BOTH,
        Some(Ok(direction)) => direction.into(),
        Some(Err(error)) => return Err(ApiError::invalid_request("direction", &error.to_string())),
    };
    let requested = requested(query.requested.as_deref(), asked.target.list.now())?;
    asked
        .target
        .blocking(Work::Write, move |target| {
            let person = name.person(&target)?;
            let lift = Lift { hold: wire::lifted_hold(hold), requested, ..Lift::of(directions) };
            let written = write::unblock_entry(&target, person.first(), lift)?;
            let mut response = answer::ok(&RemovalAnswer {
                outcome: wire::outcome(Some(written.outcome)),
                directions: wire::directions(written.after),
                sequence: written.sequence.get(),
            });
            position::add_to(&mut response, &target, written.sequence);
            Ok::<_, ApiError>(response)
        })
        .await
}

/// Parses `requested`: when the person made the request, if the client says so. `now` is the ledger's time.
pub(super) fn requested(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| write::requested_until(text, now))
        .transpose()
        .map_err(|error| ApiError::invalid_request("requested", &error.to_string()))
}

impl PageQuery {
    fn after(&self) -> Result<Option<PublicId>, ApiError> {
        let refused =
            || ApiError::invalid_request("after", "not a cursor; send the `next` of the previous page");
        self.after.as_deref().map(|text| wire::parse_entry_id(text).ok_or_else(refused)).transpose()
    }

    fn limit(&self) -> Result<NonZeroUsize, ApiError> {
        let limit = self.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        limit
            .filter(|&limit| limit <= MAX_LIMIT)
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| ApiError::invalid_request("limit", "must be a number from 1 to 10000"))
    }

    fn filter(&self) -> Result<StatusFilter, ApiError> {
        match self.status.as_deref() {
            None | Some("active") => Ok(StatusFilter::Active),
            Some("inactive") => Ok(StatusFilter::Inactive),
            Some("all") => Ok(StatusFilter::All),
            Some(_) => Err(ApiError::invalid_request("status", "must be active, inactive or all")),
        }
    }
}
