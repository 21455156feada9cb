//! Meta's webhooks.

use std::sync::{Arc, LazyLock};

use portcullis_admission::Pools;
use portcullis_api::settings::OptOut;
use portcullis_edge::metrics::Metrics;
use portcullis_edge::registry::Registry;
use portcullis_edge::settings::{FieldPath, TenantConfig};
use portcullis_edge::tenant::{Origin, Tenant};
use portcullis_engine::ledger::{Actor, MasterKey};
use portcullis_engine::{Change, Direction, Engine, Identity, List, Msisdn};
use portcullis_keywords::{Intent, Keywords};
use portcullis_proxy::fuzz::message as messages;
use portcullis_proxy::fuzz::webhook as payloads;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::support::{choice, escaped, folder};

/// A webhook that is taken apart is put together again as it was, whether its values are written anew or not.
pub fn webhook(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(read) = payloads::read(&text) else { return };
    for written in [&read.whole, &read.rewritten] {
        let Some(written) = written else {
            assert!(read.entries.is_empty(), "what has entries does not get lost");
            continue;
        };
        assert!(written.is_ascii(), "Meta escapes everything else");
        assert!(serde_json::from_str::<&RawValue>(written).is_ok(), "it is JSON");
        let again = payloads::read(written).expect("it is a webhook");
        assert_eq!(again.entries.len(), read.entries.len());
        if read.is_odd {
            continue;
        }
        assert!(!again.is_odd);
        let escape =
            |values: &Vec<Option<String>>| values.iter().map(|value| value.as_deref().map(escaped)).collect();
        assert_eq!(again.entries, read.entries.iter().map(escape).collect::<Vec<Vec<_>>>());
        assert_eq!(again.whole.as_ref(), Some(written), "once more it is the same to the byte");
        assert_eq!(again.rewritten, read.rewritten);
    }
}

static ENGLISH: LazyLock<Keywords> =
    LazyLock::new(|| Keywords::of(&OptOut::default()).expect("English is known"));

/// A message says the same with its characters escaped. A stop in it is heard, and who it is from is seen, whatever stands beside.
pub fn message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(read) = messages::read(&ENGLISH, &text) else { return };
    assert_eq!(messages::read(&ENGLISH, &escaped(&text)).as_ref(), Some(&read));
    let (_, rest) = text.split_once('{').expect("it is an object");
    let separator = if rest.trim_start().starts_with('}') { "" } else { "," };
    let with = |member: &str| {
        let beside = format!("{{{member}{separator}{rest}");
        messages::read(&ENGLISH, &beside).expect("it is an object with one member more")
    };
    assert_eq!(with(r#""text":{"body":"STOP"}"#).intent, Some(Intent::Stop));
    let number = Msisdn::parse(BLOCKED).expect("a number");
    assert!(with(&format!(r#""from":"{BLOCKED}""#)).from.contains(&Identity::Number(number)));
}

const BLOCKED: &str = "46732000001";
/// The senders' phone-number-ids.
const SENDERS: [&str; 3] = ["106540352242922", "106540352242923", "106540352242924"];
/// Where nobody may be who is blocked.
const CALLBACKS: [&str; 2] = ["http://127.0.0.1:9/drop", "http://127.0.0.1:9/quarantine"];
const QUARANTINE: &str = "http://127.0.0.1:9/aside";
const OTHERS: &str = "http://127.0.0.1:9/others";

/// A tenant whose senders drop blocked people's messages, put them aside, and have no callback of their own.
const TENANT: &str = r#"{
    "id": "acme",
    "senders": [
        {"id": "drop", "phone_number_id": "106540352242922", "waba_id": "102290129340398",
            "callback_url": "http://127.0.0.1:9/drop"},
        {"id": "quarantine", "phone_number_id": "106540352242923", "waba_id": "102290129340398",
            "callback_url": "http://127.0.0.1:9/quarantine", "blocked_inbound": "quarantine",
            "unreadable_inbound": "quarantine", "quarantine_url": "http://127.0.0.1:9/aside"},
        {"id": "default", "phone_number_id": "106540352242924", "waba_id": "102290129340399"}
    ]
}"#;

struct Gateway {
    registry: Registry,
    list: List,
    runtime: Runtime,
    /// Kept, as the lists are this engine's.
    _engine: Engine,
}

impl Gateway {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = folder();
        let engine = Engine::builder()
            .ledger(format!("sqlite://{}", folder.join("ledger.db").display()))
            .master_key(MasterKey::from_bytes([1; 32]))
            .open_on(runtime.handle().clone())
            .expect("an engine");
        let typed = serde_json::from_str(TENANT).expect("settings");
        let config =
            TenantConfig::check(&typed, &FieldPath::default(), &mut Vec::new()).expect("good settings");
        // On a busy machine, the plugin may not be compiled in time.
        let is_served = || engine.blocking_put_tenants(vec![config.spec()]).iter().all(Result::is_ok);
        assert!((0..20).any(|_| is_served()), "the tenant is served");
        let metrics = Metrics::default();
        let (of_tenant, pools) = (|| metrics.tenant(&config.id), Pools::new(0));
        let tenant = Tenant::of(config.clone(), Origin::File, &engine, of_tenant, &pools, None);
        let tenant = Arc::new(tenant.expect("the tenant is served"));
        let list = tenant.wide.clone();
        Gateway { registry: Registry::new([tenant]), list, runtime, _engine: engine }
    }

    /// Blocks the number, unless it is: an earlier webhook may have moved it.
    fn block(&self) {
        let number = Msisdn::parse(BLOCKED).expect("a number");
        let checked = self.list.blocking_check(&Identity::Number(number), Direction::Inbound);
        if checked.expect("the check is answered").blocked_by.is_some() {
            return;
        }
        let actor = Actor::new("fuzz").expect("a name");
        self.runtime.block_on(self.list.write(&actor, [Change::block(number)])).expect("it is blocked");
    }
}

static GATEWAY: LazyLock<Gateway> = LazyLock::new(Gateway::new);

/// Nothing goes to a callback that the plainest reader takes for a message of somebody who is blocked.
pub fn partition(data: &[u8]) {
    let (choice, data) = choice(data);
    let gateway = &*GATEWAY;
    gateway.block();
    let default = (choice % 2 == 1).then_some(OTHERS);
    let Some(deliveries) = payloads::divided(&gateway.registry, default, data) else { return };
    for (url, body) in deliveries {
        assert!(body.is_ascii());
        assert!(serde_json::from_slice::<&RawValue>(&body).is_ok(), "what goes on is JSON");
        // A number may be too large for this reader, and a text no Unicode.
        let Ok(payload) = serde_json::from_slice::<Value>(&body) else { continue };
        if url == QUARANTINE {
            continue;
        }
        for change in items(&payload, "entry").flat_map(|entry| items(entry, "changes")) {
            let value = &change["value"];
            let is_ours = SENDERS.iter().any(|id| value["metadata"]["phone_number_id"] == *id);
            if !CALLBACKS.contains(&url.as_str()) && !is_ours {
                continue;
            }
            for message in items(value, "messages") {
                let from =
                    message["from"].as_str().map_or_else(|| message["from"].to_string(), str::to_owned);
                assert_ne!(
                    from.trim_start_matches('+'),
                    BLOCKED,
                    "a message of somebody blocked went on to {url}"
                );
            }
        }
    }
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}
