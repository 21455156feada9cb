#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod identity;
mod key_file;
mod master;
mod name;
mod new_key;
mod scope;
mod seal;
mod tenant;

pub use identity::{UserId, UserIdError};
pub use key_file::KeyFile;
pub use master::{KeyError, KeyOrigin, MasterKey};
pub use name::{NameError, SenderId, TenantId};
pub use scope::Scope;
pub use seal::{Seal, SealError};
pub use tenant::{TenantKeys, TenantSecret};
