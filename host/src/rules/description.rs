//! What a rules plugin reports about itself.

use super::message::names;
use super::set::{Element, Set};
use std::fmt;
use std::str::FromStr;

names! {
    /// Something that a rules plugin must know about messages, and that a tenant grants by name.
    Need: "grant" {
        /// Phone numbers in the clear.
        Number = "number",
        /// The country of the person's number.
        Country = "country",
        /// The offsets from UTC that the person's clock may have.
        LocalTime = "local-time",
        /// Who sends for the business.
        Sender = "sender",
        /// Whether the person is on the list that the tenant names beside the rule.
        Listed = "listed",
    }
}

/// A set of needs.
pub type Needs = Set<Need>;

/// What a rules plugin reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes.
    pub version: String,
    /// What it must know.
    pub needs: Needs,
    /// The names of the reasons for which it stops messages: 1 to 64 different ones, each like `name`.
    pub reasons: Vec<String>,
    /// The JSON Schema of its options: JSON of at most 64 KiB.
    pub options_schema: Option<String>,
}
