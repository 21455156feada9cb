//! What is remembered of a sender's traffic.

mod confirmations;
mod visits;

pub(crate) use confirmations::Confirmations;
pub(crate) use visits::Visits;
