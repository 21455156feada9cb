//! Blocks phone numbers by prefix rules, in addition to exact entries.
//!
//! Works on numbers in the clear, which the tenant must grant. The rules are configured in the options:
//!
//! ```json
//! {"block": ["417152", "+4121560####"], "allow": ["41715209999"], "directions": ["inbound"]}
//! ```
//!
//! * `block` and `allow` are lists of rules. A rule is a prefix of numbers, starting with the country code, with or
//!   without a `+`. It applies to all numbers with that prefix, including the prefix itself. If `#` placeholders
//!   follow, as in lists of telemarketers, each stands for one digit, and the rule applies only to numbers of exactly
//!   that length. A rule has 1 to 15 digits and placeholders, of which the first must be a digit other than 0.
//! * If several rules apply to a number, the one with the most digits decides; of two with the same digits, the one
//!   with placeholders. If no rule applies, the number is not blocked. The same rule in both `block` and `allow` is
//!   rejected as a contradiction. Duplicates within a list are harmless.
//! * `directions` are the messages that the rules block: `inbound`, `outbound`, or both (the default).
//!
//! The options are limited to 64 KiB, as for all plugins: room for about 4,000 rules of 13 digits. The number of rules
//! is not limited otherwise.
//!
//! Entries take precedence over rules: a number with an entry is blocked in the entry's directions even if an `allow`
//! rule applies, because the operator must not override an opt-out. When the entry is unblocked, the rules apply again.
//! Lists, counts and saved states contain only entries. Identities without a number can be entries, but no rule applies
//! to them.
//!
//! A check costs at most fifteen lookups in the rules, one per prefix length in use, and one in the entries.
#![forbid(unsafe_code)]

mod entries;
mod json;
mod options;
mod rule;
mod rules;
mod saved;

use portcullis_plugin_sdk::{
    Blacklist, Description, Direction, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings,
    Subject,
};

use crate::entries::Entries;
use crate::rules::Rules;

/// The rules, the entries, and the progress of loading a saved state.
struct Prefix {
    rules: Rules,
    entries: Entries,
    /// The first subject of the next part's range.
    loaded: u64,
}

impl Blacklist for Prefix {
    fn describe() -> Description {
        let format = Format { name: "prefix-entries".to_owned(), version: 1 };
        let description = Description::hashed("prefix", env!("CARGO_PKG_VERSION")).saving(format);
        Description { keyspace: Keyspace::Clear, ..description }
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        let rules = options::parse(&settings.options).map_err(|error| error.to_string())?;
        Ok(Prefix { rules, entries: Entries::default(), loaded: 0 })
    }

    fn blocks(&self, subject: Subject, direction: Direction) -> bool {
        self.entries.directions(subject).covers(direction) || self.rules.block(subject.get(), direction)
    }

    fn block(&mut self, entry: Entry) -> Outcome {
        let before = self.entries.insert(entry);
        Outcome::changed_if(before | entry.directions != before)
    }

    fn unblock(&mut self, entry: Entry) -> Outcome {
        let before = self.entries.remove(entry);
        Outcome::changed_if(before & !entry.directions != before)
    }

    fn list(&self, after: Option<Subject>, limit: usize) -> Page {
        let first = after.map_or(0, |after| after.get() + 1);
        Page::of(self.entries.from(first), limit)
    }

    fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    fn save(&self, cursor: Option<u64>, max_bytes: usize) -> Part {
        saved::save_part(&self.entries, cursor, max_bytes)
    }

    fn load(&mut self, _: Format, part: &[u8]) -> Result<Progress, String> {
        match saved::load_part(&mut self.entries, self.loaded, part).map_err(|error| error.to_string())? {
            Some(next) => {
                self.loaded = next;
                Ok(Progress::More)
            }
            None => {
                // No part begins here, so further parts are rejected.
                self.loaded = u64::MAX;
                Ok(Progress::Complete)
            }
        }
    }
}

portcullis_plugin_sdk::export!(Prefix);

#[cfg(test)]
mod tests;
