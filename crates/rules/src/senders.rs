//! The senders of a tenant, as rules and meters know them.

use std::collections::HashMap;

use portcullis_host::rules::SenderIndex;
use portcullis_meters::SenderKey;
use sha2::{Digest as _, Sha256};

/// The senders of a tenant, in order of name.
#[derive(Clone, Debug, Default)]
pub struct Senders(HashMap<String, Sender>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// Its place among the names that rules get; `None` beyond the most that they can get.
    pub(crate) index: Option<SenderIndex>,
    pub(crate) key: SenderKey,
}

impl Senders {
    /// The senders of these names, which are in order.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let sender = |(place, name): (usize, &str)| {
            (name.to_owned(), Sender { index: SenderIndex::new(place), key: key(name) })
        };
        Senders(names.into_iter().enumerate().map(sender).collect())
    }

    pub(crate) fn name_of(&self, key: SenderKey) -> Option<&str> {
        self.0.iter().find(|(_, sender)| sender.key == key).map(|(name, _)| name.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<Sender> {
        self.0.get(name).copied()
    }
}

/// The same at all nodes, and after a restart.
fn key(name: &str) -> SenderKey {
    let digest = Sha256::digest(name.as_bytes());
    let bytes: [u8; 8] = std::array::from_fn(|place| digest[place]);
    let bits = u64::from_le_bytes(bytes) >> (u64::BITS - 50);
    SenderKey::new(bits).expect("it is below 2^50")
}
