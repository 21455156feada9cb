//! The exchange of the master key for another one, while gateways share the ledger.
//!
//! All of them must have both keys before. Who seals something under the key writes it only if the ledger still says that it is of this
//! key, in the same statement. An exchange locks the tables of what is sealed before it reads them: what is written is either among what
//! it reads, or finds that the ledger is of another key, as a statement looks at the tables only once it has their locks.

use std::time::Duration;

use portcullis_keys::{Fingerprint, Rewrap, TenantId};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::sealed;

use crate::Postgres;
use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;
use crate::uploads::{self, BEGIN};

/// How long an exchange may take, with what it waits for.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often something is sealed anew because the key was exchanged meanwhile.
const ATTEMPTS: u32 = 3;

const CHECK: &str = "SELECT sealed FROM ledger";

impl Postgres {
    /// Finds out under which of the known keys the ledger is sealed.
    pub(crate) fn find_key(&self) -> Result<(), LedgerError> {
        self.read(async |session| self.adopt_key(session).await)
    }

    async fn adopt_key(&self, session: &Session) -> Result<(), Failure> {
        let row = session.query_opt(CHECK, &[]).await?.ok_or(LedgerError::Defect)?;
        match self.master.adopt(Columns::of(&row).get()?) {
            true => Ok(()),
            false => Err(LedgerError::AnotherMasterKey.into()),
        }
    }

    /// Runs what seals something under the key in use. `work` is told what the ledger should say of its key, and returns `None` if it
    /// says something else.
    pub(crate) fn under_key<T>(
        &self,
        work: impl Fn(&[u8]) -> Result<Option<T>, LedgerError>,
    ) -> Result<T, LedgerError> {
        for _ in 0..ATTEMPTS {
            if let Some(done) = work(&self.master.check())? {
                return Ok(done);
            }
            self.find_key()?;
        }
        Err(LedgerError::AnotherMasterKey)
    }

    /// Encrypts what is sealed under the master key under another one, in one transaction.
    pub(crate) fn rotate_to(&self, key: Fingerprint) -> Result<(), LedgerError> {
        self.check_all_have(key)?;
        self.write_within(DEADLINE, async |session| {
            session.batch(BEGIN).await?;
            session.batch("LOCK TABLE secrets, plugins IN SHARE ROW EXCLUSIVE MODE").await?;
            self.adopt_key(session).await?;
            if self.master.in_use() != key {
                let rewrap = self.master.rewrap_to(key).ok_or(LedgerError::AnotherMasterKey)?;
                rewrap_all(session, &rewrap).await?;
            }
            session.batch("COMMIT").await
        })?;
        self.find_key()
    }
}

async fn rewrap_all(session: &Session, rewrap: &Rewrap) -> Result<(), Failure> {
    const SECRETS: &str =
        "SELECT id, name, wrapped FROM secrets JOIN tenants ON tenants.id = secrets.tenant ORDER BY id";
    const UPDATE: &str = "
        UPDATE secrets SET wrapped = u.wrapped FROM unnest($1::integer[], $2::bytea[]) u (tenant, wrapped)
        WHERE secrets.tenant = u.tenant";
    let (mut tenants, mut secrets): (Vec<i32>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for row in &session.query(SECRETS, &[]).await? {
        let mut columns = Columns::of(row);
        let (id, name, wrapped): (i32, &str, &[u8]) = (columns.get()?, columns.get()?, columns.get()?);
        let tenant: TenantId = name.parse().map_err(|_| LedgerError::damaged("list of tenants"))?;
        tenants.push(id);
        secrets.push(sealed::rewrap_secret(rewrap, &tenant, wrapped)?);
    }
    session.execute(UPDATE, &[&tenants, &secrets]).await?;
    uploads::rewrap_all(session, rewrap).await?;
    // Last, as others do that change it: see `forget_tenant`.
    let check = rewrap.check().map_err(LedgerError::Seal)?;
    session.execute("UPDATE ledger SET sealed = $1", &[&check]).await.map(drop)
}
