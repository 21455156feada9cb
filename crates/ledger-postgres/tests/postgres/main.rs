//! Tests of the store in PostgreSQL through the public interface, with a real server.

mod authors;
mod clock;
#[allow(dead_code, reason = "tests of the gateways, and benchmarks, use more of it")]
mod cluster;
#[path = "../../../ledger/tests/contract/mod.rs"]
mod contract;
mod deliveries;
mod failover;
mod fleet;
mod history;
mod ids;
mod imports;
mod leases;
mod ledger_dir;
mod nodes;
mod older;
mod opening;
mod progress;
mod rotation;
mod settings;
mod upgrade;
mod uploads;
