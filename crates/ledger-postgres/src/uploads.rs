//! The `plugins` table: components that were uploaded, for all nodes.

use std::time::Duration;

use portcullis_keys::{MasterSeal, Rewrap};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{Upload, Uploads};

use crate::Postgres;
use crate::columns::{Columns, unsigned};
use crate::failure::Failure;
use crate::session::{Parameters, Session};

/// How long writing or reading a component may take, which has up to 16 MiB.
const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const BEGIN: &str =
    "BEGIN; SET LOCAL statement_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";

const CONTEXT: &[u8] = b"uploaded plugin";

/// Encrypts the name of an uploaded plugin, the digest of its component, and how it was admitted, by which it is noticed that somebody
/// without the master key wrote an upload.
///
/// # Errors
/// [`LedgerError::Seal`], if the operating system gives no random bytes.
fn seal_upload(
    master: &MasterSeal,
    name: &str,
    digest: &[u8],
    admission: &str,
) -> Result<Vec<u8>, LedgerError> {
    // No name has a zero in it.
    let upload = [digest, name.as_bytes(), b"\0", admission.as_bytes()].concat();
    master.seal(CONTEXT, &upload).map_err(LedgerError::Seal)
}

/// How an upload was admitted, if this is what [`seal_upload`] encrypted under the same master key for it.
fn open_upload(master: &MasterSeal, name: &str, digest: &[u8], sealed: &[u8]) -> Option<String> {
    let upload = master.open(CONTEXT, sealed).ok()?;
    match upload.strip_prefix(digest)?.strip_prefix(name.as_bytes())? {
        // Of a gateway that kept nothing of it.
        [] => Some(String::new()),
        [0, admission @ ..] => String::from_utf8(admission.to_vec()).ok(),
        _ => None,
    }
}

/// Encrypts all uploads under another master key. Those that others than its owners have written are left as they are.
pub(crate) async fn rewrap_all(session: &Session, rewrap: &Rewrap) -> Result<(), Failure> {
    const UPDATE: &str = "UPDATE plugins SET sealed = $3 WHERE name = $1 AND digest = $2";
    for row in &session.query("SELECT name, digest, sealed FROM plugins", &[]).await? {
        let mut columns = Columns::of(row);
        let (name, digest, sealed): (&str, &[u8], &[u8]) = (columns.get()?, columns.get()?, columns.get()?);
        if let Ok(fresh) = rewrap.rewrap(CONTEXT, sealed) {
            session.execute(UPDATE, &[&name, &digest, &fresh]).await?;
        }
    }
    Ok(())
}

impl Uploads for Postgres {
    fn put_upload(
        &self,
        name: &str,
        digest: [u8; 32],
        component: &[u8],
        admission: &str,
        is_released: bool,
    ) -> Result<(), LedgerError> {
        // One that was released before stays where it was until it is released again.
        const SQL: &str = "
            INSERT INTO plugins (name, digest, component, is_released, sealed)
            SELECT $1::text, $2::bytea, $3::bytea, $4::boolean, $5::bytea FROM ledger WHERE ledger.sealed = $6
            ON CONFLICT (name, digest) DO UPDATE SET
                uploaded = DEFAULT, component = excluded.component,
                is_released = plugins.is_released OR excluded.is_released, sealed = excluded.sealed";
        let digest = digest.as_slice();
        self.under_key(|check| {
            let sealed = seal_upload(&self.master, name, digest, admission)?;
            let written = self.write_within(DEADLINE, async |session| {
                session.batch(BEGIN).await?;
                let parameters: Parameters<'_> = &[&name, &digest, &component, &is_released, &sealed, &check];
                let written = session.execute(SQL, parameters).await?;
                session.batch("COMMIT").await?;
                Ok(written)
            })?;
            Ok((written > 0).then_some(()))
        })
    }

    fn uploads(&self) -> Result<Vec<Upload>, LedgerError> {
        const SQL: &str = "SELECT name, digest, number, is_released, sealed FROM plugins ORDER BY number";
        self.read(async |session| {
            let mut uploads = Vec::new();
            for row in &session.query(SQL, &[]).await? {
                let mut columns = Columns::of(row);
                let (name, digest): (String, &[u8]) = (columns.get()?, columns.get()?);
                let (number, is_released) = (unsigned(columns.get()?)?, columns.get()?);
                // Others' rows don't open.
                let admission = open_upload(&self.master, &name, digest, columns.get()?);
                if let (Some(admission), Ok(digest)) = (admission, digest.try_into()) {
                    uploads.push(Upload { name, digest, number, is_released, admission });
                }
            }
            Ok(uploads)
        })
    }

    fn component(&self, name: &str, digest: [u8; 32]) -> Result<Option<Vec<u8>>, LedgerError> {
        const SQL: &str = "SELECT component FROM plugins WHERE name = $1 AND digest = $2";
        self.read_within(DEADLINE, async |session| {
            session.batch(BEGIN).await?;
            let row = session.query_opt(SQL, &[&name, &digest.as_slice()]).await?;
            session.batch("COMMIT").await?;
            row.map(|row| Columns::of(&row).get()).transpose()
        })
    }

    fn release_upload(&self, name: &str, digest: [u8; 32]) -> Result<(), LedgerError> {
        const SQL: &str =
            "UPDATE plugins SET is_released = true, number = DEFAULT WHERE name = $1 AND digest = $2";
        self.write_once(async |session| session.execute(SQL, &[&name, &digest.as_slice()]).await).map(drop)
    }

    fn drop_uploads(&self, name: &str, digests: &[[u8; 32]]) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM plugins WHERE name = $1 AND digest = ANY($2)";
        let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        self.write_once(async |session| session.execute(SQL, &[&name, &digests]).await).map(drop)
    }
}
