//! `GET …/entries`, and single entries.

use std::num::NonZeroUsize;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use jiff::Timestamp;
use portcullis_ledger::{Hold, Paging, PublicId, Status, StatusFilter};
use portcullis_msisdn::{Direction, Directions, Person};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::answer::{self, Answer};
use super::auth::Asked;
use super::body::Query;
use super::error::ApiError;
use super::front::Front;
use super::words::{ActorAnswer, HoldWord, LiftedHold, OutcomeWord, SourceWord, Way, time};
use crate::core::read::{self, Shown};
use crate::core::write::{self, Lift};
use crate::core::{Refusal, RowProblem, Target};
use crate::identity::IdentityError;

/// What stands before an entry's id, which a number never begins with.
const ID_PREFIX: &str = "e_";
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

/// One entry of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct EntryAnswer {
    /// Stays the same for as long as the tenant's key does, also when the entry is unblocked and blocked again.
    id: String,
    /// In E.164, with its plus; or `user:` and the id of a person without a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// The directions that are blocked; none where the entry is inactive.
    directions: Vec<Way>,
    status: StatusAnswer,
    source: SourceWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The number as it was written, where that is more than its digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<String>,
    /// The name of the token that the block was made with.
    actor: String,
    /// Why it is or was blocked, one by one. `source`, `reason` and `actor` beside this are those of one that is in force: the
    /// person's own before the business's.
    holds: Vec<HoldAnswer>,
    #[schemars(extend("format" = "date-time"))]
    created: String,
    #[schemars(extend("format" = "date-time"))]
    updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    deactivated: Option<String>,
    /// When it ends, or ended, by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    expires: Option<String>,
}

/// One reason for which a number is, or was, blocked.
#[derive(Serialize, JsonSchema)]
struct HoldAnswer {
    kind: HoldWord,
    /// What it covers; nothing where it is lifted.
    directions: Vec<Way>,
    source: SourceWord,
    /// What the client calls the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    made_by: ActorAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted_by: Option<ActorAnswer>,
    #[schemars(extend("format" = "date-time"))]
    since: String,
    /// When the person asked for what set it, confirmed it or lifted it last, as far as that is known; else when it was
    /// written. A person's wish that is older changes nothing.
    #[schemars(extend("format" = "date-time"))]
    requested: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    expires: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum StatusAnswer {
    Active,
    Inactive,
}

/// A part of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct PageAnswer {
    entries: Vec<EntryAnswer>,
    /// What to send as `after` for the next part; null on the last one.
    next: Option<String>,
}

/// The query of a page. Texts, as what is wrong with them is told here.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
    status: Option<String>,
}

/// The query of a single entry's removal.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RemovalQuery {
    direction: Option<String>,
    hold: Option<String>,
    requested: Option<String>,
}

/// What became of one entry.
#[derive(Serialize, JsonSchema)]
pub(super) struct RemovalAnswer {
    outcome: OutcomeWord,
    /// The directions that are still blocked.
    directions: Vec<Way>,
    /// The list's sequence number afterwards.
    sequence: u64,
}

/// The entry that the path names: by its id, or by its number.
pub(super) struct EntryName(String);

impl FromRequestParts<Arc<Front>> for EntryName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct InPath {
            entry: String,
        }
        let Path(InPath { entry }) =
            Path::from_request_parts(parts, front).await.map_err(|_| ApiError::not_found())?;
        Ok(EntryName(entry))
    }
}

impl EntryName {
    /// Whom it means. May ask the ledger.
    pub(super) fn person(&self, target: &Target) -> Result<Person, ApiError> {
        if self.0.starts_with(ID_PREFIX) {
            // What can't be an id is the id of nothing.
            let id = parse_id(&self.0).ok_or(Refusal::EntryNotFound)?;
            let list = target.list.entries();
            return Ok(list.person_of(list.subject_of(&id)).map_err(Refusal::from)?);
        }
        let invalid =
            |error: IdentityError| Refusal::InvalidRows(vec![RowProblem { index: 0, error: error.into() }]);
        let identity = target.read(&self.0).map_err(invalid)?;
        Ok(target.person(&identity)?.ok_or(Refusal::EntryNotFound)?)
    }
}

pub(super) async fn page(asked: Asked, Query(query): Query<PageQuery>) -> Answer {
    let (after, limit, filter) = (query.after()?, query.limit()?, query.filter()?);
    answer::blocking(move || {
        let list = asked.target.list.entries();
        let from = after.map_or(Paging::Start, |id| Paging::After(list.subject_of(&id)));
        let page = read::page(&asked.target, from, limit, filter)?;
        let entries = page.entries.into_iter().map(EntryAnswer::from).collect();
        Ok::<_, Refusal>(answer::ok(&PageAnswer { entries, next: page.next.map(id_text) }))
    })
    .await
}

pub(super) async fn get(asked: Asked, name: EntryName) -> Answer {
    answer::blocking(move || {
        let entry = read::entry_of(&asked.target, &name.person(&asked.target)?)?;
        Ok::<_, ApiError>(answer::ok(&EntryAnswer::from(entry)))
    })
    .await
}

pub(super) async fn remove(asked: Asked, name: EntryName, Query(query): Query<RemovalQuery>) -> Answer {
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
    let requested = requested(query.requested.as_deref())?;
    answer::blocking(move || {
        let person = name.person(&asked.target)?;
        let lift = Lift { hold: hold.kind(), requested, ..Lift::of(directions) };
        let written = write::unblock_entry(&asked.target, person.first(), lift)?;
        Ok::<_, ApiError>(answer::ok(&RemovalAnswer {
            outcome: Some(written.outcome).into(),
            directions: ways(written.after),
            sequence: written.sequence.get(),
        }))
    })
    .await
}

/// When the person asked for something, where a client says so.
pub(super) fn requested(text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| write::requested_until(text, Timestamp::now()))
        .transpose()
        .map_err(|error| ApiError::invalid_request("requested", &error.to_string()))
}

impl PageQuery {
    fn after(&self) -> Result<Option<PublicId>, ApiError> {
        let refused =
            || ApiError::invalid_request("after", "not a cursor; send the `next` of the page before");
        self.after.as_deref().map(|text| parse_id(text).ok_or_else(refused)).transpose()
    }

    fn limit(&self) -> Result<NonZeroUsize, ApiError> {
        let limit = self.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        limit
            .filter(|&limit| limit <= MAX_LIMIT)
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| ApiError::invalid_request("limit", "not a number from 1 to 10000"))
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

impl From<Shown> for EntryAnswer {
    fn from(shown: Shown) -> Self {
        let Shown { id, identity, entry } = shown;
        let lead = entry.holds.lead();
        EntryAnswer {
            id: id_text(id),
            number: identity.map(|identity| identity.text()),
            directions: ways(entry.directions),
            status: match entry.status() {
                Status::Active => StatusAnswer::Active,
                Status::Inactive => StatusAnswer::Inactive,
            },
            source: lead.source.into(),
            reason: lead.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            display: entry.display.as_ref().map(|display| display.as_str().to_owned()),
            actor: lead.actor.to_string(),
            holds: entry.holds.iter().map(HoldAnswer::of).collect(),
            created: time(entry.created),
            updated: time(entry.updated),
            deactivated: entry.deactivated.map(time),
            expires: lead.expires.map(time),
        }
    }
}

impl HoldAnswer {
    fn of(hold: &Hold) -> Self {
        HoldAnswer {
            kind: hold.kind.into(),
            directions: ways(hold.directions),
            source: hold.source.into(),
            label: hold.label.as_ref().map(|label| label.as_str().to_owned()),
            reason: hold.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            made_by: ActorAnswer::of(&hold.actor),
            lifted_by: hold.lifted_by.as_ref().map(ActorAnswer::of),
            since: time(hold.since),
            requested: time(hold.requested),
            expires: hold.expires.map(time),
        }
    }
}

pub(super) fn ways(directions: Directions) -> Vec<Way> {
    directions.iter().map(Way::from).collect()
}

pub(super) fn id_text(id: PublicId) -> String {
    format!("{ID_PREFIX}{id}")
}

fn parse_id(text: &str) -> Option<PublicId> {
    text.strip_prefix(ID_PREFIX)?.parse().ok()
}
