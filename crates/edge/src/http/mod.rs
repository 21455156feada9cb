//! Reading, answering and logging of HTTP requests, for all interfaces.

pub mod answer;
mod app_state;
pub mod auth;
mod bearer;
pub mod body;
mod buffer;
pub mod error;
pub mod peer;
pub mod position;
pub mod request_log;
pub mod route;
pub mod unread;

pub use app_state::{AppState, Phase};
pub use bearer::{bearer, token_of};
pub use error::{ApiError, log_ledger_error};
pub use portcullis_openapi as openapi;
