//! Counts and sums of rows, by which two stores are compared.

use std::collections::BTreeMap;

use portcullis_ledger_model::table::{Row, Table, Value};
use sha2::{Digest as _, Sha256};

/// The rows of one table that belong to one list or tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    /// Those of `entries` that block somebody.
    pub(crate) active: u64,
    digest: [u8; 32],
}

/// The name of a table, and a list or tenant.
type Owner = (&'static str, i64);

/// Counts and sums of what was read, by table and list or tenant. Rows are added in the order of their keys.
#[derive(Default)]
pub(crate) struct Tally {
    sums: Sums,
    current: Option<(Owner, Sum, Sha256)>,
    bytes: Vec<u8>,
}

/// The finished counts and sums.
#[derive(Debug, Default)]
pub(crate) struct Sums(BTreeMap<Owner, Sum>);

impl Sums {
    pub(crate) fn of(&self, table: &'static str, owner: i64) -> Sum {
        self.0.get(&(table, owner)).cloned().unwrap_or_default()
    }

    /// The first table, with a list or tenant, in which the two differ.
    pub(crate) fn difference(&self, other: &Sums) -> Option<Owner> {
        let owners = self.0.keys().chain(other.0.keys());
        owners.filter(|owner| self.0.get(owner) != other.0.get(owner)).min().copied()
    }
}

impl Tally {
    pub(crate) fn add(&mut self, table: &'static Table, rows: &[Row]) {
        for row in rows {
            let owner = (table.name, table.owner(row));
            if self.current.as_ref().is_none_or(|(current, ..)| *current != owner) {
                self.close();
                self.current = Some((owner, Sum::default(), Sha256::new()));
            }
            let Some((_, sum, hasher)) = &mut self.current else { continue };
            self.bytes.clear();
            row.iter().for_each(|value| write(value, &mut self.bytes));
            hasher.update(&self.bytes);
            sum.rows += 1;
            sum.active += u64::from(table.name == "entries" && table.integer(row, "directions") != Some(0));
        }
    }

    fn close(&mut self) {
        if let Some((owner, sum, hasher)) = self.current.take() {
            self.sums.0.insert(owner, Sum { digest: hasher.finalize().into(), ..sum });
        }
    }

    pub(crate) fn finish(mut self) -> Sums {
        self.close();
        self.sums
    }
}

/// Writes a value so that no two rows of a table have the same bytes.
fn write(value: &Value, bytes: &mut Vec<u8>) {
    let (kind, content): (u8, &[u8]) = match value {
        Value::Null => (0, &[]),
        Value::Integer(number) => {
            bytes.push(1);
            bytes.extend(number.to_le_bytes());
            return;
        }
        Value::Text(text) => (2, text.as_bytes()),
        Value::Bytes(content) => (3, content),
    };
    bytes.push(kind);
    bytes.extend(content.len().to_le_bytes());
    bytes.extend(content);
}

#[cfg(test)]
mod tests {
    use portcullis_ledger_model::table::TABLES;

    use super::*;

    static VISITS: &Table = &TABLES[10];

    fn sums(rows: &[[i64; 3]]) -> Sums {
        let mut tally = Tally::default();
        let rows: Vec<Row> = rows.iter().map(|row| row.map(Value::Integer).to_vec()).collect();
        tally.add(VISITS, &rows);
        tally.finish()
    }

    #[test]
    fn a_row_that_is_missing_or_other_is_told_with_its_list() {
        let sent = sums(&[[1, 5, 7], [2, 5, 7], [2, 6, 7]]);
        assert_eq!(sent.difference(&sums(&[[1, 5, 7], [2, 5, 7], [2, 6, 7]])), None);
        assert_eq!(sent.difference(&sums(&[[1, 5, 7], [2, 5, 7], [2, 6, 8]])), Some(("visits", 2)));
        assert_eq!(sent.difference(&sums(&[[1, 5, 7], [2, 5, 7]])), Some(("visits", 2)));
        assert_eq!(sent.difference(&sums(&[[2, 5, 7], [2, 6, 7]])), Some(("visits", 1)));
        assert_eq!(sent.of("visits", 2).rows, 2);
    }

    #[test]
    fn no_two_rows_have_the_same_bytes() {
        let bytes = |row: &[Value]| {
            let mut bytes = Vec::new();
            row.iter().for_each(|value| write(value, &mut bytes));
            bytes
        };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_ne!(bytes(&[text("ab"), text("c")]), bytes(&[text("a"), text("bc")]));
        assert_ne!(bytes(&[Value::Null, Value::Integer(0)]), bytes(&[Value::Integer(0), Value::Null]));
        assert_ne!(bytes(&[text("a")]), bytes(&[Value::Bytes(b"a".to_vec())]));
    }
}
