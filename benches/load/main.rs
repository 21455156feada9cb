//! Puts a server under load over HTTP, and reports its throughput, latencies and CPU time.
//!
//! With a rate, requests are sent at even intervals, and a latency is measured from the time when the request was due.
//! So a stall is charged to all requests that were due meanwhile (which avoids Gil Tene's "coordinated omission").
//! Without a rate, each connection sends its next request when the last is answered, which measures throughput, and
//! latency only as seen by these few clients.

mod report;
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Parser;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::Uri;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use portcullis_benches::Server;
use tokio::net::TcpStream;

use report::Report;
use workload::{Kind, Workload};

/// Put a server under load over HTTP
#[derive(Clone, Parser)]
struct Options {
    /// The URL of the server
    #[arg(long, default_value = "http://127.0.0.1:8480")]
    url: Uri,
    /// The tenant's token
    #[arg(long, env = "PORTCULLIS_TOKEN", default_value = "demo-secret")]
    token: String,
    /// The kind of requests
    #[arg(long, value_enum, default_value = "check")]
    workload: Kind,
    /// The sender whose list is checked
    #[arg(long, default_value = "support")]
    sender: String,
    /// The phone-number-id of that sender, for messages and webhooks
    #[arg(long, default_value = "106540352242922")]
    phone_id: String,
    /// The key that webhooks are signed with
    #[arg(long, default_value = "app-secret")]
    app_secret: String,
    /// The path of plain requests; `{number}` is a placeholder for the number
    #[arg(long, default_value = "/")]
    path: String,
    /// Numbers per batch
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// The size of the range of numbers to check, from 46732000000
    #[arg(long, default_value_t = 1_000_000)]
    numbers: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 16)]
    connections: u64,
    /// Requests per second in total; 0 for as many as possible
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// The duration
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The server's process id, to report its CPU time
    #[arg(long)]
    pid: Option<u32>,
    /// A name for the output line
    #[arg(long, default_value = "")]
    name: String,
    /// Print a flat JSON object instead of a line: rates per second, times in nanoseconds
    #[arg(long)]
    json: bool,
}

impl Options {
    /// The number of phone numbers per request.
    fn batch_size(&self) -> u64 {
        if self.workload == Kind::Batch { self.batch } else { 1 }
    }
}

/// The results of one connection.
struct Seen {
    latencies: Histogram<u64>,
    answered: u64,
    refused: u64,
}

/// A histogram of latencies in nanoseconds, up to a minute.
fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let workload = Arc::new(Workload::of(&options));
    // Warm up connections, and whatever the server initializes lazily.
    drive(&options, &workload, Duration::from_millis(500)).await?;
    let server = options.pid.map(Server::new);
    let before = server.as_ref().map(Server::processor_time).transpose()?;
    let start = Instant::now();
    let seen = drive(&options, &workload, Duration::from_secs(options.seconds)).await?;
    let took = start.elapsed();
    let spent = match (&server, before) {
        (Some(server), Some(before)) => Some(server.processor_time()?.saturating_sub(before)),
        _ => None,
    };
    let report = Report::of(&seen, took, spent, options.batch_size());
    if options.json { report.print_json() } else { report.print_line(&options.name) }
}

async fn drive(options: &Options, workload: &Arc<Workload>, length: Duration) -> anyhow::Result<Seen> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for connection in 0..options.connections {
        let (options, workload) = (options.clone(), Arc::clone(workload));
        tasks
            .push(tokio::spawn(async move { connect(&options, &workload, connection, start, length).await }));
    }
    let mut all = Seen { latencies: histogram(), answered: 0, refused: 0 };
    for task in tasks {
        let seen = task.await??;
        all.latencies.add(&seen.latencies)?;
        all.answered += seen.answered;
        all.refused += seen.refused;
    }
    ensure!(all.answered > 0, "the server did not answer");
    Ok(all)
}

async fn connect(
    options: &Options,
    workload: &Workload,
    connection: u64,
    start: Instant,
    length: Duration,
) -> anyhow::Result<Seen> {
    let mut sender = open(&options.url).await?;
    let mut seen = Seen { latencies: histogram(), answered: 0, refused: 0 };
    for turn in 0_u64.. {
        let nth = turn * options.connections + connection;
        // When the request is due.
        let due = match options.rate {
            0 => Instant::now(),
            rate => start + Duration::from_secs_f64(nth as f64 / rate as f64),
        };
        if due >= start + length {
            break;
        }
        until(due).await;
        sender.ready().await?;
        let response = sender.send_request(workload.request(nth)).await?;
        let is_good = response.status().is_success();
        response.into_body().collect().await?;
        let nanos = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
        seen.latencies.saturating_record(nanos.max(1));
        seen.answered += 1;
        seen.refused += u64::from(!is_good);
    }
    Ok(seen)
}

/// Waits until `due`. The runtime's timer has millisecond precision, which is as long as many responses take, so the
/// end of the wait is a busy loop.
async fn until(due: Instant) {
    const COARSE: Duration = Duration::from_millis(2);
    if let Some(early) = due.checked_sub(COARSE).filter(|early| *early > Instant::now()) {
        tokio::time::sleep_until(early.into()).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

async fn open(url: &Uri) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let address = url.authority().context("the URL contains no server")?;
    let port = address.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((address.host(), port)).await.context("can't connect to the server")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
