//! What is to hold of everything that reads untrusted bytes, whatever the bytes are.
//!
//! Each target is a function that panics where a property does not hold: what passes reads the same again, two readers agree, what
//! comes in pieces is read as the whole is. `cargo xtask fuzz` searches for bytes that break one. The tests run the corpus.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "to panic where a property does not hold is what a target is for"
)]

mod graph;
mod imports;
mod manifests;
mod numbers;
mod plugins;
mod requests;
pub mod seeds;
mod sets;
mod settings;
mod signatures;
mod state_files;
mod support;
#[allow(dead_code, unused_qualifications, reason = "shared with the tests of the gate, which use all of it")]
#[path = "../../crates/gateway/tests/upstream/mod.rs"]
mod upstream;
mod webhooks;

pub use graph::{fields, gate, graph_path, multipart, query, send_body, upload};
pub use imports::{csv, ndjson, plain};
pub use manifests::manifest;
pub use numbers::{identity, msisdn, number};
pub use plugins::{component, plugin_state};
pub use requests::{api_request, cursor, dialect_body};
pub use sets::set;
pub use settings::{config, tenant};
pub use signatures::signature;
pub use state_files::state_file;
pub use support::clean_up;
pub use webhooks::{message, partition, webhook};

/// A target: its name, which is also that of its program and its folder in `corpus`, and what it does with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("api_request", api_request),
    ("component", component),
    ("config", config),
    ("csv", csv),
    ("cursor", cursor),
    ("dialect_body", dialect_body),
    ("fields", fields),
    ("gate", gate),
    ("graph_path", graph_path),
    ("identity", identity),
    ("manifest", manifest),
    ("message", message),
    ("msisdn", msisdn),
    ("multipart", multipart),
    ("ndjson", ndjson),
    ("number", number),
    ("partition", partition),
    ("plain", plain),
    ("plugin_state", plugin_state),
    ("query", query),
    ("send_body", send_body),
    ("set", set),
    ("signature", signature),
    ("state_file", state_file),
    ("tenant", tenant),
    ("upload", upload),
    ("webhook", webhook),
];
