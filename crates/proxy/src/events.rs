//! Delivery of change events to tenants, in order and at least once.
//!
//! Of several gateways that share a ledger, the one with a lease delivers.
//!
//! The history of each list serves as the queue. The sequence number up to which a list was delivered is stored on disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use portcullis_engine::{List, WriteError};
use portcullis_ledger::{Scope, Seq};
use portcullis_process_metrics::backlog::{self, Backlog};
use portcullis_process_metrics::exchanges::To;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::client::{Client, Unanswered};
use super::webhook::signature;
use portcullis_api::ChangeDocument;
use portcullis_correlation::PassedOn;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::ops::{Refusal, read};
use portcullis_edge::settings::EventsConfig;
use portcullis_edge::tenant::Tenant;
use portcullis_edge::wire;

const SIGNATURE: HeaderName = HeaderName::from_static("x-portcullis-signature-256");
/// Approximate number of changes per delivery.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// Timeout for the tenant's response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Backoff after the first failure. Doubles with each further failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// How often changes are counted that could not be delivered.
const LOOK: Duration = Duration::from_secs(10);
/// Upper limit of the backoff.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// The lease of the gateway that delivers.
const LEASE: &str = "events";
/// How long the lease lasts after it was last taken. So long may nothing be delivered after that gateway has died.
const LEASE_TIME: Duration = Duration::from_secs(4);
/// How often it is taken again.
const RENEWAL: Duration = Duration::from_secs(1);

/// Delivers changes to every tenant with `events` configured, one task per tenant. A gateway that shares its ledger does so while it
/// has the lease.
///
/// Starts and stops tasks as the tenants' settings change, and runs until the gateway stops: they end when this is dropped. Returns
/// immediately, without delivering anything, if the HTTP client can't be created.
pub async fn run(gateway: Arc<Gateway>) {
    let Ok(client) = Client::new() else { return };
    let mut tasks = JoinSet::new();
    let mut telling: HashMap<String, (EventsConfig, AbortHandle)> = HashMap::new();
    let mut changes = gateway.registry_changes.subscribe();
    let is_shared = gateway.engine.is_shared();
    let mut renewal = interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lease = Lease::default();
    loop {
        if is_shared && !lease.renew(&gateway).await {
            for (_, (_, task)) in telling.drain() {
                task.abort();
            }
            renewal.tick().await;
            continue;
        }
        while tasks.try_join_next().is_some() {}
        let registry = gateway.registry.load_full();
        telling.retain(|name, (events, task)| {
            let stays =
                registry.tenant(name).is_some_and(|tenant| tenant.config.events.as_ref() == Some(events));
            if !stays {
                task.abort();
            }
            stays && !task.is_finished()
        });
        for tenant in registry.tenants() {
            let Some(events) = &tenant.config.events else { continue };
            let name = tenant.config.id.to_string();
            telling.entry(name.clone()).or_insert_with(|| {
                let task = tell(Arc::clone(&gateway), client.clone(), name, events.clone());
                (events.clone(), tasks.spawn(task))
            });
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = renewal.tick(), if is_shared => {}
        }
    }
}

/// Lets another gateway deliver at once, rather than when the lease ends. Call it when [`run`] was dropped.
pub async fn hand_over(gateway: &Gateway) {
    if gateway.engine.is_shared()
        && let Err(error) = gateway.engine.release_lease(LEASE).await
    {
        debug!(%error, "could not give up the lease for events: it ends by itself");
    }
}

/// When the lease ends, by this gateway's clock.
#[derive(Default)]
struct Lease(Option<Instant>);

impl Lease {
    /// Takes or renews the lease if that is due. Returns whether this gateway has it.
    async fn renew(&mut self, gateway: &Gateway) -> bool {
        let now = Instant::now();
        let is_fresh =
            self.0.is_some_and(|end| end.saturating_duration_since(now) > LEASE_TIME - RENEWAL / 2);
        if !is_fresh {
            match gateway.engine.lease(LEASE, LEASE_TIME).await {
                // Counted from before it was asked for, so that it ends here before it ends there.
                Ok(true) => self.0 = Some(now + LEASE_TIME),
                Ok(false) => self.0 = None,
                Err(error) => debug!(%error, "could not renew the lease for events"),
            }
        }
        self.0.is_some_and(|end| Instant::now() < end)
    }
}

async fn tell(gateway: Arc<Gateway>, client: Client, name: String, events: EventsConfig) {
    let mut pause = FIRST_PAUSE;
    let behind = Behind(name.clone());
    loop {
        let Some(tenant) = gateway.registry.load().tenant(&name).cloned() else { return };
        // Subscribe before reading, so that changes written in between wake the wait below.
        let Ok(mut changes) = gateway.engine.changes(&tenant.config.id) else { return };
        let mut failed = None;
        for list in tenant.lists() {
            if let Err(why) = tell_of(&client, &events, list).await {
                failed.get_or_insert(why);
            }
        }
        if let Some(why) = failed {
            warn!(
                tenant = name,
                %why,
                seconds = pause.as_secs(),
                "could not deliver changes to the tenant; retrying with backoff"
            );
            let until = Instant::now() + pause;
            // The changes that are made meanwhile are counted, too.
            while Instant::now() < until {
                behind.look(&tenant).await;
                tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        }
        behind.nothing();
        pause = FIRST_PAUSE;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// One delivery: several changes of one list.
struct Part {
    body: String,
    /// The sequence number of the last change in `body`.
    upto: Seq,
}

/// Why a delivery has to be retried.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("the changes can't be read: {0}")]
    Unread(Refusal),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("it was answered with status {0}")]
    Refused(StatusCode),
    #[error("it can't be stored how far changes were delivered: {0}")]
    NotStored(WriteError),
    #[error("of a defect: report it")]
    Defect,
}

impl From<JoinError> for Undelivered {
    fn from(_: JoinError) -> Self {
        Undelivered::Defect
    }
}

/// Delivers all new changes of a list.
async fn tell_of(client: &Client, events: &EventsConfig, list: &List) -> Result<(), Undelivered> {
    loop {
        let reading = list.clone();
        let read = tokio::task::spawn_blocking(move || part(&reading)).await?;
        let Some(part) = read.map_err(Undelivered::Unread)? else { return Ok(()) };
        post(client, events, part.body).await?;
        let list = list.clone();
        let kept = tokio::task::spawn_blocking(move || list.set_passed_on(part.upto)).await?;
        kept.map_err(Undelivered::NotStored)?;
    }
}

/// What a tenant has not been told of, for the metrics. Dropped, it counts no more: another gateway may deliver.
struct Behind(String);

impl Behind {
    /// Counts what was not delivered. If it can't be read, what was counted before stays.
    async fn look(&self, tenant: &Arc<Tenant>) {
        let (name, tenant) = (self.0.clone(), Arc::clone(tenant));
        let counting = move || {
            let mut backlog: Option<Backlog> = None;
            for list in tenant.lists() {
                let Some((changes, oldest)) = pending(list)? else { continue };
                let known = backlog.get_or_insert(Backlog { changes: 0, oldest });
                (known.changes, known.oldest) = (known.changes + changes, known.oldest.min(oldest));
            }
            backlog::set(&name, backlog);
            Ok::<_, Refusal>(())
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(counting).await {
            debug!(%error, "could not count changes that were not delivered");
        }
    }

    fn nothing(&self) {
        backlog::set(&self.0, None);
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.nothing();
    }
}

/// How many changes of a list were not delivered, and when the first of them was made.
fn pending(list: &List) -> Result<Option<(u64, SystemTime)>, Refusal> {
    let Some(told) = list.passed_on()? else { return Ok(None) };
    let sequence = list.census()?.sequence;
    if sequence <= told {
        return Ok(None);
    }
    let first = list.entries().records_after(told, NonZeroUsize::MIN)?;
    let oldest = first.first().map_or_else(SystemTime::now, |record| record.at.into());
    Ok(Some((sequence.get().saturating_sub(told.get()), oldest)))
}

/// Reads the next changes to deliver; `None` if there are none.
fn part(list: &List) -> Result<Option<Part>, Refusal> {
    // Set when `events` was first configured: earlier changes are not reported.
    let Some(told) = list.passed_on()? else { return Ok(None) };
    if list.census()?.sequence <= told {
        return Ok(None);
    }
    let records = list.entries().records_after(told, AT_ONCE)?;
    let Some(upto) = records.last().map(|last| last.sequence) else { return Ok(None) };
    let sender = match list.scope() {
        Scope::Sender(sender) => Some(sender.as_str()),
        Scope::Tenant => None,
    };
    let records = read::records(list, records)?.into_iter().map(wire::record).collect();
    let tenant = list.tenant().as_str().into();
    let document = ChangeDocument { tenant, sender: sender.map(Cow::from), records };
    let body = serde_json::to_string(&document).map_err(|_| Refusal::Defect)?;
    Ok(Some(Part { body, upto }))
}

/// Posts a signed body, to which the tenant has to respond with success.
async fn post(client: &Client, events: &EventsConfig, body: String) -> Result<(), Undelivered> {
    // Both are checked with the configuration.
    let uri = events.url.parse::<Uri>().map_err(|_| Undelivered::Defect)?;
    let signature = signature::sign(&events.secret.0, body.as_bytes());
    let signature = HeaderValue::from_str(&signature).map_err(|_| Undelivered::Defect)?;
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(SIGNATURE, signature);
    PassedOn::of_nothing().put(request.headers_mut());
    let status = client.send(To::Events, request, PATIENCE).await?.status();
    if status.is_success() { Ok(()) } else { Err(Undelivered::Refused(status)) }
}
