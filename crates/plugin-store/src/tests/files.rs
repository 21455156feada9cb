//! What becomes of files that come, change and go.

use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};

use portcullis_plugin_bundle::EXACT;

use super::*;
use crate::version::Origin;
use crate::{PluginStoreError, names};

const NOTHING: [&str; 0] = [];

#[test]
fn a_file_that_is_moved_into_place_is_told_once() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    assert_eq!(found(&shelf), NOTHING);
    for note in ["one", "two"] {
        let component = component(note);
        folder.place("a", &component);
        assert_eq!(found(&shelf), changed("a", &component));
        assert_eq!(found(&shelf), NOTHING);
        assert_eq!(latest(&shelf, "a"), Digest::of(&component));
    }
    let version = shelf.latest("a").unwrap();
    assert_eq!((version.name.as_str(), version.bytes), ("a", component("two").len()));
    assert_eq!(version.origin, Origin::File(folder.file("a")));
    assert_eq!(version.plugin.description().name, "trivial");
    assert_eq!(shelf.names().into_iter().collect::<Vec<_>>(), ["a", "exact", "prefix"]);
    assert_eq!(names(shelf.dir()), shelf.names());
}

#[test]
fn a_half_written_file_is_a_problem_until_it_is_whole() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let (one, two) = (component("one"), component("two"));
    folder.place("a", &one);
    assert_eq!(latest(&shelf, "a"), Digest::of(&one));
    fs::write(folder.file("a"), &two[..two.len() / 2]).unwrap();
    assert_eq!(found(&shelf), ["problem a"]);
    assert_eq!(found(&shelf), NOTHING);
    assert_eq!(latest(&shelf, "a"), Digest::of(&one));
    fs::write(folder.file("a"), &two).unwrap();
    assert_eq!(found(&shelf), changed("a", &two));
    assert_eq!((problem(&shelf, "a"), latest(&shelf, "a")), (None, Digest::of(&two)));
}

#[test]
fn a_file_that_is_no_plugin_leaves_the_one_before() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let good = component("good");
    folder.place("a", &good);
    assert_eq!(found(&shelf), changed("a", &good));
    for (bytes, why) in [
        (&b""[..], "not WebAssembly"),
        (&[0x7f, b'E', b'L', b'F', 2], "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "not a component"),
        (b"\0asm\x0d\0\x01\0", "does not fit the contract"),
    ] {
        folder.place("a", bytes);
        assert_eq!(found(&shelf), ["problem a"]);
        let problem = problem(&shelf, "a").unwrap();
        assert!(problem.contains("plugins/a.wasm") && problem.contains(why), "{problem}");
        assert_eq!(latest(&shelf, "a"), Digest::of(&good));
    }
    folder.place("a", &good);
    assert_eq!(found(&shelf), NOTHING);
    assert_eq!(problem(&shelf, "a"), None);
}

#[test]
fn a_problem_with_another_content_is_told_again() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    for bytes in [b"noise", b"NOISE"] {
        folder.place("a", bytes);
        assert_eq!(found(&shelf), ["problem a"]);
        assert_eq!(found(&shelf), NOTHING);
    }
}

#[test]
fn where_no_content_loads_there_is_none() {
    let folder = Folder::new();
    folder.place("a", b"noise");
    // Not the built-in one: whoever put a file before it wants that.
    folder.place("exact", b"noise");
    let shelf = folder.shelf();
    for name in ["a", "exact"] {
        let error = shelf.latest(name).unwrap_err();
        assert!(matches!(error, PluginStoreError::Unloadable { .. }), "{error}");
        assert_eq!(problem(&shelf, name), Some(ErrorChain(&error).to_string()));
    }
    folder.remove("a");
    assert!(matches!(shelf.latest("a"), Err(PluginStoreError::Unknown { .. })));
    assert_eq!((found(&shelf), problem(&shelf, "a")), (vec!["problem exact".to_owned()], None));
}

#[test]
fn a_file_that_is_gone_and_comes_again_is_a_change_only_if_it_is_another() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let (one, two) = (component("one"), component("two"));
    folder.place("a", &one);
    assert_eq!(latest(&shelf, "a"), Digest::of(&one));
    for (again, expected) in [(&one, vec![]), (&two, changed("a", &two))] {
        folder.remove("a");
        assert_eq!(found(&shelf), ["gone a"]);
        assert_eq!(found(&shelf), NOTHING);
        assert_eq!(latest(&shelf, "a"), Digest::of(&one));
        let problem = problem(&shelf, "a").unwrap();
        assert!(problem.contains("plugins/a.wasm is gone"), "{problem}");
        folder.place("a", again);
        assert_eq!(found(&shelf), expected);
        assert!(shelf.problem("a").is_none());
        assert_eq!(latest(&shelf, "a"), Digest::of(again));
    }
}

#[test]
fn in_place_of_a_file_that_is_gone_stands_the_built_in_plugin_but_that_is_no_change() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let own = noted(EXACT.component, "own");
    folder.place("exact", &own);
    assert_eq!(latest(&shelf, "exact"), Digest::of(&own));
    folder.remove("exact");
    assert_eq!(found(&shelf), ["gone exact"]);
    // Nobody has got another one yet.
    folder.place("exact", &own);
    assert_eq!(found(&shelf), NOTHING);

    folder.remove("exact");
    assert_eq!(latest(&shelf, "exact"), Digest::of(EXACT.component));
    assert_eq!(found(&shelf), ["gone exact"]);
    assert_eq!((found(&shelf), problem(&shelf, "exact")), (vec![], None));
    // Somebody has.
    folder.place("exact", &own);
    assert_eq!(found(&shelf), changed("exact", &own));
}

#[test]
fn a_broken_file_before_a_built_in_plugin_that_serves_leaves_that() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    assert_eq!(latest(&shelf, "exact"), Digest::of(EXACT.component));
    folder.place("exact", b"noise");
    assert_eq!(found(&shelf), ["problem exact"]);
    assert_eq!(latest(&shelf, "exact"), Digest::of(EXACT.component));
    folder.remove("exact");
    assert_eq!((found(&shelf), problem(&shelf, "exact")), (vec![], None));
}

#[test]
fn what_somebody_asked_for_before_the_rescan_is_told_to_the_others() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    folder.place("a", &component("one"));
    assert_eq!(latest(&shelf, "a"), Digest::of(&component("one")));
    assert_eq!(found(&shelf), NOTHING);
    let two = component("two");
    folder.place("a", &two);
    assert_eq!(latest(&shelf, "a"), Digest::of(&two));
    assert_eq!(found(&shelf), changed("a", &two));
    assert_eq!(found(&shelf), NOTHING);
}

#[test]
fn another_content_under_the_same_size_and_time_is_seen() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    let time = SystemTime::now() - Duration::from_secs(3600);
    for note in ["one", "two", "six"] {
        let component = component(note);
        fs::write(folder.file("a"), &component).unwrap();
        fs::File::open(folder.file("a")).unwrap().set_modified(time).unwrap();
        assert_eq!(found(&shelf), changed("a", &component));
    }
}

#[test]
fn names_with_one_content_share_one_compiled_plugin() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    folder.place("b", &component("one"));
    folder.place("c", &component("two"));
    let shelf = folder.shelf();
    let [a, b, c] = ["a", "b", "c"].map(|name| shelf.latest(name).unwrap());
    assert_eq!((a.name.as_str(), b.name.as_str(), a.digest), ("a", "b", b.digest));
    assert!(std::ptr::eq(a.plugin.description(), b.plugin.description()));
    assert!(!std::ptr::eq(a.plugin.description(), c.plugin.description()));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    fs::File::create(folder.file("a")).unwrap().set_len(100 << 20).unwrap();
    assert_eq!(found(&shelf), ["problem a"]);
    assert_eq!(found(&shelf), NOTHING);
    let problem = problem(&shelf, "a").unwrap();
    assert!(problem.contains("has 104857600 bytes, and 16777216 are allowed"), "{problem}");
    assert!(matches!(shelf.latest("a"), Err(PluginStoreError::File { .. })));
}

#[test]
fn what_is_no_file_is_not_opened() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    // Whoever opens a pipe waits for somebody to write.
    assert!(Command::new("mkfifo").arg(folder.file("pipe")).status().unwrap().success());
    fs::create_dir(folder.file("folder")).unwrap();
    assert_eq!(found(&shelf), ["problem folder", "problem pipe"]);
    assert_eq!(found(&shelf), NOTHING);
    let problem = problem(&shelf, "pipe").unwrap();
    assert!(problem.contains("is not a file"), "{problem}");
}

#[test]
fn what_is_still_being_written_under_another_name_is_not_looked_at() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    for file in [".a.wasm", "a.wasm.part", "a"] {
        fs::write(folder.path().join(file), component("one")).unwrap();
    }
    assert_eq!(found(&shelf), NOTHING);
    assert_eq!(shelf.names().into_iter().collect::<Vec<_>>(), ["exact", "prefix"]);
}

#[test]
fn a_name_leads_out_of_no_folder() {
    let folder = Folder::new();
    let shelf = folder.shelf();
    fs::create_dir(folder.path().join("deeper")).unwrap();
    for name in ["../outside", "deeper/inside", ".hidden", ""] {
        fs::write(folder.file(name), component("one")).unwrap();
        for error in [shelf.latest(name).unwrap_err(), shelf.version(name, "00000000").unwrap_err()] {
            assert!(matches!(error, PluginStoreError::Unknown { .. }), "{name}: {error}");
        }
        assert!(shelf.versions(name).is_empty());
    }
    assert!(shelf.slots().is_empty(), "names that anybody may ask for take no place");
}

#[test]
fn a_plugin_that_is_being_compiled_holds_up_no_other() {
    let folder = Folder::new();
    folder.place("a", &component("one"));
    let shelf = folder.shelf();
    assert_eq!(found(&shelf), changed("a", &component("one")));
    let slot = shelf.slot_of("b");
    let compiling = slot.look();
    let (done, wait) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let problem = problem(&shelf, "b");
            done.send((latest(&shelf, "a"), latest(&shelf, "exact"), problem)).unwrap();
        });
        let answers = wait.recv_timeout(Duration::from_secs(20));
        drop(compiling);
        assert_eq!(answers, Ok((Digest::of(&component("one")), Digest::of(EXACT.component), None)));
    });
}

#[test]
fn a_folder_that_is_not_there_is_no_problem_until_it_comes() {
    let folder = Folder::new();
    fs::remove_dir(folder.path()).unwrap();
    let shelf = folder.shelf();
    assert_eq!(found(&shelf), NOTHING);
    fs::create_dir(folder.path()).unwrap();
    folder.place("a", &component("one"));
    assert_eq!(found(&shelf), changed("a", &component("one")));
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(found(&shelf), ["gone a"]);
    assert_eq!(latest(&shelf, "a"), Digest::of(&component("one")));
}
