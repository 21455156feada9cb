//! `portcullis serve`: startup, signals and shutdown of the gateway.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use portcullis_cli::ServeOptions;
use portcullis_edge::AppState;
use portcullis_edge::gateway::{Gateway, OnStartFailure, Start};
use portcullis_edge::http::request_log;
use portcullis_edge::metrics::Metrics;
use portcullis_ledger::StorageUrl;
use portcullis_native::Service;
use portcullis_proxy::Proxy;

use crate::config::Config;
use crate::connections::{Connections, descriptors};
use crate::engine::Accepted;
use crate::fleet::Fleet;
use crate::listeners::{self, Passed};
use crate::reload::Reload;
use crate::router::router;
use crate::signals::{Command, Signals};
use crate::sources::Sources;
use crate::tls::Tls;
use crate::usage::{self, Usage};
use crate::{accept, deliveries, engine, log, others, systemd, visits};

/// How long closing the engine may take, and what still runs on threads that may block.
const CLOSING: Duration = Duration::from_secs(10);
/// How long giving up a lease may take.
const HAND_OVER: Duration = Duration::from_secs(1);
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
    log::start(config.log_format)?;
    let passed = Passed::take();
    let open_files = descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(POLLS)
        .build()
        .context("can't start the async runtime")?;
    let served = runtime.block_on(serve(config, options, open_files, passed));
    // Waits for blocking tasks that still write. The ledger is closed when its last user is dropped.
    runtime.shutdown_timeout(CLOSING);
    served
}

async fn serve(
    config: Config,
    options: &ServeOptions,
    open_files: u64,
    passed: Passed,
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
    let tls = config.tls.as_ref().map(Tls::read).transpose()?.map(Arc::new);
    let listeners = listeners::bind(&config, passed)?;
    listeners::announce(&listeners)?;
    let certifying = tls.clone().map(|tls| tokio::spawn(tls.watch()));

    let dialects = config.dialects.clone();
    let (limits, proxies) = (&config.limits, &config.trusted_proxies);
    let app = AppState::new(config.max_body_bytes, proxies.clone(), dialects, limits);
    let app = Arc::new(app.ready_when_degraded(config.ready_when_degraded));
    let proxy = Proxy::new(Arc::clone(&app), &config.traffic, config.meta.clone())
        .context("can't set up TLS with the root certificates of this system")?;
    let proxy = Arc::new(proxy);
    let (stop, is_stopping) = watch::channel(false);
    let service = Service::new(Arc::clone(&app), router(Arc::clone(&app), &proxy));
    // A message in progress, and a body on its way, have a connection each.
    let outbound = 2 * config.traffic.max_in_flight as u64;
    let connections = Connections::new(open_files, outbound, limits, proxies.clone());
    let patience = Duration::from_secs(limits.response_timeout_seconds);
    let shared = accept::Shared { service, connections, patience, tls };
    let connections = tokio::spawn(accept::run(listeners, shared, is_stopping));
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
    let wanted = config.sources.clone();
    let accepted = Accepted { new_ledger: options.new_ledger, restored: options.restored };
    let usage = Arc::new(Usage::read(&config));
    let early = (Arc::clone(&app), Arc::clone(&usage));
    let mut starting =
        tokio::task::spawn_blocking(move || start(&config, accepted, runtime, &early.0, &early.1));
    let gateway = loop {
        tokio::select! {
            started = &mut starting => break started.context("the startup panicked")??,
            () = systemd::loading() => {}
            commands = commands.next() => match commands {
                Command::Reload => info!("SIGHUP ignored: the gateway is still starting"),
                Command::Stop(signal) => {
                    info!(signal = signal.name(), "stopping before all lists are loaded");
                    return Ok(());
                }
            },
        }
    };
    sources.pull(&gateway.engine, &wanted, &Handle::current());
    app.open(Arc::clone(&gateway));
    info!("ready");
    systemd::ready().await;
    let telling = tokio::spawn(portcullis_proxy::send_changes(Arc::clone(&gateway)));
    let writing_down = tokio::spawn(visits::run(Arc::clone(&gateway)));
    let keeping = tokio::spawn(deliveries::run(Arc::clone(&gateway)));
    let counting = tokio::spawn(usage::run(Arc::clone(&usage), Arc::clone(&gateway)));
    let is_shared = gateway.engine.is_shared();
    let following = is_shared.then(|| tokio::spawn(others::follow(Arc::clone(&gateway))));
    let meeting = is_shared.then(|| tokio::spawn(fleet.run(Arc::clone(&gateway))));

    let signal = loop {
        match commands.next().await {
            Command::Stop(signal) => break signal,
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
    let _ = stop.send(true);
    if tokio::time::timeout(stopping.grace, connections).await.is_err() {
        warn!("aborting requests that are still in progress after {} s", stopping.grace.as_secs());
    }
    app.close();
    telling.abort();
    let _ = telling.await;
    let handed_over = portcullis_proxy::hand_over_changes(&gateway);
    if tokio::time::timeout(HAND_OVER, handed_over).await.is_err() {
        debug!("the lease for events is left to end by itself");
    }
    writing_down.abort();
    keeping.abort();
    counting.abort();
    for task in [following, meeting, certifying].into_iter().flatten() {
        task.abort();
    }
    sources.pull(&gateway.engine, &[], &Handle::current());
    reporting.abort();
    watchdog.abort();
    request_log::report_suppressed();
    let engine = gateway.engine.clone();
    let write_down = move || {
        visits::write_down(&gateway);
        deliveries::keep(&gateway.engine);
        usage.write_down(&gateway);
    };
    let _ = tokio::task::spawn_blocking(write_down).await;
    // What was acknowledged is on disk whether it closes in time or not.
    match tokio::time::timeout(CLOSING, engine.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the engine was not closed"),
        Err(_) => warn!("the engine did not close within {} s", CLOSING.as_secs()),
    }
    info!("stopped");
    Ok(())
}

/// Opens the engine and loads all lists. Blocks until that is done. The tenants that were used most are served before.
fn start(
    config: &Config,
    accepted: Accepted,
    runtime: Handle,
    app: &AppState,
    usage: &Usage,
) -> anyhow::Result<Arc<Gateway>> {
    let metrics = Arc::new(Metrics::new());
    let engine = engine::open(config, accepted, &metrics, runtime.clone())?;
    Sources::expect(&engine, &config.sources);
    if config.on_start_failure == OnStartFailure::Refuse {
        // Tenants without their plugin would end the start.
        Sources::bring_all(&engine, &config.sources, &runtime);
    }
    let start = Start {
        admin_token: config.admin_token,
        in_file: &config.tenants,
        on_failure: config.on_start_failure,
        answer_bytes: config.limits.answer_bytes(),
        usage_of: &|tenant| usage.of(tenant),
    };
    Ok(Gateway::start(engine, metrics, &start, |gateway| app.open_early(Arc::clone(gateway)))?)
}
