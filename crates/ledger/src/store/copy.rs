//! The interface by which a ledger that nobody has open is moved from one store to another.
//!
//! What is moved, and how it is compared, is the business of `portcullis-migration`. Nothing here decrypts a row.

use std::collections::BTreeMap;

use portcullis_ledger_model::table::{Row, Table};

use crate::error::LedgerError;
use crate::witness::LedgerId;

/// The most rows that are read or written at once.
pub const PAGE: usize = 10_000;

/// What rows can be read from.
pub trait Rows {
    /// The first rows of a table in the order of their keys, at most [`PAGE`].
    fn first(&mut self, table: &'static Table) -> Result<Vec<Row>, LedgerError>;

    /// The rows after those that were read last, at most [`PAGE`]; none at the end of the table.
    fn next(&mut self) -> Result<Vec<Row>, LedgerError>;
}

/// A ledger that is moved. Nobody else can write to it, or open it, until this is dropped.
pub trait Source: Rows {
    /// The number of rows of a table, by the list or tenant that they belong to, as [`Table::owner`] has it.
    fn counts(&mut self, table: &Table) -> Result<BTreeMap<i64, u64>, LedgerError>;

    /// The id after which new ones may be counted in a table that is [`NUMBERED`](portcullis_ledger_model::table::NUMBERED); 0 if there is
    /// none.
    fn last_id(&mut self, table: &Table) -> Result<i64, LedgerError>;

    /// Marks the ledger as moved: nobody opens it any more. `to` is where it went, without a password, and `ledger` what it became there.
    fn leave(self: Box<Self>, to: &str, ledger: LedgerId) -> Result<(), LedgerError>;
}

/// Where a ledger is moved to. Nobody opens it before it is [finished](Self::finish).
pub trait Target: Rows {
    /// The ledger that an earlier move did not finish here.
    fn unfinished(&self) -> Option<LedgerId>;

    /// Creates an empty, unfinished ledger, in the place of an earlier one. Returns its id.
    fn begin(&mut self) -> Result<LedgerId, LedgerError>;

    /// Adds rows to a table, which must not be there.
    fn put(&mut self, table: &Table, rows: &[Row]) -> Result<(), LedgerError>;

    /// Makes everything that was put durable. Nothing is put or read afterwards. `last_ids` are the
    /// ids after which those of new rows begin, by table, for a store that counts.
    fn complete(&mut self, last_ids: &[(&Table, i64)]) -> Result<(), LedgerError>;

    /// Makes it a ledger that can be opened.
    fn finish(self: Box<Self>) -> Result<(), LedgerError>;
}
