//! How one message of a webhook is read.

use portcullis_engine::Identity;
use portcullis_keywords::{Intent, Keywords};

use super::object::Object;
use super::{FROM, Named, Said};

/// Who a message is from, by all that names them, and what it says.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// In their order.
    pub from: Vec<Identity>,
    /// Whether it may be from somebody else.
    pub is_doubtful: bool,
    /// What it asks for.
    pub intent: Option<Intent>,
    /// Whether it has words that can't be read.
    pub is_unreadable: bool,
}

/// Reads a message; `None` where it is no object.
pub fn read(keywords: &Keywords, message: &str) -> Option<Read> {
    let message: Object<'_> = serde_json::from_str(message).ok()?;
    let named = Named::of(&message, &FROM);
    let (intent, is_unreadable) = match super::said(keywords, &message, &super::WORDS) {
        Said::Intent { wish, .. } => (Some(wish), false),
        Said::Nothing => (None, false),
        Said::Unreadable => (None, true),
    };
    Some(Read { from: named.all().collect(), is_doubtful: named.is_doubtful, intent, is_unreadable })
}
