//! Rollbacks to a plugin that fails as well.

use std::sync::{Arc, Mutex};

use portcullis_engine::{Event, List, Outcome, PluginRef, Reloaded, Service};
use serde_json::{Map, json};

use crate::support::{Host, acme, block, drive_to_failure, evil, is_blocked, until};

/// The same plugin as `evil("panic-later")`, with other options.
fn another() -> PluginRef {
    let options = [("mode".to_owned(), json!("panic-later")), ("n".to_owned(), json!(2))];
    PluginRef::latest("evil").options(Map::from_iter(options))
}

/// The rollback has restored the list, and is not over, when the previous plugin fails on it. The list is left to the rollback then.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_previous_plugin_fails_during_the_rollback_recovers() {
    let driven = Arc::<Mutex<Option<List>>>::default();
    let taken = Arc::clone(&driven);
    let listener = move |event| {
        // Called between the restoration of the lists and the end of the stage.
        if matches!(event, Event::Reloaded { outcome: Outcome::RolledBack, .. }) {
            let list = taken.lock().unwrap().take();
            list.iter().for_each(drive_to_failure);
        }
    };
    let host = Host::with(|builder| builder.on_event(listener)).await;
    host.put_evil_into_the_folder();
    let list = host.put(acme().plugin(evil("panic-later"))).await;
    block(&list, 1).await;
    assert_eq!(host.engine.reload("acme", another()).await.unwrap(), Reloaded::Serves);
    *driven.lock().unwrap() = Some(list.clone());
    drive_to_failure(&list);
    host.until(|event| matches!(event, Event::Recovered { .. })).await;
    until(|| list.status().service == Service::Serving).await;
    assert!(is_blocked(&list, 1).await);
    assert!(driven.lock().unwrap().is_none(), "the previous plugin failed, too");
}
