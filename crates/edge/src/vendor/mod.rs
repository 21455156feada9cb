//! Requests of vendors' clients: what the dialects have in common, and what the Graph API's dialect shares with the proxy of it.

pub mod call;
pub mod fault;
pub mod graph;
pub mod text;
