//! The contract as a Rust trait, over types that can't be wrong.

use portcullis_msisdn::{Direction, Directions, Subject};

/// A blacklist plugin: the state of one blacklist, and the rule that answers for it.
///
/// The methods mirror the functions of the contract, but `block` and `unblock` take one entry each, and
/// [`blocks_many`](Blacklist::blocks_many) has a default. The arguments are as the contract guarantees them.
pub trait Blacklist: Sized + 'static {
    /// What this plugin is and can do. The same at each call.
    fn describe() -> Description;

    /// Makes the empty list.
    ///
    /// # Errors
    ///
    /// A sentence for a person, where the options are wrong: which one, what is wrong, what would be right.
    fn configure(settings: Settings) -> Result<Self, String>;

    /// Whether a message of `subject` in `direction` is blocked.
    fn blocks(&self, subject: Subject, direction: Direction) -> bool;

    /// The same for many subjects: bit `i % 8` of byte `i / 8` says whether `subjects[i]` is blocked.
    fn blocks_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        let mut bits = vec![0; subjects.len().div_ceil(8)];
        for (i, &subject) in subjects.iter().enumerate() {
            bits[i / 8] |= u8::from(self.blocks(subject, direction)) << (i % 8);
        }
        bits
    }

    /// Adds the entry's directions to what its subject is blocked in.
    fn block(&mut self, entry: Entry) -> Outcome;

    /// Takes the entry's directions away from what its subject is blocked in.
    fn unblock(&mut self, entry: Entry) -> Outcome;

    /// At most `limit` entries with a subject above `after`, in ascending order of subject: see [`Page::of`].
    fn list(&self, after: Option<Subject>, limit: usize) -> Page;

    /// The number of entries.
    fn count(&self) -> u64;

    /// One part, at most `max_bytes` long, of the state. Called only where [`Description::saves`] is given.
    fn save(&self, cursor: Option<u64>, max_bytes: usize) -> Part {
        let _ = (cursor, max_bytes);
        panic!("describe() names a format that this plugin saves, so it has to implement save() too")
    }

    /// Takes one part of a saved state, in a format of [`Description::loads`].
    ///
    /// # Errors
    ///
    /// A sentence for a person, where `save` could not have written this part. The instance is then thrown away.
    fn load(&mut self, format: Format, part: &[u8]) -> Result<Progress, String> {
        let _ = (format, part);
        Err("this plugin loads no saved state".to_owned())
    }
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// The plugin's own version, at most 64 bytes: `env!("CARGO_PKG_VERSION")`.
    pub version: String,
    /// What subjects are to this plugin.
    pub keyspace: Keyspace,
    /// The format that [`Blacklist::save`] writes, where it can save.
    pub saves: Option<Format>,
    /// The formats that [`Blacklist::load`] reads, at most 16.
    pub loads: Vec<Format>,
}

impl Description {
    /// A plugin that works on hashed subjects and saves nothing: it is filled from the ledger.
    pub fn hashed(name: &str, version: &str) -> Self {
        Description {
            name: name.to_owned(),
            version: version.to_owned(),
            keyspace: Keyspace::Hashed,
            saves: None,
            loads: Vec::new(),
        }
    }

    /// The same plugin, which saves and loads its state in `format`.
    #[must_use]
    pub fn saving(mut self, format: Format) -> Self {
        self.loads.push(format.clone());
        self.saves = Some(format);
        self
    }
}

/// What subjects are to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    /// Numbers under the tenant's keyed permutation.
    Hashed,
    /// E.164 numbers in clear, which the tenant must grant: `Msisdn::try_from(subject.get())` gives the number, and
    /// subjects from 10^15 up stand for identities that are not numbers.
    Clear,
}

/// The format of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// 1 to 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// Never reused for other bytes.
    pub version: u32,
}

/// What a plugin is set up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many entries are expected soon: a hint, not a limit.
    pub capacity: u64,
    /// The tenant's options: a JSON text of at most 64 KiB.
    pub options: String,
}

impl Settings {
    /// For a plugin without options.
    ///
    /// # Errors
    ///
    /// Where the options are anything but an empty JSON object.
    pub fn refuse_options(&self) -> Result<(), String> {
        let inner = self.options.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if inner.is_some_and(|inner| inner.trim().is_empty()) {
            Ok(())
        } else {
            Err("this plugin has no options: leave plugin_options out, or set it to {}".to_owned())
        }
    }
}

/// A subject and the directions that are meant, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom the entry is about.
    pub subject: Subject,
    /// The directions that it covers.
    pub directions: Directions,
}

/// What became of one entry of a block or unblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list was changed.
    Changed,
    /// The list was so already.
    Unchanged,
    /// The plugin does not take this entry: why, in one sentence of at most 512 bytes.
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
    /// In ascending order of subject.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Subject>,
}

impl Page {
    /// The first `limit` of the entries that are left, which come in ascending order of subject.
    pub fn of(rest: impl IntoIterator<Item = Entry>, limit: usize) -> Self {
        let mut rest = rest.into_iter();
        let entries: Vec<Entry> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(entries.last()).map(|last| last.subject);
        Page { entries, next }
    }
}

/// A bounded part of a saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// At most as long as was asked for.
    pub bytes: Vec<u8>,
    /// Where the next part starts; `None` where this is the last one.
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
