//! Delivery of change events to tenants, in order and at least once.
//!
//! Of several gateways that share a ledger, the one with a lease delivers.
//!
//! The history of each list serves as the queue. The sequence number up to which a list was delivered is stored on disk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use portcullis_engine::List;
use portcullis_ledger::{Scope, Seq};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::client::Client;
use super::webhook::signature;
use portcullis_api::ChangeDocument;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::ops::{Refusal, read};
use portcullis_edge::settings::EventsConfig;
use portcullis_edge::wire;

const SIGNATURE: HeaderName = HeaderName::from_static("x-portcullis-signature-256");
/// Approximate number of changes per delivery.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// Timeout for the tenant's response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Backoff after the first failure. Doubles with each further failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
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
    loop {
        let Some(tenant) = gateway.registry.load().tenant(&name).cloned() else { return };
        // Subscribe before reading, so that changes written in between wake the wait below.
        let Ok(mut changes) = gateway.engine.changes(&tenant.config.id) else { return };
        let mut failed = false;
        for list in tenant.lists() {
            failed |= !tell_of(&client, &events, list).await;
        }
        if failed {
            warn!(
                tenant = name,
                seconds = pause.as_secs(),
                "could not deliver changes to the tenant; retrying with backoff"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        }
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

/// Delivers all new changes of a list. Returns `false` if a delivery failed and has to be retried.
async fn tell_of(client: &Client, events: &EventsConfig, list: &List) -> bool {
    loop {
        let reading = list.clone();
        let part = match tokio::task::spawn_blocking(move || part(&reading)).await {
            Ok(Ok(Some(part))) => part,
            Ok(Ok(None)) => return true,
            Ok(Err(error)) => {
                debug!(%error, "could not read changes");
                return false;
            }
            Err(_) => return false,
        };
        if !post(client, events, part.body).await {
            return false;
        }
        let list = list.clone();
        let kept = tokio::task::spawn_blocking(move || list.set_passed_on(part.upto)).await;
        if !matches!(kept, Ok(Ok(()))) {
            return false;
        }
    }
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

/// Posts a signed body. Returns whether the tenant responded with success.
async fn post(client: &Client, events: &EventsConfig, body: String) -> bool {
    let Ok(uri) = events.url.parse::<Uri>() else { return false };
    let Ok(signature) = HeaderValue::from_str(&signature::sign(&events.secret.0, body.as_bytes())) else {
        return false;
    };
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(SIGNATURE, signature);
    client.send(request, PATIENCE).await.is_ok_and(|answer| answer.status().is_success())
}
