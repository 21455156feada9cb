//! Earlier versions.

use std::time::{Duration, SystemTime};

use portcullis_host::{Limits, LoadError};
use portcullis_plugin_bundle::EXACT;

use super::*;
use crate::version::Origin;
use crate::{ListedVersion, PluginStoreError};

fn short(component: &[u8]) -> String {
    Digest::of(component).short()
}

fn digests(versions: &[ListedVersion]) -> Vec<Digest> {
    versions.iter().map(|version| version.digest).collect()
}

#[test]
fn an_earlier_version_is_found_after_a_restart() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let store = folder.store();
    folder.place("a", &one);
    assert_eq!(found(&store), changed("a", &one));
    store.put("a", &two, None).unwrap();
    drop(store);

    let store = folder.store();
    let listed = store.versions("a");
    assert_eq!(digests(&listed), [&two, &one].map(|bytes| Digest::of(bytes)));
    assert!(
        listed.iter().all(|version| version.own_version.is_none()),
        "none is compiled until it is asked for"
    );
    assert!(listed.iter().all(|version| version.since.is_some() && !version.is_latest));
    assert_eq!(listed[1].bytes, one.len() as u64);

    let version = store.version("a", &short(&one)).unwrap();
    assert_eq!(
        (version.digest, &version.origin),
        (Digest::of(&one), &Origin::Kept(folder.archived("a", &one)))
    );
    assert_eq!(latest(&store, "a"), Digest::of(&two));
    let listed = store.versions("a");
    assert_eq!((listed[0].is_latest, listed[1].is_latest), (true, false));
    assert!(listed.iter().all(|version| version.own_version.is_some()));
}

#[test]
fn after_a_restart_with_a_broken_file_the_previous_version_serves() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let store = folder.store();
    // The first one is put again, so it is the latest.
    for component in [&one, &two, &one] {
        store.put("a", component, None).unwrap();
    }
    drop(store);
    folder.place("a", b"noise");

    let store = folder.store();
    assert_eq!(found(&store), ["problem a"]);
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    assert!(found(&store).is_empty());
    assert!(problem(&store, "a").is_some());
    // The content that serves comes back.
    folder.place("a", &one);
    assert!(found(&store).is_empty());
    assert_eq!((latest(&store, "a"), problem(&store, "a")), (Digest::of(&one), None));
}

#[test]
fn after_a_restart_with_another_file_the_previous_version_serves_until_the_file_is_found() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    folder.store().put("a", &one, None).unwrap();
    folder.place("a", &two);

    let store = folder.store();
    // Without a look at what the file would take to compile.
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    assert_eq!(problem(&store, "a"), None);
    assert_eq!(found(&store), changed("a", &two));
    assert_eq!(latest(&store, "a"), Digest::of(&two));
    assert!(found(&store).is_empty());
}

#[test]
fn a_component_that_took_too_much_is_not_compiled_again_after_a_restart() {
    let folder = Folder::new();
    let good = component("good");
    folder.store().put("a", &good, None).unwrap();
    // As if compiling the new file had taken too much memory.
    let bomb = component("bomb");
    folder.place("a", &bomb);
    let refused = LoadError::TooMuchMemory { limit: Limits::default().compiler_bytes };
    folder.store().refusals.as_ref().unwrap().add(Digest::of(&bomb), &Limits::default(), &refused);

    let store = folder.store();
    assert_eq!(found(&store), ["problem a"]);
    assert!(
        problem(&store, "a").unwrap().contains("more than 256 MiB of memory"),
        "{:?}",
        problem(&store, "a")
    );
    assert_eq!(latest(&store, "a"), Digest::of(&good));
    assert!(matches!(store.put("a", &bomb, None), Err(PluginStoreError::Unloadable { .. })));
    assert_eq!(latest(&store, "a"), Digest::of(&good));
}

#[test]
fn names_of_files_are_escaped_in_errors() {
    let folder = Folder::new();
    let name = "a\n2026 INFO \u{202e}all is well\u{1b}[2J";
    folder.place(name, b"noise");
    let error = folder.store().latest(name).unwrap_err();
    for shown in [error.to_string(), ErrorChain(&error).to_string()] {
        assert!(!shown.contains(portcullis_host::is_obeyed), "{shown:?}");
        assert!(shown.contains(r"a\n2026 INFO \u{202e}all is well\u{1b}[2J"), "{shown}");
    }
}

#[test]
fn the_built_in_version_is_archived_when_it_is_pinned() {
    let folder = Folder::new();
    let own = noted(EXACT.component, "own");
    folder.place("exact", &own);
    let store = folder.store();
    // It was never the latest.
    let version = store.version("exact", &Digest::of(EXACT.component).to_string()).unwrap();
    assert_eq!(version.origin, Origin::BuiltIn);
    assert_eq!(fs::read(folder.archived("exact", EXACT.component)).unwrap(), EXACT.component);
    assert_eq!(latest(&store, "exact"), Digest::of(&own));
    let listed = store.versions("exact");
    assert_eq!(digests(&listed), [&own, EXACT.component].map(Digest::of));
    assert!(listed[0].since.is_some() && listed[1].since.is_none());

    // Hence it does not replace a broken file.
    folder.place("exact", b"noise");
    assert_eq!(latest(&folder.store(), "exact"), Digest::of(&own));
}

#[test]
fn the_built_in_plugin_is_archived_when_it_is_the_latest() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let store = folder.store();
    assert_eq!(latest(&store, "exact"), Digest::of(EXACT.component));
    assert!(folder.archived("exact", EXACT.component).is_file());
    drop(store);
    folder.place("exact", b"noise");
    assert_eq!(latest(&folder.store(), "exact"), Digest::of(EXACT.component));
}

#[test]
fn a_file_that_was_never_requested_is_found_by_its_digest() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    let store = folder.store();
    let version = store.version("a", &Digest::of(&component("one")).to_string()).unwrap();
    assert_eq!(version.origin, Origin::File(folder.file("a")));
    assert!(folder.archived("a", &component("one")).is_file());
    // A caller that pins a version does not learn of the latest.
    assert_eq!(found(&store), changed("a", &component("one")));
}

#[test]
fn a_changed_copy_is_refused() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let store = folder.store();
    for component in [&one, &two] {
        store.put("a", component, None).unwrap();
    }
    drop(store);
    folder.place("a", b"noise");
    fs::write(folder.archived("a", &two), component("evil")).unwrap();

    let store = folder.store();
    let error = store.version("a", &short(&two)).unwrap_err();
    assert!(matches!(error, PluginStoreError::Tampered { .. }), "{error}");
    assert!(error.to_string().contains(&*folder.archived("a", &two).to_string_lossy()), "{error}");
    assert_eq!(latest(&store, "a"), Digest::of(&one));
    // Putting the component again repairs it.
    store.put("a", &two, None).unwrap();
    assert_eq!(fs::read(folder.archived("a", &two)).unwrap(), two);
}

#[test]
fn overwriting_a_file_in_place_leaves_the_copy() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let store = folder.store();
    folder.place("a", &one);
    assert_eq!(found(&store), changed("a", &one));
    fs::write(folder.file("a"), &two).unwrap();
    assert_eq!(found(&store), changed("a", &two));
    assert_eq!(fs::read(folder.archived("a", &one)).unwrap(), one);
    drop(store);
    assert_eq!(folder.store().version("a", &short(&one)).unwrap().digest, Digest::of(&one));
}

#[test]
fn digits_that_match_no_version_or_several_are_refused() {
    let folder = Folder::new();
    let store = folder.store();
    store.put("a", &component("one"), None).unwrap();
    for last in ["0", "1"] {
        let file = format!("a@{}{last}.wasm", "0123456789abcde".repeat(5).split_at(63).0);
        fs::write(folder.versions().join(file), b"noise").unwrap();
    }
    let refused = |text: &str| store.version("a", text).unwrap_err();
    let error = refused("sha256:01234567");
    assert!(matches!(error, PluginStoreError::Ambiguous { .. }), "{error}");
    assert!(error.to_string().contains("write more digits"), "{error}");
    let error = refused("ffffffff");
    assert!(matches!(error, PluginStoreError::UnknownVersion { .. }), "{error}");
    assert!(error.to_string().contains(&short(&component("one"))), "{error}");
    for text in ["", "latest", "0123456", "sha256:"] {
        let error = refused(text);
        assert!(matches!(error, PluginStoreError::NoVersion { .. }), "{error}");
    }
    // Of another plugin.
    let error = store.version("exact", &short(&component("one"))).unwrap_err();
    assert!(matches!(error, PluginStoreError::UnknownVersion { .. }), "{error}");
}

#[test]
fn old_versions_are_dropped_except_those_in_use() {
    let components: Vec<_> = (0..11).map(|index| component(&index.to_string())).collect();
    let oldest = Digest::of(&components[0]);
    // The newest ones, latest first, and the one in use.
    let mut expected: Vec<_> = components[3..].iter().rev().map(|bytes| Digest::of(bytes)).collect();
    expected.push(oldest);
    for is_writable in [true, false] {
        let folder = Folder::new();
        if !is_writable {
            fs::write(folder.versions(), b"no folder").unwrap();
        }
        let store = folder.store();
        for component in &components {
            store.put("a", component, None).unwrap();
        }
        assert_eq!(store.versions("a").len(), 11);
        store.retain(|digest| *digest == oldest);
        assert_eq!(digests(&store.versions("a")), expected);
        for digest in &expected {
            assert_eq!(store.version("a", &digest.short()).unwrap().digest, *digest);
        }
        assert!(matches!(
            store.version("a", &short(&components[2])),
            Err(PluginStoreError::UnknownVersion { .. })
        ));
        if is_writable {
            assert_eq!(folder.kept().len(), 9);
        }
    }
}

#[test]
fn an_archived_version_is_compiled_again_when_it_is_requested() {
    let folder = Folder::new();
    let store = folder.store();
    for note in ["one", "two"] {
        store.put("a", &component(note), None).unwrap();
    }
    store.retain(|_| false);
    let compiled: Vec<_> =
        store.versions("a").into_iter().map(|version| version.own_version.is_some()).collect();
    assert_eq!(compiled, [true, false], "only the latest stays in memory");
    assert_eq!(store.version("a", &short(&component("one"))).unwrap().digest, Digest::of(&component("one")));
}

#[test]
fn without_a_folder_versions_last_as_long_as_the_process() {
    let store = PluginStore::new(engine(), None);
    assert_eq!(latest(&store, "exact"), Digest::of(EXACT.component));
    let [listed] = &store.versions("exact")[..] else { panic!("one version") };
    assert!(listed.is_latest && listed.since.is_some());
    assert_eq!(store.version("exact", &short(EXACT.component)).unwrap().digest, Digest::of(EXACT.component));
    assert!(found(&store).is_empty());
}

#[test]
fn unfinished_files_are_removed_once_they_are_old() {
    let folder = Folder::new();
    fs::create_dir(folder.versions()).unwrap();
    for dir in [folder.path(), folder.versions()] {
        for (file, hours) in [(".incoming-old", 2), (".incoming-new", 0), (".other", 2)] {
            let file = fs::File::create(dir.join(file)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(3600 * hours)).unwrap();
        }
    }
    folder.store();
    assert_eq!(files(&folder.path()), [".incoming-new", ".other", ".versions"]);
    assert_eq!(files(&folder.versions()), [".incoming-new", ".other"]);
}

#[test]
fn versions_of_an_earlier_process_are_kept_until_another_is_added() {
    let folder = Folder::new();
    let components: Vec<_> = (0..11).map(|index| component(&index.to_string())).collect();
    let store = folder.store();
    for component in &components {
        store.put("a", component, None).unwrap();
    }
    drop(store);
    // Right after a start, no tenant is served yet that may be pinned to any of them.
    let store = folder.store();
    assert_eq!(found(&store), changed("a", &components[10]));
    store.retain(|_| false);
    assert_eq!(store.version("a", &short(&components[0])).unwrap().digest, Digest::of(&components[0]));
    store.put("a", &component("new"), None).unwrap();
    store.retain(|_| false);
    assert_eq!(folder.kept().len(), PluginStore::KEPT);
}

#[test]
fn the_order_of_versions_does_not_depend_on_the_clock() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let store = folder.store();
    store.put("a", &one, None).unwrap();
    // The clock was an hour ahead.
    let later = SystemTime::now() + Duration::from_secs(3600);
    fs::File::open(folder.archived("a", &one)).unwrap().set_modified(later).unwrap();
    store.put("a", &two, None).unwrap();
    drop(store);
    folder.place("a", b"noise");
    assert_eq!(latest(&folder.store(), "a"), Digest::of(&two));
}

#[test]
fn an_old_version_that_nobody_needs_is_removed() {
    let folder = Folder::new();
    let store = folder.store();
    let notes = ["one", "two", "three"].map(component);
    for component in &notes {
        store.put("a", component, None).unwrap();
    }
    let refused = |text: &str, in_use: bool| {
        store.remove_version("a", text, |_| in_use).map(|digest| digest.short()).unwrap_err().to_string()
    };
    assert!(refused(&short(&notes[2]), false).contains("it is the newest"));
    assert!(refused(&short(&notes[0]), true).contains("a tenant uses it"));
    assert!(refused("0000000000", false).contains("has no version"));
    assert!(refused("x", false).contains("is not a version"));
    assert!(
        store
            .remove_version("b", &short(&notes[0]), |_| false)
            .unwrap_err()
            .to_string()
            .contains("no plugin b")
    );
    let built_in = store.latest("exact").unwrap().digest.to_string();
    store.put("exact", &notes[0], None).unwrap();
    let error = store.remove_version("exact", &built_in, |_| false).unwrap_err().to_string();
    assert!(error.contains("built into the program"), "{error}");

    assert_eq!(store.remove_version("a", &short(&notes[0]), |_| false).unwrap(), Digest::of(&notes[0]));
    assert_eq!(digests(&store.versions("a")), [&notes[2], &notes[1]].map(|bytes| Digest::of(bytes)));
    assert!(!folder.archived("a", &notes[0]).exists());
    assert!(matches!(store.version("a", &short(&notes[0])), Err(PluginStoreError::UnknownVersion { .. })));
}
