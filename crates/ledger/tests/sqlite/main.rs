//! Tests of the SQLite store through the public interface, with real files.

mod at_rest;
#[path = "../contract/mod.rs"]
mod contract;
mod damage;
mod deliveries;
mod first_start;
mod ledger_dir;
mod loss;
mod opening;
mod rotation;
mod torn;
