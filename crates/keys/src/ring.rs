//! The master keys that may open a ledger: the one in use, and another one while one is exchanged for the other.

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::lasting::Lasting;
use crate::seal::{Seal, SealError};

/// Sealed under the master key when a ledger is created, so that a wrong key is noticed when it is opened. After a rotation it is
/// followed by what does not change with the key.
const CHECK_TEXT: &[u8] = b"This ledger was made under this master key.";
const CHECK_CONTEXT: &[u8] = b"portcullis ledger check";
/// Keys that were in use before are kept in memory, for reads that began before the exchange.
const MOST: usize = 6;

/// What a master key is called: eight bytes that are derived from it, from which nothing of the key can be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes of a master key.
pub(crate) type Bytes = Zeroizing<[u8; 32]>;

/// Derives a key from a master key (HKDF-SHA256, RFC 5869).
pub(crate) fn expand<const N: usize>(master: &Bytes, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(None, master.as_slice())
        .expand_multi_info(info, key.as_mut_slice())
        .expect("HKDF-SHA256 can output up to 8,160 bytes");
    key
}

/// The key for a purpose outside of the ledger.
pub(crate) fn derive(master: &Bytes, purpose: &str) -> Bytes {
    expand(master, &[b"portcullis/1/master/", purpose.as_bytes()])
}

fn check_text(lasting: Option<&Lasting>) -> Zeroizing<Vec<u8>> {
    // It never grows, which would leave copies.
    let mut text = Zeroizing::new(Vec::with_capacity(CHECK_TEXT.len() + Lasting::LENGTH));
    text.extend(CHECK_TEXT);
    if let Some(lasting) = lasting {
        lasting.write(&mut text);
    }
    text
}

struct One {
    bytes: Bytes,
    seal: Seal,
    name: Fingerprint,
    /// Whether the source of the key has it now. If not, it only opens what was read before.
    is_held: bool,
}

impl One {
    fn new(bytes: Bytes) -> Self {
        let name = Fingerprint(*expand(&bytes, &[b"portcullis/1/master/", b"fingerprint"]));
        One { seal: Seal::new(&bytes), name, bytes, is_held: true }
    }
}

struct Keys {
    /// In the order of their source.
    all: Vec<One>,
    in_use: usize,
    /// What the ledger says that does not change with the key; `None` before it was asked.
    lasting: Option<Lasting>,
    /// What the ledger says of its key, as it was read last.
    check: Vec<u8>,
}

impl Keys {
    fn used(&self) -> &One {
        &self.all[self.in_use]
    }

    fn lasting(&self) -> Lasting {
        self.lasting.clone().unwrap_or_else(|| Lasting::of(&self.used().bytes))
    }

    fn index_of(&self, name: Fingerprint) -> Option<usize> {
        self.all.iter().position(|one| one.name == name)
    }
}

/// Shared by all who hold the key.
pub(crate) struct Ring(RwLock<Keys>);

impl Ring {
    /// The first is the one in use, until a ledger says otherwise.
    pub(crate) fn new(first: Bytes, second: Option<Bytes>) -> Self {
        let mut all = vec![One::new(first)];
        all.extend(second.map(One::new).filter(|second| second.name != all[0].name));
        Ring(RwLock::new(Keys { all, in_use: 0, lasting: None, check: Vec::new() }))
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of the key in use.
    pub(crate) fn bytes(&self) -> Bytes {
        self.read().used().bytes.clone()
    }

    pub(crate) fn bytes_of(&self, name: Fingerprint) -> Option<Bytes> {
        let keys = self.read();
        keys.index_of(name).map(|index| keys.all[index].bytes.clone())
    }

    pub(crate) fn in_use(&self) -> Fingerprint {
        self.read().used().name
    }

    /// The keys that the source has, in its order.
    pub(crate) fn held(&self) -> Vec<Fingerprint> {
        self.read().all.iter().filter(|one| one.is_held).map(|one| one.name).collect()
    }

    pub(crate) fn lasting(&self) -> Lasting {
        self.read().lasting()
    }

    /// The source has these keys now. Returns whether the one in use is among them.
    pub(crate) fn hold(&self, other: &Ring) -> bool {
        if std::ptr::eq(self, other) {
            return true;
        }
        let found: Vec<(Fingerprint, Bytes)> = {
            let other = other.read();
            let held = other.all.iter().filter(|one| one.is_held);
            held.map(|one| (one.name, one.bytes.clone())).collect()
        };
        let mut keys = self.write();
        let in_use = keys.used().name;
        for one in &mut keys.all {
            one.is_held = false;
        }
        for (name, bytes) in found {
            // At the end, in the order of the source.
            match keys.index_of(name) {
                Some(index) => {
                    let mut one = keys.all.remove(index);
                    one.is_held = true;
                    keys.all.push(one);
                }
                None => keys.all.push(One::new(bytes)),
            }
        }
        while keys.all.len() > MOST {
            let oldest = keys.all.iter().position(|one| !one.is_held && one.name != in_use);
            let Some(oldest) = oldest else { break };
            keys.all.remove(oldest);
        }
        keys.in_use = keys.index_of(in_use).unwrap_or_default();
        keys.used().is_held
    }

    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.read().used().seal.seal(context, plain)
    }

    /// Opens what was sealed under the key in use, or under another one that is known.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let keys = self.read();
        let others = keys.all.iter().enumerate().filter(|&(index, _)| index != keys.in_use);
        let mut others = others.map(|(_, one)| one);
        keys.used()
            .seal
            .open(context, sealed)
            .or_else(|error| others.find_map(|one| one.seal.open(context, sealed).ok()).ok_or(error))
    }

    /// What a new ledger says of its key, which is the one in use. A copy of a ledger whose key was rotated keeps what does not change
    /// with the key.
    pub(crate) fn check_of_new(&self) -> Result<Vec<u8>, SealError> {
        let copied = self.read().lasting.clone().filter(|lasting| lasting.rotated.is_some());
        let sealed = self.seal(CHECK_CONTEXT, &check_text(copied.as_ref()))?;
        self.adopt(&sealed);
        Ok(sealed)
    }

    /// Uses the key that this ledger says it is of. Returns whether it is known.
    pub(crate) fn adopt(&self, check: &[u8]) -> bool {
        let mut keys = self.write();
        let first = keys.in_use;
        let mut order = std::iter::once(first).chain((0..keys.all.len()).filter(|&index| index != first));
        let found = order.find_map(|index| {
            let one = &keys.all[index];
            let text = Zeroizing::new(one.seal.open(CHECK_CONTEXT, check).ok()?);
            let lasting = match text.strip_prefix(CHECK_TEXT)? {
                [] => Lasting::of(&one.bytes),
                rest => Lasting::read(rest)?,
            };
            Some((index, lasting))
        });
        let Some((index, lasting)) = found else { return false };
        keys.in_use = index;
        keys.lasting = Some(lasting);
        check.clone_into(&mut keys.check);
        true
    }

    pub(crate) fn check(&self) -> Vec<u8> {
        self.read().check.clone()
    }

    /// What is needed to seal under another known key what is sealed under the one in use.
    pub(crate) fn rewrap_to(&self, name: Fingerprint, now: SystemTime) -> Option<Rewrap> {
        let keys = self.read();
        let index = keys.index_of(name)?;
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some(Rewrap {
            from: Seal::new(&keys.used().bytes),
            to: Seal::new(&keys.all[index].bytes),
            lasting: Lasting { rotated: Some(seconds), ..keys.lasting() },
        })
    }

    pub(crate) fn rotated(&self) -> Option<SystemTime> {
        let seconds = self.read().lasting.as_ref()?.rotated?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

/// Seals under a new master key what is sealed under the one in use: see
/// [`MasterSeal::rewrap_to`](crate::MasterSeal::rewrap_to).
pub struct Rewrap {
    from: Seal,
    to: Seal,
    lasting: Lasting,
}

impl Rewrap {
    /// Seals a text anew, for the same context.
    ///
    /// # Errors
    /// [`SealError::Broken`] if it is not sealed under the key in use; [`SealError::NoRandomness`].
    pub fn rewrap(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.to.seal(context, &Zeroizing::new(self.from.open(context, sealed)?))
    }

    /// What the ledger says of its key from then on.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn check(&self) -> Result<Vec<u8>, SealError> {
        self.to.seal(CHECK_CONTEXT, &check_text(Some(&self.lasting)))
    }
}

impl fmt::Debug for Rewrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrap(…)")
    }
}
