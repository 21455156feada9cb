//! The folder watched, and the store looked through when it changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::{PluginVersion, Watch};

/// Longer than anything takes that a test waits for.
const LONG: Duration = Duration::from_secs(20);

/// Looks whenever it is told to, until something changed.
async fn next_change(store: &PluginStore, changed: &Notify) -> Arc<PluginVersion> {
    let change = async {
        loop {
            changed.notified().await;
            for finding in rescan(store) {
                if let Finding::Changed { version, .. } = finding {
                    return version;
                }
            }
        }
    };
    timeout(LONG, change).await.expect("the change is found")
}

#[tokio::test]
async fn a_component_that_is_uploaded_in_pieces_is_found_when_it_is_complete() {
    let folder = Folder::new();
    let (store, changed) = (folder.store(), Arc::new(Notify::new()));
    let _watch = Watch::start(folder.path(), Arc::clone(&changed)).unwrap();
    for note in ["one", "two"] {
        let component = component(note);
        let half = component.len() / 2;
        fs::write(folder.file("a"), &component[..half]).unwrap();
        timeout(LONG, changed.notified()).await.expect("the half is told");
        assert!(!found(&store).iter().any(|finding| finding.starts_with("changed")));
        fs::write(folder.file("a"), &component).unwrap();
        assert_eq!(next_change(&store, &changed).await.digest, Digest::of(&component));
        assert_eq!(problem(&store, "a"), None);
    }
}
