//! The master key: parsing, storage and creation.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::master_seal::MasterSeal;
use crate::ring::{Bytes, Fingerprint, Ring, derive};
use crate::seal::SealError;

/// The operator's key: 32 bytes, which encrypt the tenants' secrets. With this key and the ledger's file everything can
/// be read. Without it nothing can, and it can't be recovered.
///
/// While it is exchanged for another one, both belong to it: a ledger that is sealed under either can be opened. Cheap to clone; all
/// clones use the same key. Overwritten in memory when the last one is dropped. `Debug` does not show it.
#[derive(Clone)]
pub struct MasterKey(Arc<Ring>);

const DIGITS: usize = 64;
/// Permission bits: the group or others may read or write.
const FOREIGN_ACCESS: u32 = 0o066;

impl MasterKey {
    /// Creates a key from bytes. The caller's copy is not overwritten.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::of(Zeroizing::new(bytes), None)
    }

    /// Creates a random key.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(SealError::NoRandomness)?;
        Ok(Self::of(bytes, None))
    }

    fn of(first: Bytes, second: Option<Bytes>) -> Self {
        MasterKey(Arc::new(Ring::new(first, second)))
    }

    /// Loads the key from the environment, or else from a file, or else creates it if `create` is true. Returns where it is from:
    /// [`KeyOrigin::NewFile`] only if this very call created the file.
    ///
    /// `env_value` is the value of the variable `PORTCULLIS_MASTER_KEY`, if it is set: 64 hexadecimal digits. Otherwise
    /// the file at `path` must contain the digits, optionally surrounded by white space, and only its owner may be able
    /// to read or write it. Either may have two keys, with white space between them: that in use, and the one that it is to be
    /// exchanged for. If the file does not exist and `create` is true, it is created durably with a new key and
    /// mode 0600. Pass `true` for a new ledger only, because a new key can't open an existing one.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_env_or_file(
        env_value: Option<&str>,
        path: &Path,
        create: bool,
    ) -> Result<(Self, KeyOrigin), KeyError> {
        if let Some(text) = env_value {
            let origin = KeyOrigin::Environment;
            return Ok((Self::parse(text, &origin)?, origin));
        }
        let found = Self::from_file_or_new(path, create)?;
        if create {
            Self::keep(path)?;
        }
        Ok(found)
    }

    /// Reads a key file, which is returned, too.
    pub(crate) fn open(path: &Path) -> Result<(File, Self), KeyError> {
        let failed = |source| KeyError::Read { path: path.into(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { path: path.into() });
            }
            opened => opened.map_err(failed)?,
        };
        // Checks the opened file, so that it can't be replaced in between.
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & FOREIGN_ACCESS != 0 {
            return Err(KeyError::Exposed { path: path.into(), mode: mode & 0o777 });
        }
        let key = Self::read(&file, path)?;
        Ok((file, key))
    }

    /// Reads an open key file, which is or was at this path.
    pub(crate) fn read(file: &File, path: &Path) -> Result<Self, KeyError> {
        let mut text = Zeroizing::new(String::with_capacity(2 * DIGITS));
        let read = file.take(1024).read_to_string(&mut text);
        read.map_err(|source| KeyError::Read { path: path.into(), source })?;
        Self::parse(&text, &KeyOrigin::File(path.into()))
    }

    /// Reads one key, or two: that in use, and the one that it is to be exchanged for.
    pub(crate) fn parse(text: &str, origin: &KeyOrigin) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        let first = parse_one(words.next().unwrap_or_default(), origin)?;
        let second = words.next().map(|word| parse_one(word, origin)).transpose()?;
        match words.next() {
            None => Ok(Self::of(first, second)),
            Some(_) => Err(KeyError::TooMany { origin: origin.clone() }),
        }
    }

    /// The digits of the key in use, followed by a newline: for a backup that is to have the key, and for a key file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        to_hex(&self.0.bytes())
    }

    /// The digits of one of its keys, followed by a newline.
    pub(crate) fn hex_of(&self, key: Fingerprint) -> Option<Zeroizing<String>> {
        self.0.bytes_of(key).map(|bytes| to_hex(&bytes))
    }

    /// What the key in use is called.
    pub fn in_use(&self) -> Fingerprint {
        self.0.in_use()
    }

    /// What its keys are called, in the order of their source.
    pub fn held(&self) -> Vec<Fingerprint> {
        self.0.held()
    }

    /// The source of the key has these now: others are forgotten, except for what was read before. Returns whether the key in use is
    /// among them.
    pub fn hold(&self, found: &MasterKey) -> bool {
        self.0.hold(&found.0)
    }

    /// When the ledger that was opened with it got the key in use; `None` if that was when it was created.
    pub fn rotated(&self) -> Option<SystemTime> {
        self.0.rotated()
    }

    /// Derives a key for a purpose outside of the ledger (HKDF-SHA256, RFC 5869). The same purpose always has the same key,
    /// from which neither the master key nor another purpose's key can be computed. It changes with the key in use.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        derive(&self.0.bytes(), purpose)
    }

    /// The key for what is stored about admitted plugins. It does not change with the master key, once the ledger is open.
    pub fn admissions(&self) -> Zeroizing<[u8; 32]> {
        self.0.lasting().admissions
    }

    /// The key for digests of settings, which gateways that share a ledger compare. It does not change with the master key, once the
    /// ledger is open.
    pub fn nodes(&self) -> Zeroizing<[u8; 32]> {
        self.0.lasting().nodes
    }

    /// The seal under this key, for tenants' secrets.
    pub fn seal(&self) -> MasterSeal {
        MasterSeal(Arc::clone(&self.0))
    }

    /// The key of the sums over stored rows: see [`MasterSeal::sums`].
    pub fn sums(&self) -> [u64; 2] {
        self.seal().sums()
    }
}

fn parse_one(text: &str, origin: &KeyOrigin) -> Result<Bytes, KeyError> {
    if text.len() != DIGITS {
        return Err(KeyError::Length { origin: origin.clone(), found: text.len() });
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        for &digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(KeyError::NotHexadecimal { origin: origin.clone() }),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(key)
}

fn to_hex(key: &Bytes) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(DIGITS + 1));
    for byte in key.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text.push('\n');
    text
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The source of a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The variable `PORTCULLIS_MASTER_KEY`.
    Environment,
    /// The file at this path, which was there.
    File(PathBuf),
    /// The file at this path, which was created.
    NewFile(PathBuf),
    /// The command of this program.
    Command(String),
    /// The provider that reads it again.
    Provider,
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyOrigin::Environment => f.write_str("the variable PORTCULLIS_MASTER_KEY"),
            KeyOrigin::File(path) | KeyOrigin::NewFile(path) => write!(f, "the key file {}", path.display()),
            KeyOrigin::Provider => {
                f.write_str("what provides the master key (such as the variable PORTCULLIS_MASTER_KEY)")
            }
            KeyOrigin::Command(program) => write!(f, "the output of the key command {program}"),
        }
    }
}

/// Why the master key can't be loaded or created.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text does not have 64 characters.
    #[error("{origin} holds {found} characters: a master key is {DIGITS} hexadecimal digits")]
    Length {
        /// The source of the text.
        origin: KeyOrigin,
        /// The length in bytes, without surrounding white space.
        found: usize,
    },
    /// The text has more than two keys.
    #[error(
        "{origin} holds more than two keys: leave the one in use, and the one that it is to be exchanged for"
    )]
    TooMany {
        /// The source of the text.
        origin: KeyOrigin,
    },
    /// The text contains a character that is not a hexadecimal digit.
    #[error("{origin} holds something other than hexadecimal digits")]
    NotHexadecimal {
        /// The source of the text.
        origin: KeyOrigin,
    },
    /// Other users can read or change the key file.
    #[error("the key file {path} is open to others (mode {mode:04o}): run `chmod 600 {path}`")]
    Exposed {
        /// The path of the file.
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
    /// The key file does not exist, and `create` is false.
    #[error(
        "there is no key file {path}: put the ledger's master key there, or into the variable PORTCULLIS_MASTER_KEY"
    )]
    Missing {
        /// The path of the file.
        path: PathBuf,
    },
    /// The key file does not hold the key that is in use any more: see [`KeyFile`](crate::KeyFile).
    #[error("the key file {path} holds another key than the one in use")]
    Another {
        /// The path of the file.
        path: PathBuf,
    },
    /// The key file can't be read.
    #[error("cannot read the key file {path}")]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The key file can't be created.
    #[error("cannot create the key file {path}")]
    Create {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The key file can't be replaced by one with the new key.
    #[error(
        "cannot write the key file {path}: let the gateway write it and its folder, or put the new key on its last line yourself, \
         and leave the key in use on the one before"
    )]
    Replace {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The source of the key does not have the one in use any more, so that a crash during a rotation would leave a ledger that
    /// nobody can open.
    #[error(
        "{origin} does not hold the master key in use: let it hold that one first, and the new one after it"
    )]
    NotInUse {
        /// The source.
        origin: KeyOrigin,
    },
    /// There is no key that the one in use could be exchanged for.
    #[error("{origin} holds only the master key in use: let it hold the new one, too, after that one")]
    NoNext {
        /// The source.
        origin: KeyOrigin,
    },
    /// The command that prints the key failed.
    #[error("the key command {program} {what}{said}")]
    Command {
        /// The program.
        program: String,
        /// What went wrong.
        what: String,
        /// What it wrote to its standard error, escaped and shortened, or nothing.
        said: String,
        /// The error of the operating system, if there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// A random key can't be generated.
    #[error("cannot generate a new master key")]
    Random(#[source] SealError),
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eFF";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn the_environment_takes_precedence_over_the_file() {
        let (key, origin) = MasterKey::from_env_or_file(Some(HEX), Path::new("/nowhere"), false).unwrap();
        assert_eq!(origin, KeyOrigin::Environment);
        assert_eq!(*key.to_hex(), format!("{}\n", HEX.to_lowercase()));
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own_which_never_changes() {
        let key = |byte| MasterKey::from_bytes([byte; 32]);
        assert_eq!(key(1).derive("a"), key(1).derive("a"));
        assert_ne!(key(1).derive("a"), key(1).derive("b"));
        assert_ne!(key(1).derive("a"), key(2).derive("a"));
        assert_ne!(*key(1).derive(""), [1; 32]);
    }

    #[test]
    fn a_file_is_created_only_on_request_and_read_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let missing = MasterKey::from_env_or_file(None, &path, false);
        assert!(matches!(missing, Err(KeyError::Missing { .. })));

        let (made, origin) = MasterKey::from_env_or_file(None, &path, true).unwrap();
        assert_eq!(origin, KeyOrigin::NewFile(path.clone()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 65);
        for create in [false, true] {
            let (read, origin) = MasterKey::from_env_or_file(None, &path, create).unwrap();
            assert_eq!((read.to_hex(), origin), (made.to_hex(), KeyOrigin::File(path.clone())));
        }
    }

    #[test]
    fn a_file_that_another_process_created_in_the_meantime_is_not_said_to_be_created() {
        let (_dir, path) = file(HEX, 0o600);
        let (key, origin) = MasterKey::from_env_or_file(None, &path, true).unwrap();
        assert_eq!((key.to_hex().trim(), origin), (&*HEX.to_lowercase(), KeyOrigin::File(path.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap(), HEX);
    }

    #[test]
    fn a_file_open_to_others_is_rejected() {
        for mode in [0o604, 0o640, 0o620, 0o602, 0o644] {
            let (_dir, path) = file(HEX, mode);
            let error = MasterKey::from_env_or_file(None, &path, true).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }));
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())));
        }
        for mode in [0o600, 0o400] {
            let (_dir, path) = file(HEX, mode);
            assert!(MasterKey::from_env_or_file(None, &path, false).is_ok());
        }
    }

    #[test]
    fn an_invalid_key_is_rejected_without_being_shown() {
        for text in ["", "00", &format!("{HEX}0"), &HEX.replace('f', "é")] {
            let error = MasterKey::from_env_or_file(Some(text), Path::new(""), false).unwrap_err();
            assert!(matches!(error, KeyError::Length { .. }), "{error}");
        }
        let (_dir, path) = file(&HEX.replace("1e", "1g"), 0o600);
        let error = MasterKey::from_env_or_file(None, &path, false).unwrap_err();
        assert!(matches!(error, KeyError::NotHexadecimal { .. }));
        assert!(!error.to_string().contains("1g"));
    }

    #[test]
    fn a_second_key_is_that_to_which_the_first_is_to_be_rotated() {
        let (one, other) = ("1a".repeat(32), "2b".repeat(32));
        let both = format!("{one}\n{other}\n");
        let (key, _) = MasterKey::from_env_or_file(Some(&both), Path::new(""), false).unwrap();
        let alone =
            |text: &str| MasterKey::from_env_or_file(Some(text), Path::new(""), false).unwrap().0.in_use();
        assert_eq!(key.held(), [alone(&one), alone(&other)]);
        assert_eq!(key.in_use(), alone(&one));
        assert_eq!(*key.derive("a"), *MasterKey::from_bytes([0x1a; 32]).derive("a"));
        let three = format!("{both}{one}");
        let error = MasterKey::from_env_or_file(Some(&three), Path::new(""), false).unwrap_err();
        assert!(matches!(error, KeyError::TooMany { .. }) && !error.to_string().contains("1a1a"), "{error}");
        let (same, _) =
            MasterKey::from_env_or_file(Some(&format!("{one} {one}")), Path::new(""), false).unwrap();
        assert_eq!(same.held().len(), 1);
    }
}
