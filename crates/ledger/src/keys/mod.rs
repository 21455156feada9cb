//! Keys: the master key that the operator holds, and what each tenant's secret is used for.

mod master;
mod seal;
mod tenant;

pub(crate) use master::sync_folder_of;
pub use master::{KeyError, KeyOrigin, MasterKey};
pub use seal::{Seal, SealError};
pub use tenant::TenantKeys;
pub(crate) use tenant::TenantSecret;
