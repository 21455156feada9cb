//! Blocks numbers by how they begin, besides the single ones it is told to block.
//!
//! It works on numbers in clear, which the tenant must grant. What it blocks by itself, its options say:
//!
//! ```json
//! {"block": ["417152", "+4121560####"], "allow": ["41715209999"], "directions": ["inbound"]}
//! ```
//!
//! * `block` and `allow` are rules. A rule is the digits that numbers begin with, country code first, with or without a
//!   `+`: it holds for all numbers that begin so, the one that is no longer than the rule among them. Where `#` follow, as
//!   in lists of telemarketers, each stands for one more digit, and the rule holds for numbers of exactly that length. A
//!   rule has 1 to 15 places, the first of them a digit other than 0.
//! * Of the rules that hold for a number the one with the most digits decides; of two with the same digits the one with
//!   `#`. Where none holds, the number is not blocked. The same rule in `block` and in `allow` is a contradiction and
//!   refused; twice in one list it does no harm.
//! * `directions` is which messages the rules block: `inbound`, `outbound`, or both, as where it is left out.
//!
//! The options are at most 64 KiB, as all plugins' are, which is room for about 4,000 rules of 13 places. There is no
//! other limit to their number.
//!
//! An entry is stronger than every rule: a number that was blocked by itself is blocked in the directions that were
//! said, also where an `allow` rule holds for it, for an opt-out is not the operator's to override. Once it is unblocked
//! the rules decide again. Lists, counts and saved states are of entries alone. Identities that are not numbers can
//! be entries; no rule holds for them.
//!
//! A check costs at most fifteen looks into the rules, one for each length that a rule has, and one into the entries.
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

/// The rules, the entries, and how far a saved state is loaded.
struct Prefix {
    rules: Rules,
    entries: Entries,
    /// The first subject that the next part of a saved state covers.
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
                // No part covers this: none follows the last.
                self.loaded = u64::MAX;
                Ok(Progress::Complete)
            }
        }
    }
}

portcullis_plugin_sdk::export!(Prefix);

#[cfg(test)]
mod tests;
