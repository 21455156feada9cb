//! The operations on a blacklist: check, block, unblock and read. Every interface uses these.
//!
//! [`check::one`], [`check::identity`] and [`check::few`] do not block, and may be called on an async thread. The other
//! functions read or write the ledger, or wait for a plugin: call them through
//! [`http::answer::blocking`](crate::http::answer::blocking), or on a thread that may block.

pub mod check;
pub mod read;
mod refusal;
mod target;
pub mod write;

pub use refusal::{Refusal, RowError, RowProblem};
pub use target::Target;
