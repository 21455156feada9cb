//! What every store holds, as rows that another store takes.
//!
//! The tables of all stores have these columns. Ids, sequence numbers and encrypted bytes mean the same in each, so that a ledger is
//! moved by copying rows. What a store has beyond that, such as sums, marks and which states are saved, is its own.

/// A table that every store has.
#[derive(Debug)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The columns that are copied. The first ones are the key.
    pub columns: &'static [&'static str],
    /// The number of columns of the key: integers or bytes, which all stores put into the same order.
    pub key: usize,
}

/// All tables. Rows name only rows of earlier ones.
pub static TABLES: [Table; 13] = [
    Table { name: "tenants", columns: &["id", "name"], key: 1 },
    Table { name: "secrets", columns: &["tenant", "wrapped"], key: 1 },
    Table { name: "settings", columns: &["tenant", "sealed"], key: 1 },
    Table { name: "actors", columns: &["id", "tenant", "name", "address", "interface"], key: 1 },
    Table { name: "lists", columns: &["id", "tenant", "scope", "sequence", "active", "told"], key: 1 },
    Table {
        name: "entries",
        columns: &[
            "list",
            "subject",
            "directions",
            "source",
            "sequence",
            "actor",
            "created",
            "updated",
            "lifted_by",
            "deactivated",
            "expires",
            "sealed",
            "kind",
            "own",
            "ever",
            "since",
            "requested",
        ],
        key: 2,
    },
    Table {
        name: "holds",
        columns: &[
            "list",
            "subject",
            "kind",
            "directions",
            "source",
            "actor",
            "since",
            "lifted_by",
            "expires",
            "sealed",
            "requested",
        ],
        key: 3,
    },
    Table {
        name: "records",
        columns: &[
            "list",
            "sequence",
            "step",
            "subject",
            "previous",
            "at",
            "actor",
            "hold",
            "outcome",
            "source",
            "before",
            "after",
            "expires",
            "sealed",
            "requested",
        ],
        key: 3,
    },
    Table { name: "identities", columns: &["tenant", "id", "digest", "sealed", "person", "tied"], key: 2 },
    Table { name: "moves", columns: &["tenant", "from_subject", "to_subject", "at"], key: 3 },
    Table { name: "visits", columns: &["list", "subject", "at"], key: 2 },
    Table { name: "confirmations", columns: &["list", "subject", "until"], key: 2 },
    Table { name: "deliveries", columns: &["key", "until"], key: 1 },
];

/// The tables whose ids are not used again, even if their row is gone: a store counts them, or draws them at random.
pub const NUMBERED: [&str; 3] = ["tenants", "actors", "lists"];

/// The value of a column, alike for all stores.
///
/// Times are milliseconds since the epoch. What is unknown of an actor is NULL. `ever` in `entries` is never NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// A number, or a time.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row, with a value for each column of its table.
pub type Row = Vec<Value>;

impl Table {
    /// The columns of the key.
    pub fn key_columns(&self) -> &'static [&'static str] {
        &self.columns[..self.key]
    }

    /// A number in a row; `None` if it is NULL, or the row is not one of this table.
    pub fn integer(&self, row: &[Value], column: &str) -> Option<i64> {
        match row.get(self.columns.iter().position(|name| *name == column)?)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The key of a row; `None` if it has none.
    pub fn key_of(&self, row: &[Value]) -> Option<Row> {
        row.get(..self.key).filter(|key| !key.contains(&Value::Null)).map(<[Value]>::to_vec)
    }

    /// SQL for whether a row is copied: not what is left of forgotten tenants, which their names tell, and which a store deletes by and by.
    ///
    /// The plus signs keep planners from reading the table list by list, instead of in the order of its key.
    pub fn condition(&self) -> &'static str {
        match self.columns {
            _ if self.name == "tenants" => "name NOT LIKE 'forgotten %'",
            columns if columns.contains(&"list") => {
                "+list IN (SELECT lists.id FROM lists JOIN tenants ON tenants.id = tenant WHERE name NOT LIKE 'forgotten %')"
            }
            columns if !columns.contains(&"tenant") => "true",
            _ => "+tenant IN (SELECT id FROM tenants WHERE name NOT LIKE 'forgotten %')",
        }
    }

    /// SQL for the number of rows under a condition by the list or tenant that they belong to, or by 0 if the table has a row for each, or
    /// belongs to none.
    pub fn count(&self, condition: &str) -> String {
        let owner = if self.key == 1 { "0" } else { self.columns[0] };
        let name = self.name;
        format!("SELECT CAST({owner} AS bigint), count(*) FROM {name} WHERE {condition} GROUP BY 1")
    }

    /// The list or tenant that a row belongs to, as [`count`](Self::count) has it.
    pub fn owner(&self, row: &[Value]) -> i64 {
        match row.first() {
            Some(Value::Integer(owner)) if self.key > 1 => *owner,
            _ => 0,
        }
    }
}
