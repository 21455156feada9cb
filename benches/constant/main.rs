//! What a server costs that does next to nothing: the gateway's own way to serve HTTP, and an answer that is always the
//! same, or that depends on a hash set. It takes what the gateway takes, so that like is compared with like.
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

/// Answer checks with a constant, or out of a hash set
#[derive(Parser)]
struct Options {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Blocked numbers, one a line; without it every answer is the same
    #[arg(long)]
    list: Option<PathBuf>,
}

/// As in the gateway.
const HEAD_PATIENCE: Duration = Duration::from_secs(75);

/// The gateway's answers, to the byte.
const ALLOW: &str = r#"{"verdict":"allow","direction":"outbound","source":"plugin"}"#;
const BLOCK: &str = r#"{"verdict":"block","direction":"outbound","list":"sender","source":"plugin"}"#;

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
        Some(list) => out_of(numbers(&list)?),
    };
    // As many threads as the gateway has: one for each processor that it may use.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options.listen, router))
}

fn numbers(list: &Path) -> anyhow::Result<HashSet<u64>> {
    let text = std::fs::read_to_string(list).with_context(|| format!("{} can't be read", list.display()))?;
    let number =
        |line: &str| line.parse().with_context(|| format!("{line:?} is not a number: write digits alone"));
    text.lines().map(number).collect()
}

const PATH: &str = "/portcullis/v1/senders/{sender}/check";

fn constant() -> Router {
    Router::new()
        .route("/", get(async |Query(InQuery { n: _ })| answer(false)))
        // The body is read whole, and not looked at.
        .route(PATH, post(async |_: Bytes| answer(false)))
}

fn out_of(blocked: HashSet<u64>) -> Router {
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

/// Connections are served as the gateway serves them, so that nothing else differs: see its `serve.rs`.
async fn serve(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("{listen} can't be listened on: is something else there?"))?;
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
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that went away.
        let _ = watched.await;
    });
}
