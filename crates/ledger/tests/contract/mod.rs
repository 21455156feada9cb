//! Tests that every store must pass. The tests of a store include this module and provide `ledger_dir`, which creates ledgers in that store.

mod clients;
pub(crate) mod crash;
mod deliveries;
pub(crate) mod fixture;
mod model;
mod persons;
mod tenants;
mod writing;
