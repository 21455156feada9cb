//! Components that are put into the folder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::PluginStoreError;
use crate::version::Origin;

#[test]
fn what_is_put_is_the_latest_and_in_the_folder() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let shelf = folder.shelf();
    for note in ["one", "two"] {
        let component = component(note);
        let version = shelf.put("a_1-b", &component).unwrap();
        assert_eq!(
            (version.digest, &version.origin),
            (Digest::of(&component), &Origin::File(folder.file("a_1-b")))
        );
        assert_eq!(fs::read(folder.file("a_1-b")).unwrap(), component);
        assert_eq!(latest(&shelf, "a_1-b"), version.digest);
        assert_eq!(files(&folder.path()), [".versions", "a_1-b.wasm"]);
        // Who put it knows.
        assert!(found(&shelf).is_empty());
    }
    folder.place("a_1-b", &component("one"));
    assert_eq!(found(&shelf), changed("a_1-b", &component("one")));
}

#[test]
fn what_does_not_load_is_not_put() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let good = component("good");
    shelf.put("a", &good).unwrap();
    for bytes in [&good[..good.len() / 2], b"noise"] {
        let error = shelf.put("a", bytes).unwrap_err();
        assert!(matches!(error, PluginStoreError::Unloadable { .. }), "{error}");
    }
    let large = vec![0; (16 << 20) + 1];
    let error = ErrorChain(&shelf.put("a", &large).unwrap_err()).to_string();
    assert!(error.contains("16777217 bytes"), "{error}");
    assert_eq!(fs::read(folder.file("a")).unwrap(), good);
    assert_eq!((latest(&shelf, "a"), problem(&shelf, "a")), (Digest::of(&good), None));
    assert_eq!(files(&folder.path()), [".versions", "a.wasm"]);
    assert_eq!(files(&folder.versions()).len(), 1);
}

#[test]
fn what_can_not_be_a_name_is_not_put() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let long = "a".repeat(65);
    for name in ["", "A", "a b", "a.b", "a/b", "../a", "-a", "_a", ".a", "é", "a@b", &long] {
        let error = shelf.put(name, &component("one")).unwrap_err();
        assert!(matches!(error, PluginStoreError::Name { .. }), "{name}: {error}");
    }
    shelf.put(&long[..64], &component("one")).unwrap();
}

#[test]
fn without_a_folder_nothing_is_put_and_it_is_said_how() {
    let error = PluginStore::new(engine(), None).put("a", &component("one")).unwrap_err();
    assert!(error.to_string().contains("set plugins.dir"), "{error}");
}

#[test]
fn where_the_folder_can_not_be_written_everything_stays() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let good = component("good");
    shelf.put("a", &good).unwrap();
    folder.remove("a");
    fs::create_dir(folder.file("a")).unwrap();
    let error = shelf.put("a", &component("two")).unwrap_err();
    assert!(matches!(error, PluginStoreError::Write { .. }), "{error}");
    assert_eq!(latest(&shelf, "a"), Digest::of(&good));
    assert_eq!(files(&folder.path()), [".versions", "a.wasm"]);
}

#[test]
fn whoever_looks_while_it_is_put_sees_one_or_the_other_whole() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let components = [component("one"), component("two")];
    shelf.put("a", &components[0]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(components.contains(&fs::read(folder.file("a")).unwrap()));
                    let seen = latest(&shelf, "a");
                    assert!(components.iter().any(|bytes| Digest::of(bytes) == seen));
                    assert!(found(&shelf).iter().all(|finding| finding.starts_with("changed")));
                }
            });
        }
        for round in 1..=20 {
            let component = &components[round % 2];
            assert_eq!(shelf.put("a", component).unwrap().digest, Digest::of(component));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((latest(&shelf, "a"), problem(&shelf, "a")), (Digest::of(&components[0]), None));
}
