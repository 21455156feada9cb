//! Tells tenants of each change of their lists, in order and at least once: the trail is the queue, and how far somebody has
//! been told is on disk.

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
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::client::Client;
use super::webhook::signature;
use portcullis_api::ChangeDocument;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::ops::{Refusal, read};
use portcullis_edge::settings::EventsConfig;
use portcullis_edge::wire;

const SIGNATURE: HeaderName = HeaderName::from_static("x-portcullis-signature-256");
/// About how many changes are told at once.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// How long whoever is told may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// Tells all tenants that want to know, each by itself, for ever.
pub async fn run(gateway: Arc<Gateway>) {
    let Ok(client) = Client::new() else { return };
    let mut telling: HashMap<String, (EventsConfig, JoinHandle<()>)> = HashMap::new();
    let mut changes = gateway.registry_changes.subscribe();
    loop {
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
                (events.clone(), tokio::spawn(task))
            });
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(gateway: Arc<Gateway>, client: Client, name: String, events: EventsConfig) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(tenant) = gateway.registry.load().tenant(&name).cloned() else { return };
        // Asked for before the look, so that what is written after it wakes the wait.
        let Ok(mut changes) = gateway.engine.changes(&tenant.config.id) else { return };
        let mut failed = false;
        for list in tenant.lists() {
            failed |= !tell_of(&client, &events, list).await;
        }
        if failed {
            warn!(
                tenant = name,
                seconds = pause.as_secs(),
                "changes could not be told to the tenant; trying again later"
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

/// Changes to be told together.
struct Part {
    body: String,
    upto: Seq,
}

/// Tells of all that is new in a list. Whether that is done: what is not, is to be tried again.
async fn tell_of(client: &Client, events: &EventsConfig, list: &List) -> bool {
    loop {
        let reading = list.clone();
        let part = match tokio::task::spawn_blocking(move || part(&reading)).await {
            Ok(Ok(Some(part))) => part,
            Ok(Ok(None)) => return true,
            Ok(Err(error)) => {
                debug!(%error, "changes could not be read");
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

fn part(list: &List) -> Result<Option<Part>, Refusal> {
    // It was set when the tenant's settings first named somebody to tell.
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

/// Whether it was taken.
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
