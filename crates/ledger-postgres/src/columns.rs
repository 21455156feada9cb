//! Values of columns, as the types that they stand for.

use std::net::IpAddr;

use jiff::Timestamp;
use portcullis_keys::Seal;
use portcullis_ledger::LedgerError;
use portcullis_ledger_model::text::{self, RowContext, Texts};
use portcullis_ledger_model::{Actor, HoldKind, Mark, Seq, Source};
use portcullis_msisdn::{Directions, Subject};
use tokio_postgres::Row;

use crate::failure::Failure;

const WHAT: &str = "row";

/// A row id as the tables have it.
pub(crate) fn row_id(id: i64) -> Result<i32, LedgerError> {
    i32::try_from(id).map_err(|_| LedgerError::Defect)
}

/// Reads the columns of a row from the first to the last.
pub(crate) struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a Row) -> Self {
        Columns::after(row, 0)
    }

    /// The columns after the first ones.
    pub(crate) fn after(row: &'a Row, first: usize) -> Self {
        Columns { row, next: first }
    }

    pub(crate) fn get<T: tokio_postgres::types::FromSql<'a>>(&mut self) -> Result<T, Failure> {
        let value = self.row.try_get(self.next);
        self.next += 1;
        // The error may quote the value.
        value.map_err(|_| LedgerError::damaged(WHAT).into())
    }

    pub(crate) fn subject(&mut self) -> Result<Subject, Failure> {
        subject(self.get()?)
    }

    pub(crate) fn sequence(&mut self) -> Result<Seq, Failure> {
        Ok(Seq::new(unsigned(self.get()?)?))
    }

    pub(crate) fn mark(&mut self) -> Result<Mark, Failure> {
        Ok(Mark(self.get::<i64>()?.cast_unsigned()))
    }

    pub(crate) fn directions(&mut self) -> Result<Directions, Failure> {
        directions(self.get()?)
    }

    pub(crate) fn maybe_directions(&mut self) -> Result<Option<Directions>, Failure> {
        self.get::<Option<i16>>()?.map(directions).transpose()
    }

    pub(crate) fn source(&mut self) -> Result<Source, Failure> {
        source(self.get()?)
    }

    pub(crate) fn maybe_source(&mut self) -> Result<Option<Source>, Failure> {
        self.get::<Option<i16>>()?.map(source).transpose()
    }

    pub(crate) fn kind(&mut self) -> Result<HoldKind, Failure> {
        kind(self.get()?)
    }

    pub(crate) fn maybe_kind(&mut self) -> Result<Option<HoldKind>, Failure> {
        self.get::<Option<i16>>()?.map(kind).transpose()
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Failure> {
        self.get()
    }

    pub(crate) fn maybe_time(&mut self) -> Result<Option<Timestamp>, Failure> {
        self.get()
    }

    /// Three columns: name, address and interface.
    pub(crate) fn actor(&mut self) -> Result<Actor, Failure> {
        self.maybe_actor()?.ok_or_else(|| LedgerError::damaged(WHAT).into())
    }

    /// Three columns, all of them NULL if there is no actor.
    pub(crate) fn maybe_actor(&mut self) -> Result<Option<Actor>, Failure> {
        let (name, address, interface) =
            (self.get::<Option<&str>>()?, self.get::<Option<IpAddr>>()?, self.get::<Option<&str>>()?);
        let Some(name) = name else { return Ok(None) };
        let damaged = |_| LedgerError::damaged(WHAT);
        let mut actor = Actor::new(name).map_err(damaged)?;
        if let Some(address) = address {
            actor = actor.at(address);
        }
        if let Some(interface) = interface {
            actor = actor.through(interface).map_err(damaged)?;
        }
        Ok(Some(actor))
    }

    /// Decrypts the texts of a row.
    pub(crate) fn texts(&mut self, seal: &Seal, context: RowContext) -> Result<Texts, Failure> {
        let sealed: Option<&[u8]> = self.get()?;
        text::open(seal, context, sealed).map_err(|error| LedgerError::unsealed(WHAT, error).into())
    }
}

/// A number that is never negative.
pub(crate) fn unsigned(value: i64) -> Result<u64, Failure> {
    u64::try_from(value).map_err(|_| LedgerError::damaged("counter").into())
}

pub(crate) fn subject(value: i64) -> Result<Subject, Failure> {
    u64::try_from(value).ok().and_then(Subject::new).ok_or_else(|| LedgerError::damaged(WHAT).into())
}

pub(crate) fn directions(value: i16) -> Result<Directions, Failure> {
    u8::try_from(value).ok().and_then(Directions::from_bits).ok_or_else(|| LedgerError::damaged(WHAT).into())
}

fn source(code: i16) -> Result<Source, Failure> {
    Source::from_code(code.into()).ok_or_else(|| LedgerError::damaged(WHAT).into())
}

fn kind(code: i16) -> Result<HoldKind, Failure> {
    HoldKind::from_code(code.into()).ok_or_else(|| LedgerError::damaged(WHAT).into())
}

/// A code as the tables have it. All codes are small.
pub(crate) fn code(code: i64) -> i16 {
    i16::try_from(code).unwrap_or(i16::MAX)
}

/// A subject as the tables have it.
pub(crate) fn bits(subject: Subject) -> i64 {
    subject.get().cast_signed()
}

/// The first possible subject after `after`.
pub(crate) fn first_after(after: Option<Subject>) -> i64 {
    after.map_or(0, |subject| bits(subject) + 1)
}

/// A sequence number as the tables have it.
pub(crate) fn number(sequence: Seq) -> i64 {
    i64::try_from(sequence.get()).unwrap_or(i64::MAX)
}
