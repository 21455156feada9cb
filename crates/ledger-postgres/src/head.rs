//! The head of a list: its row in `lists`.

use std::collections::HashMap;

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
/// Like [`HEAD`], for several lists.
pub(crate) const HEADS: &str = "
    SELECT l.id, l.sequence, l.active, l.mark
    FROM unnest($1::integer[], $2::integer[]) w (list, tenant) JOIN lists l ON l.id = w.list AND l.tenant = w.tenant";
/// Like [`HEAD`], and locks the list.
pub(crate) const HEAD_LOCKED: &str =
    "SELECT sequence, active, mark FROM lists WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE";

pub(crate) async fn head(session: &Session, list: ListRow) -> Result<Head, Failure> {
    read_head(session, list, HEAD).await
}

/// Like [`head`], and locks the list.
pub(crate) async fn locked_head(session: &Session, list: ListRow) -> Result<Head, Failure> {
    read_head(session, list, HEAD_LOCKED).await
}

/// Reads the heads of several lists. Those of forgotten tenants are left out.
pub(crate) async fn heads(session: &Session, lists: &[ListRow]) -> Result<HashMap<i64, Head>, Failure> {
    let ids = lists.iter().map(|list| row_id(list.id)).collect::<Result<Vec<i32>, LedgerError>>()?;
    let tenants =
        lists.iter().map(|list| row_id(list.tenant.0)).collect::<Result<Vec<i32>, LedgerError>>()?;
    let rows = session.query(HEADS, &[&ids, &tenants]).await?;
    let heads = rows.iter().map(|row| {
        let mut columns = Columns::of(row);
        Ok((columns.get::<i32>()?.into(), columns_of_head(columns)?))
    });
    heads.collect()
}

async fn read_head(session: &Session, list: ListRow, sql: &'static str) -> Result<Head, Failure> {
    let (id, tenant) = (row_id(list.id)?, row_id(list.tenant.0)?);
    let row = session.query_opt(sql, &[&id, &tenant]).await?.ok_or(LedgerError::TenantForgotten)?;
    columns_of_head(Columns::of(&row))
}

fn columns_of_head(mut columns: Columns<'_>) -> Result<Head, Failure> {
    let census = Census { sequence: columns.sequence()?, active: unsigned(columns.get()?)? };
    Ok(Head { census, mark: columns.get()? })
}
