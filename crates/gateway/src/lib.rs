//! The portcullis gateway: blacklists for message senders behind HTTP, and the command line for it.
//!
//! From the outside in: [`cli`] is the program, [`serve`] runs a gateway; inside it `http` renders the core's doings (`core`)
//! as the native API. A `tenant` has a `gate` for each of its blacklists: the ledger's record and the plugin that answers
//! from it. The `registry` finds tenants; the `gateway` starts and changes them; `reload` exchanges their plugins.
#![forbid(unsafe_code)]

pub mod cli;
mod config;
mod core;
mod dialects;
mod gate;
mod gateway;
mod hex;
mod http;
mod identity;
mod log;
mod metrics;
mod number;
mod registry;
mod requested;
pub mod serve;
mod tenant;
mod token;
mod traffic;
mod visits;
mod wording;
