//! Versions from before.

use std::time::{Duration, SystemTime};

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
fn a_version_from_before_is_found_after_a_restart() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let shelf = folder.shelf();
    folder.place("a", &one);
    assert_eq!(found(&shelf), changed("a", &one));
    shelf.put("a", &two).unwrap();
    drop(shelf);

    let shelf = folder.shelf();
    let listed = shelf.versions("a");
    assert_eq!(digests(&listed), [&two, &one].map(|bytes| Digest::of(bytes)));
    assert!(
        listed.iter().all(|version| version.own_version.is_none()),
        "none is compiled until it is asked for"
    );
    assert!(listed.iter().all(|version| version.since.is_some() && !version.is_latest));
    assert_eq!(listed[1].bytes, one.len() as u64);

    let version = shelf.version("a", &short(&one)).unwrap();
    assert_eq!((version.digest, &version.origin), (Digest::of(&one), &Origin::Kept(folder.kept("a", &one))));
    assert_eq!(latest(&shelf, "a"), Digest::of(&two));
    let listed = shelf.versions("a");
    assert_eq!((listed[0].is_latest, listed[1].is_latest), (true, false));
    assert!(listed.iter().all(|version| version.own_version.is_some()));
}

#[test]
fn after_a_restart_with_a_broken_file_the_version_from_before_serves() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let shelf = folder.shelf();
    // Back to the first: that is the one from before, then.
    for component in [&one, &two, &one] {
        shelf.put("a", component).unwrap();
    }
    drop(shelf);
    folder.place("a", b"noise");

    let shelf = folder.shelf();
    assert_eq!(found(&shelf), ["problem a"]);
    assert_eq!(latest(&shelf, "a"), Digest::of(&one));
    assert!(found(&shelf).is_empty());
    assert!(problem(&shelf, "a").is_some());
    // The very content that serves comes again.
    folder.place("a", &one);
    assert!(found(&shelf).is_empty());
    assert_eq!((latest(&shelf, "a"), problem(&shelf, "a")), (Digest::of(&one), None));
}

#[test]
fn the_built_in_version_is_kept_for_those_who_stay_with_it() {
    let folder = Folder::new();
    let own = noted(EXACT.component, "own");
    folder.place("exact", &own);
    let shelf = folder.shelf();
    // A tenant pins it; it was never the latest one.
    let version = shelf.version("exact", &Digest::of(EXACT.component).to_string()).unwrap();
    assert_eq!(version.origin, Origin::BuiltIn);
    assert_eq!(fs::read(folder.kept("exact", EXACT.component)).unwrap(), EXACT.component);
    assert_eq!(latest(&shelf, "exact"), Digest::of(&own));
    let listed = shelf.versions("exact");
    assert_eq!(digests(&listed), [&own, EXACT.component].map(Digest::of));
    assert!(listed[0].since.is_some() && listed[1].since.is_none());

    // Hence it is not what comes in the place of a broken file.
    folder.place("exact", b"noise");
    assert_eq!(latest(&folder.shelf(), "exact"), Digest::of(&own));
}

#[test]
fn the_built_in_plugin_that_was_the_latest_is_kept() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let shelf = folder.shelf();
    assert_eq!(latest(&shelf, "exact"), Digest::of(EXACT.component));
    assert!(folder.kept("exact", EXACT.component).is_file());
    drop(shelf);
    folder.place("exact", b"noise");
    assert_eq!(latest(&folder.shelf(), "exact"), Digest::of(EXACT.component));
}

#[test]
fn a_file_that_nobody_asked_for_yet_is_found_by_its_digest() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    let shelf = folder.shelf();
    let version = shelf.version("a", &Digest::of(&component("one")).to_string()).unwrap();
    assert_eq!(version.origin, Origin::File(folder.file("a")));
    assert!(folder.kept("a", &component("one")).is_file());
    // That somebody stays with a version tells nobody of a latest one.
    assert_eq!(found(&shelf), changed("a", &component("one")));
}

#[test]
fn what_was_kept_and_changed_since_is_refused() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let shelf = folder.shelf();
    for component in [&one, &two] {
        shelf.put("a", component).unwrap();
    }
    drop(shelf);
    folder.place("a", b"noise");
    fs::write(folder.kept("a", &two), component("evil")).unwrap();

    let shelf = folder.shelf();
    let error = shelf.version("a", &short(&two)).unwrap_err();
    assert!(matches!(error, PluginStoreError::Tampered { .. }), "{error}");
    assert!(error.to_string().contains(&*folder.kept("a", &two).to_string_lossy()), "{error}");
    assert_eq!(latest(&shelf, "a"), Digest::of(&one));
    // Whoever has the right bytes mends it.
    shelf.put("a", &two).unwrap();
    assert_eq!(fs::read(folder.kept("a", &two)).unwrap(), two);
}

#[test]
fn a_file_written_over_in_place_leaves_what_was_kept() {
    let folder = Folder::new();
    let (one, two) = (component("one"), component("two"));
    let shelf = folder.shelf();
    folder.place("a", &one);
    assert_eq!(found(&shelf), changed("a", &one));
    fs::write(folder.file("a"), &two).unwrap();
    assert_eq!(found(&shelf), changed("a", &two));
    assert_eq!(fs::read(folder.kept("a", &one)).unwrap(), one);
    drop(shelf);
    assert_eq!(folder.shelf().version("a", &short(&one)).unwrap().digest, Digest::of(&one));
}

#[test]
fn digits_that_fit_no_version_or_several_are_refused() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    shelf.put("a", &component("one")).unwrap();
    for last in ["0", "1"] {
        let file = format!("a@{}{last}.wasm", "0123456789abcde".repeat(5).split_at(63).0);
        fs::write(folder.versions().join(file), b"noise").unwrap();
    }
    let refused = |text: &str| shelf.version("a", text).unwrap_err();
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
    let error = shelf.version("exact", &short(&component("one"))).unwrap_err();
    assert!(matches!(error, PluginStoreError::UnknownVersion { .. }), "{error}");
}

#[test]
fn old_versions_are_forgotten_but_for_those_in_use() {
    let components: Vec<_> = (0..11).map(|index| component(&index.to_string())).collect();
    let oldest = Digest::of(&components[0]);
    // The newest ones, from the last on, and the one that somebody stays with.
    let mut expected: Vec<_> = components[3..].iter().rev().map(|bytes| Digest::of(bytes)).collect();
    expected.push(oldest);
    for is_writable in [true, false] {
        let folder = Folder::new();
        if !is_writable {
            fs::write(folder.versions(), b"no folder").unwrap();
        }
        let shelf = folder.shelf();
        for component in &components {
            shelf.put("a", component).unwrap();
        }
        assert_eq!(shelf.versions("a").len(), 11);
        shelf.retain(|digest| *digest == oldest);
        assert_eq!(digests(&shelf.versions("a")), expected);
        for digest in &expected {
            assert_eq!(shelf.version("a", &digest.short()).unwrap().digest, *digest);
        }
        assert!(matches!(
            shelf.version("a", &short(&components[2])),
            Err(PluginStoreError::UnknownVersion { .. })
        ));
        if is_writable {
            assert_eq!(files(&folder.versions()).len(), 9);
        }
    }
}

#[test]
fn what_is_forgotten_is_compiled_again_when_it_is_asked_for() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    for note in ["one", "two"] {
        shelf.put("a", &component(note)).unwrap();
    }
    shelf.retain(|_| false);
    let compiled: Vec<_> =
        shelf.versions("a").into_iter().map(|version| version.own_version.is_some()).collect();
    assert_eq!(compiled, [true, false], "only the latest stays in memory");
    assert_eq!(shelf.version("a", &short(&component("one"))).unwrap().digest, Digest::of(&component("one")));
}

#[test]
fn without_a_folder_versions_last_as_long_as_the_process() {
    let shelf = PluginStore::new(engine(), None);
    assert_eq!(latest(&shelf, "exact"), Digest::of(EXACT.component));
    let [listed] = &shelf.versions("exact")[..] else { panic!("one version") };
    assert!(listed.is_latest && listed.since.is_some());
    assert_eq!(shelf.version("exact", &short(EXACT.component)).unwrap().digest, Digest::of(EXACT.component));
    assert!(shelf.rescan().is_empty());
}

#[test]
fn what_was_left_half_written_is_removed_once_it_is_old() {
    let folder = Folder::new();
    fs::create_dir(folder.versions()).unwrap();
    for dir in [folder.path(), folder.versions()] {
        for (file, hours) in [(".incoming-old", 2), (".incoming-new", 0), (".other", 2)] {
            let file = fs::File::create(dir.join(file)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(3600 * hours)).unwrap();
        }
    }
    folder.shelf();
    assert_eq!(files(&folder.path()), [".incoming-new", ".other", ".versions"]);
    assert_eq!(files(&folder.versions()), [".incoming-new", ".other"]);
}
