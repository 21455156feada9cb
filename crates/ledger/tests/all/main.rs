//! The ledger through its public interface, on real files.

mod at_rest;
mod clients;
mod crash;
mod fixture;
mod model;
mod opening;
mod persons;
mod tenants;
mod writing;
