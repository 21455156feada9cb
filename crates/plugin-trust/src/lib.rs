#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod distrust;
mod key_id;
mod signature;
mod trusted_key;
mod trusted_keys;

pub use distrust::Distrust;
pub use key_id::KeyId;
pub use signature::{Signature, SignatureError};
pub use trusted_key::{TrustedKey, TrustedKeyError};
pub use trusted_keys::TrustedKeys;
