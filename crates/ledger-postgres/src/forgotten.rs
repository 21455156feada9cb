//! Tenants that were forgotten, and the deletion of their rows.
//!
//! To forget a tenant is to delete its secret, settings and saved states, to give its row a name that no tenant can have, and to negate
//! the ids of its lists. From that commit on it is gone: nobody finds its name, its lists don't exist for those who have their ids, and
//! nothing of people is read without the secret. Its other rows are garbage, which is deleted some thousands at a time: one transaction
//! for all of a long list would outlast every deadline. What one node leaves, because it ends, another one deletes when it is opened.

use std::sync::Arc;
use std::thread;

use portcullis_ledger::LedgerError;

use crate::Postgres;
use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::{Parameters, Session};

/// SQL that deletes the rows of an owner after one key, in the order of the keys, and returns the last key; NULL if there was none.
macro_rules! delete {
    ($table:literal, $owner:literal, $key:literal) => {
        concat!(
            "WITH s AS (
                SELECT max(k) AS k FROM (
                    SELECT ",
            $key,
            " AS k FROM ",
            $table,
            "
                    WHERE ",
            $owner,
            " = $1 AND ",
            $key,
            " > $2 ORDER BY ",
            $key,
            " LIMIT 5000
                ) x
            ), d AS (
                DELETE FROM ",
            $table,
            " USING s WHERE ",
            $owner,
            " = $1 AND ",
            $key,
            " > $2 AND ",
            $key,
            " <= s.k
            )
            SELECT k FROM s"
        )
    };
}

const OF_LIST: [&str; 4] = [
    delete!("visits", "list", "subject"),
    delete!("holds", "list", "subject"),
    delete!("records", "list", "sequence"),
    delete!("entries", "list", "subject"),
];
const OF_TENANT: [&str; 2] =
    [delete!("identities", "tenant", "id"), delete!("moves", "tenant", "from_subject")];

impl Postgres {
    /// Deletes what is left of forgotten tenants.
    pub(crate) fn delete_forgotten(&self) -> Result<(), LedgerError> {
        const TENANTS: &str = "SELECT id FROM tenants WHERE name LIKE 'forgotten %' ORDER BY id";
        const LISTS: &str = "SELECT id FROM lists WHERE tenant = $1 ORDER BY id";
        const LIST: &str = "
            WITH c AS (DELETE FROM commits WHERE list = -$1::integer), s AS (DELETE FROM states WHERE list = -$1::integer)
            DELETE FROM lists WHERE id = $1::integer";
        // The actors go with it.
        const TENANT: &str = "DELETE FROM tenants WHERE id = $1 AND name LIKE 'forgotten %'";
        for tenant in self.ids(TENANTS, &[])? {
            for list in self.ids(LISTS, &[&tenant])? {
                OF_LIST.iter().try_for_each(|sql| self.delete_all(sql, -list))?;
                self.write_once(async |session| session.execute(LIST, &[&list]).await)?;
            }
            OF_TENANT.iter().try_for_each(|sql| self.delete_all(sql, tenant))?;
            self.write_once(async |session| session.execute(TENANT, &[&tenant]).await)?;
        }
        Ok(())
    }

    /// Deletes all rows of an owner, each part in a transaction of its own.
    fn delete_all(&self, sql: &'static str, owner: i32) -> Result<(), LedgerError> {
        let mut after = Some(i64::MIN);
        while let Some(last) = after {
            after = self.write_once(async |session| {
                let row = session.query_opt(sql, &[&owner, &last]).await?.ok_or(LedgerError::Defect)?;
                Columns::of(&row).get()
            })?;
        }
        Ok(())
    }

    fn ids(&self, sql: &'static str, parameters: Parameters<'_>) -> Result<Vec<i32>, LedgerError> {
        self.read(async |session| {
            session.query(sql, parameters).await?.iter().map(|row| Columns::of(row).get()).collect()
        })
    }
}

/// Whether anything is left of forgotten tenants.
pub(crate) async fn is_left(session: &Session) -> Result<bool, Failure> {
    const SQL: &str = "SELECT EXISTS (SELECT FROM tenants WHERE name LIKE 'forgotten %')";
    let row = session.query_opt(SQL, &[]).await?.ok_or(LedgerError::Defect)?;
    Columns::of(&row).get()
}

/// Deletes in the background what a node left that ended before.
pub(crate) fn go_on(store: Arc<Postgres>) -> Result<(), LedgerError> {
    // If it fails, the next opening goes on, or the next tenant that is forgotten.
    let work = move || {
        let _ = store.delete_forgotten();
    };
    let thread = thread::Builder::new().name("ledger-forgotten".into());
    thread.spawn(work).map(drop).map_err(|error| LedgerError::Unavailable(error.into()))
}
