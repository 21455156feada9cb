//! The types of the plugin contract, as callers of the host see them.

use std::fmt;

use portcullis_msisdn::{Directions, Subject};

/// A blacklist entry: a subject and the directions it is blocked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The subject that the entry is about.
    pub subject: Subject,
    /// The blocked directions; at least one.
    pub directions: Directions,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message may pass.
    Allow,
    /// The message is blocked.
    Block,
}

/// The result of blocking or unblocking one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list changed.
    Changed,
    /// The list already was in the requested state.
    Unchanged,
    /// The plugin rejected the entry, for this reason in its own words.
    Refused(String),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries, in ascending order of the plugin's own keys: of subject, for a plugin in the hashed keyspace.
    pub entries: Vec<Entry>,
    /// The cursor for the next page; `None` on the last page.
    pub next: Option<Subject>,
}

/// What a plugin's subjects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    /// Phone numbers encrypted under the tenant's permutation, which the plugin can't reverse.
    Hashed,
    /// Phone numbers in the clear. The tenant must grant them.
    Clear,
}

/// The format of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format's name.
    pub name: String,
    /// The format's version.
    pub version: u32,
}

/// What a plugin reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes.
    pub version: String,
    /// What the plugin's subjects are.
    pub keyspace: Keyspace,
    /// The format in which the plugin saves its state; `None` if it can't.
    pub saves: Option<Format>,
    /// The formats that the plugin can load; at most 16.
    pub loads: Vec<Format>,
}

/// What a plugin instance is configured with.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The expected number of entries: a hint.
    pub capacity: u64,
    /// The tenant's options for the plugin: JSON text of at most 64 KiB.
    pub options: String,
}

impl Default for Settings {
    /// No options, and no capacity hint.
    fn default() -> Self {
        Settings { capacity: 0, options: "{}".to_owned() }
    }
}

/// Shows only the length of the options: a plugin's rules may contain phone numbers.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = format_args!("{} bytes", self.options.len());
        f.debug_struct("Settings").field("capacity", &self.capacity).field("options", &options).finish()
    }
}

/// One part of a saved state.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Bytes in the plugin's format. They contain subjects, so encrypt them at rest.
    pub bytes: Vec<u8>,
    /// The cursor for the next part; `None` on the last part.
    pub next: Option<u64>,
}

/// How much of a state has been loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The plugin expects more parts.
    More,
    /// The state is complete.
    Complete,
}
