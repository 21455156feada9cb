//! The rows that the rules of a write read and change. Each store has its own SQL for them.

#![expect(clippy::missing_errors_doc, reason = "each method may fail with an error of the storage")]

use jiff::Timestamp;
use portcullis_keys::{Scope, UserId};
use portcullis_msisdn::{Permutation, ReservedId, Subject};

use crate::batch::Batch;
use crate::changes::{Census, Seq};
use crate::entry::Entry;
use crate::inconsistent::Inconsistent;
use crate::record::Record;
use crate::rows::ListRow;
use crate::time;

/// The rows of one tenant, in one transaction of a store. Reads see what the transaction has written.
pub trait Tables {
    /// Why a call fails.
    type Error: From<Inconsistent>;
    /// What the store has to know of a list when its entries are stored.
    type Position;
    /// What the store has to know of an entry's rows when they are replaced.
    type Before: Default;

    /// The time by the clock that all writers of the ledger share.
    fn now(&self) -> Timestamp {
        time::now()
    }

    /// The identity of a user id; `None` if the user id was never used.
    fn identity_of(&self, user: &UserId) -> Result<Option<Identity>, Self::Error>;

    /// The identity with this id.
    fn identity(&self, id: ReservedId) -> Result<Option<Identity>, Self::Error>;

    /// The identities whose entries are under this subject, which is not their own.
    fn identities_at(&self, home: Subject) -> Result<Vec<Identity>, Self::Error>;

    /// Registers a user id that was never used, with the next id.
    fn add_identity(&self, user: &UserId) -> Result<ReservedId, Self::Error>;

    /// Sets [`Identity::home`] and [`Identity::tied`].
    fn move_identity(
        &self,
        id: ReservedId,
        home: Option<Subject>,
        tied: Option<Timestamp>,
    ) -> Result<(), Self::Error>;

    /// The numbers that this one was given up for, and when, in that order.
    fn moves_from(&self, left: Subject) -> Result<Vec<(Subject, Timestamp)>, Self::Error>;

    /// Records that a number was given up for another one. If that is known, the later time stands.
    fn put_move(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), Self::Error>;

    /// The tenant's lists.
    fn lists(&self) -> Result<Vec<(ListRow, Scope)>, Self::Error>;

    /// An entry of a list.
    fn entry(&self, list: ListRow, subject: Subject) -> Result<Option<Entry>, Self::Error>;

    /// The records that share a sequence number, the latest first.
    fn records(&self, list: ListRow, sequence: Seq) -> Result<Vec<Record>, Self::Error>;

    /// What [`Batch`] needs of a list: its census, and the entries of these subjects, in their order.
    fn load(
        &self,
        list: ListRow,
        subjects: &[Subject],
    ) -> Result<Loaded<Self::Position, Self::Before>, Self::Error>;

    /// Stores what the batch changed.
    fn store(
        &self,
        list: ListRow,
        position: Self::Position,
        batch: &Batch<Self::Before>,
    ) -> Result<(), Self::Error>;
}

/// A part of a list, as it is stored.
#[derive(Debug)]
pub struct Loaded<P, B> {
    /// See [`Tables::Position`].
    pub position: P,
    /// The list's sequence number and number of active entries.
    pub census: Census,
    /// The entries, and what the store has to know of their rows.
    pub entries: Vec<(Option<Entry>, B)>,
}

/// Who a user id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id that was assigned to the user id.
    pub id: ReservedId,
    /// The subject that the person's entries are under, if it is not the id's own.
    pub home: Option<Subject>,
    /// The time of the message that linked the id to `home`, if known.
    pub tied: Option<Timestamp>,
}

impl Identity {
    /// The subject that the person's entries are under.
    pub fn subject(&self, permutation: &Permutation) -> Subject {
        self.home.unwrap_or_else(|| permutation.reserved(self.id))
    }
}
