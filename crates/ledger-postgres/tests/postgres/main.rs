//! Tests of the store in PostgreSQL through the public interface, with a real server.

mod cluster;
#[path = "../../../ledger/tests/contract/mod.rs"]
mod contract;
mod ledger_dir;
mod nodes;
mod opening;
