//! Moves real ledgers between files and databases of a real server. Without PostgreSQL's programs, they say so and end.

#[path = "../../../ledger-postgres/tests/postgres/cluster.rs"]
#[allow(dead_code, reason = "the tests of the ledger use more of it")]
mod cluster;
/// The ledger's own tests, whose ledgers move to the other store whenever they are opened again.
#[path = "../../../ledger/tests/contract"]
mod contract {
    #[allow(dead_code, reason = "the tests of the ledger use more of it")]
    pub(crate) mod fixture;
    mod model;
    mod persons;
    mod tenants;
}
mod arrival;
mod interruption;
mod ledger_dir;
mod refusal;
