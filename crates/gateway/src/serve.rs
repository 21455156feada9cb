//! `portcullis serve`: from the configuration file to the last answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::gateway::Gateway;
use crate::http::Front;
use crate::http::peer::Peer;
use crate::traffic::Traffic;
use crate::{http, log, traffic, visits};

/// How long requests under way may take when the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long a connection may take to send a request's head, and so how long it may stay idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(75);
/// After the system refused a connection, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a gateway until it gets SIGINT or SIGTERM. At SIGHUP it reads its configuration file and its folder of plugins again.
///
/// Prints one line on standard output when it listens, `listening on http://ADDRESS`; from then on it answers health
/// checks, and everything else when the blacklists are filled.
///
/// # Errors
///
/// Where the configuration is refused (each line says file, line, what is wrong and what to do), a plugin can't be
/// loaded, the ledger can't be opened, or the address can't be listened on.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let file = config;
    let config = Config::read(file, portcullis_engine::plugin_store::names)?;
    log::start(config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    let served = runtime.block_on(serve(config, file.to_owned()));
    // Waits for what still writes; the ledger is closed with its last user.
    runtime.shutdown_timeout(GRACE);
    served
}

async fn serve(config: Config, file: PathBuf) -> anyhow::Result<()> {
    let mut told = Signals::watch()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} can't be listened on: is another gateway running?", config.listen))?;
    announce(listener.local_addr().context("the address that is listened on can't be found out")?)?;

    let traffic =
        Traffic::new(&config).context("TLS can't be set up with the certificates of this system")?;
    let front = Arc::new(Front::new(&config, Arc::new(traffic)));
    let (stop, stopping) = watch::channel(false);
    let service = http::Service::new(Arc::clone(&front), http::router(Arc::clone(&front)));
    let connections = tokio::spawn(accept(listener, service, stopping));

    let runtime = Handle::current();
    let mut starting = tokio::task::spawn_blocking(move || Gateway::start(config, runtime));
    let gateway = loop {
        tokio::select! {
            started = &mut starting => break started.context("starting ended in a defect")??,
            told = told.next() => match told {
                Told::Reload => info!("SIGHUP: the configuration file was only just read"),
                Told::Stop(signal) => {
                    info!(signal, "stopping before the blacklists are filled");
                    return Ok(());
                }
            },
        }
    };
    front.open(Arc::clone(&gateway));
    info!("ready");
    let telling = tokio::spawn(traffic::tell_events(Arc::clone(&gateway)));
    let writing_down = tokio::spawn(visits::run(Arc::clone(&gateway)));

    let signal = loop {
        match told.next().await {
            Told::Stop(signal) => break signal,
            Told::Reload => {
                let (gateway, file) = (Arc::clone(&gateway), file.clone());
                // In order, as they come: the next signal waits.
                let _ = tokio::task::spawn_blocking(move || reload(&gateway, &file)).await;
            }
        }
    };
    info!(signal, "stopping");
    front.close();
    let _ = stop.send(true);
    if tokio::time::timeout(GRACE, connections).await.is_err() {
        warn!("requests were still under way after {} s, and are cut off", GRACE.as_secs());
    }
    telling.abort();
    writing_down.abort();
    let _ = tokio::task::spawn_blocking(move || visits::write_down(&gateway)).await;
    info!("stopped");
    Ok(())
}

/// Reads the configuration file and the folder of plugins again.
fn reload(gateway: &Gateway, file: &Path) {
    info!("SIGHUP: reading the configuration file and the folder of plugins again");
    match Config::read(file, portcullis_engine::plugin_store::names) {
        Ok(config) => {
            if let Err(error) = gateway.reconfigure(&config) {
                error!(
                    error = portcullis_host::ErrorChain(&error).to_string(),
                    "the configuration file is not applied: all stays as it was"
                );
            }
        }
        Err(error) => {
            error!(
                error = portcullis_host::ErrorChain(&error).to_string(),
                "the configuration file is refused: all stays as it was"
            );
        }
    }
    gateway.engine.blocking_rescan_plugins();
}

/// The signals that a gateway heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal says.
enum Told {
    Stop(&'static str),
    Reload,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("SIGTERM can't be watched for")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT can't be watched for")?,
            hang_up: signal(SignalKind::hangup()).context("SIGHUP can't be watched for")?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hang_up.recv() => Told::Reload,
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
async fn accept(listener: TcpListener, service: http::Service, mut stopping: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => connection(stream, Peer(from.ip()), &service, &graceful),
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

fn connection(stream: TcpStream, peer: Peer, service: &http::Service, graceful: &GracefulShutdown) {
    // Answers are small and written at once: waiting to fill packets would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service.clone();
    let service = service_fn(move |request: Request<Incoming>| service.clone().call(request, peer));
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
