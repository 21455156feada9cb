//! Validated settings of tenants, senders, dialects and limits.

mod dialects;
mod limits;
mod problem;
mod tenant;
mod unique_ids;

pub use dialects::{Dialects, NinetyNine, Reasons};
pub use limits::Limits;
pub use problem::{FieldPath, Problem, Step, unknown_plugin};
pub use tenant::{EventsConfig, Quota, SenderConfig, TenantConfig, is_http_url};
pub use unique_ids::UniqueIds;
