//! What a backup says about itself.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis_keys::{MasterKey, Seal, SealError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The name of the manifest. A folder without it is no backup.
pub const MANIFEST: &str = "manifest.json";
/// The name of the file with the manifest's seal.
pub(crate) const SEAL: &str = "manifest.seal";
/// The format of this version.
pub(crate) const FORMAT: u32 = 1;
/// The ledger in a backup.
pub(crate) const LEDGER: &str = "ledger.db";
/// The master key in a backup.
pub(crate) const KEY: &str = "master.key";
/// Folders in a backup.
pub(crate) const PLUGINS: &str = "plugins";
pub(crate) const METERS: &str = "meters";
pub(crate) const STATES: &str = "states";

/// Bound to the seal, so that nothing else which is sealed under the key passes for it.
const CONTEXT: &[u8] = b"portcullis backup 1";

/// What is in a backup. It has no number, no token and no key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the folder: 1.
    pub format: u32,
    /// The version of Portcullis that made it.
    pub portcullis: String,
    /// Every write that was acknowledged before is in the backup. Later ones may be missing. If the ledger is in a database, it only says
    /// when the files had been copied.
    pub complete_until: Timestamp,
    /// When it was finished.
    pub finished: Timestamp,
    /// The ledger.
    pub database: Database,
    /// Which master key opens it.
    pub master_key: KeyReference,
    /// The configuration that the gateway had.
    pub configuration: Configuration,
    /// All files, except for the manifest and its seal, in the order of their paths.
    pub files: Vec<File>,
}

/// The ledger of the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Database {
    /// In a file, which is in the backup.
    Sqlite(LedgerFile),
    /// In a database, which is not: it is backed up by its own tools.
    Postgres {
        /// Its URL, without the password.
        url: String,
    },
}

/// The ledger in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerFile {
    /// Its random id, in hexadecimal digits.
    pub ledger: String,
    /// The number of its latest commit. Everything up to it is in the backup, and nothing after it.
    pub commit: u64,
    /// The version of its tables.
    pub schema: i64,
    /// The number of tenants.
    pub tenants: u64,
    /// The number of lists.
    pub lists: u64,
    /// The number of entries, in force or not.
    pub entries: u64,
    /// What was damaged already when it was backed up: the number of findings.
    pub findings: u64,
}

/// Which master key opens the backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyReference {
    /// Tells keys apart, and says nothing about the key: 16 hexadecimal digits.
    pub fingerprint: String,
    /// Where the gateway had it from.
    pub origin: String,
    /// Whether the key itself is in the backup.
    pub included: bool,
}

/// The configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Where it was.
    pub path: String,
    /// A digest under the master key, which tells whether a file is the same, and says nothing of the secrets in it.
    pub digest: String,
}

/// A file in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path in the backup.
    pub path: FilePath,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// When it was changed the last time. By it, the versions of a plugin are ordered.
    pub modified: Timestamp,
}

/// The path of a file in a backup, with `/` between names. It leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

/// A path would lead out of the backup.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the path of a file is empty, absolute, or has an empty name, `.` or `..`")]
pub struct FilePathError;

impl FilePath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the file itself, if the backup is in this folder.
    pub(crate) fn within(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }

    /// The rest of the path, if it is in this folder of the backup.
    pub(crate) fn strip(&self, folder: &str) -> Option<&str> {
        self.0.strip_prefix(folder)?.strip_prefix('/')
    }
}

impl TryFrom<String> for FilePath {
    type Error = FilePathError;

    fn try_from(path: String) -> Result<Self, FilePathError> {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        if path.split('/').all(is_name) { Ok(FilePath(path)) } else { Err(FilePathError) }
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Manifest {
    /// The file at this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path.as_str() == path)
    }

    /// The length of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Tells keys apart, and says nothing about the key: what `portcullis key status` calls it.
pub(crate) fn fingerprint(key: &MasterKey) -> String {
    key.in_use().to_string()
}

/// A digest of a configuration file. Its secrets may be short, so it is made under the key: nobody else can try them.
pub(crate) fn configuration_digest(key: &MasterKey, text: &[u8]) -> String {
    let derived = key.derive("configuration of a backup");
    hex(&Sha256::new().chain_update(*derived).chain_update(Sha256::digest(text)).finalize())
}

/// Seals a manifest's text.
pub(crate) fn seal(key: &MasterKey, manifest: &[u8]) -> Result<String, SealError> {
    let digest = Sha256::digest(manifest);
    Ok(hex(&Seal::new(&key.derive("manifest of a backup")).seal(CONTEXT, &digest)?))
}

/// Whether this is the seal of a manifest's text under this key.
pub(crate) fn is_sealed(key: &MasterKey, manifest: &[u8], sealed: &str) -> bool {
    let digest = Sha256::digest(manifest);
    let sealed = base16ct::lower::decode_vec(sealed.trim_ascii()).unwrap_or_default();
    let opened = Seal::new(&key.derive("manifest of a backup")).open(CONTEXT, &sealed);
    opened.is_ok_and(|opened| opened == digest.as_slice())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_backup() {
        let path = |text: &str| FilePath::try_from(text.to_owned());
        for text in ["ledger.db", "plugins/.versions/exact@00.wasm", "a/b/c", "..."] {
            assert_eq!(path(text).unwrap().as_str(), text);
        }
        for text in ["", "/", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a\0"] {
            assert!(path(text).is_err(), "{text:?}");
        }
        assert_eq!(path("plugins/a").unwrap().strip("plugins"), Some("a"));
        assert_eq!(path("pluginsa").unwrap().strip("plugins"), None);
    }

    #[test]
    fn a_seal_is_of_one_text_and_one_key() {
        let [one, other] = [1, 2].map(|byte| MasterKey::from_bytes([byte; 32]));
        let sealed = seal(&one, b"text").unwrap();
        assert!(is_sealed(&one, b"text", &sealed));
        assert!(is_sealed(&one, b"text", &format!("{sealed}\n")));
        assert!(!is_sealed(&one, b"texts", &sealed));
        assert!(!is_sealed(&other, b"text", &sealed));
        for text in ["", "00", "nonsense", &sealed[2..]] {
            assert!(!is_sealed(&one, b"text", text));
        }
    }

    #[test]
    fn a_fingerprint_and_a_digest_depend_on_the_key() {
        let [one, other] = [1, 2].map(|byte| MasterKey::from_bytes([byte; 32]));
        assert_eq!(fingerprint(&one).len(), 16);
        assert_ne!(fingerprint(&one), fingerprint(&other));
        assert_ne!(configuration_digest(&one, b"a"), configuration_digest(&other, b"a"));
        assert_ne!(configuration_digest(&one, b"a"), configuration_digest(&one, b"b"));
    }
}
