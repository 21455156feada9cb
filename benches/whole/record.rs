//! Writes entries to a gateway's ledger before it starts, which is faster than over HTTP.

use std::path::Path;

use anyhow::Context as _;
use portcullis_host::{Directions, Msisdn};
use portcullis_ledger::{Actor, Block, Ledger, List, MasterKey, Scope, Source, StorageUrl, Write};

/// The n-th number of the lists.
pub(crate) fn number(n: u64) -> String {
    format!("+{}", digits(n))
}

/// Every third number of one country.
fn digits(n: u64) -> u64 {
    46_700_000_000 + 3 * n
}

pub(crate) fn member(n: u64) -> anyhow::Result<Msisdn> {
    Msisdn::try_from(digits(n)).context("the number is not valid")
}

/// Opens the ledger of the gateway in this directory.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Ledger> {
    let (key, _) = MasterKey::from_env_or_file(None, &folder.join("portcullis.key"), true)?;
    Ok(Ledger::open(&StorageUrl::Sqlite(folder.join("portcullis.db")), key)?)
}

/// Opens a sender's list.
pub(crate) fn list(ledger: &Ledger, tenant: &str, sender: &str) -> anyhow::Result<List> {
    Ok(ledger.list(&tenant.parse()?, Scope::Sender(sender.parse()?))?)
}

/// Blocks the first `count` numbers on a list.
pub(crate) fn block(list: &List, count: u64) -> anyhow::Result<()> {
    let actor = Actor::new("bench")?;
    let mut subjects = Vec::new();
    for n in 0..count {
        subjects.push(list.keys().permutation().subject(member(n)?));
    }
    subjects.sort_unstable();
    for batch in subjects.chunks(10_000) {
        let block = |&subject| write(subject, &actor);
        list.write(batch.iter().map(block).collect())?;
    }
    Ok(())
}

/// A block in both directions.
pub(crate) fn write(subject: portcullis_host::Subject, actor: &Actor) -> Write {
    Block { source: Source::Import, ..Block::new(subject, Directions::BOTH, actor.clone()) }.into()
}
