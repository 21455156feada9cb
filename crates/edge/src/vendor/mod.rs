//! Requests of vendors' clients: what the dialects share, and what Meta's dialect shares with the proxy of the Graph API.

pub mod call;
pub mod fault;
pub mod graph;
pub mod text;
