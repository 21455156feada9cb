#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod identity;
mod known;
mod ledger_source;
mod parts;
mod verified_state;

pub use identity::{Identity, USER_PREFIX};
pub use known::Known;
pub use ledger_source::LedgerSource;
pub use verified_state::VerifiedState;
