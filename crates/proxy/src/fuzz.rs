//! Entry points for `fuzz/`, which can't reach what is private here. They are not part of this crate's interface.

pub use crate::message::fuzz as message;
pub use crate::outbound::fuzz as outbound;
pub use crate::webhook::fuzz as webhook;
