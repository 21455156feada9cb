//! Requests of vendors' clients: what the dialects have in common, and what the Graph API's dialect shares with the proxy of it.

pub mod call;
pub mod fault;
pub mod graph;
mod settings;
pub mod text;

pub use settings::{Dialects, NinetyNine, Reasons, check};
