//! What Meta's and Kaleyra's block APIs have in common: the request body, the results, and paging through lists.

use std::num::NonZeroUsize;

use portcullis_ledger::{HoldKind, Paging, UserId};
use portcullis_msisdn::Directions;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use portcullis_edge::http::answer::Room;
use portcullis_edge::ops::read::{self, Who};
use portcullis_edge::ops::write::{self, BlockRow, Lift, Named, RowResult, WriteOptions, WriteReport};
use portcullis_edge::ops::{Patience, RowError, RowProblem, Target};
use portcullis_edge::vendor::call::{Call, whatsapp_terms};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::text::Text;
use portcullis_engine::Identity;

const COVERED: Directions = Directions::BOTH;
/// Maximum number of users in one request, and on one page.
pub(super) const MOST: usize = 1000;
/// Bytes of the result for one user, at most, except for the texts of the client.
const RESULT: usize = 384;
/// The required value of `messaging_product`.
const PRODUCT: &str = "whatsapp";

#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    messaging_product: Option<String>,
    #[serde(default)]
    block_users: Option<Vec<User>>,
}

/// A person, identified by number or user id.
#[derive(Deserialize)]
struct User {
    #[serde(default)]
    user: Option<Text>,
    #[serde(default)]
    user_id: Option<Text>,
}

impl User {
    /// Returns the identifier as the client wrote it, or an empty string if there is none.
    fn input(&self) -> &str {
        let given = self.user.as_ref().or(self.user_id.as_ref());
        given.map_or("", Text::as_str)
    }

    /// Whom it means: a number, or a user id.
    fn named(&self) -> Named<'_> {
        match (&self.user, &self.user_id) {
            (Some(user), _) if !UserId::is_meta_bsuid(user.as_str()) => Named::Text(user.as_str()),
            _ => Named::UserId(self.input()),
        }
    }
}

/// The result for one person.
pub(super) struct Result {
    /// The identifier as the client wrote it.
    pub(super) input: String,
    /// `None` if the identifier could not be read.
    pub(super) identity: Option<Identity>,
    /// Why the person was not blocked or unblocked; `None` on success.
    pub(super) error: Option<RowError>,
}

/// The results of a request, in the shape of both vendors.
#[derive(Serialize)]
pub(super) struct Results {
    pub(super) messaging_product: &'static str,
    pub(super) block_users: Lists,
}

#[derive(Serialize)]
pub(super) struct Lists {
    #[serde(skip_serializing_if = "Option::is_none")]
    added_users: Option<Vec<Person>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_users: Option<Vec<Person>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_users: Option<Vec<Failed>>,
}

#[derive(Serialize)]
struct Person {
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

#[derive(Serialize)]
struct Failed {
    #[serde(flatten)]
    person: Person,
    errors: [UserError; 1],
}

#[derive(Serialize)]
struct UserError {
    message: &'static str,
    code: u32,
    error_data: Details,
}

#[derive(Serialize)]
struct Details {
    details: &'static str,
}

/// Returns a person's WhatsApp id: the digits of their number.
pub(super) fn wa_id(identity: &Identity) -> Option<String> {
    identity.number().map(|number| number.digits().to_string())
}

/// Returns a person's user id, if they are identified by one.
pub(super) fn user_id(identity: &Identity) -> Option<String> {
    match identity {
        Identity::User(id) => Some(id.as_str().to_owned()),
        Identity::Number(_) => None,
    }
}

/// What to do with the users in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Block,
    Unblock,
}

impl Results {
    /// Groups the results. Also returns whether any of them failed.
    pub(super) fn of(action: Action, results: Vec<Result>) -> (Self, bool) {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for Result { input, identity, error } in results {
            let person = Person {
                input,
                wa_id: identity.as_ref().and_then(wa_id),
                user_id: identity.as_ref().and_then(user_id),
            };
            match error {
                None => done.push(person),
                Some(error) => failed.push(Failed { person, errors: [UserError::of(error)] }),
            }
        }
        let any_failed = !failed.is_empty();
        let done = (!done.is_empty() || any_failed).then_some(done);
        let (added_users, removed_users) = match action {
            Action::Block => (done, None),
            Action::Unblock => (None, done),
        };
        let lists = Lists { added_users, removed_users, failed_users: any_failed.then_some(failed) };
        (Results { messaging_product: PRODUCT, block_users: lists }, any_failed)
    }
}

impl UserError {
    /// Uses the codes of Meta's table. 131050 is the code for a recipient's own choice, and the closest to an opt-out.
    fn of(error: RowError) -> Self {
        let (code, message, details) = match error {
            RowError::OwnNumber => (131_021, "Self block", "The number is the business's own"),
            RowError::Full => {
                (139_101, "Blocklist limit reached", "The blocklist has as many users as it may have")
            }
            RowError::OutsideWindow => {
                (131_047, "Re-engagement required", "User has not messaged in the last 24 hours")
            }
            RowError::OptedOut => {
                (131_050, "User opted out", "The user opted out, and only they can lift that")
            }
            RowError::Foreign => (
                139_100,
                "Failed to unblock user",
                "The user was blocked from a different system, and cannot be unblocked here",
            ),
            RowError::TenantWide => (
                139_100,
                "Failed to unblock user",
                "The user is blocked for all senders of the business, and cannot be unblocked here",
            ),
            _ => (131_047, "Re-engagement required", "Not the number or id of a WhatsApp user"),
        };
        UserError { message, code, error_data: Details { details } }
    }
}

/// Parses and checks the request body.
fn users(call: &Call) -> std::result::Result<Vec<User>, Fault> {
    let Request { messaging_product, block_users } = call.json()?;
    if messaging_product.as_deref() != Some(PRODUCT) {
        return Err(Fault::malformed("messaging_product", "must be \"whatsapp\""));
    }
    let users = block_users.unwrap_or_default();
    if !(1..=MOST).contains(&users.len()) {
        return Err(Fault::Count { field: "block_users", least: 1, most: MOST, given: users.len() });
    }
    if users.iter().any(|user| user.input().is_empty()) {
        return Err(Fault::malformed("block_users", "has an element without a user"));
    }
    Ok(users)
}

/// Blocks or unblocks the users in the body, each independently of the others.
///
/// With `made_through`, only blocks that were made through that interface are lifted. Also returns memory for the answer.
pub(super) fn act(
    action: Action,
    call: &Call,
    target: &Target,
    made_through: Option<&str>,
) -> std::result::Result<(Vec<Result>, Room), Fault> {
    let users = users(call)?;
    let room = Room::of_write(target, users.len(), RESULT)?;
    let people: Vec<Named<'_>> = users.iter().map(User::named).collect();
    let options = WriteOptions { skip_invalid: true, ..WriteOptions::default() };
    let done = match action {
        Action::Block => {
            let rows: Vec<_> = people.iter().map(|whom| BlockRow::of(*whom, COVERED)).collect();
            write::block(target, &rows, WriteOptions { terms: whatsapp_terms(target), ..options })?
        }
        Action::Unblock => {
            let lifts_all = target.tenant.config.dialects.lift_opt_outs;
            let lift = Lift {
                hold: (!lifts_all).then_some(HoldKind::Operator),
                covering: COVERED,
                made_through,
                or_stays_blocked: true,
                ..Lift::of(COVERED)
            };
            write::unblock(target, &people, lift, options)?
        }
    };
    Ok((in_order(target, &users, done), room))
}

/// Combines the results of valid and invalid users, in the order of the request.
fn in_order(target: &Target, users: &[User], done: WriteReport) -> Vec<Result> {
    let mut invalid = done.invalid.into_iter().peekable();
    let mut written = done.results.into_iter();
    let each = users.iter().enumerate().map(|(index, user)| {
        let input = user.input().to_owned();
        if let Some(RowProblem { error, .. }) = invalid.next_if(|problem| problem.index == index) {
            return Result { input, identity: user.named().read(target).ok(), error: Some(error) };
        }
        let written = written.next();
        let error = written.as_ref().and_then(RowResult::failure);
        Result { input, identity: written.map(|done| done.identity), error }
    });
    each.collect()
}

/// The parameters of a request for a page.
pub(super) struct Wanted {
    pub(super) limit: NonZeroUsize,
    from: Paging,
    /// Number of entries before the page according to the cursor; for a page before a cursor, number of entries before its end.
    offset: u64,
    /// The version of the list for which the cursor was made.
    pub(super) version: Option<portcullis_ledger::Seq>,
}

impl Wanted {
    /// Reads `limit`, `after` and `before` from the query. `after` takes precedence over `before`, and a limit over 1,000 is
    /// reduced to that.
    pub(super) fn read(
        call: &Call,
        target: &Target,
        default_limit: usize,
    ) -> std::result::Result<Self, Fault> {
        let given = |name: &str| call.query_of(name).filter(|text| !text.is_empty());
        let limit = match given("limit") {
            None => NonZeroUsize::new(default_limit),
            Some(text) => text.parse().ok().and_then(NonZeroUsize::new),
        };
        let limit = limit.ok_or_else(|| Fault::malformed("limit", "must be a positive integer"))?;
        let limit = limit.min(NonZeroUsize::new(MOST).unwrap_or(NonZeroUsize::MIN));
        let (name, text) = match (given("after"), given("before")) {
            (Some(text), _) => ("after", text),
            (None, Some(text)) => ("before", text),
            (None, None) => return Ok(Wanted { limit, from: Paging::Start, offset: 0, version: None }),
        };
        let cursor = Cursor::decode(&text)
            .ok_or_else(|| Fault::malformed(name, "must be a cursor of an earlier answer"))?;
        let at = target.list.entries().subject_of(&cursor.at);
        let from = if name == "after" { Paging::After(at) } else { Paging::Before(at) };
        Ok(Wanted { limit, from, offset: cursor.offset, version: Some(cursor.version) })
    }
}

/// A page of a list.
pub(super) struct Page {
    pub(super) people: Vec<Identity>,
    /// Cursor of the first entry; `None` if the page is empty.
    pub(super) before: Option<String>,
    /// Cursor of the last entry; `None` if the page is empty.
    pub(super) after: Option<String>,
    pub(super) has_previous: bool,
    pub(super) has_next: bool,
}

/// Reads a page of a list.
pub(super) fn page(
    target: &Target,
    wanted: &Wanted,
    who: Who,
    patience: &Patience,
) -> std::result::Result<Page, Fault> {
    let list = target.list.entries();
    let version = list.sequence()?;
    let blocked = read::blocked(target, wanted.from, wanted.limit, COVERED, who, patience)?;
    let count = blocked.members.len() as u64;
    let first = match wanted.from {
        Paging::Before(_) => wanted.offset.saturating_sub(count),
        _ => wanted.offset,
    };
    let cursor = |at, offset| Cursor { offset, version, at: list.public_id(at) }.encode();
    let (has_previous, has_next) = match wanted.from {
        Paging::Start | Paging::Skip(_) => (false, blocked.more),
        Paging::After(_) => (true, blocked.more),
        Paging::Before(_) => (blocked.more, true),
    };
    Ok(Page {
        before: blocked.members.first().map(|(at, _)| cursor(*at, first)),
        after: blocked.members.last().map(|(at, _)| cursor(*at, first + count)),
        people: blocked.members.into_iter().map(|(_, identity)| identity).collect(),
        has_previous,
        has_next,
    })
}
