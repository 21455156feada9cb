#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod known;
mod ledger_source;
mod parts;
mod verified_state;

pub use known::Known;
pub use ledger_source::LedgerSource;
pub use verified_state::VerifiedState;
