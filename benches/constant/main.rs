//! Servers as a baseline: they serve HTTP as the gateway does, but answer with a constant or from a hash set. They
//! accept the gateway's requests, so that the comparison is fair.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::{get, post};
use clap::Parser;
use hashbrown::HashSet;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service as _;

/// Answer checks with a constant, or from a hash set
#[derive(Parser)]
struct Options {
    /// The address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// A file with blocked numbers, one per line; omit to answer with a constant
    #[arg(long)]
    list: Option<PathBuf>,
}

/// The same as in the gateway.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The gateway's responses, byte for byte.
const ALLOW: &str = r#"{"verdict":"allow","direction":"outbound","source":"plugin"}"#;
const BLOCK: &str =
    r#"{"verdict":"block","direction":"outbound","list":"sender","source":"plugin","blocked":true}"#;

type Answer = ([(HeaderName, &'static str); 1], &'static str);

#[derive(Deserialize)]
struct InQuery {
    n: u64,
}

#[derive(Deserialize)]
struct InBody<'a> {
    number: &'a str,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let router = match options.list {
        None => constant(),
        Some(list) => from_set(numbers(&list)?),
    };
    // As many threads as the gateway: one per available CPU.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options.listen, router))
}

fn numbers(list: &Path) -> anyhow::Result<HashSet<u64>> {
    let text = std::fs::read_to_string(list).with_context(|| format!("can't read {}", list.display()))?;
    let number =
        |line: &str| line.parse().with_context(|| format!("{line:?} is not a number: write digits only"));
    text.lines().map(number).collect()
}

const PATH: &str = "/portcullis/v1/senders/{sender}/check";

fn constant() -> Router {
    Router::new()
        .route("/", get(async |Query(InQuery { n: _ })| answer(false)))
        // The body is read completely, but not parsed.
        .route(PATH, post(async |_: Bytes| answer(false)))
}

fn from_set(blocked: HashSet<u64>) -> Router {
    let by_query =
        async |State(blocked): State<Arc<HashSet<u64>>>, Query(InQuery { n })| answer(blocked.contains(&n));
    let by_body = async |State(blocked): State<Arc<HashSet<u64>>>, body: Bytes| {
        let number =
            serde_json::from_slice::<InBody<'_>>(&body).ok().and_then(|body| body.number.parse().ok());
        number.map(|number: u64| answer(blocked.contains(&number))).ok_or(StatusCode::BAD_REQUEST)
    };
    Router::new().route("/", get(by_query)).route(PATH, post(by_body)).with_state(Arc::new(blocked))
}

fn answer(is_blocked: bool) -> Answer {
    ([(CONTENT_TYPE, "application/json")], if is_blocked { BLOCK } else { ALLOW })
}

/// Serves connections exactly as the gateway does in its `serve.rs`.
async fn serve(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}: is the port in use?"))?;
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connection(stream, &router, &graceful);
    }
}

fn connection(stream: TcpStream, router: &Router, graceful: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let router = router.clone();
    let service = service_fn(move |request| router.clone().call(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        // Fails if the client disconnects.
        let _ = watched.await;
    });
}
