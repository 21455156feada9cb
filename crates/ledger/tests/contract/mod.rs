//! What every store of ledgers must do. The tests of each store include this, and bring a `place`: where a ledger of theirs is.

mod clients;
pub(crate) mod crash;
pub(crate) mod fixture;
mod model;
mod persons;
mod tenants;
mod writing;
