//! A gateway of format 1, by the tables that it created, and the statements that it makes.

use portcullis_ledger::MasterKey;
use portcullis_ledger::store::sealed::{new_secret, seal_check};

use crate::cluster::{Open, cluster, name_of};
use crate::contract::fixture::tenant;
use crate::ledger_dir::LedgerDir;

/// The tables, as they were when format 1 was the newest.
pub(crate) const TABLES: &str = include_str!("format_1.sql");

/// Writes to a list.
const STORE: &str = "
    WITH t AS (
        SELECT id FROM tenants WHERE id = $2 AND people = $3 FOR SHARE
    ), l AS (
        UPDATE lists SET sequence = $4, active = $5, mark = $6
        WHERE id = $1 AND mark = $7 AND ($3::bigint IS NULL OR EXISTS (SELECT FROM t))
        RETURNING id
    ), e AS (
        INSERT INTO entries (list, subject, directions, source, sequence, actor, created, updated, lifted_by, deactivated, expires,
            sealed, kind, own, ever, since, requested)
        SELECT l.id, u.* FROM l, unnest($8::bigint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::integer[],
            $13::timestamptz[], $14::timestamptz[], $15::integer[], $16::timestamptz[], $17::timestamptz[], $18::bytea[],
            $19::smallint[], $20::smallint[], $21::smallint[], $22::timestamptz[], $23::timestamptz[]) u
        ON CONFLICT (list, subject) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, sequence = excluded.sequence, actor = excluded.actor,
            created = excluded.created, updated = excluded.updated, lifted_by = excluded.lifted_by,
            deactivated = excluded.deactivated, expires = excluded.expires, sealed = excluded.sealed, kind = excluded.kind,
            own = excluded.own, ever = excluded.ever, since = excluded.since, requested = excluded.requested
    ), h AS (
        INSERT INTO holds (list, subject, kind, directions, source, actor, since, lifted_by, expires, sealed, requested)
        SELECT l.id, u.* FROM l, unnest($24::bigint[], $25::smallint[], $26::smallint[], $27::smallint[], $28::integer[],
            $29::timestamptz[], $30::integer[], $31::timestamptz[], $32::bytea[], $33::timestamptz[]) u
        ON CONFLICT (list, subject, kind) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, actor = excluded.actor, since = excluded.since,
            lifted_by = excluded.lifted_by, expires = excluded.expires, sealed = excluded.sealed, requested = excluded.requested
    ), r AS (
        INSERT INTO records (list, sequence, step, subject, previous, at, actor, hold, outcome, source, before, after, expires,
            sealed, requested)
        SELECT l.id, u.* FROM l, unnest($34::bigint[], $35::integer[], $36::bigint[], $37::bigint[], $38::timestamptz[],
            $39::integer[], $40::smallint[], $41::smallint[], $42::smallint[], $43::smallint[], $44::smallint[],
            $45::timestamptz[], $46::bytea[], $47::timestamptz[]) u
    ), c AS (
        INSERT INTO commits (list, sequence, mark, previous_sequence, previous_mark)
        SELECT l.id, $4, $6, $48::bigint, $7 FROM l
    )
    SELECT 1 FROM l";

/// A gateway of format 1 on a database.
pub(crate) struct OlderGateway<'a> {
    dir: &'a LedgerDir,
    _connection: Open,
}

impl<'a> OlderGateway<'a> {
    /// Creates the ledger.
    pub(crate) fn create(dir: &'a LedgerDir) -> Self {
        let sealed = hex(&seal_check(&MasterKey::from_bytes([1; 32]).seal()).unwrap());
        dir.sql(&format!(
            "{TABLES}; INSERT INTO ledger (format, identity, sealed) VALUES (1, gen_random_uuid(), '{sealed}')"
        ));
        OlderGateway::start(dir).unwrap()
    }

    /// Opens the ledger. Returns the format that it is too old for, if it is.
    pub(crate) fn start(dir: &'a LedgerDir) -> Result<Self, i32> {
        let format = dir.sql("SELECT format, sealed FROM ledger").split('|').next().unwrap().parse().unwrap();
        match format > 1 {
            true => Err(format),
            false => Ok(OlderGateway { dir, _connection: dir.hold("SET application_name = 'portcullis'") }),
        }
    }

    /// Opens the list of the sender `bot` of `acme`, and returns its id.
    pub(crate) fn list(&self) -> i32 {
        let secret = hex(&new_secret(&MasterKey::from_bytes([1; 32]).seal(), &tenant("acme")).unwrap());
        self.dir
            .sql(&format!(
                "WITH t AS (INSERT INTO tenants (name) VALUES ('acme') ON CONFLICT (name) DO NOTHING RETURNING id)
                 INSERT INTO secrets (tenant, wrapped) SELECT id, '{secret}' FROM t;
                 INSERT INTO lists (tenant, scope)
                 SELECT id, 'bot' FROM tenants WHERE name = 'acme' AND name NOT LIKE 'forgotten %' FOR KEY SHARE
                 ON CONFLICT (tenant, scope) DO NOTHING;
                 SELECT id FROM lists WHERE scope = 'bot' AND id > 0"
            ))
            .trim()
            .parse()
            .unwrap()
    }

    /// Blocks a person both ways, if the person is not blocked yet.
    pub(crate) fn block(&self, list: i32, value: u64) -> Result<(), String> {
        let head =
            self.dir.sql(&format!("SELECT tenant, sequence, active, mark FROM lists WHERE id = {list}"));
        let head: Vec<i64> = head.trim().split('|').map(|number| number.parse().unwrap()).collect();
        let [tenant, sequence, active, mark] = head[..] else { panic!("{head:?}") };
        let find = format!(
            "SELECT id FROM actors
             WHERE tenant = {tenant} AND name = 'old' AND address IS NOT DISTINCT FROM NULL AND interface IS NOT DISTINCT FROM NULL"
        );
        let add = format!(
            "INSERT INTO actors (tenant, name, address, interface) SELECT id, 'old', NULL, NULL FROM tenants WHERE id = {tenant}
             ON CONFLICT DO NOTHING"
        );
        let mut actor = self.dir.sql(&find);
        if actor.is_empty() {
            actor = self.dir.sql(&format!("{add}; {find}"));
        }
        let actor: i32 = actor.trim().parse().unwrap();
        let (next, active, new_mark) = (sequence + 1, active + 1, mark + 1000);
        let (no, none) = ("'{NULL}'", "'{}'");
        let now = "ARRAY[now()]";
        let store = format!(
            "PREPARE store AS {STORE};
             EXECUTE store ({list}, {tenant}, NULL, {next}, {active}, {new_mark}, {mark},
                '{{{value}}}', '{{3}}', '{{0}}', '{{{next}}}', '{{{actor}}}', {now}, {no}, {no}, {no}, {no}, {no},
                '{{0}}', {no}, '{{3}}', {no}, {no},
                {none}, {none}, {none}, {none}, {none}, {none}, {none}, {none}, {none}, {none},
                '{{{next}}}', '{{0}}', '{{{value}}}', '{{0}}', {now}, '{{{actor}}}', '{{0}}', '{{0}}', '{{0}}', '{{0}}', '{{3}}',
                {no}, {no}, {no}, {sequence})"
        );
        let stored = cluster().try_sql(name_of(&self.dir.address()), &store)?;
        assert_eq!(stored.trim(), "1", "somebody else wrote meanwhile");
        Ok(())
    }

    /// Whether a person is blocked.
    pub(crate) fn blocks(&self, list: i32, value: u64) -> bool {
        let sql = format!("SELECT directions FROM entries WHERE list = {list} AND subject = {value}");
        self.dir.sql(&sql).trim() == "3"
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
