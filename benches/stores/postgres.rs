//! PostgreSQL, with the usual Rust client.

use anyhow::{Context as _, ensure};
use postgres::{Client, NoTls, Statement};

use crate::{LIST, Store, unreachable};

pub(crate) struct Postgres {
    client: Client,
    look_up: Statement,
    is_together: bool,
}

impl Postgres {
    /// One lookup per number.
    pub(crate) fn one_by_one(at: &str) -> anyhow::Result<Self> {
        Self::open(at, &format!("SELECT 1 FROM {LIST} WHERE number = $1"), false)
    }

    /// One lookup for all numbers of a batch.
    pub(crate) fn together(at: &str) -> anyhow::Result<Self> {
        Self::open(at, &format!("SELECT number FROM {LIST} WHERE number = ANY($1)"), true)
    }

    fn open(at: &str, look_up: &str, is_together: bool) -> anyhow::Result<Self> {
        let parameters = format!("host={at} user=postgres dbname=postgres");
        let mut client = Client::connect(&parameters, NoTls).with_context(|| unreachable(at))?;
        let look_up = client
            .prepare(look_up)
            .with_context(|| format!("the table {LIST:?} does not exist: create it first"))?;
        Ok(Postgres { client, look_up, is_together })
    }
}

impl Store for Postgres {
    fn blocked(&mut self, numbers: &[u64]) -> anyhow::Result<u64> {
        let numbers: Vec<i64> = numbers.iter().map(|number| number.cast_signed()).collect();
        if self.is_together {
            return Ok(self.client.query(&self.look_up, &[&numbers])?.len() as u64);
        }
        ensure!(numbers.len() == 1, "a lookup takes a single number");
        Ok(self.client.query(&self.look_up, &[&numbers[0]])?.len() as u64)
    }
}
