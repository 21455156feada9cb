//! The store with real components in real folders.

mod archive;
mod files;
mod put;
mod watched;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use portcullis_host::{Engine, ErrorChain};
use portcullis_plugin_bundle::TRIVIAL;
use tempfile::TempDir;

use crate::{Digest, Finding, PluginStore};

/// Changes a component's digest, but not what it does, by a note in it.
fn noted(component: &[u8], note: &str) -> Vec<u8> {
    // A custom section: its id, its size, the size of its name, the name, the note.
    let section = [&[4], &b"note"[..], note.as_bytes()].concat();
    let size = u8::try_from(section.len()).ok().filter(|&size| size < 0x80).expect("a short note");
    [component, &[0, size], &section].concat()
}

/// A small component.
fn component(note: &str) -> Vec<u8> {
    noted(TRIVIAL.component, note)
}

fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().unwrap()).clone()
}

/// A folder of plugins.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path()).unwrap();
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    /// Opens a store on it, as after a restart.
    fn store(&self) -> PluginStore {
        PluginStore::new(engine(), Some(self.path()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.wasm"))
    }

    /// Moves a file into place.
    fn place(&self, name: &str, bytes: &[u8]) {
        let incoming = self.path().join(".a-file-under-way");
        fs::write(&incoming, bytes).unwrap();
        fs::rename(incoming, self.file(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    fn versions(&self) -> PathBuf {
        self.path().join(".versions")
    }

    /// The versions that are kept. Beside each is how it was admitted, and there is nothing else.
    fn kept(&self) -> Vec<String> {
        let (versions, admissions): (Vec<_>, Vec<_>) =
            files(&self.versions()).into_iter().partition(|file| file.ends_with(".wasm"));
        let admitted = |version: &String| version.replace(".wasm", ".admitted");
        assert_eq!(admissions, versions.iter().map(admitted).collect::<Vec<_>>());
        versions
    }

    fn archived(&self, name: &str, component: &[u8]) -> PathBuf {
        self.versions().join(format!("{name}@{}.wasm", Digest::of(component).hex()))
    }
}

/// The names of the files in a folder, in order.
fn files(dir: &Path) -> Vec<String> {
    let mut files: Vec<_> =
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// The findings of a rescan, by name.
fn rescan(store: &PluginStore) -> Vec<Finding> {
    let findings: Mutex<Vec<Finding>> = Mutex::default();
    store.rescan(|| true, |finding| findings.lock().push(finding));
    let mut findings = findings.into_inner();
    findings.sort_by_key(|finding| match finding {
        Finding::Changed { name, .. } | Finding::Problem { name, .. } | Finding::Gone { name } => {
            name.clone()
        }
    });
    findings
}

/// The findings of a rescan, as `changed NAME DIGEST`, `problem NAME` and `gone NAME`.
fn found(store: &PluginStore) -> Vec<String> {
    let word = |finding: &Finding| match finding {
        Finding::Changed { name, version } => format!("changed {name} {}", version.digest.short()),
        Finding::Problem { name, error } => {
            assert!(store.problem(name).unwrap().is_same(error));
            format!("problem {name}")
        }
        Finding::Gone { name } => format!("gone {name}"),
    };
    rescan(store).iter().map(word).collect()
}

fn changed(name: &str, component: &[u8]) -> Vec<String> {
    vec![format!("changed {name} {}", Digest::of(component).short())]
}

/// The digest of the latest version.
fn latest(store: &PluginStore, name: &str) -> Digest {
    store.latest(name).unwrap().digest
}

/// The problem of a plugin's newest content.
fn problem(store: &PluginStore, name: &str) -> Option<String> {
    store.problem(name).map(|error| ErrorChain(&error).to_string())
}
