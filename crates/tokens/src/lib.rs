//! Bearer tokens: their digests, names, scopes and expiry, and how one replaces another. No HTTP, and no registry of whose they are.
#![forbid(unsafe_code)]

mod admin;
pub mod digest;
pub mod hex;
mod mistake;
mod rotation;
mod scopes;
mod token;

pub use admin::{AdminTokens, Refused};
pub use digest::TokenDigest;
pub use mistake::{Mistake, Step};
pub use rotation::{Rotation, RotationError, remove, rotate};
pub use scopes::{Bearer, Scopes};
pub use token::{MAX_TOKENS, TokenConfig, TokenName, too_many};
