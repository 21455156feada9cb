//! Validated settings of tenants, senders and dialects.

mod dialects;
mod problem;
mod tenant;
mod unique_ids;

pub use dialects::{Dialects, NinetyNine, Reasons};
pub use problem::{FieldPath, Problem, Step, unknown_plugin};
pub use tenant::{EventsConfig, Quota, SenderConfig, TenantConfig, is_http_url};
pub use unique_ids::UniqueIds;
