//! The contract's types, as the host's callers see them.

use std::fmt;

use portcullis_msisdn::{Directions, Subject};

/// A subject and the directions that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom the entry is about.
    pub subject: Subject,
    /// The directions it covers, at least one.
    pub directions: Directions,
}

/// The answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message may pass.
    Allow,
    /// The message is blocked.
    Block,
}

/// What became of one entry of a block or unblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list was changed.
    Changed,
    /// The list was so already.
    Unchanged,
    /// The plugin does not take this entry: why, in its own words.
    Refused(String),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries: in ascending order of subject, where the plugin works on hashed subjects.
    pub entries: Vec<Entry>,
    /// What to ask for next; `None` on the last page.
    pub next: Option<Subject>,
}

/// What subjects are to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    /// Numbers under the tenant's permutation, which the plugin can't undo.
    Hashed,
    /// Numbers in clear, which the tenant must grant.
    Clear,
}

/// The format of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes.
    pub version: String,
    /// What subjects are to it.
    pub keyspace: Keyspace,
    /// The format it saves its state in, where it can.
    pub saves: Option<Format>,
    /// The formats that it loads, at most 16.
    pub loads: Vec<Format>,
}

/// What a plugin is set up with.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many entries are expected: a hint.
    pub capacity: u64,
    /// The tenant's options for the plugin: a JSON text of at most 64 KiB.
    pub options: String,
}

impl Default for Settings {
    /// No options, and no expectation.
    fn default() -> Self {
        Settings { capacity: 0, options: "{}".to_owned() }
    }
}

/// Of the options only how long they are: a plugin's rules may name numbers.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = format_args!("{} bytes", self.options.len());
        f.debug_struct("Settings").field("capacity", &self.capacity).field("options", &options).finish()
    }
}

/// A bounded part of a saved state.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Bytes in the plugin's format. They hold subjects: at rest they belong sealed.
    pub bytes: Vec<u8>,
    /// What to ask for next; `None` where this part is the last one.
    pub next: Option<u64>,
}

/// How far a state is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More parts must follow.
    More,
    /// The state is whole.
    Complete,
}
