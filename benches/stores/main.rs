//! Asks Redis and PostgreSQL about blocked numbers, one question at a time, and tells what a check took.
//!
//! By one client over one connection: what a gateway pays that asks before each message.
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

/// Ask a store about blocked numbers
#[derive(Parser)]
struct Options {
    /// How to ask
    #[arg(value_enum)]
    question: Question,
    /// Where the store is: a Unix socket, or ADDRESS:PORT; of PostgreSQL the folder of its socket
    #[arg(long)]
    at: String,
    /// How many numbers the store has
    #[arg(long)]
    size: u64,
    /// For how long
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The server's process, of which the processor time is told
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Question {
    /// Redis, a command and its answer
    Sismember,
    /// Redis, 100 commands and then their answers
    SismemberPipelined,
    /// Redis, a command for 100 numbers
    Smismember,
    /// PostgreSQL, a prepared look-up in the primary key
    Prepared,
    /// PostgreSQL, the same of 100 numbers
    Any,
}

/// Numbers of a question that is about many.
const BATCH: u64 = 100;

impl Question {
    fn batch(self) -> u64 {
        match self {
            Question::Sismember | Question::Prepared => 1,
            Question::SismemberPipelined | Question::Smismember | Question::Any => BATCH,
        }
    }
}

/// What can be asked.
trait Store {
    /// How many of these numbers are blocked.
    fn blocked(&mut self, numbers: &[u64]) -> anyhow::Result<u64>;
}

/// In nanoseconds.
#[derive(Serialize)]
struct Report {
    /// A check, with the client's part of it.
    check: f64,
    /// Of the server's processors, a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    /// A question and its answer.
    p50: u64,
    p99: u64,
}

#[expect(clippy::print_stdout, reason = "a program's results")]
fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut store = open(&options)?;
    prove(&mut *store, options.question.batch(), options.size)?;
    // Warm: connections, and whatever the server makes at first sight.
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

/// A store that answers with errors, or holds nothing, is fast.
fn prove(store: &mut dyn Store, batch: u64, size: u64) -> anyhow::Result<()> {
    for (what, number, blocked) in
        [("blocked numbers", numbers::member as fn(u64) -> u64, batch), ("strangers", numbers::stranger, 0)]
    {
        // From both ends of the list.
        for from in [0, size - batch] {
            let asked: Vec<u64> = (from..from + batch).map(number).collect();
            let found = store.blocked(&asked)?;
            ensure!(found == blocked, "of {batch} {what} the store found {found} blocked: was it filled?");
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
    // Enough of them for chance to leave one in a hundred.
    let share = blocked as f64 / checks as f64;
    ensure!(
        checks < 10_000 || (0.005..0.02).contains(&share),
        "one in a hundred is blocked, and the store found {share:.4}: was it filled with {} numbers?",
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

/// What is the matter where a store can't be asked.
fn unreachable(at: &str) -> String {
    format!("nothing answers at {at}: start the server first")
}
