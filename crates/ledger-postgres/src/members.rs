//! The `members` table: what nodes say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_keys::MasterKey;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{Description, Fleet, Lease, Member, Members};

use crate::Postgres;
use crate::columns::Columns;
use crate::session::Parameters;

/// What this node said of itself last.
pub(crate) struct Said {
    description: Description,
    digest: Vec<u8>,
    /// The digests of the settings, in the order of their names.
    digests: Vec<Vec<u8>>,
}

impl Said {
    /// `key` is for nothing else.
    fn of(description: &Description, key: &MasterKey) -> Self {
        let digests: Vec<Vec<u8>> = description
            .settings
            .iter()
            .map(|(name, value)| key.derive(&format!("setting/{name}/{value}"))[..16].to_vec())
            .collect();
        let names = description.settings.keys().map(String::as_str).collect::<Vec<_>>().join("/");
        let all: String = digests.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        let digest = key.derive(&format!("settings/{names}/{all}"))[..16].to_vec();
        Said { description: description.clone(), digest, digests }
    }

    fn settings(&self) -> Vec<&str> {
        self.description.settings.keys().map(String::as_str).collect()
    }
}

impl Members for Postgres {
    fn describe(&self, description: &Description, staleness: Duration) -> Result<(), LedgerError> {
        const AGAIN: &str = "UPDATE members SET seen = clock_timestamp(), staleness = $2 WHERE id = $1";
        // A node that ended without a word is replaced by the next one of its name.
        const FIRST: &str = "
            WITH old AS (
                DELETE FROM members WHERE id <> $1 AND (seen < clock_timestamp() - interval '1 day'
                    OR (name = $3 AND seen < clock_timestamp() - interval '15 seconds'))
            )
            INSERT INTO members (id, staleness, name, program, digest, settings, digests)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET
                seen = clock_timestamp(), staleness = excluded.staleness, program = excluded.program,
                digest = excluded.digest, settings = excluded.settings, digests = excluded.digests";
        let staleness = staleness.as_secs_f64();
        let mut said = self.said.lock();
        if said.as_ref().is_some_and(|said| said.description == *description) {
            let again =
                self.write_once(async |session| session.execute(AGAIN, &[&self.id, &staleness]).await)?;
            if again > 0 {
                return Ok(());
            }
        }
        let now = Said::of(description, &self.settings_key);
        let (program, settings) = (&description.program, now.settings());
        self.write_once(async |session| {
            let parameters: Parameters<'_> =
                &[&self.id, &staleness, &self.node, program, &now.digest, &settings, &now.digests];
            session.execute(FIRST, parameters).await
        })?;
        drop(settings);
        *said = Some(now);
        Ok(())
    }

    fn withdraw(&self) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM members WHERE id = $1";
        self.write_once(async |session| session.execute(SQL, &[&self.id]).await).map(drop)
    }

    fn fleet(&self) -> Result<Fleet, LedgerError> {
        // Settings are only read of those who have others.
        const MEMBERS: &str = "
            SELECT name, id = $1, program, started, staleness,
                extract(epoch FROM clock_timestamp() - seen)::double precision,
                CASE WHEN digest <> $2 THEN settings END, CASE WHEN digest <> $2 THEN digests END
            FROM members WHERE seen > clock_timestamp() - interval '1 day' ORDER BY name, started";
        const LEASES: &str = "SELECT name, node FROM leases WHERE until > clock_timestamp() ORDER BY name";
        let said = self.said.lock();
        let own: BTreeMap<&str, &[u8]> = said
            .iter()
            .flat_map(|said| said.settings().into_iter().zip(said.digests.iter().map(Vec::as_slice)))
            .collect();
        let digest = said.as_ref().map(|said| said.digest.as_slice());
        self.read(async |session| {
            let mut members = Vec::new();
            for row in &session.query(MEMBERS, &[&self.id, &digest]).await? {
                let mut columns = Columns::of(row);
                let (name, is_self, program) = (columns.get()?, columns.get()?, columns.get()?);
                let (started, staleness, silent_for) = (columns.time()?, columns.get()?, columns.get()?);
                let settings: Option<Vec<&str>> = columns.get()?;
                let digests: Option<Vec<&[u8]>> = columns.get()?;
                let other: BTreeMap<&str, &[u8]> =
                    settings.into_iter().flatten().zip(digests.into_iter().flatten()).collect();
                let differs = |name: &&&str| own.get(**name) != other.get(**name);
                let differing = match other.is_empty() {
                    true => BTreeSet::new(),
                    false => {
                        own.keys().chain(other.keys()).filter(differs).map(|&name| name.to_owned()).collect()
                    }
                };
                members.push(Member {
                    name,
                    is_self,
                    program,
                    started,
                    silent_for: seconds(silent_for),
                    staleness: seconds(staleness),
                    differing,
                });
            }
            let mut leases = Vec::new();
            for row in &session.query(LEASES, &[]).await? {
                let mut columns = Columns::of(row);
                leases.push(Lease { name: columns.get()?, holder: columns.get()? });
            }
            Ok(Fleet { members, leases })
        })
    }
}

/// A time of the database. Zero if its clock was set back.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}
