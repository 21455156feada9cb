//! Making a backup.

use std::path::Path;

use jiff::Timestamp;
use portcullis_keys::MasterKey;
use portcullis_ledger::{Finding, Ledger, StorageUrl};
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::files;
use crate::folder::Folder;
use crate::manifest::{
    self, Configuration, Database, FORMAT, KEY, KeyReference, LEDGER, LedgerFile, METERS, Manifest, PLUGINS,
    STATES,
};
use crate::places::{Places, Storage};
use crate::{Progress, Stage, snapshot};

/// What to back up, and where to.
pub struct Request<'a> {
    /// The folder of the backup, which must not exist. The one that it is in must.
    pub target: &'a Path,
    /// Where the gateway has everything.
    pub places: &'a Places,
    /// The master key.
    pub key: &'a MasterKey,
    /// Where the gateway has it from.
    pub key_origin: String,
    /// The key's digits, if they are to be in the backup. Then the backup alone is all that a thief needs.
    pub key_text: Option<Zeroizing<String>>,
    /// Whether saved states are copied, too: a gateway on a restored ledger is ready sooner, and the backup larger, by up to six bytes
    /// for each entry of long lists.
    pub with_states: bool,
    /// Where the configuration file is.
    pub configuration: &'a Path,
    /// What is in it.
    pub configuration_text: &'a [u8],
}

/// A backup that was made.
pub struct Taken {
    /// What is in it.
    pub manifest: Manifest,
    /// What is damaged in the ledger, and so in the copy.
    pub findings: Vec<Finding>,
}

/// Makes a backup. The gateway may run, and write, meanwhile: nobody waits. Blocks for about as long as it takes to copy the ledger and
/// to read it twice, plus a few seconds per million entries.
///
/// If it fails, or its process is killed, there is no folder of that name.
///
/// # Errors
/// See [`BackupError`]. A damaged ledger is none: [`Taken::findings`] says so.
pub fn take(request: Request<'_>, progress: Progress<'_>) -> Result<Taken, BackupError> {
    let mut folder = Folder::create(request.target)?;
    let mut bytes = 0;
    progress(Stage::Files, 0, 0);
    let mut copied = |more: u64| {
        bytes += more;
        progress(Stage::Files, bytes, 0);
    };
    if let Some(plugins) = &request.places.plugins {
        folder.add_folder(PLUGINS, plugins, 1, is_of_plugins, &mut copied)?;
    }
    if let Some(meters) = request.places.storage.meters() {
        folder.add_folder(METERS, &meters, 1, |_| true, &mut copied)?;
    }
    if let Some(states) = request.places.storage.states().filter(|_| request.with_states) {
        folder.add_folder(STATES, &states, 1, |_| true, &mut copied)?;
    }
    if let Some(text) = &request.key_text {
        folder.add_content(KEY, text.as_bytes())?;
    }
    // The ledger is the last: what was copied before is not newer.
    let (complete_until, database, findings) = match &request.places.storage {
        Storage::File(ledger) => take_ledger(&mut folder, ledger, request.key, progress)?,
        Storage::Postgres { url } => (Timestamp::now(), Database::Postgres { url: url.clone() }, Vec::new()),
    };
    let configuration = std::path::absolute(request.configuration);
    let manifest = Manifest {
        format: FORMAT,
        portcullis: env!("CARGO_PKG_VERSION").to_owned(),
        complete_until,
        finished: Timestamp::now(),
        database,
        master_key: KeyReference {
            fingerprint: manifest::fingerprint(request.key),
            origin: request.key_origin,
            included: request.key_text.is_some(),
        },
        configuration: Configuration {
            path: configuration.as_deref().unwrap_or(request.configuration).display().to_string(),
            digest: manifest::configuration_digest(request.key, request.configuration_text),
        },
        files: folder.files(),
    };
    folder.finish(&manifest, request.key)?;
    Ok(Taken { manifest, findings })
}

/// The components of the folder of plugins, their signatures, and all that is in `.versions`.
fn is_of_plugins(file: &str) -> bool {
    match file.split_once('/') {
        Some((folder, _)) => folder == ".versions",
        None => !file.starts_with('.') && (file.ends_with(".wasm") || file.ends_with(".minisig")),
    }
}

fn take_ledger(
    folder: &mut Folder,
    ledger: &Path,
    key: &MasterKey,
    progress: Progress<'_>,
) -> Result<(Timestamp, Database, Vec<Finding>), BackupError> {
    let copy = folder.path().join(LEDGER);
    progress(Stage::Ledger, 0, 0);
    let snapshot = snapshot::copy(ledger, &copy, |done, total| progress(Stage::Ledger, done, total))?;
    folder.add_written(LEDGER)?;
    progress(Stage::Checking, 0, 0);
    let verified = Ledger::verify_copy(&StorageUrl::Sqlite(ledger.to_owned()), &copy, key)?;
    // The check leaves no files beside it, or the manifest would not list them.
    for suffix in ["-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(files::beside(&copy, suffix));
    }
    let database = Database::Sqlite(LedgerFile {
        ledger: snapshot.description.ledger,
        commit: snapshot.description.commit,
        schema: snapshot.description.schema,
        tenants: verified.tenants,
        lists: verified.lists.len() as u64,
        entries: verified.entries,
        findings: verified.findings.len() as u64,
    });
    Ok((snapshot.complete_until, database, verified.findings))
}

#[cfg(test)]
mod tests {
    use super::is_of_plugins;

    #[test]
    fn components_signatures_and_versions_are_copied_and_nothing_else() {
        for file in
            ["exact.wasm", "exact.wasm.minisig", ".versions/exact@00.wasm", ".versions/exact@00.admitted"]
        {
            assert!(is_of_plugins(file), "{file}");
        }
        for file in [".new.wasm", "notes.txt", "old/exact.wasm", ".git/exact.wasm"] {
            assert!(!is_of_plugins(file), "{file}");
        }
    }
}
