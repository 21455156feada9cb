//! Files that appear, change and disappear.

use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};

use portcullis_plugin_bundle::EXACT;

use super::*;
use crate::version::Origin;
use crate::{PluginStoreError, names};

const NOTHING: [&str; 0] = [];

/// What comes with Portcullis.
const BUILT_IN: [&str; 4] = ["exact", "policy", "policy-numbers", "prefix"];

#[test]
fn a_file_that_is_moved_into_place_is_reported_once() {
    let folder = Folder::new();
    let store = folder.store();
    assert_eq!(found(&store), NOTHING);
    for note in ["one", "two"] {
        let component = component(note);
        folder.place("a", &component);
        assert_eq!(found(&store), changed("a", &component));
        assert_eq!(found(&store), NOTHING);
        assert_eq!(latest(&store, "a"), Digest::of(&component));
    }
    let version = store.latest("a").unwrap();
    assert_eq!((version.name.as_str(), version.bytes), ("a", component("two").len()));
    assert_eq!(version.origin, Origin::File(folder.file("a")));
    assert_eq!(version.list().unwrap().description().name, "trivial");
    assert_eq!(
        store.names().into_iter().collect::<Vec<_>>(),
        ["a", "exact", "policy", "policy-numbers", "prefix"]
    );
    assert_eq!(names(store.dir()), store.names());
    // An earlier version can serve in its place.
    fs::remove_file(folder.file("a")).unwrap();
    assert_eq!(store.names().into_iter().collect::<Vec<_>>(), BUILT_IN);
    assert_eq!(
        names(store.dir()).into_iter().collect::<Vec<_>>(),
        ["a", "exact", "policy", "policy-numbers", "prefix"]
    );
    assert!(folder.store().latest("a").is_ok());
}

#[test]
fn a_half_written_file_is_a_problem_until_it_is_complete() {
    let folder = Folder::new();
    let store = folder.store();
    let (one, two) = (component("one"), component("two"));
    folder.place("a", &one);
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    fs::write(folder.file("a"), &two[..two.len() / 2]).unwrap();
    assert_eq!(found(&store), ["problem a"]);
    assert_eq!(found(&store), NOTHING);
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    fs::write(folder.file("a"), &two).unwrap();
    assert_eq!(found(&store), changed("a", &two));
    assert_eq!((problem(&store, "a"), latest(&store, "a")), (None, Digest::of(&two)));
}

#[test]
fn a_file_that_is_not_a_plugin_leaves_the_previous_version() {
    let folder = Folder::new();
    let store = folder.store();
    let good = component("good");
    folder.place("a", &good);
    assert_eq!(found(&store), changed("a", &good));
    for (bytes, why) in [
        (&b""[..], "not WebAssembly"),
        (&[0x7f, b'E', b'L', b'F', 2], "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "not a component"),
        (b"\0asm\x0d\0\x01\0", "does not fit the contract"),
    ] {
        folder.place("a", bytes);
        assert_eq!(found(&store), ["problem a"]);
        let problem = problem(&store, "a").unwrap();
        assert!(problem.contains("plugins/a.wasm") && problem.contains(why), "{problem}");
        assert_eq!(latest(&store, "a"), Digest::of(&good));
    }
    folder.place("a", &good);
    assert_eq!(found(&store), NOTHING);
    assert_eq!(problem(&store, "a"), None);
}

#[test]
fn a_problem_of_another_content_is_reported_again() {
    let folder = Folder::new();
    let store = folder.store();
    for bytes in [b"noise", b"NOISE"] {
        folder.place("a", bytes);
        assert_eq!(found(&store), ["problem a"]);
        assert_eq!(found(&store), NOTHING);
    }
}

#[test]
fn without_a_content_that_loads_there_is_no_version() {
    let folder = Folder::new();
    folder.place("a", b"noise");
    // Not the built-in plugin, which the file is meant to replace.
    folder.place("exact", b"noise");
    let store = folder.store();
    for name in ["a", "exact"] {
        let error = store.latest(name).unwrap_err();
        assert!(matches!(error, PluginStoreError::Unloadable { .. }), "{error}");
        assert_eq!(problem(&store, name), Some(ErrorChain(&error).to_string()));
    }
    folder.remove("a");
    assert!(matches!(store.latest("a"), Err(PluginStoreError::Unknown { .. })));
    assert_eq!((found(&store), problem(&store, "a")), (vec!["problem exact".to_owned()], None));
}

#[test]
fn a_file_that_comes_back_is_a_change_only_if_its_content_is_another() {
    let folder = Folder::new();
    let store = folder.store();
    let (one, two) = (component("one"), component("two"));
    folder.place("a", &one);
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    for (again, expected) in [(&one, vec![]), (&two, changed("a", &two))] {
        folder.remove("a");
        assert_eq!(found(&store), ["gone a"]);
        assert_eq!(found(&store), NOTHING);
        assert_eq!(latest(&store, "a"), Digest::of(&one));
        let problem = problem(&store, "a").unwrap();
        assert!(problem.contains("plugins/a.wasm is gone"), "{problem}");
        folder.place("a", again);
        assert_eq!(found(&store), expected);
        assert!(store.problem("a").is_none());
        assert_eq!(latest(&store, "a"), Digest::of(again));
    }
}

#[test]
fn the_built_in_plugin_replaces_a_removed_file_without_a_change() {
    let folder = Folder::new();
    let store = folder.store();
    let own = noted(EXACT.component, "own");
    folder.place("exact", &own);
    assert_eq!(latest(&store, "exact"), Digest::of(&own));
    folder.remove("exact");
    assert_eq!(found(&store), ["gone exact"]);
    // No caller has another one yet.
    folder.place("exact", &own);
    assert_eq!(found(&store), NOTHING);

    folder.remove("exact");
    assert_eq!(latest(&store, "exact"), Digest::of(EXACT.component));
    assert_eq!(found(&store), ["gone exact"]);
    assert_eq!((found(&store), problem(&store, "exact")), (vec![], None));
    // Now one has.
    folder.place("exact", &own);
    assert_eq!(found(&store), changed("exact", &own));
}

#[test]
fn a_broken_file_leaves_the_built_in_plugin_that_serves() {
    let folder = Folder::new();
    let store = folder.store();
    assert_eq!(latest(&store, "exact"), Digest::of(EXACT.component));
    folder.place("exact", b"noise");
    assert_eq!(found(&store), ["problem exact"]);
    assert_eq!(latest(&store, "exact"), Digest::of(EXACT.component));
    folder.remove("exact");
    assert_eq!((found(&store), problem(&store, "exact")), (vec![], None));
}

#[test]
fn a_version_that_a_caller_got_before_the_rescan_is_reported_to_the_others() {
    let folder = Folder::new();
    let store = folder.store();
    folder.place("a", &component("one"));
    assert_eq!(latest(&store, "a"), Digest::of(&component("one")));
    assert_eq!(found(&store), NOTHING);
    let two = component("two");
    folder.place("a", &two);
    assert_eq!(latest(&store, "a"), Digest::of(&two));
    assert_eq!(found(&store), changed("a", &two));
    assert_eq!(found(&store), NOTHING);
}

#[test]
fn another_content_of_the_same_size_and_time_is_noticed() {
    let folder = Folder::new();
    let store = folder.store();
    let time = SystemTime::now() - Duration::from_secs(3600);
    for note in ["one", "two", "six"] {
        let component = component(note);
        fs::write(folder.file("a"), &component).unwrap();
        fs::File::open(folder.file("a")).unwrap().set_modified(time).unwrap();
        assert_eq!(found(&store), changed("a", &component));
    }
}

#[test]
fn plugins_with_the_same_content_are_compiled_once() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    folder.place("b", &component("one"));
    folder.place("c", &component("two"));
    let store = folder.store();
    let [a, b, c] = ["a", "b", "c"].map(|name| store.latest(name).unwrap());
    assert_eq!((a.name.as_str(), b.name.as_str(), a.digest), ("a", "b", b.digest));
    assert!(std::ptr::eq(a.list().unwrap().description(), b.list().unwrap().description()));
    assert!(!std::ptr::eq(a.list().unwrap().description(), c.list().unwrap().description()));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = Folder::new();
    let store = folder.store();
    fs::File::create(folder.file("a")).unwrap().set_len(100 << 20).unwrap();
    assert_eq!(found(&store), ["problem a"]);
    assert_eq!(found(&store), NOTHING);
    let problem = problem(&store, "a").unwrap();
    assert!(problem.contains("has 104857600 bytes, and 16777216 are allowed"), "{problem}");
    assert!(matches!(store.latest("a"), Err(PluginStoreError::File { .. })));
}

#[test]
fn other_things_than_files_are_not_opened() {
    let folder = Folder::new();
    let store = folder.store();
    // Opening a pipe would wait for a writer.
    assert!(Command::new("mkfifo").arg(folder.file("pipe")).status().unwrap().success());
    fs::create_dir(folder.file("folder")).unwrap();
    assert_eq!(found(&store), ["problem folder", "problem pipe"]);
    assert_eq!(found(&store), NOTHING);
    let problem = problem(&store, "pipe").unwrap();
    assert!(problem.contains("is not a file"), "{problem}");
}

#[test]
fn files_with_other_names_are_ignored() {
    let folder = Folder::new();
    let store = folder.store();
    for file in [".a.wasm", "a.wasm.part", "a"] {
        fs::write(folder.path().join(file), component("one")).unwrap();
    }
    assert_eq!(found(&store), NOTHING);
    assert_eq!(store.names().into_iter().collect::<Vec<_>>(), BUILT_IN);
}

#[test]
fn a_name_does_not_lead_out_of_the_folder() {
    let folder = Folder::new();
    let store = folder.store();
    fs::create_dir(folder.path().join("deeper")).unwrap();
    for name in ["../outside", "deeper/inside", ".hidden", ""] {
        fs::write(folder.file(name), component("one")).unwrap();
        for error in [store.latest(name).unwrap_err(), store.version(name, "00000000").unwrap_err()] {
            assert!(matches!(error, PluginStoreError::Unknown { .. }), "{name}: {error}");
        }
        assert!(store.versions(name).is_empty());
    }
    assert!(store.slots().is_empty(), "unknown names take no memory");
}

#[test]
fn a_plugin_that_is_being_compiled_does_not_block_others() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    let store = folder.store();
    assert_eq!(found(&store), changed("a", &component("one")));
    let slot = store.slot_of("b");
    let compiling = slot.file();
    let (done, wait) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let problem = problem(&store, "b");
            done.send((latest(&store, "a"), latest(&store, "exact"), problem)).unwrap();
        });
        let answers = wait.recv_timeout(Duration::from_secs(20));
        drop(compiling);
        assert_eq!(answers, Ok((Digest::of(&component("one")), Digest::of(EXACT.component), None)));
    });
}

#[test]
fn the_folder_may_appear_later() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let store = folder.store();
    assert_eq!(found(&store), NOTHING);
    fs::create_dir(folder.path()).unwrap();
    folder.place("a", &component("one"));
    assert_eq!(found(&store), changed("a", &component("one")));
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(found(&store), ["gone a"]);
    assert_eq!(latest(&store, "a"), Digest::of(&component("one")));
}
