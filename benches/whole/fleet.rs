//! Gateways that share a ledger in PostgreSQL: how soon one sees what another has written, and what that costs.
//!
//! The server has PostgreSQL's own settings, which flush each commit. Only while writers are measured, a flush takes longer.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::cluster::{Cluster, plain};
use crate::gateway::{Gateway, TENANT, configure, program};
use crate::record::number;
use crate::results::Results;

const NODES: usize = 3;
/// Writes that are waited for one after the other at another gateway.
const SEEN: u64 = 10_000;
/// Numbers of an import beside which others write.
const IMPORTED: u64 = 1_000_000;
const WRITERS: u64 = 64;
/// Writes of each of these writers.
const EACH: u64 = 100;
/// Writes of a writer that is alone.
const ALONE: u64 = 500;
/// How long a flush takes while writers are measured, in microseconds: as long as that of network storage, or a standby's answer. This
/// machine's disk may lie about it.
const FLUSH: u32 = 4_000;
/// Checks before and while the database is frozen.
const CHECKS: usize = 20_000;

/// Where the numbers of each part begin, so that none is written twice.
const BESIDE: u64 = 2_000_000;
const MANY: u64 = 4_000_000;
const HOT: u64 = 5_000_000;
const SINGLE: u64 = 6_000_000;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let Some(cluster) = Cluster::durable() else {
        skip();
        return Ok(());
    };
    let url = cluster.database();
    let nodes = (0..NODES).map(|node| Node::start(&url, node)).collect::<anyhow::Result<Vec<_>>>()?;
    let [a, b, c] = &nodes[..] else { anyhow::bail!("three nodes were started") };

    put_delays(results, "fleet/seen", seen(a, b, 0, SEEN, || true)?);
    let mut import = c.import(IMPORTED)?;
    let beside = seen(a, b, BESIDE, u64::MAX, || matches!(import.try_wait(), Ok(None)))?;
    ensure!(import.wait()?.success(), "the import failed");
    put_delays(results, "fleet/seen-beside-import", beside);

    slow_down(&cluster, FLUSH);
    let alone = rate(ALONE, || (0..ALONE).try_for_each(|n| a.block("support", SINGLE + n)))?;
    let many = writers(&nodes, MANY, |writer| format!("s{writer}"))?;
    let hot = writers(&nodes, HOT, |_| "support".to_owned())?;
    results.put("fleet/one-writer", alone);
    results.put("fleet/many-lists", many);
    results.put("fleet/one-list", hot);
    results.put("fleet/one-list-unjoined", unjoined(&cluster)?);
    slow_down(&cluster, 0);

    let missed: u64 = nodes.iter().map(missed).sum::<anyhow::Result<u64>>()?;
    results.put("fleet/missed", missed as f64);

    let before = check_delays(a)?;
    cluster.freeze();
    let frozen = check_delays(a);
    cluster.thaw();
    results.put_time("fleet/check-p99", percentile(&before, 990));
    results.put_time("fleet/check-frozen-p99", percentile(&frozen?, 990));
    nodes.into_iter().try_for_each(|node| node.gateway.stop())
}

/// Lets each flush take so many microseconds more.
fn slow_down(cluster: &Cluster, flush: u32) {
    for sql in [
        format!("ALTER SYSTEM SET commit_delay = {flush}"),
        // Also if nobody else commits.
        "ALTER SYSTEM SET commit_siblings = 0".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        cluster.sql("postgres", &sql);
    }
}

#[expect(clippy::print_stdout, reason = "the program's output")]
pub(crate) fn skip() {
    println!("SKIPPED, as PostgreSQL is not installed (apt-get install postgresql)");
}

pub(crate) struct Node {
    pub(crate) gateway: Gateway,
    folder: TempDir,
}

impl Node {
    /// Starts a gateway with a ledger in this database. The first one creates it.
    pub(crate) fn start(url: &str, number: usize) -> anyhow::Result<Self> {
        let folder = Node::folder(url, number)?;
        let options: &[&str] = if number == 0 { &["--new-ledger"] } else { &[] };
        let gateway = Gateway::ready_with(folder.path(), options)?;
        Ok(Node { gateway, folder })
    }

    /// A folder with all that a gateway needs to start.
    pub(crate) fn folder(url: &str, number: usize) -> anyhow::Result<TempDir> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("portcullis.key");
        std::fs::write(&key, "2a".repeat(32))?;
        std::fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        let senders: String =
            (0..WRITERS).map(|sender| format!("[[tenants.senders]]\nid = \"s{sender}\"\n")).collect();
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:0"
lame_duck_seconds = 0
[storage]
url = "{url}"
[fleet]
node = "n{number}"
{TENANT}
{senders}
[[tenants]]
id = "bulk"
tokens = ["bulk-secret"]
[[tenants.senders]]
id = "support"
"#
        );
        configure(folder.path(), &config)?;
        Ok(folder)
    }

    fn block(&self, sender: &str, n: u64) -> anyhow::Result<()> {
        ensure!(self.gateway.set_of("acme-secret", sender, &number(n), true), "the gateway rejects a block");
        Ok(())
    }

    fn is_blocked(&self, n: u64) -> bool {
        self.gateway.verdict("acme-secret", &number(n)).as_deref() == Some("block")
    }

    /// Starts to import numbers for the tenant `bulk`.
    pub(crate) fn import(&self, count: u64) -> anyhow::Result<Child> {
        let numbers: String = (0..count).map(|n| format!("{}\n", number(n * 611_953 % count))).collect();
        std::fs::write(self.folder.path().join("numbers.txt"), numbers)?;
        Command::new(program()?)
            .args(["import", "numbers.txt", "--sender", "support", "--format", "plain"])
            .args(["--url", self.gateway.url(), "--token", "bulk-secret"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start the import")
    }
}

/// Blocks numbers at one gateway, and waits for each until the other one blocks it, while `goes_on` says so. Returns how long that took,
/// from the acknowledgement on, in order of length.
fn seen(
    here: &Node,
    there: &Node,
    first: u64,
    most: u64,
    mut goes_on: impl FnMut() -> bool,
) -> anyhow::Result<Vec<Duration>> {
    let mut delays = Vec::new();
    for n in 0..most {
        if !goes_on() {
            break;
        }
        here.block("support", first + n)?;
        let start = Instant::now();
        there.gateway.until("following", || there.is_blocked(first + n))?;
        delays.push(start.elapsed());
    }
    delays.sort_unstable();
    Ok(delays)
}

fn put_delays(results: &mut Results, name: &str, delays: Vec<Duration>) {
    results.put(&format!("{name}/writes"), delays.len() as f64);
    for (suffix, thousandths) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        results.put_time(&format!("{name}/{suffix}"), percentile(&delays, thousandths));
    }
}

/// The value below which so many thousandths of the values lie, which are in ascending order.
fn percentile(sorted: &[Duration], thousandths: usize) -> Duration {
    let place = sorted.len() * thousandths / 1000;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// How often per second something was done.
fn rate(times: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(times as f64 / start.elapsed().as_secs_f64())
}

/// Blocks numbers by writers at all gateways. Returns the blocks per second.
fn writers(nodes: &[Node], first: u64, sender: impl Fn(u64) -> String + Sync) -> anyhow::Result<f64> {
    let write = |writer: u64| {
        let node = &nodes[usize::try_from(writer)? % nodes.len()];
        (0..EACH).try_for_each(|n| node.block(&sender(writer), first + writer * EACH + n))
    };
    rate(WRITERS * EACH, || {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a writer failed")?)
        })
    })
}

/// The same on one list without joined commits: each writer locks the list's row over its round trips, as plain code would. Returns the
/// blocks per second.
fn unjoined(cluster: &Cluster) -> anyhow::Result<f64> {
    let database = cluster.database();
    let connect = || postgres::Client::connect(&plain(&database), postgres::NoTls);
    connect()?.batch_execute(
        "CREATE TABLE lists (id integer PRIMARY KEY, sequence bigint NOT NULL, active bigint NOT NULL);
         INSERT INTO lists VALUES (1, 0, 0);
         CREATE TABLE entries (list integer, subject bigint, sequence bigint, directions smallint, created timestamptz,
             PRIMARY KEY (list, subject));
         CREATE TABLE records (list integer, sequence bigint, subject bigint, at timestamptz, PRIMARY KEY (list, sequence));",
    )?;
    let next = AtomicU64::new(0);
    let write = || -> anyhow::Result<()> {
        let mut client = connect()?;
        for _ in 0..EACH {
            let subject = i64::try_from(next.fetch_add(1, Ordering::Relaxed))?;
            let mut transaction = client.transaction()?;
            let row =
                transaction.query_one("SELECT sequence FROM lists WHERE id = 1 FOR NO KEY UPDATE", &[])?;
            let sequence = row.get::<_, i64>(0) + 1;
            transaction
                .execute("INSERT INTO entries VALUES (1, $1, $2, 3, now())", &[&subject, &sequence])?;
            transaction.execute("INSERT INTO records VALUES (1, $2, $1, now())", &[&subject, &sequence])?;
            transaction.execute("UPDATE lists SET sequence = $1, active = active + 1", &[&sequence])?;
            transaction.commit()?;
        }
        Ok(())
    };
    rate(WRITERS * EACH, || {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a writer failed")?)
        })
    })
}

/// How many of the numbers that were blocked a gateway does not block, once it has followed.
fn missed(node: &Node) -> anyhow::Result<u64> {
    // The last of the writes, after which there were none.
    node.gateway.until("following", || {
        node.gateway.blocked_of("acme-secret", "support", HOT, WRITERS * EACH) == Some(WRITERS * EACH)
    })?;
    let mut missed = 0;
    for (sender, first, count) in [("support", 0, SEEN), ("support", SINGLE, ALONE)] {
        let blocked =
            node.gateway.blocked_of("acme-secret", sender, first, count).context("a check failed")?;
        missed += count - blocked;
    }
    for writer in 0..WRITERS {
        let (sender, first) = (format!("s{writer}"), MANY + writer * EACH);
        missed +=
            EACH - node.gateway.blocked_of("acme-secret", &sender, first, EACH).context("a check failed")?;
    }
    Ok(missed)
}

/// How long checks take, one after the other, in order of length.
fn check_delays(node: &Node) -> anyhow::Result<Vec<Duration>> {
    let mut delays = Vec::with_capacity(CHECKS);
    for n in 0..CHECKS {
        let start = Instant::now();
        ensure!(node.is_blocked(n as u64 % SEEN), "a number is not blocked");
        delays.push(start.elapsed());
    }
    delays.sort_unstable();
    Ok(delays)
}
