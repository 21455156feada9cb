//! The head of a list: its row in `lists`.

use portcullis_ledger::LedgerError;
use portcullis_ledger::store::ListRow;
use portcullis_ledger_model::Census;

use crate::columns::{Columns, row_id, unsigned};
use crate::failure::Failure;
use crate::session::Session;

/// Where a list is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) census: Census,
    /// New with each commit that changes the list.
    pub(crate) mark: i64,
}

/// Reads a list's head.
pub(crate) const HEAD: &str = "SELECT sequence, active, mark FROM lists WHERE id = $1 AND tenant = $2";
/// Like [`HEAD`], and locks the list.
const HEAD_LOCKED: &str =
    "SELECT sequence, active, mark FROM lists WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE";

pub(crate) async fn head(session: &Session, list: ListRow) -> Result<Head, Failure> {
    read_head(session, list, HEAD).await
}

/// Like [`head`], and locks the list.
pub(crate) async fn locked_head(session: &Session, list: ListRow) -> Result<Head, Failure> {
    read_head(session, list, HEAD_LOCKED).await
}

async fn read_head(session: &Session, list: ListRow, sql: &'static str) -> Result<Head, Failure> {
    let (id, tenant) = (row_id(list.id)?, row_id(list.tenant.0)?);
    let row = session.query_opt(sql, &[&id, &tenant]).await?.ok_or(LedgerError::TenantForgotten)?;
    let mut columns = Columns::of(&row);
    let census = Census { sequence: columns.sequence()?, active: unsigned(columns.get()?)? };
    Ok(Head { census, mark: columns.get()? })
}
