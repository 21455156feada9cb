//! Queries Redis and PostgreSQL for blocked numbers, one query at a time, and reports the cost of a check.
//!
//! Uses one client with one connection: the cost for a gateway that queries the store before each message.
#![forbid(unsafe_code)]

mod postgres;
mod redis;

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use portcullis_benches::{Server, numbers};
use serde::Serialize;

use crate::postgres::Postgres;
use crate::redis::Redis;

/// Query a store for blocked numbers
#[derive(Parser)]
struct Options {
    /// The kind of query
    #[arg(value_enum)]
    question: Question,
    /// The address of the store: a Unix socket or ADDRESS:PORT; for PostgreSQL the directory of its socket
    #[arg(long)]
    at: String,
    /// The number of blocked numbers in the store
    #[arg(long)]
    size: u64,
    /// The duration
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The server's process id, to report its CPU time
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Question {
    /// Redis, one command per number
    Sismember,
    /// Redis, a pipeline of 100 commands
    SismemberPipelined,
    /// Redis, one command for 100 numbers
    Smismember,
    /// PostgreSQL, a prepared lookup in the primary key
    Prepared,
    /// PostgreSQL, a prepared lookup of 100 numbers
    Any,
}

/// The numbers per query, for queries of many.
const BATCH: u64 = 100;

impl Question {
    fn batch(self) -> u64 {
        match self {
            Question::Sismember | Question::Prepared => 1,
            Question::SismemberPipelined | Question::Smismember | Question::Any => BATCH,
        }
    }
}

/// A store that can be queried.
trait Store {
    /// Returns how many of these numbers are blocked.
    fn blocked(&mut self, numbers: &[u64]) -> anyhow::Result<u64>;
}

/// Times in nanoseconds.
#[derive(Serialize)]
struct Report {
    /// The time per check, including the client.
    check: f64,
    /// The server's CPU time per check.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    /// The latency of a query.
    p50: u64,
    p99: u64,
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut store = open(&options)?;
    prove(&mut *store, options.question.batch(), options.size)?;
    // Warm up connections, and whatever the server initializes lazily.
    measure(&mut *store, &options, Duration::from_millis(500))?;
    let report = measure(&mut *store, &options, Duration::from_secs(options.seconds))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn open(options: &Options) -> anyhow::Result<Box<dyn Store>> {
    let at = &options.at;
    Ok(match options.question {
        Question::Sismember | Question::SismemberPipelined => Box::new(Redis::one_by_one(at)?),
        Question::Smismember => Box::new(Redis::together(at)?),
        Question::Prepared => Box::new(Postgres::one_by_one(at)?),
        Question::Any => Box::new(Postgres::together(at)?),
    })
}

/// Checks the store's answers: a store that responds with errors, or is empty, is fast.
fn prove(store: &mut dyn Store, batch: u64, size: u64) -> anyhow::Result<()> {
    for (what, number, blocked) in [
        ("blocked numbers", numbers::member as fn(u64) -> u64, batch),
        ("other numbers", numbers::stranger, 0),
    ] {
        // At both ends of the list.
        for from in [0, size - batch] {
            let asked: Vec<u64> = (from..from + batch).map(number).collect();
            let found = store.blocked(&asked)?;
            ensure!(
                found == blocked,
                "the store says that {found} of {batch} {what} are blocked: was it filled?"
            );
        }
    }
    Ok(())
}

fn measure(store: &mut dyn Store, options: &Options, length: Duration) -> anyhow::Result<Report> {
    let batch = options.question.batch();
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let server = options.pid.map(Server::new);
    let before = server.map(|server| server.processor_time()).transpose()?;
    let mut asked = Vec::new();
    let (mut checks, mut blocked) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < length {
        asked.clear();
        asked.extend((checks..checks + batch).map(|nth| numbers::asked(nth, options.size * numbers::RANGE)));
        let before = Instant::now();
        blocked += store.blocked(&asked)?;
        latencies.saturating_record(u64::try_from(before.elapsed().as_nanos())?.max(1));
        checks += batch;
    }
    let took = start.elapsed();
    let cpu = server
        .zip(before)
        .map(|(server, before)| Ok::<_, anyhow::Error>(server.processor_time()?.saturating_sub(before)))
        .transpose()?;
    // Only with enough checks for the law of large numbers.
    let share = blocked as f64 / checks as f64;
    ensure!(
        checks < 10_000 || (0.005..0.02).contains(&share),
        "one in a hundred is blocked, but the store found {share:.4}: was it filled with {} numbers?",
        options.size
    );
    let each = |time: Duration| time.as_secs_f64() * 1e9 / checks as f64;
    Ok(Report {
        check: each(took),
        cpu: cpu.map(each),
        p50: latencies.value_at_quantile(0.5),
        p99: latencies.value_at_quantile(0.99),
    })
}

/// The name of the set and of the table.
const LIST: &str = "blocked";

/// The error message for a store that can't be reached.
fn unreachable(at: &str) -> String {
    format!("can't connect to {at}: start the server first")
}
