//! Restarts without a gap: other processes take over from the gateway, one after the other, while numbers are checked and blocked, and
//! messages are sent, at a fixed rate. What counts is what failed, was sent twice or was answered wrongly, and the longest time that a
//! request took from when it was due.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use serde_json::{Value, json};

use crate::gateway::{Gateway, SERVER, TENANT, configure};
use crate::record;
use crate::results::Results;

/// Requests a second of each kind, and the threads that make them.
const CHECKS: (u32, u32) = (5000, 32);
const SENDS: (u32, u32) = (500, 16);
const BLOCKS: (u32, u32) = (50, 4);
/// The length of the list.
const ENTRIES: u64 = 1_000_000;
/// How often another process takes over, and the time before each, and after the last.
const RESTARTS: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(4);
/// The first number that is on no list.
const STRANGERS: u64 = 3 * ENTRIES;

/// What is added to the sender, so that messages are sent for it.
const PHONE: &str = "phone_number_id = \"106540352242922\"\n";

/// What was seen of the requests.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    failed: AtomicU64,
    wrong: AtomicU64,
    longest_micros: AtomicU64,
    /// How many numbers, counted from the last one of the list, were blocked, and acknowledged, by each thread.
    blocked: [AtomicU64; BLOCKS.1 as usize],
    /// How often each message arrived.
    arrived: Mutex<HashMap<String, u64>>,
}

/// One thread's client.
struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Client { agent, url: url.to_owned() }
    }

    /// The body of the answer, if it is a success.
    fn post(&self, path: &str, body: &Value) -> Option<String> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("authorization", "Bearer acme-secret").content_type("application/json");
        let mut answer = request.send(body.to_string()).ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        (answer.status() == 200).then_some(text)
    }

    /// Whether a number is blocked; `None` if the check failed.
    fn check(&self, number: &str) -> Option<bool> {
        let body = json!({ "number": number, "direction": "outbound" });
        let answer = self.post("/portcullis/v1/senders/support/check", &body)?;
        Some(answer.contains("\"verdict\":\"block\""))
    }
}

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let seen = Arc::<Seen>::default();
    let (upstream, _runtime) = upstream(&seen)?;
    configure(folder.path(), &format!("{SERVER}[meta]\nupstream = \"{upstream}\"\n{TENANT}{PHONE}"))?;
    record::block(&record::list(&record::open(folder.path())?, "acme", "support")?, ENTRIES)?;
    let mut gateway = Gateway::ready(folder.path())?;
    let url = gateway.url().to_owned();
    let (start, time) = (Instant::now(), BETWEEN * (RESTARTS + 1));
    let sent = thread::scope(|scope| -> anyhow::Result<u64> {
        for thread in 0..CHECKS.1 {
            let (seen, url) = (&seen, &url);
            scope.spawn(move || {
                at_rate(CHECKS, thread, start, time, seen, |client, n| check(client, n, seen), url)
            });
        }
        for thread in 0..BLOCKS.1 {
            let (seen, url) = (&seen, &url);
            scope.spawn(move || {
                at_rate(BLOCKS, thread, start, time, seen, |client, _| block(client, thread, seen), url)
            });
        }
        let sending: Vec<_> = (0..SENDS.1)
            .map(|thread| {
                let (seen, url) = (&seen, &url);
                scope.spawn(move || {
                    let send = |client: &Client, n| send(client, &format!("{thread} {n}"));
                    at_rate(SENDS, thread, start, time, seen, send, url)
                })
            })
            .collect();
        let mut before = Vec::new();
        for _ in 0..RESTARTS {
            thread::sleep(BETWEEN);
            before.push(take_over(&mut gateway, folder.path())?);
        }
        let sent = sending.into_iter().map(|sending| sending.join().unwrap_or_default()).sum();
        before.into_iter().try_for_each(Gateway::ends)?;
        Ok(sent)
    })?;
    let arrived = seen.arrived.lock().unwrap_or_else(PoisonError::into_inner);
    let doubles = arrived.values().filter(|times| **times > 1).count();
    results.put("restart/requests", seen.requests.load(Ordering::Relaxed) as f64);
    results.put("restart/failed", seen.failed.load(Ordering::Relaxed) as f64);
    results.put("restart/wrong", seen.wrong.load(Ordering::Relaxed) as f64);
    results.put("restart/sent", sent as f64);
    results.put("restart/sent_twice", doubles as f64);
    results.put("restart/not_sent", sent.saturating_sub(arrived.len() as u64) as f64);
    results.put_time("restart/longest", Duration::from_micros(seen.longest_micros.load(Ordering::Relaxed)));
    Ok(())
}

/// Starts another process, which takes over. Returns the one before.
fn take_over(gateway: &mut Gateway, folder: &Path) -> anyhow::Result<Gateway> {
    let next = Gateway::ready_with(folder, &["--take-over"])?;
    ensure!(next.url() == gateway.url(), "the other process listens elsewhere");
    Ok(std::mem::replace(gateway, next))
}

/// Makes requests at a fixed rate: those of one thread of several. Returns how many.
fn at_rate(
    (rate, threads): (u32, u32),
    thread: u32,
    start: Instant,
    time: Duration,
    seen: &Seen,
    request: impl Fn(&Client, u64) -> Option<bool>,
    url: &str,
) -> u64 {
    let client = Client::new(url);
    let every = Duration::from_secs(1) * threads / rate;
    let mut due = start + Duration::from_secs(1) * thread / rate;
    let mut n = 0;
    while due < start + time {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match request(&client, n) {
            Some(true) => {}
            Some(false) => drop(seen.wrong.fetch_add(1, Ordering::Relaxed)),
            None => drop(seen.failed.fetch_add(1, Ordering::Relaxed)),
        }
        let took = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        seen.longest_micros.fetch_max(took, Ordering::Relaxed);
        seen.requests.fetch_add(1, Ordering::Relaxed);
        (n, due) = (n + 1, due + every);
    }
    n
}

/// Checks a number, of which it is known whether it is blocked. Returns whether the answer is right.
fn check(client: &Client, n: u64, seen: &Seen) -> Option<bool> {
    let thread = n % u64::from(BLOCKS.1);
    let known = seen.blocked.get(usize::try_from(thread).ok()?)?.load(Ordering::SeqCst);
    let (number, is_blocked) = match n % 3 {
        0 => (n % ENTRIES, true),
        // The one that was acknowledged last.
        1 if known > 0 => (nth_blocked(thread, known - 1), true),
        _ => (STRANGERS + n, false),
    };
    Some(client.check(&record::number(number))? == is_blocked)
}

/// The n-th number that a thread blocks.
fn nth_blocked(thread: u64, n: u64) -> u64 {
    ENTRIES + n * u64::from(BLOCKS.1) + thread
}

/// Blocks the thread's next number, which the next check must see.
fn block(client: &Client, thread: u32, seen: &Seen) -> Option<bool> {
    let blocked = seen.blocked.get(thread as usize)?;
    let n = blocked.load(Ordering::SeqCst);
    let number = record::number(nth_blocked(thread.into(), n));
    client.post("/portcullis/v1/senders/support/entries", &json!({ "number": number }))?;
    blocked.store(n + 1, Ordering::SeqCst);
    client.check(&number)
}

/// Sends a message.
fn send(client: &Client, text: &str) -> Option<bool> {
    let to = record::number(STRANGERS);
    let body = json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": text } });
    client.post("/v25.0/106540352242922/messages", &body).map(|_| true)
}

/// Counts a message.
async fn count(State(seen): State<Arc<Seen>>, body: String) -> &'static str {
    let message: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = message["text"]["body"].as_str().unwrap_or_default().to_owned();
    *seen.arrived.lock().unwrap_or_else(PoisonError::into_inner).entry(text).or_default() += 1;
    "{}"
}

/// A server that counts messages. Returns its URL, and what it runs on.
fn upstream(seen: &Arc<Seen>) -> anyhow::Result<(String, tokio::runtime::Runtime)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("can't start the async runtime")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(count).with_state(Arc::clone(seen));
    runtime.spawn(async move { axum::serve(listener, router).await });
    Ok((url, runtime))
}
