#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "the ledger and its keys are kept in files by means of Unix: modes, locks, and renames that last. Build on Linux; on Windows, in WSL"
);

mod command;
mod identity;
mod in_use;
mod key_file;
mod lasting;
mod master;
mod master_seal;
mod name;
mod new_key;
mod replace;
mod ring;
mod scope;
mod seal;
mod tenant;

pub use command::KeyCommand;
pub use identity::{UserId, UserIdError};
pub use in_use::{KeyInUse, KeyProvider, KeyStatus, Rotated};
pub use key_file::KeyFile;
pub use master::{KeyError, KeyOrigin, MasterKey};
pub use master_seal::MasterSeal;
pub use name::{NameError, SenderId, TenantId};
pub use ring::{Fingerprint, Rewrap};
pub use scope::Scope;
pub use seal::{Seal, SealError};
pub use tenant::{TenantKeys, TenantSecret};
