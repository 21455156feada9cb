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

use portcullis_edge::AppState;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::http::peer::Peer;
use portcullis_edge::metrics::Metrics;
use portcullis_native::Service;
use portcullis_proxy::Proxy;

use crate::config::Config;
use crate::router::router;
use crate::{engine, log, visits};

/// How long requests under way may take when the gateway is commands to stop.
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
    let mut commands = Signals::watch()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} can't be listened on: is another gateway running?", config.listen))?;
    announce(listener.local_addr().context("the address that is listened on can't be found out")?)?;

    let dialects = config.dialects.clone();
    let app = Arc::new(AppState::new(config.max_body_bytes, config.trusted_proxies.clone(), dialects));
    let proxy = Proxy::new(Arc::clone(&app), &config.traffic, config.meta.clone())
        .context("TLS can't be set up with the certificates of this system")?;
    let proxy = Arc::new(proxy);
    let (stop, stopping) = watch::channel(false);
    let service = Service::new(Arc::clone(&app), router(Arc::clone(&app), &proxy));
    let connections = tokio::spawn(accept(listener, service, stopping));

    let runtime = Handle::current();
    let at_start = config.clone();
    let mut starting = tokio::task::spawn_blocking(move || start(&config, runtime));
    let gateway = loop {
        tokio::select! {
            started = &mut starting => break started.context("starting ended in a defect")??,
            commands = commands.next() => match commands {
                Command::Reload => info!("SIGHUP: the configuration file was only just read"),
                Command::Stop(signal) => {
                    info!(signal, "stopping before the blacklists are filled");
                    return Ok(());
                }
            },
        }
    };
    app.open(Arc::clone(&gateway));
    info!("ready");
    let telling = tokio::spawn(portcullis_proxy::send_changes(Arc::clone(&gateway)));
    let writing_down = tokio::spawn(visits::run(Arc::clone(&gateway)));

    let signal = loop {
        match commands.next().await {
            Command::Stop(signal) => break signal,
            Command::Reload => {
                let (gateway, file, at_start) = (Arc::clone(&gateway), file.clone(), at_start.clone());
                // In order, as they come: the next signal waits.
                let _ = tokio::task::spawn_blocking(move || reload(&gateway, &at_start, &file)).await;
            }
        }
    };
    info!(signal, "stopping");
    app.close();
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

/// Opens the engine and fills every blacklist. Blocks for as long as that takes.
fn start(config: &Config, runtime: Handle) -> anyhow::Result<Arc<Gateway>> {
    let metrics = Arc::new(Metrics::new());
    let engine = engine::open(config, &metrics, runtime)?;
    Ok(Gateway::start(engine, metrics, config.admin_token, &config.tenants)?)
}

/// Reads the configuration file and the folder of plugins again.
fn reload(gateway: &Gateway, at_start: &Config, file: &Path) {
    info!("SIGHUP: reading the configuration file and the folder of plugins again");
    match Config::read(file, portcullis_engine::plugin_store::names) {
        Ok(config) => {
            for setting in config.needing_a_restart(at_start) {
                warn!(
                    setting,
                    "this setting was changed in the configuration file: it takes a restart to apply it"
                );
            }
            if let Err(error) = gateway.reconfigure(config.admin_token, &config.tenants) {
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
enum Command {
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

    async fn next(&mut self) -> Command {
        tokio::select! {
            _ = self.terminate.recv() => Command::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Command::Stop("SIGINT"),
            _ = self.hang_up.recv() => Command::Reload,
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

/// Takes connections until commands to stop, then waits for the requests under way.
async fn accept(listener: TcpListener, service: Service, mut stopping: watch::Receiver<bool>) {
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

fn connection(stream: TcpStream, peer: Peer, service: &Service, graceful: &GracefulShutdown) {
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
