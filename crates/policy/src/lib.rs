//! The rules of the plugins `policy` and `policy-numbers`, which are this library with and without a person's number.
//!
//! [`docs/policy.md`](https://github.com/portcullis-gate/portcullis/blob/main/docs/policy.md) describes the options.
#![forbid(unsafe_code)]

mod countries;
mod json;
mod metered;
mod options;
mod policy;
mod prefixes;
mod reason;

pub use policy::Policy;
pub use reason::Reason;

/// The JSON Schema of the options. Those about prefixes are for `policy-numbers` alone.
pub const SCHEMA: &str = include_str!("schema.json");
