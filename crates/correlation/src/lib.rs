//! What requests that belong together have in common, so that they are found in the logs and traces of several programs.
#![forbid(unsafe_code)]

mod correlation;
mod request_id;
mod trace_context;

pub use correlation::{Correlation, PassedOn};
pub use request_id::{REQUEST_ID, RequestId};
pub use trace_context::{TRACE_PARENT, TRACE_STATE, TraceContext, TraceId};
