//! `portcullis serve`: from the configuration file to the last answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::gateway::Gateway;
use crate::http::Front;
use crate::{expiry, http, log, plugins};

/// How long requests under way may take when the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long a connection may take to send a request's head, and so how long it may stay idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(75);
/// After the system refused a connection, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a gateway until it gets SIGINT or SIGTERM.
///
/// Prints one line on standard output when it listens, `listening on http://ADDRESS`; from then on it answers health
/// checks, and everything else when the blacklists are filled.
///
/// # Errors
///
/// Where the configuration is refused (each line says file, line, what is wrong and what to do), a plugin can't be
/// loaded, the ledger can't be opened, or the address can't be listened on.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::read(config, plugins::names)?;
    log::start(config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    let served = runtime.block_on(serve(config));
    // Waits for what still writes; the ledger is closed with its last user.
    runtime.shutdown_timeout(GRACE);
    served
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut told = Signals::watch()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} can't be listened on: is another gateway running?", config.listen))?;
    announce(listener.local_addr().context("the address that is listened on can't be found out")?)?;

    let front = Arc::new(Front::new(config.max_body_bytes));
    let (stop, stopping) = watch::channel(false);
    let connections = tokio::spawn(accept(listener, http::router(Arc::clone(&front)), stopping));

    let runtime = Handle::current();
    let starting = tokio::task::spawn_blocking(move || Gateway::start(&config, runtime));
    let gateway = tokio::select! {
        started = starting => Arc::new(started.context("starting ended in a defect")??),
        signal = told.next() => {
            info!(signal, "stopping before the blacklists are filled");
            return Ok(());
        }
    };
    front.open(Arc::clone(&gateway));
    info!("ready");
    let expiry = tokio::spawn(expiry::run(gateway));

    let signal = told.next().await;
    info!(signal, "stopping");
    front.close();
    let _ = stop.send(true);
    if tokio::time::timeout(GRACE, connections).await.is_err() {
        warn!("requests were still under way after {} s, and are cut off", GRACE.as_secs());
    }
    expiry.abort();
    info!("stopped");
    Ok(())
}

/// The signals that end a gateway.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("SIGTERM can't be watched for")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT can't be watched for")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the one line that says where the gateway is, for whoever started it"
)]
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    println!("listening on http://{address}");
    std::io::stdout().flush().context("the address can't be written to standard output")
}

/// Takes connections until told to stop, then waits for the requests under way.
async fn accept(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connection(stream, &router, &graceful),
                Err(error) => {
                    debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = stopping.changed() => break,
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection(stream: TcpStream, router: &Router, graceful: &GracefulShutdown) {
    // Answers are small and written at once: waiting to fill packets would only delay them.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            // The client's doing, mostly: it went away, or does not speak HTTP.
            debug!(%error, "a connection broke off");
        }
    });
}
