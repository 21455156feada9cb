//! Tests of the gateway binary over HTTP.

mod admin;
mod checks;
mod configuration;
mod dialects;
mod documentation;
mod doors;
mod entries;
mod exchange;
mod expiry;
mod faults;
mod hang_up;
mod history;
mod holds;
mod limits;
mod refusals;
mod restarts;
mod resting;
mod secrecy;
mod shutdown;
mod support;
mod tenants;
mod tools;
mod traffic;
