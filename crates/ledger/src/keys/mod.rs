//! Keys: the operator's master key, and the keys derived from each tenant's secret.

mod master;
mod seal;
mod tenant;

pub(crate) use master::sync_folder_of;
pub use master::{KeyError, KeyOrigin, MasterKey};
pub use seal::{Seal, SealError};
pub use tenant::TenantKeys;
pub(crate) use tenant::TenantSecret;
