//! Linking of identities: ids assigned by vendors, and numbers that people move between.

use jiff::Timestamp;
use portcullis_keys::{Scope, UserId};
use portcullis_msisdn::Subject;

use crate::actor::Actor;

/// A statement that several identities are the same person.
///
/// If it has a number, the person's entries are under that number from then on. Holds under an id, or under the number
/// in `left`, then apply there too. If both have a hold of the same kind, the later expiry applies.
///
/// A statement about an earlier time than what is known changes nothing, so messages may arrive in any order and more
/// than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The person's number.
    pub number: Option<Subject>,
    /// The person's user ids.
    pub users: Vec<UserId>,
    /// The number that the person gave up for `number`. It stays blocked.
    pub left: Option<Subject>,
    /// The time of the statement: that of the message that makes it. If it is unknown, no id moves from one number to
    /// another, and a move that is already known is not repeated.
    pub at: Option<Timestamp>,
    /// The author of the statement.
    pub actor: Actor,
}

/// The effect of a [`Link`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// The tenant's lists whose entries changed.
    pub changed: Vec<Scope>,
}
