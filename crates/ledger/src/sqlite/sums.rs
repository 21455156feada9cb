//! Sums over the rows that decide verdicts, by which damage to the file is noticed.
//!
//! SQLite has no check sums of pages: a flipped bit may turn a blocked subject into another one, and every structure of
//! the file is still valid. So each row has a keyed hash over its columns, and the sum of a set of rows is the exclusive
//! or of their hashes. It does not depend on the order of the rows, and a change of one costs two hashes: that of the row
//! as it was, and as it is. A row that was damaged before it is written keeps the sum wrong, because the hash of the
//! damaged row cancels nothing. Sums are written in the transaction of the rows, and compared when the rows are read to
//! fill a plugin, and by [`verify`](mod@super::verify).
//!
//! | rows | sum |
//! | --- | --- |
//! | `entries` and `holds` of a 64th of the subjects of one list | `sums` |
//! | `entries` that changed since the list's saved state: subject, directions and sequence number | `lists.changed` |
//! | `identities` and `moves` of a tenant | `tenants.people` |
//! | `tenants`, `secrets`, `settings` and `lists` (not their counters) | `ledger.catalogue` |

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use portcullis_keys::MasterSeal;
use portcullis_ledger_model::Seq;
use portcullis_msisdn::{Directions, Subject};
use rusqlite::{Connection, OptionalExtension as _, Row};
use siphasher::sip::SipHasher13;

use crate::error::{Altered, LedgerError};

/// The number of parts of a list: intervals of subjects of equal length. Subjects are uniformly distributed.
///
/// With more parts, writes of many would change more rows of `sums`; with fewer, reading a page of a long list would read
/// much more than the page.
pub(super) const PARTS: i64 = 64;

/// The part of a list that a subject is in.
pub(super) fn part_of(subject: i64) -> i64 {
    subject / PART
}

/// The number of subjects in a part.
const PART: i64 = (1 << Subject::BITS) / PARTS;

/// The columns of `entries` that a hash covers. The texts are authenticated by themselves, unless they are removed.
pub(super) const ENTRY: &str =
    "list, subject, directions, source, sequence, actor, created, updated, lifted_by,
    deactivated, expires, length(sealed), kind, own, ever, since, requested";
/// [`ENTRY`] as values.
pub(super) type EntryColumns = [Option<i64>; 17];

/// The columns of `holds` that a hash covers.
pub(super) const HOLD: &str =
    "list, subject, kind, directions, source, actor, since, lifted_by, expires, length(sealed), requested";
/// [`HOLD`] as values.
pub(super) type HoldColumns = [Option<i64>; 11];

/// The indexes of the length of the texts.
pub(super) const ENTRY_SEALED: usize = 11;
pub(super) const HOLD_SEALED: usize = 9;
/// The index of the subject in both.
pub(super) const SUBJECT: usize = 1;

/// Sums by the number of the part.
type PartSums = BTreeMap<i64, u64>;

/// The hash of rows, under the ledger's key.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    key: [u64; 2],
}

/// The tables, as they are hashed. Never renumber.
#[derive(Clone, Copy)]
enum Table {
    Entries = 1,
    Holds = 2,
    Changes = 3,
    Identities = 4,
    Moves = 5,
    Tenants = 6,
    Secrets = 7,
    Settings = 8,
    Lists = 9,
}

/// Integers of a row, from this column on.
pub(super) fn columns<const N: usize>(row: &Row<'_>, from: usize) -> rusqlite::Result<[Option<i64>; N]> {
    let mut columns = [None; N];
    for (n, column) in columns.iter_mut().enumerate() {
        *column = row.get(from + n)?;
    }
    Ok(columns)
}

/// The bytes of a blob. A text of the same bytes is another value: a search for the blob does not find it.
fn blob<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(column)?.as_blob()?)
}

/// The bytes of a text.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(column)?.as_str()?.as_bytes())
}

/// The length of an optional blob, as [`ENTRY`] and [`HOLD`] have it.
pub(super) fn length(sealed: Option<&[u8]>) -> Option<i64> {
    sealed.map(|sealed| i64::try_from(sealed.len()).unwrap_or(i64::MAX))
}

impl Sums {
    /// Under the key of the ledger that was opened with this master key, or that is created under it.
    pub(super) fn of(master: &MasterSeal) -> Self {
        Sums::new(master.sums())
    }

    pub(super) const fn new(key: [u64; 2]) -> Self {
        Sums { key }
    }

    fn hash<const N: usize>(self, table: Table, columns: &[Option<i64>; N], bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        let mut words = [[0; 8]; N];
        // Which of the columns are NULL. There are less than 32 of them.
        let mut present = 0_u64;
        for (n, (word, column)) in words.iter_mut().zip(columns).enumerate() {
            present |= u64::from(column.is_some()) << n;
            *word = column.unwrap_or_default().to_le_bytes();
        }
        hasher.write_u64((table as u64) << 32 | present);
        // At once, which is faster than word by word.
        hasher.write(words.as_flattened());
        hasher.write(bytes);
        hasher.finish()
    }

    pub(super) fn entry(self, columns: &EntryColumns) -> u64 {
        self.hash(Table::Entries, columns, &[])
    }

    pub(super) fn hold(self, columns: &HoldColumns) -> u64 {
        self.hash(Table::Holds, columns, &[])
    }

    /// An entry as the feed of changes has it.
    pub(super) fn change(self, subject: Subject, directions: Directions, sequence: Seq) -> u64 {
        let columns =
            [subject.get().cast_signed(), i64::from(directions.bits()), sequence.get().cast_signed()];
        self.hash(Table::Changes, &columns.map(Some), &[])
    }

    pub(super) fn tenant(self, id: i64, name: &str) -> u64 {
        self.hash(Table::Tenants, &[Some(id)], name.as_bytes())
    }

    pub(super) fn secret(self, tenant: i64, wrapped: &[u8]) -> u64 {
        self.hash(Table::Secrets, &[Some(tenant)], wrapped)
    }

    pub(super) fn settings(self, tenant: i64, sealed: &[u8]) -> u64 {
        self.hash(Table::Settings, &[Some(tenant)], sealed)
    }

    pub(super) fn list(self, id: i64, tenant: i64, scope: &str) -> u64 {
        self.hash(Table::Lists, &[Some(id), Some(tenant)], scope.as_bytes())
    }

    pub(super) fn identity(self, columns: &[Option<i64>; 5], digest: &[u8]) -> u64 {
        self.hash(Table::Identities, columns, digest)
    }

    pub(super) fn moved(self, columns: &[Option<i64>; 4]) -> u64 {
        self.hash(Table::Moves, columns, &[])
    }

    /// The sum of a subject's rows, as they are stored.
    pub(super) fn of_subject(
        self,
        connection: &Connection,
        list: i64,
        subject: i64,
    ) -> Result<u64, LedgerError> {
        let mut sum = 0;
        let sql = format!("SELECT {ENTRY} FROM entries WHERE list = ?1 AND subject = ?2");
        for row in connection.prepare_cached(&sql)?.query_map((list, subject), |row| columns(row, 0))? {
            sum ^= self.entry(&row?);
        }
        let sql = format!("SELECT {HOLD} FROM holds WHERE list = ?1 AND subject = ?2");
        for row in connection.prepare_cached(&sql)?.query_map((list, subject), |row| columns(row, 0))? {
            sum ^= self.hold(&row?);
        }
        Ok(sum)
    }

    /// Reads the entries of a list from a part on, in the order of subjects, to the end of the part in which `each` says
    /// that it has enough. Returns the sums of the parts that were read, as the rows have them, and the last one.
    fn of_parts(
        self,
        connection: &Connection,
        list: i64,
        from: i64,
        mut each: impl FnMut(&EntryColumns) -> Result<bool, LedgerError>,
    ) -> Result<(PartSums, i64), LedgerError> {
        let mut sums = PartSums::new();
        let mut enough_in = None;
        let sql = format!("SELECT {ENTRY} FROM entries WHERE list = ?1 AND subject >= ?2 ORDER BY subject");
        let mut entries = connection.prepare_cached(&sql)?;
        let mut rows = entries.query((list, from * PART))?;
        let mut last = i64::MAX;
        while let Some(row) = rows.next()? {
            let columns: EntryColumns = columns(row, 0)?;
            let part = part_of(columns[SUBJECT].unwrap_or_default());
            if let Some(enough_in) = enough_in.filter(|&enough_in| enough_in < part) {
                last = enough_in;
                break;
            }
            *sums.entry(part).or_default() ^= self.entry(&columns);
            if each(&columns)? {
                enough_in = Some(part);
            }
        }
        let end = last.saturating_add(1).saturating_mul(PART);
        let sql = format!("SELECT {HOLD} FROM holds WHERE list = ?1 AND subject >= ?2 AND subject < ?3");
        let mut holds = connection.prepare_cached(&sql)?;
        let mut rows = holds.query((list, from * PART, end))?;
        while let Some(row) = rows.next()? {
            let columns: HoldColumns = columns(row, 0)?;
            *sums.entry(part_of(columns[SUBJECT].unwrap_or_default())).or_default() ^= self.hold(&columns);
        }
        Ok((sums, last))
    }

    /// Reads like [`read`](Self::read), and returns the parts that are not as they were written, and the last one read.
    pub(super) fn altered_parts(
        self,
        connection: &Connection,
        list: i64,
        from: i64,
        each: impl FnMut(&EntryColumns) -> Result<bool, LedgerError>,
    ) -> Result<(BTreeSet<i64>, i64), LedgerError> {
        let (mut differences, last) = self.of_parts(connection, list, from, each)?;
        let mut stored = connection
            .prepare_cached("SELECT part, sum FROM sums WHERE list = ?1 AND part BETWEEN ?2 AND ?3")?;
        let mut rows = stored.query((list, from, last))?;
        while let Some(row) = rows.next()? {
            *differences.entry(row.get(0)?).or_default() ^= row.get::<_, i64>(1)?.cast_unsigned();
        }
        let altered = differences.into_iter().filter(|(_, difference)| *difference != 0);
        Ok((altered.map(|(part, _)| part).collect(), last))
    }

    /// Reads the entries of a list from a part on, in the order of subjects, to the end of the part in which `each` says
    /// that it has enough, and compares the sums of these parts. Returns the last of them.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if the rows are not as they were written.
    pub(super) fn read(
        self,
        connection: &Connection,
        list: i64,
        from: i64,
        each: impl FnMut(&EntryColumns) -> Result<bool, LedgerError>,
    ) -> Result<i64, LedgerError> {
        let (altered, last) = self.altered_parts(connection, list, from, each)?;
        match altered.first() {
            None => Ok(last),
            Some(&part) => Err(LedgerError::altered("list", Altered::Part { part, parts: PARTS })),
        }
    }

    /// The sum of the entries of a list that changed after `since`, in the order of the feed.
    pub(super) fn of_changes(
        self,
        connection: &Connection,
        list: i64,
        since: i64,
    ) -> Result<u64, LedgerError> {
        let mut changes = connection.prepare_cached(
            "SELECT subject, directions, sequence FROM entries WHERE list = ?1 AND sequence > ?2",
        )?;
        let mut rows = changes.query((list, since))?;
        let mut sum = 0;
        while let Some(row) = rows.next()? {
            sum ^= self.hash(Table::Changes, &columns::<3>(row, 0)?, &[]);
        }
        Ok(sum)
    }

    /// The sum of one identity, as it is stored; 0 if there is none.
    pub(super) fn of_identity(
        self,
        connection: &Connection,
        tenant: i64,
        id: i64,
    ) -> Result<u64, LedgerError> {
        let sql = format!("SELECT {IDENTITY} FROM identities WHERE tenant = ?1 AND id = ?2");
        let found = connection.prepare_cached(&sql)?.query_row((tenant, id), |row| self.identity_of(row));
        Ok(found.optional()?.unwrap_or_default())
    }

    /// The sum of a tenant's identities and moves, as they are stored.
    pub(super) fn of_people(self, connection: &Connection, tenant: i64) -> Result<u64, LedgerError> {
        let mut sum = 0;
        let sql = format!("SELECT {IDENTITY} FROM identities WHERE tenant = ?1");
        for identity in connection.prepare_cached(&sql)?.query_map([tenant], |row| self.identity_of(row))? {
            sum ^= identity?;
        }
        let mut moves = connection
            .prepare_cached("SELECT tenant, from_subject, to_subject, at FROM moves WHERE tenant = ?1")?;
        for moved in moves.query_map([tenant], |row| columns(row, 0))? {
            sum ^= self.moved(&moved?);
        }
        Ok(sum)
    }

    fn identity_of(self, row: &Row<'_>) -> rusqlite::Result<u64> {
        Ok(self.identity(&columns(row, 1)?, blob(row, 0)?))
    }

    /// The sum of all tenants and lists, with what belongs to them, as they are stored.
    pub(super) fn of_catalogue(self, connection: &Connection) -> Result<u64, LedgerError> {
        let mut sum = 0;
        let mut tenants = connection.prepare("SELECT id, name FROM tenants")?;
        let mut rows = tenants.query(())?;
        while let Some(row) = rows.next()? {
            sum ^= self.hash(Table::Tenants, &columns::<1>(row, 0)?, text(row, 1)?);
        }
        for (table, sql) in [
            (Table::Secrets, "SELECT tenant, wrapped FROM secrets"),
            (Table::Settings, "SELECT tenant, sealed FROM settings"),
        ] {
            let mut sealed = connection.prepare(sql)?;
            let mut rows = sealed.query(())?;
            while let Some(row) = rows.next()? {
                sum ^= self.hash(table, &columns::<1>(row, 0)?, blob(row, 1)?);
            }
        }
        let mut lists = connection.prepare("SELECT id, tenant, scope FROM lists")?;
        let mut rows = lists.query(())?;
        while let Some(row) = rows.next()? {
            sum ^= self.hash(Table::Lists, &columns::<2>(row, 0)?, text(row, 2)?);
        }
        Ok(sum)
    }
}

/// The columns of `identities` that a hash covers.
const IDENTITY: &str = "digest, tenant, id, person, tied, length(sealed)";

/// Changes of the sums of one list.
#[derive(Default)]
pub(super) struct Changed(PartSums);

impl Changed {
    /// A subject's rows had the sum `before`, and have the sum `after`.
    pub(super) fn add(&mut self, subject: Subject, before: u64, after: u64) {
        *self.0.entry(part_of(subject.get().cast_signed())).or_default() ^= before ^ after;
    }

    /// Stores the new sums.
    pub(super) fn store(&self, connection: &Connection, list: i64) -> Result<(), LedgerError> {
        // SQLite has no exclusive or, but this is one: what the two have in common is left out.
        let mut put = connection.prepare_cached(
            "INSERT INTO sums (list, part, sum) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET sum = (sum | excluded.sum) - (sum & excluded.sum)",
        )?;
        for (&part, &change) in self.0.iter().filter(|(_, change)| **change != 0) {
            put.execute((list, part, change.cast_signed()))?;
        }
        Ok(())
    }
}

/// Changes the sum of all tenants and lists.
pub(super) fn change_catalogue(connection: &Connection, change: u64) -> Result<(), LedgerError> {
    connection
        .prepare_cached("UPDATE ledger SET catalogue = (catalogue | ?1) - (catalogue & ?1)")?
        .execute([change.cast_signed()])?;
    Ok(())
}

/// Changes the sum of a tenant's people.
pub(super) fn change_people(connection: &Connection, tenant: i64, change: u64) -> Result<(), LedgerError> {
    connection
        .prepare_cached("UPDATE tenants SET people = (people | ?2) - (people & ?2) WHERE id = ?1")?
        .execute((tenant, change.cast_signed()))?;
    Ok(())
}

/// Whether all tenants and lists are as they were written.
pub(super) fn is_catalogue_whole(connection: &Connection, sums: Sums) -> Result<bool, LedgerError> {
    let stored: i64 = connection.query_row("SELECT catalogue FROM ledger", (), |row| row.get(0))?;
    Ok(sums.of_catalogue(connection)? == stored.cast_unsigned())
}

/// Whether a tenant's identities and moves are as they were written.
pub(super) fn are_people_whole(
    connection: &Connection,
    tenant: i64,
    sums: Sums,
) -> Result<bool, LedgerError> {
    let stored: Option<i64> = connection
        .prepare_cached("SELECT people FROM tenants WHERE id = ?1")?
        .query_row([tenant], |row| row.get(0))
        .optional()?;
    // A tenant that is gone has nobody.
    Ok(sums.of_people(connection, tenant)? == stored.unwrap_or_default().cast_unsigned())
}

/// Stores all sums as the rows have them, after a migration.
pub(super) fn store_all(connection: &Connection, sums: Sums) -> Result<(), LedgerError> {
    connection.execute("DELETE FROM sums", ())?;
    let ids = |sql| -> Result<Vec<i64>, LedgerError> {
        let mut ids = connection.prepare(sql)?;
        Ok(ids.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    };
    for list in ids("SELECT id FROM lists")? {
        store_list(connection, list, sums)?;
    }
    for tenant in ids("SELECT id FROM tenants")? {
        accept_people(connection, tenant, sums)?;
    }
    accept_catalogue(connection, sums)
}

/// Stores the sums of a list, which must have none.
fn store_list(connection: &Connection, list: i64, sums: Sums) -> Result<(), LedgerError> {
    Changed(sums.of_parts(connection, list, 0, |_| Ok(false))?.0).store(connection, list)?;
    // No saved state is loaded, as nobody knows what changed since.
    connection.execute("UPDATE lists SET state = NULL, saved = NULL, changed = 0 WHERE id = ?1", [list])?;
    Ok(())
}

/// Stores the sums and counters of a list as the rows have them.
pub(super) fn accept_list(connection: &Connection, list: i64, sums: Sums) -> Result<(), LedgerError> {
    connection.execute("DELETE FROM sums WHERE list = ?1", [list])?;
    store_list(connection, list, sums)?;
    connection.execute(
        "UPDATE lists SET
            active = (SELECT count(*) FROM entries WHERE list = lists.id AND directions <> 0),
            sequence = max(sequence, (SELECT coalesce(max(sequence), 0) FROM entries WHERE list = lists.id))
         WHERE id = ?1",
        [list],
    )?;
    Ok(())
}

/// Stores the sum of a tenant's identities and moves as the rows have them.
pub(super) fn accept_people(connection: &Connection, tenant: i64, sums: Sums) -> Result<(), LedgerError> {
    let people = sums.of_people(connection, tenant)?.cast_signed();
    connection.execute("UPDATE tenants SET people = ?2 WHERE id = ?1", (tenant, people))?;
    Ok(())
}

/// Stores the sum of all tenants and lists as the rows have them.
pub(super) fn accept_catalogue(connection: &Connection, sums: Sums) -> Result<(), LedgerError> {
    let catalogue = sums.of_catalogue(connection)?.cast_signed();
    connection.execute("UPDATE ledger SET catalogue = ?1", [catalogue])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUMS: Sums = Sums { key: [3, 4] };

    fn entry(subject: i64, directions: i64) -> EntryColumns {
        let mut columns = [None; 17];
        (columns[0], columns[1], columns[2]) = (Some(1), Some(subject), Some(directions));
        columns
    }

    #[test]
    fn parts_cover_all_subjects() {
        assert_eq!(part_of(0), 0);
        assert_eq!(part_of(PART), 1);
        assert_eq!(part_of(Subject::MAX.get().cast_signed()), PARTS - 1);
    }

    #[test]
    fn a_null_differs_from_a_zero_and_a_table_from_another() {
        assert_ne!(
            SUMS.moved(&[Some(1), Some(2), Some(3), None]),
            SUMS.moved(&[Some(1), Some(2), Some(3), Some(0)])
        );
        assert_ne!(SUMS.secret(1, b"x"), SUMS.settings(1, b"x"));
        assert_ne!(SUMS.secret(1, b"x"), Sums { key: [3, 5] }.secret(1, b"x"));
    }

    fn rows() -> impl Strategy<Value = Vec<EntryColumns>> {
        let row = (1_i64..1 << 50, 0_i64..4).prop_map(|(subject, directions)| entry(subject, directions));
        proptest::collection::vec(row, 0..20)
    }

    proptest! {
        #[test]
        fn the_order_of_changes_does_not_matter(mut rows in rows(), seed in any::<u64>()) {
            let sum = |rows: &[EntryColumns]| rows.iter().fold(0, |sum, row| sum ^ SUMS.entry(row));
            let before = sum(&rows);
            let by = usize::try_from(seed % 20).unwrap() % rows.len().max(1);
            rows.rotate_left(by);
            prop_assert_eq!(sum(&rows), before);
        }

        #[test]
        fn any_flipped_bit_changes_the_sum(row in rows(), column in 0_usize..17, bit in 0_u32..63) {
            for row in row {
                let mut flipped = row;
                flipped[column] = Some(flipped[column].unwrap_or_default() ^ 1 << bit);
                prop_assert_ne!(SUMS.entry(&row), SUMS.entry(&flipped));
                flipped[column] = None;
                prop_assert_eq!(SUMS.entry(&row) == SUMS.entry(&flipped), row[column].is_none());
            }
        }

        #[test]
        fn sqlite_computes_the_exclusive_or(one in any::<i64>(), other in any::<i64>()) {
            let connection = Connection::open_in_memory().unwrap();
            let xor: i64 = connection
                .query_row("SELECT (?1 | ?2) - (?1 & ?2)", (one, other), |row| row.get(0))
                .unwrap();
            prop_assert_eq!(xor, one ^ other);
        }
    }
}
