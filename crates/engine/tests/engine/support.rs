//! An engine in a temporary folder.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_engine::ledger::{Actor, Outcome};
use portcullis_engine::{
    AnsweredBy, Builder, Change, CheckError, Direction, Engine, Event, List, Msisdn, PluginRef, TenantSpec,
    WriteError,
};
use serde_json::{Map, json};
use tempfile::TempDir;

pub(crate) const OUT: Direction = Direction::Outbound;

/// An engine in a temporary folder.
pub(crate) struct Host {
    pub(crate) dir: TempDir,
    pub(crate) engine: Engine,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Host {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with_budget(bytes: u64) -> Self {
        // Checks wait for room, rather than be answered by policy.
        Self::with(|builder| builder.memory_budget(bytes).check_patience(Duration::from_secs(60))).await
    }

    pub(crate) async fn with(options: impl FnOnce(Builder) -> Builder) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), options).await
    }

    pub(crate) async fn in_dir(dir: TempDir, options: impl FnOnce(Builder) -> Builder) -> Self {
        std::fs::create_dir_all(dir.path().join("plugins")).unwrap();
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let listener = Arc::clone(&events);
        let builder = builder(&dir).on_event(move |event| listener.lock().unwrap().push(event));
        let engine = options(builder).open().await.unwrap();
        Host { dir, engine, events }
    }

    /// Closes the engine and opens another one.
    pub(crate) async fn reopened(self) -> Self {
        let Host { dir, engine, .. } = self;
        engine.close().await.unwrap();
        Self::in_dir(dir, |builder| builder).await
    }

    pub(crate) async fn put(&self, spec: TenantSpec) -> List {
        let id = spec.id().to_string();
        self.engine.put_tenant(spec).await.unwrap();
        self.engine.sender_list(&id, "support").unwrap()
    }

    pub(crate) fn saw(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(is_it)
    }

    pub(crate) fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| is_it(event)).count()
    }

    pub(crate) async fn until(&self, is_it: impl Fn(&Event) -> bool) {
        until(|| self.saw(&is_it)).await;
    }

    pub(crate) fn put_evil_into_the_folder(&self) {
        let component = portcullis_plugin_bundle::EVIL.component;
        std::fs::write(self.dir.path().join("plugins/evil.wasm"), component).unwrap();
    }
}

pub(crate) fn builder(dir: &TempDir) -> Builder {
    Engine::builder()
        .ledger(format!("sqlite://{}", dir.path().join("ledger.db").display()))
        .master_key_file(dir.path().join("master.key"))
        .plugins_dir(dir.path().join("plugins"))
}

pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn acme() -> TenantSpec {
    // The plugin `prefix` works on numbers in clear.
    TenantSpec::new("acme").unwrap().sender("support").unwrap().clear_numbers(true)
}

/// The plugin that breaks the contract in this way.
pub(crate) fn evil(mode: &str) -> PluginRef {
    PluginRef::latest("evil").options(Map::from_iter([("mode".to_owned(), json!(mode))]))
}

pub(crate) fn number(n: u64) -> Msisdn {
    Msisdn::try_from(46_732_000_000 + n).unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor::new("crm").unwrap()
}

pub(crate) async fn block(list: &List, n: u64) -> Outcome {
    try_block(list, n).await.unwrap()
}

pub(crate) async fn try_block(list: &List, n: u64) -> Result<Outcome, WriteError> {
    Ok(list.write(&actor(), [Change::block(number(n))]).await?[0].outcome)
}

pub(crate) async fn block_many(list: &List, count: u64) {
    list.write(&actor(), (0..count).map(|n| Change::block(number(n)))).await.unwrap();
}

/// Checks number 1, which is blocked, until the list's plugin fails and the tenant's policy answers.
pub(crate) fn drive_to_failure(list: &List) {
    // Also if it is found to be slow meanwhile.
    let check = || list.blocking_check(&number(1).into(), OUT);
    while !check().is_ok_and(|checked| checked.answered_by == AnsweredBy::Policy) {}
}

pub(crate) async fn is_blocked(list: &List, n: u64) -> bool {
    try_is_blocked(list, n).await.unwrap()
}

pub(crate) async fn try_is_blocked(list: &List, n: u64) -> Result<bool, CheckError> {
    Ok(list.check(number(n), OUT).await?.is_blocked())
}
