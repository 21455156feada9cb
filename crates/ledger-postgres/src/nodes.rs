//! The `nodes` table: which nodes are live, what they are, and what they have.
//!
//! What it says matters while the nodes run. So the connections that write it don't wait for the disk, nor for a standby.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis_keys::{Fingerprint, MasterKey};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{Description, Fleet, Lease, Node, Nodes};
use portcullis_ledger_model::{FeedPosition, ListId, Seq};

use crate::columns::{Columns, number, row_id, unsigned};
use crate::failure::Failure;
use crate::pool::{DEADLINE, Lent};
use crate::session::{Parameters, Session};
use crate::shared::Point;
use crate::{Postgres, read_on};

/// Whether a node is live: nobody is who was last heard of in the future, by the clock of another server.
macro_rules! is_live {
    () => {
        "until > clock_timestamp() AND seen <= clock_timestamp() + interval '1 second'"
    };
}

/// What this node says of itself.
pub(crate) struct Said {
    given: Description,
    /// The master keys that it has.
    keys: Vec<Fingerprint>,
    /// What was given, and the keys.
    description: Description,
    digest: Vec<u8>,
    /// The digests of the settings, in the order of their names.
    digests: Vec<Vec<u8>>,
}

impl Said {
    /// `key` is for nothing else.
    fn of(given: &Description, keys: Vec<Fingerprint>, key: &MasterKey) -> Self {
        let mut description = given.clone();
        if keys.len() > 1 {
            // One is exchanged for the other. With a single one, a gateway could not be here if it were another than the others'.
            description.settings.extend(keys.iter().map(|key| (setting_of(*key), String::new())));
        }
        let digests: Vec<Vec<u8>> = description
            .settings
            .iter()
            .map(|(name, value)| key.derive(&format!("setting/{name}/{value}"))[..16].to_vec())
            .collect();
        let names = description.settings.keys().map(String::as_str).collect::<Vec<_>>().join("/");
        let all: String = digests.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        let digest = key.derive(&format!("settings/{names}/{all}"))[..16].to_vec();
        Said { given: given.clone(), keys, description, digest, digests }
    }

    fn settings(&self) -> Vec<&str> {
        self.description.settings.keys().map(String::as_str).collect()
    }
}

/// The group of settings that name the master keys which a gateway has while it has two.
const KEYS: &str = "master_keys";

fn setting_of(key: Fingerprint) -> String {
    format!("{KEYS}.{key}")
}

impl Nodes for Postgres {
    fn describe(&self, description: &Description) {
        let mut said = self.said.lock();
        let keys = self.master.held();
        if said.as_ref().is_none_or(|said| said.given != *description || said.keys != keys) {
            *said = Some(Arc::new(Said::of(description, keys, &self.settings_key)));
        }
    }

    fn stay_alive(&self, lasting: Duration, staleness: Duration) -> Result<(), LedgerError> {
        // Nodes that ended long ago are forgotten, and the one that this node is the next start of, and those that were last heard of in the
        // future: the clock is another server's, and they have yet to say that they are live by this one.
        const OLD: &str = "
            DELETE FROM nodes WHERE id <> $1 AND (until < clock_timestamp() - interval '1 day'
                OR seen > clock_timestamp() + interval '1 second'
                OR (name = $2 AND until < clock_timestamp()))";
        const AGAIN: &str = "
            UPDATE nodes SET
                seen = clock_timestamp(), until = clock_timestamp() + make_interval(secs => $2), staleness = $3
            WHERE id = $1 AND digest IS NOT DISTINCT FROM $4";
        const FIRST: &str = "
            INSERT INTO nodes (id, until, staleness, digest, name, program, settings, digests)
            VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3, $4, $5, $6, $7, $8)
            ON CONFLICT (id) DO UPDATE SET
                seen = clock_timestamp(), until = excluded.until, staleness = excluded.staleness,
                digest = excluded.digest, program = excluded.program, settings = excluded.settings,
                digests = excluded.digests";
        let (lasting, staleness) = (lasting.as_secs_f64(), staleness.as_secs_f64());
        let said = self.said.lock().clone();
        let digest = said.as_ref().map(|said| said.digest.as_slice());
        read_on(self.pool.presence(DEADLINE), async |session| {
            session.execute(OLD, &[&self.id, &self.node]).await?;
            if session.execute(AGAIN, &[&self.id, &lasting, &staleness, &digest]).await? > 0 {
                return Ok(());
            }
            // It is new, or was forgotten, or says something else than before.
            let program = said.as_ref().map(|said| said.description.program.as_str());
            let settings = said.as_ref().map(|said| said.settings());
            let digests = said.as_ref().map(|said| &said.digests);
            let parameters: Parameters<'_> =
                &[&self.id, &lasting, &staleness, &digest, &self.node, &program, &settings, &digests];
            session.execute(FIRST, parameters).await.map(drop)
        })?;
        self.try_disk();
        Ok(())
    }

    fn report_progress(&self, position: &FeedPosition, behind: &[ListId]) -> Result<(), LedgerError> {
        // On another connection, which may be that of another server, the snapshot says nothing.
        const SQL: &str = "
            UPDATE nodes SET server = pg_postmaster_start_time(), snapshot = $2::text::pg_snapshot, behind = $3
            WHERE id = $1 AND current_setting('portcullis.session', true) = $4";
        let Some(point) = position.token.as_deref().and_then(Point::read) else { return Ok(()) };
        let behind = behind.iter().map(|list| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        self.note(self.pool.feed(DEADLINE), SQL, &[&self.id, &point.snapshot, &behind, &point.session])
    }

    fn followed_by_all(&self, changes: &[(ListId, Seq)]) -> Result<Vec<(ListId, Seq)>, LedgerError> {
        // A node has a change if it has the commit, or a later one of the list. One that is no longer in `commits` is older than what any
        // live node has, unless the ledger has lost it. Ids of transactions say something only to the server by which the snapshot was taken.
        const SQL: &str = concat!(
            "
            WITH change AS MATERIALIZED (
                SELECT list, sequence, (
                    SELECT xact FROM commits c WHERE c.list = u.list AND c.sequence >= u.sequence
                    ORDER BY c.sequence LIMIT 1
                ) AS xact
                FROM unnest($1::integer[], $2::bigint[]) u (list, sequence)
            )
            SELECT list, sequence FROM change
            WHERE (xact IS NOT NULL
                OR EXISTS (SELECT FROM lists l WHERE l.id = change.list AND l.sequence >= change.sequence))
            AND NOT EXISTS (
                SELECT FROM nodes n WHERE n.id <> $3 AND ",
            is_live!(),
            " AND NOT coalesce(
                    n.server = pg_postmaster_start_time() AND list <> ALL (n.behind)
                        AND (xact IS NULL OR pg_visible_in_snapshot(xact, n.snapshot)),
                    false))"
        );
        let lists = changes.iter().map(|(list, _)| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        let sequences: Vec<i64> = changes.iter().map(|(_, sequence)| number(*sequence)).collect();
        read_on(self.pool.presence(DEADLINE), async |session| {
            let rows = session.query(SQL, &[&lists, &sequences, &self.id]).await?;
            let known = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let list: i32 = columns.get()?;
                Ok((ListId(list.into()), Seq::new(unsigned(columns.get()?)?)))
            });
            known.collect()
        })
    }

    fn leave(&self) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM nodes WHERE id = $1";
        self.note(self.pool.presence(DEADLINE), SQL, &[&self.id])
    }

    fn fleet(&self) -> Result<Fleet, LedgerError> {
        const LEASES: &str = "SELECT name, node FROM leases WHERE until > clock_timestamp() ORDER BY name";
        let said = self.said.lock().clone();
        self.read(async |session| {
            let nodes = self.nodes(session, said.as_deref()).await?;
            let mut leases = Vec::new();
            for row in &session.query(LEASES, &[]).await? {
                let mut columns = Columns::of(row);
                leases.push(Lease { name: columns.get()?, holder: columns.get()? });
            }
            Ok(Fleet { nodes, leases })
        })
    }
}

impl Postgres {
    /// Checks that all other live nodes have this master key, so that it may be exchanged for the one in use.
    pub(crate) fn check_all_have(&self, key: Fingerprint) -> Result<(), LedgerError> {
        let given = self.said.lock().as_ref().map(|said| said.given.clone());
        self.describe(&given.unwrap_or_default());
        let setting = setting_of(key);
        let fleet = self.fleet()?;
        // One that has yet to say what it is may lack it, as one of an older version does.
        let lacks = |node: &&Node| {
            let differs = node.differing.iter().any(|found| found == KEYS || *found == setting);
            node.is_live && !node.is_self && (differs || node.program.is_none())
        };
        let lacking: BTreeSet<&str> =
            fleet.nodes.iter().filter(lacks).map(|node| node.name.as_str()).collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(LedgerError::KeyNotEverywhere { key, by: Vec::from_iter(lacking).join(", ") }),
        }
    }

    /// The nodes that were heard of within a day. `said` is what this one says of itself.
    async fn nodes(&self, session: &Session, said: Option<&Said>) -> Result<Vec<Node>, Failure> {
        // Settings are only read of those who have others.
        const SQL: &str = concat!(
            "
            SELECT name, id = $1, ",
            is_live!(),
            ", program, started, staleness,
                extract(epoch FROM clock_timestamp() - seen)::double precision,
                CASE WHEN digest <> $2 THEN settings END, CASE WHEN digest <> $2 THEN digests END
            FROM nodes WHERE seen > clock_timestamp() - interval '1 day' ORDER BY name, started"
        );
        let own: BTreeMap<&str, &[u8]> = said
            .into_iter()
            .flat_map(|said| said.settings().into_iter().zip(said.digests.iter().map(Vec::as_slice)))
            .collect();
        let digest = said.map(|said| said.digest.as_slice());
        let mut nodes = Vec::new();
        for row in &session.query(SQL, &[&self.id, &digest]).await? {
            let mut columns = Columns::of(row);
            let (name, is_self, is_live) = (columns.get()?, columns.get()?, columns.get()?);
            let (program, started) = (columns.get()?, columns.time()?);
            let (staleness, silent_for) = (columns.get()?, columns.get()?);
            let settings: Option<Vec<&str>> = columns.get()?;
            let digests: Option<Vec<&[u8]>> = columns.get()?;
            // It says the same as this one, or nothing yet.
            let is_alike = settings.is_none();
            let other: BTreeMap<&str, &[u8]> =
                settings.into_iter().flatten().zip(digests.into_iter().flatten()).collect();
            // What this node says anew, it does not differ in.
            let differing = match is_alike || is_self {
                true => BTreeSet::new(),
                false => differing(&own, &other),
            };
            nodes.push(Node {
                name,
                is_self,
                is_live,
                program,
                started,
                silent_for: seconds(silent_for),
                staleness: seconds(staleness),
                differing,
            });
        }
        Ok(nodes)
    }

    fn note(
        &self,
        session: Result<Lent<'_>, Failure>,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<(), LedgerError> {
        read_on(session, async |session| session.execute(sql, parameters).await.map(drop))
    }
}

/// The settings that differ. A group of which one node has none, such as a tenant, is named in their place.
fn differing<'a>(own: &BTreeMap<&'a str, &'a [u8]>, other: &BTreeMap<&'a str, &'a [u8]>) -> BTreeSet<String> {
    let (here, there) = (groups(own), groups(other));
    let all = own.keys().chain(other.keys()).copied();
    let differing = all.filter(|&name| own.get(name) != other.get(name));
    let named = differing.map(|name| match group(name) {
        Some(group) if here.contains(group) != there.contains(group) => group.to_owned(),
        _ => name.to_owned(),
    });
    named.collect()
}

fn groups<'a>(settings: &BTreeMap<&'a str, &'a [u8]>) -> BTreeSet<&'a str> {
    settings.keys().copied().filter_map(group).collect()
}

/// `tenants.acme` for `tenants.acme.opt_out`.
fn group(setting: &str) -> Option<&str> {
    setting.rsplit_once('.').map(|(group, _)| group)
}

/// A time of the database. Zero if its clock was set back.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}
