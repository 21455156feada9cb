//! Conversion of plugin results from the generated types to the host's own, with validation.

use portcullis_msisdn::{Direction, Directions};

use crate::bindings::list::exports::portcullis::blacklist::blacklist as wit;
use crate::call_error::CallError;
use crate::contract::{Description, Format, Keyspace, Outcome};
use crate::foreign_text::{ForeignText, is_obeyed};

/// A way in which a plugin's result violates the contract.
#[derive(Debug)]
pub(crate) struct Breach(pub(crate) String);

impl Breach {
    pub(crate) fn of(self, call: &'static str) -> CallError {
        CallError::Broken { call, breach: self.0 }
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

pub(crate) fn is_version(text: &str) -> bool {
    text.len() <= 64 && !text.contains(is_obeyed)
}

impl Description {
    pub(crate) fn from_answer(answer: wit::Description) -> Result<Self, Breach> {
        let wit::Description { name, version, keyspace, saves, loads } = answer;
        let formats_are_named = saves.iter().chain(&loads).all(|format| is_name(&format.name));
        if !is_name(&name) || !formats_are_named {
            return Err(Breach(
                "returned a name that is not 1 to 64 characters of a-z, 0-9 and -".to_owned(),
            ));
        }
        if !is_version(&version) {
            return Err(Breach(
                "returned a version that is longer than 64 bytes or has control or invisible characters"
                    .to_owned(),
            ));
        }
        if loads.len() > 16 {
            return Err(Breach(format!("returned {} loadable formats; the limit is 16", loads.len())));
        }
        let keyspace = match keyspace {
            wit::Keyspace::Hashed => Keyspace::Hashed,
            wit::Keyspace::Clear => Keyspace::Clear,
        };
        let format = |wit::Format { name, version }| Format { name, version };
        Ok(Description {
            name,
            version,
            keyspace,
            saves: saves.map(format),
            loads: loads.into_iter().map(format).collect(),
        })
    }
}

impl From<wit::Outcome> for Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        match outcome {
            wit::Outcome::Changed => Outcome::Changed,
            wit::Outcome::Unchanged => Outcome::Unchanged,
            wit::Outcome::Refused(why) => Outcome::Refused(ForeignText(&why).within(512)),
        }
    }
}

impl From<Direction> for wit::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => wit::Direction::Inbound,
            Direction::Outbound => wit::Direction::Outbound,
        }
    }
}

impl From<Directions> for wit::Directions {
    fn from(directions: Directions) -> Self {
        directions.iter().fold(wit::Directions::empty(), |all, one| {
            all | match one {
                Direction::Inbound => wit::Directions::INBOUND,
                Direction::Outbound => wit::Directions::OUTBOUND,
            }
        })
    }
}

impl From<wit::Directions> for Directions {
    fn from(directions: wit::Directions) -> Self {
        let mut all = Directions::NONE;
        if directions.contains(wit::Directions::INBOUND) {
            all = all | Directions::INBOUND;
        }
        if directions.contains(wit::Directions::OUTBOUND) {
            all = all | Directions::OUTBOUND;
        }
        all
    }
}
