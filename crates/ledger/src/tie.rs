//! Who is one person beyond the spellings of a number: ids that vendors give, and numbers that people leave behind.

use jiff::Timestamp;
use portcullis_msisdn::Subject;

use crate::actor::Actor;
use crate::identity::UserId;
use crate::scope::Scope;

/// That all of these name one person.
///
/// With a number, the person's entries stand under that number from now on, and the holds that stood under an id, or under
/// what is `left`, hold there too: each until the later of the two ends where both have one of its kind.
///
/// What is said of an earlier time than what is known changes nothing, so that messages may arrive in any order, and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The number.
    pub number: Option<Subject>,
    /// User ids.
    pub users: Vec<UserId>,
    /// The number that the person left for this one. What is blocked of it stays so.
    pub left: Option<Subject>,
    /// When it was so: the time of the message that says it. Where it is not known, no id leaves a number for another one, and
    /// a person who moved to that number does not do so again.
    pub at: Option<Timestamp>,
    /// Who says so.
    pub actor: Actor,
}

/// What a [`Tie`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tied {
    /// The tenant's lists whose entries are others now.
    pub changed: Vec<Scope>,
}
