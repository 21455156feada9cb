//! Reading and writing a long list in PostgreSQL, compared with the server's own copies of the same rows.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::ensure;
use postgres::{Client, NoTls};

use crate::cluster::{Cluster, plain};
use crate::fleet::{Node, skip};
use crate::gateway::Gateway;
use crate::record::number;
use crate::results::{Results, median};

const NUMBERS: u64 = 1_000_000;
const ROUNDS: usize = 3;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let Some(cluster) = Cluster::durable() else {
        skip();
        return Ok(());
    };
    let [mut imports, mut copies, mut starts, mut reads] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let url = cluster.database();
        imports.push(import(&url)?);
        starts.push(start(&url)?);
        let mut client = Client::connect(&plain(&url), NoTls)?;
        reads.push(drain(&mut client)?);
        copies.push(copy(&mut client)?);
    }
    let rate = |times: Vec<Duration>| NUMBERS as f64 / median(times).as_secs_f64();
    results.put("copy/import", rate(imports));
    results.put("copy/in", rate(copies));
    results.put_time("copy/start", median(starts));
    results.put_time("copy/out", median(reads));
    Ok(())
}

/// Imports numbers over HTTP, in random order.
fn import(url: &str) -> anyhow::Result<Duration> {
    let node = Node::start(url, 0)?;
    let mut import = node.import(NUMBERS)?;
    let start = Instant::now();
    ensure!(import.wait()?.success(), "the import failed");
    let took = start.elapsed();
    node.gateway.stop()?;
    Ok(took)
}

/// Starts a gateway that has no saved state, until it blocks one of the numbers.
fn start(url: &str) -> anyhow::Result<Duration> {
    let folder = Node::folder(url, 1)?;
    let start = Instant::now();
    let gateway = Gateway::start(folder.path())?;
    let verdict = || gateway.verdict("bulk-secret", &number(7));
    gateway.until("right", || verdict().is_some())?;
    let took = start.elapsed();
    ensure!(verdict().as_deref() == Some("block"), "a member is not blocked");
    gateway.stop()?;
    Ok(took)
}

/// Reads what a plugin has of each entry, in order.
fn drain(client: &mut Client) -> anyhow::Result<Duration> {
    let list: i32 = client.query_one("SELECT id FROM lists ORDER BY active DESC LIMIT 1", &[])?.get(0);
    let sql = format!(
        "COPY (SELECT subject, directions FROM entries WHERE list = {list} ORDER BY subject) TO STDOUT (FORMAT binary)"
    );
    let start = Instant::now();
    let mut reader = client.copy_out(&sql)?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            read => bytes += read,
        }
    }
    let took = start.elapsed();
    ensure!(bytes as u64 > NUMBERS * 10, "entries are missing");
    Ok(took)
}

/// Copies the rows of the import into tables like the ledger's, in one transaction.
fn copy(client: &mut Client) -> anyhow::Result<Duration> {
    const TABLES: [&str; 2] = ["entries", "records"];
    let mut rows = Vec::new();
    for table in TABLES {
        client.batch_execute(&format!("CREATE TABLE {table}_copied (LIKE {table} INCLUDING ALL)"))?;
        let mut bytes = Vec::new();
        client.copy_out(&format!("COPY {table} TO STDOUT (FORMAT binary)"))?.read_to_end(&mut bytes)?;
        rows.push((table, bytes));
    }
    let start = Instant::now();
    let mut transaction = client.transaction()?;
    for (table, bytes) in &rows {
        let mut writer = transaction.copy_in(&format!("COPY {table}_copied FROM STDIN (FORMAT binary)"))?;
        for part in bytes.chunks(1 << 16) {
            writer.write_all(part)?;
        }
        writer.finish()?;
    }
    transaction.commit()?;
    Ok(start.elapsed())
}
