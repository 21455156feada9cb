//! Components that are put into the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::PluginStoreError;
use crate::version::Origin;

#[test]
fn a_put_component_is_the_latest_and_in_the_folder() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let store = folder.store();
    for note in ["one", "two"] {
        let component = component(note);
        let version = store.put("a_1-b", &component, None).unwrap();
        assert_eq!(
            (version.digest, &version.origin),
            (Digest::of(&component), &Origin::File(folder.file("a_1-b")))
        );
        assert_eq!(fs::read(folder.file("a_1-b")).unwrap(), component);
        assert_eq!(latest(&store, "a_1-b"), version.digest);
        assert_eq!(files(&folder.path()), [".versions", "a_1-b.wasm"]);
        // The caller knows it.
        assert!(found(&store).is_empty());
    }
    folder.place("a_1-b", &component("one"));
    assert_eq!(found(&store), changed("a_1-b", &component("one")));
}

#[test]
fn a_component_that_does_not_load_is_not_put() {
    let folder = Folder::new();
    let store = folder.store();
    let good = component("good");
    store.put("a", &good, None).unwrap();
    for bytes in [&good[..good.len() / 2], b"noise"] {
        let error = store.put("a", bytes, None).unwrap_err();
        assert!(matches!(error, PluginStoreError::Unloadable { .. }), "{error}");
    }
    let large = vec![0; (16 << 20) + 1];
    let error = ErrorChain(&store.put("a", &large, None).unwrap_err()).to_string();
    assert!(error.contains("16777217 bytes"), "{error}");
    assert_eq!(fs::read(folder.file("a")).unwrap(), good);
    assert_eq!((latest(&store, "a"), problem(&store, "a")), (Digest::of(&good), None));
    assert_eq!(files(&folder.path()), [".versions", "a.wasm"]);
    assert_eq!(folder.kept().len(), 1);
}

#[test]
fn an_invalid_name_is_refused() {
    let folder = Folder::new();
    let store = folder.store();
    let long = "a".repeat(65);
    for name in ["", "A", "a b", "a.b", "a/b", "../a", "-a", "_a", ".a", "é", "a@b", &long] {
        let error = store.put(name, &component("one"), None).unwrap_err();
        assert!(matches!(error, PluginStoreError::Name { .. }), "{name}: {error}");
    }
    store.put(&long[..64], &component("one"), None).unwrap();
}

#[test]
fn without_a_folder_the_error_says_how_to_set_one() {
    let error = PluginStore::new(engine(), None).put("a", &component("one"), None).unwrap_err();
    assert!(error.to_string().contains("set plugins.dir"), "{error}");
}

#[test]
fn if_the_folder_can_not_be_written_nothing_changes() {
    let folder = Folder::new();
    let store = folder.store();
    let good = component("good");
    store.put("a", &good, None).unwrap();
    folder.remove("a");
    fs::create_dir(folder.file("a")).unwrap();
    let error = store.put("a", &component("two"), None).unwrap_err();
    assert!(matches!(error, PluginStoreError::Write { .. }), "{error}");
    assert_eq!(latest(&store, "a"), Digest::of(&good));
    assert_eq!(files(&folder.path()), [".versions", "a.wasm"]);
}

#[test]
fn concurrent_readers_see_one_version_or_the_other() {
    let folder = Folder::new();
    let store = folder.store();
    let components = [component("one"), component("two")];
    store.put("a", &components[0], None).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(components.contains(&fs::read(folder.file("a")).unwrap()));
                    let seen = latest(&store, "a");
                    assert!(components.iter().any(|bytes| Digest::of(bytes) == seen));
                    assert!(found(&store).iter().all(|finding| finding.starts_with("changed")));
                }
            });
        }
        for round in 1..=20 {
            let component = &components[round % 2];
            assert_eq!(store.put("a", component, None).unwrap().digest, Digest::of(component));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((latest(&store, "a"), problem(&store, "a")), (Digest::of(&components[0]), None));
}
