//! `portcullis serve`: startup, signals and shutdown of the gateway.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use portcullis_cli::ServeOptions;
use portcullis_edge::AppState;
use portcullis_edge::gateway::{Gateway, OnStartFailure, Start};
use portcullis_edge::http::request_log;
use portcullis_edge::metrics::Metrics;
use portcullis_ledger::StorageUrl;
use portcullis_native::Service;
use portcullis_process_metrics::configuration;
use portcullis_proxy::Proxy;

use crate::background::Background;
use crate::config::Config;
use crate::connections::{Connections, descriptors};
use crate::engine::Accepted;
use crate::fleet::Fleet;
use crate::handover::{self, Door, Gate, Giving, Predecessor, Program, Sockets};
use crate::listeners::{self, Address, Passed};
use crate::listening::Listening;
use crate::reload::Reload;
use crate::router::router;
use crate::signals::{Command, Signals};
use crate::sources::Sources;
use crate::start_report::{self, Serving, StartReport};
use crate::tls::Tls;
use crate::usage::Usage;
use crate::{accept, engine, log, systemd, telemetry};

/// How long closing the engine may take, and what still runs on threads that may block.
const CLOSING: Duration = Duration::from_secs(10);
/// How often a process that has handed over looks whether it has connections left.
const LOOK: Duration = Duration::from_millis(100);
/// How often the log says how many lines were suppressed.
const REPORT: Duration = Duration::from_secs(10);
/// After how many polls of tasks a thread looks at the sockets, if it always has a task to poll. A poll may take some hundred
/// microseconds, for one that receives or sends much, and Tokio's default is 61: others would wait for all of these. Looking takes
/// about half a microsecond.
const POLLS: u32 = 16;

/// Runs the gateway until it receives SIGINT or SIGTERM. On SIGHUP it reads the configuration file and the plugin folder again.
///
/// Prints `listening on http://ADDRESS` on standard output once it listens, a line for each address. It answers health checks from then on, a tenant's requests once
/// its lists are loaded, and all requests once all lists are.
///
/// # Errors
///
/// If the configuration is invalid (each line has the form `file:line: setting: what is wrong; what to do`), a plugin can't be
/// loaded, the ledger can't be opened, or the address is not available.
pub fn run(options: &ServeOptions) -> anyhow::Result<()> {
    let config = Config::read(&options.config, portcullis_engine::plugin_store::names)?;
    // Before there are other threads.
    let passed = Passed::take();
    let tracer = telemetry::start(&config)?;
    log::start(config.log_format, tracer.as_ref())?;
    let report = StartReport::begin(&options.config);
    for remark in &config.exposed {
        warn!("{remark}");
    }
    let open_files = descriptors::raise();
    // Before it can be replaced.
    let program = Program::this();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(POLLS)
        .build()
        .context("can't start the async runtime")?;
    if let Some(tracer) = &tracer {
        tracer.run_on(runtime.handle().clone());
    }
    let served = runtime.block_on(serve(config, options, open_files, passed, program, report));
    if tracer.is_some_and(|tracer| !tracer.end()) {
        warn!("the last traces could not be sent");
    }
    // Waits for blocking tasks that still write. The ledger is closed when its last user is dropped.
    runtime.shutdown_timeout(CLOSING);
    served
}

async fn serve(
    config: Config,
    options: &ServeOptions,
    open_files: u64,
    passed: Passed,
    program: Program,
    report: StartReport,
) -> anyhow::Result<()> {
    // HTTP has no such dates, and opt-outs are ordered by time.
    anyhow::ensure!(SystemTime::now() >= UNIX_EPOCH, "the clock of this machine is before 1970: set it");
    // In a fleet, another gateway may have it.
    let has_others = matches!(config.storage, StorageUrl::Postgres(_));
    for absent in config.absent_plugins.iter().filter(|_| !has_others) {
        error!(
            tenant = %absent.tenant, error = absent.problem,
            "the tenant's plugin is not there: the tenant is out of service until it is"
        );
    }
    let mut commands = Signals::watch()?;
    let mut predecessor = predecessor(options, &config).await?;
    let tls = config.tls.as_ref().map(Tls::read).transpose()?.map(Arc::new);
    let listeners = listeners::bind(&config, passed, predecessor.as_mut())?;
    let addresses = listeners::addresses(&listeners)?;
    let mut sockets = Sockets::default();
    for listener in &listeners {
        let kept = sockets.add(listener.name.clone(), &listener.socket);
        kept.context("can't keep a socket for a process that takes over")?;
    }
    let certifying = tls.clone().map(|tls| tokio::spawn(tls.watch()));

    let dialects = config.dialects.clone();
    let (limits, proxies) = (&config.limits, &config.trusted_proxies);
    let app = AppState::new(config.max_body_bytes, proxies.clone(), dialects, limits);
    let app = Arc::new(app.ready_when_degraded(config.ready_when_degraded));
    let proxy = Proxy::new(Arc::clone(&app), &config.traffic, config.meta.clone())
        .context("can't set up TLS with the root certificates of this system")?;
    let proxy = Arc::new(proxy);
    let (listen, listening) = watch::channel(Listening::Open);
    let service = Service::new(Arc::clone(&app), router(Arc::clone(&app), &proxy), config.access_log);
    // A message in progress, and a body on its way, have a connection each.
    let outbound = 2 * config.traffic.max_in_flight as u64;
    let table = Connections::new(open_files, outbound, limits, proxies.clone());
    let patience = Duration::from_secs(limits.response_timeout_seconds);
    let gate = Gate::new(Arc::clone(&app), config.stopping.grace);
    let door = Door::new(service, Arc::clone(&gate));
    let shared = accept::Shared { service: door.clone(), connections: Arc::clone(&table), patience, tls };
    let accepting = accept::run(listeners, shared, listening);
    // One that takes over accepts connections once it can answer requests: until then, the running gateway does.
    let (begin, begun) = oneshot::channel();
    let connections = tokio::spawn(async move {
        if begun.await.is_ok() {
            accepting.await;
        }
    });
    let mut begin = Some(begin);
    if predecessor.is_none() {
        begin_accepting(&mut begin, &addresses)?;
    }
    let reporting = tokio::spawn(async {
        loop {
            tokio::time::sleep(REPORT).await;
            request_log::report_suppressed();
        }
    });

    let watchdog = tokio::spawn(systemd::watchdog());
    let stopping = config.stopping;
    let runtime = Handle::current();
    let fleet = Arc::new(Fleet::new(&config));
    let sources = Arc::<Sources>::default();
    let reload = Arc::new(Reload::new(
        options.config.clone(),
        config.clone(),
        Arc::clone(&fleet),
        Arc::clone(&sources),
        Arc::clone(&proxy),
        runtime.clone(),
    ));
    let (wanted, ledger) = (config.sources.clone(), config.storage.clone());
    let accepted = Accepted { new_ledger: options.new_ledger, restored: options.restored };
    let control = config.hand_over_socket.clone();
    let early = Arc::clone(&app);
    let mut starting = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        if let Some(predecessor) = &mut predecessor {
            predecessor.give_up()?;
        }
        // The process before has just written it down.
        let usage = Usage::read(&config);
        let (gateway, serving) = start(&config, accepted, runtime, &early, &usage)?;
        if let Some(predecessor) = &mut predecessor {
            predecessor.ready()?;
        }
        Ok((gateway, serving, predecessor, usage))
    });
    let mut is_changed = false;
    let (gateway, serving, mut predecessor, usage) = loop {
        tokio::select! {
            started = &mut starting => break started.context("the startup panicked")??,
            () = systemd::loading() => {}
            commands = commands.next() => match commands {
                Command::Reload => {
                    info!("SIGHUP: the configuration is read again once the gateway has started");
                    is_changed = true;
                }
                Command::Upgrade => info!("SIGUSR2 ignored: the gateway is still starting"),
                Command::Stop(signal) => {
                    info!(signal = signal.name(), "stopping before all lists are loaded");
                    return Ok(());
                }
            },
        }
    };
    sources.pull(&gateway.engine, &wanted, &Handle::current());
    gateway.metrics.started(report.took());
    app.open(Arc::clone(&gateway));
    begin_accepting(&mut begin, &addresses)?;
    report.ready(&options.config, &addresses, &ledger, &serving);
    let asking = listen_for_successors(control.as_deref(), predecessor.as_mut(), &mut sockets);
    let relayed = match predecessor {
        Some(predecessor) => {
            predecessor.answer_relayed(door).context("can't answer what the gateway before relays")?
        }
        None => None,
    };
    systemd::ready().await;
    let background = Background::start(&gateway, fleet, sources, Arc::new(usage));
    // What else is at the path is not this gateway's.
    let control = asking.as_ref().and(control);
    let giving = Giving::new(gate, Arc::clone(&gateway), program, background, sockets, control);
    let asking = asking.map(|asking| tokio::spawn(Arc::clone(&giving).run(asking)));

    let signal = loop {
        let command = tokio::select! {
            () = std::future::ready(()), if std::mem::take(&mut is_changed) => Command::Reload,
            command = commands.next() => command,
            successor = giving.handed_over() => {
                info!(pid = successor.pid, "another process has taken over: relaying what is left to it");
                let _ = listen.send(Listening::HandedOver);
                giving.drop_sockets();
                linger(&table, relayed.as_ref(), &mut commands, stopping.lame_duck + stopping.grace).await;
                let _ = listen.send(Listening::Closed);
                let _ = tokio::time::timeout(CLOSING, connections).await;
                info!("handed over");
                return Ok(());
            }
        };
        match command {
            Command::Stop(signal) => break signal,
            Command::Upgrade => giving.start_successor(),
            Command::Reload if giving.is_given_up() => info!("SIGHUP ignored: another process takes over"),
            Command::Reload => {
                systemd::reloading().await;
                let (gateway, reload) = (Arc::clone(&gateway), Arc::clone(&reload));
                let reloading = tokio::task::spawn_blocking(move || reload.run(&gateway));
                // Another SIGHUP waits for it, as filling lists may take long. A signal to stop does not.
                tokio::select! {
                    _ = reloading => systemd::ready().await,
                    signal = commands.stop() => break signal,
                }
            }
        }
    };
    info!(signal = signal.name(), "stopping");
    systemd::stopping(stopping.lame_duck + stopping.grace + 2 * CLOSING, "stopping").await;
    app.leave();
    commands.lame_duck(signal, stopping.lame_duck).await;
    let _ = listen.send(Listening::Closed);
    giving.drop_sockets();
    if tokio::time::timeout(stopping.grace, connections).await.is_err() {
        warn!("aborting requests that are still in progress after {} s", stopping.grace.as_secs());
    }
    app.close();
    if let Some(asking) = asking {
        asking.abort();
    }
    giving.end().await;
    reporting.abort();
    watchdog.abort();
    if let Some(certifying) = certifying {
        certifying.abort();
    }
    request_log::report_suppressed();
    if giving.is_given_up() {
        info!("stopped: the ledger and what was saved are left to the process that takes over");
        return Ok(());
    }
    let engine = gateway.engine.clone();
    drop((giving, gateway));
    // What was acknowledged is on disk whether it closes in time or not.
    match tokio::time::timeout(CLOSING, engine.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the engine was not closed"),
        Err(_) => warn!("the engine did not close within {} s", CLOSING.as_secs()),
    }
    info!("stopped");
    Ok(())
}

/// Meets the running gateway, if this process is to take over from one, and there is one.
async fn predecessor(options: &ServeOptions, config: &Config) -> anyhow::Result<Option<Predecessor>> {
    if !options.take_over {
        return Ok(None);
    }
    let control = handover::control(config.hand_over_socket.as_deref())?.to_owned();
    let met = tokio::task::spawn_blocking(move || Predecessor::meet(&control)).await;
    let predecessor = met.context("meeting the running gateway panicked")??;
    if predecessor.is_none() {
        info!("no gateway is running to take over from: starting as usual");
    }
    Ok(predecessor)
}

/// Accepts connections from now on, and says so. Does nothing the second time.
fn begin_accepting(begin: &mut Option<oneshot::Sender<()>>, addresses: &[Address]) -> anyhow::Result<()> {
    if let Some(begin) = begin.take() {
        let _ = begin.send(());
        listeners::announce(addresses)?;
    }
    Ok(())
}

/// Listens for processes that take over, on the socket of the process before or on one of its own. Call it once the ledger is open, as
/// then the path is this gateway's. If it can't, the log says so.
fn listen_for_successors(
    path: Option<&Path>,
    predecessor: Option<&mut Predecessor>,
    sockets: &mut Sockets,
) -> Option<UnixListener> {
    let path = path?;
    let listen = || -> std::io::Result<UnixListener> {
        let listener = match predecessor.and_then(|predecessor| predecessor.take(handover::CONTROL)) {
            Some(socket) => socket.into(),
            None => handover::listen(path)?,
        };
        let listener = UnixListener::from_std(listener)?;
        sockets.add(handover::CONTROL.to_owned(), &listener)?;
        Ok(listener)
    };
    listen()
        .inspect_err(|error| {
            warn!(%error, path = %path.display(), "no other process can take over: the socket for it can't be opened");
        })
        .ok()
}

/// Waits until the clients have closed all connections, and the process before has none left which it relays, for at most this time, and
/// unless a signal says to stop.
async fn linger(
    table: &Connections,
    relayed: Option<&JoinHandle<()>>,
    commands: &mut Signals,
    time: Duration,
) {
    let ended = async {
        while !table.is_empty() || relayed.is_some_and(|relayed| !relayed.is_finished()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(time, ended) => {}
        signal = commands.stop() => info!(signal = signal.name(), "not waiting for the clients that are left"),
    }
}

/// Opens the engine and loads all lists. Blocks until that is done. The tenants that were used most are served before.
fn start(
    config: &Config,
    accepted: Accepted,
    runtime: Handle,
    app: &AppState,
    usage: &Usage,
) -> anyhow::Result<(Arc<Gateway>, Serving)> {
    let metrics = Arc::new(Metrics::new(start_report::build()));
    if let StorageUrl::Sqlite(file) = &config.storage {
        metrics.measure_ledger(file);
    }
    let engine = engine::open(config, accepted, &metrics, runtime.clone())?;
    Sources::expect(&engine, &config.sources);
    if config.on_start_failure == OnStartFailure::Refuse {
        // Tenants without their plugin would end the start.
        Sources::bring_all(&engine, &config.sources, &runtime);
    }
    let start = Start {
        admin_tokens: config.admin_tokens.clone(),
        in_file: &config.tenants,
        on_failure: config.on_start_failure,
        answer_bytes: config.limits.answer_bytes(),
        usage_of: &|tenant| usage.of(tenant),
    };
    let gateway = Gateway::start(engine, metrics, &start, |gateway| app.open_early(Arc::clone(gateway)))?;
    configuration::started();
    let serving = Serving::of(&gateway);
    Ok((gateway, serving))
}
