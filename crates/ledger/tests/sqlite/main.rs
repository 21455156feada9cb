//! The ledger in an SQLite file, through its public interface, on real files.

mod at_rest;
#[path = "../contract/mod.rs"]
mod contract;
mod opening;
mod place;
mod torn;
