//! The plugin contract as a Rust trait, with types that can't represent invalid values.

use portcullis_msisdn::{Direction, Directions, Subject};

/// A blacklist plugin: the state of one blacklist, and how it answers checks.
///
/// The methods mirror the functions of the contract, except that `block` and `unblock` take one entry each, and
/// [`blocks_many`](Blacklist::blocks_many) has a default implementation. Arguments are valid according to the contract.
pub trait Blacklist: Sized + 'static {
    /// Describes the plugin. Must return the same value every time.
    fn describe() -> Description;

    /// Creates an empty list.
    ///
    /// # Errors
    ///
    /// A message for the operator if the options are invalid: which one is wrong, why, and what would be right.
    fn configure(settings: Settings) -> Result<Self, String>;

    /// Whether a message to or from `subject` in this direction is blocked.
    fn blocks(&self, subject: Subject, direction: Direction) -> bool;

    /// Checks many subjects: bit `i % 8` of byte `i / 8` says whether `subjects[i]` is blocked.
    fn blocks_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        let mut bits = vec![0; subjects.len().div_ceil(8)];
        for (i, &subject) in subjects.iter().enumerate() {
            bits[i / 8] |= u8::from(self.blocks(subject, direction)) << (i % 8);
        }
        bits
    }

    /// Adds the entry's directions to those in which its subject is blocked.
    fn block(&mut self, entry: Entry) -> Outcome;

    /// Removes the entry's directions from those in which its subject is blocked.
    fn unblock(&mut self, entry: Entry) -> Outcome;

    /// Returns at most `limit` entries with a subject greater than `after`, in ascending order of subject: see
    /// [`Page::of`].
    fn list(&self, after: Option<Subject>, limit: usize) -> Page;

    /// Returns the number of entries.
    fn count(&self) -> u64;

    /// Saves one part of the state, of at most `max_bytes`. Called only if [`Description::saves`] is set.
    fn save(&self, cursor: Option<u64>, max_bytes: usize) -> Part {
        let _ = (cursor, max_bytes);
        panic!("describe() names a format that this plugin saves, but save() is not implemented")
    }

    /// Loads one part of a saved state, in one of the formats in [`Description::loads`].
    ///
    /// # Errors
    ///
    /// A message for the operator if `save` could not have written this part. The host then drops the instance.
    fn load(&mut self, format: Format, part: &[u8]) -> Result<Progress, String> {
        let _ = (format, part);
        Err("this plugin loads no saved state".to_owned())
    }
}

/// What a plugin reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes: `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    /// What the plugin's subjects are.
    pub keyspace: Keyspace,
    /// The format that [`Blacklist::save`] writes; `None` if the plugin can't save.
    pub saves: Option<Format>,
    /// The formats that [`Blacklist::load`] reads; at most 16.
    pub loads: Vec<Format>,
}

impl Description {
    /// Describes a plugin that works on hashed subjects and does not save its state: it is always filled from the
    /// ledger.
    pub fn hashed(name: &str, version: &str) -> Self {
        Description {
            name: name.to_owned(),
            version: version.to_owned(),
            keyspace: Keyspace::Hashed,
            saves: None,
            loads: Vec::new(),
        }
    }

    /// Declares that the plugin saves and loads its state in `format`.
    #[must_use]
    pub fn saving(mut self, format: Format) -> Self {
        self.loads.push(format.clone());
        self.saves = Some(format);
        self
    }
}

/// What a plugin's subjects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    /// Phone numbers encrypted under the tenant's keyed permutation.
    Hashed,
    /// E.164 numbers in the clear, which the tenant must grant. `Msisdn::try_from(subject.get())` converts a subject to
    /// a number. Subjects of 10^15 and above are identities without a number.
    Clear,
}

/// The format of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The version. Must change whenever the bytes do.
    pub version: u32,
}

/// What a plugin instance is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The number of entries expected soon: a hint, not a limit.
    pub capacity: u64,
    /// The tenant's options: JSON text of at most 64 KiB.
    pub options: String,
}

impl Settings {
    /// Rejects any options, for a plugin that has none.
    ///
    /// # Errors
    ///
    /// If the options are not an empty JSON object.
    pub fn refuse_options(&self) -> Result<(), String> {
        let inner = self.options.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if inner.is_some_and(|inner| inner.trim().is_empty()) {
            Ok(())
        } else {
            Err("this plugin has no options: leave plugin_options out, or set it to {}".to_owned())
        }
    }
}

/// A subject and one or two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The subject that the entry is about.
    pub subject: Subject,
    /// The blocked directions; at least one.
    pub directions: Directions,
}

/// The result of blocking or unblocking one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list changed.
    Changed,
    /// The list already was in the requested state.
    Unchanged,
    /// The plugin rejects the entry, for this reason: a sentence of at most 512 bytes.
    Refused(String),
}

impl Outcome {
    /// [`Outcome::Changed`] if `changed`, else [`Outcome::Unchanged`].
    pub fn changed_if(changed: bool) -> Self {
        if changed { Outcome::Changed } else { Outcome::Unchanged }
    }
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in ascending order of subject.
    pub entries: Vec<Entry>,
    /// The cursor for the next page; `None` on the last page.
    pub next: Option<Subject>,
}

impl Page {
    /// Creates a page from the first `limit` of the remaining entries, which must be in ascending order of subject.
    pub fn of(rest: impl IntoIterator<Item = Entry>, limit: usize) -> Self {
        let mut rest = rest.into_iter();
        let entries: Vec<Entry> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(entries.last()).map(|last| last.subject);
        Page { entries, next }
    }
}

/// One part of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The bytes, at most as many as requested.
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
