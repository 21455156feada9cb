//! Validated settings of tenants, senders, dialects and limits.

mod compared;
mod dialects;
mod limits;
mod problem;
mod tenant;
mod tokens;
mod trusted_keys;
mod unique_ids;
mod url;

pub use dialects::{Dialects, NinetyNine, Reasons};
pub use limits::Limits;
pub use problem::{FieldPath, Problem, Step, plugins_of, unknown_plugin};
pub use tenant::{EventsConfig, SenderConfig, TenantConfig};
pub(crate) use tokens::problem_of;
pub use tokens::{admin_tokens, too_many_tokens};
pub use trusted_keys::trusted_keys;
pub use unique_ids::UniqueIds;
pub use url::{is_http_url, is_open as is_open_hop};
