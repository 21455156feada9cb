//! Blocks the people that it is told to block.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{
    Blacklist, Description, Direction, Directions, Entry, Outcome, Page, Settings, Subject,
};

#[derive(Default)]
struct List {
    entries: BTreeMap<Subject, Directions>,
}

impl Blacklist for List {
    fn describe() -> Description {
        Description::hashed(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.refuse_options().map(|()| List::default())
    }

    fn blocks(&self, subject: Subject, direction: Direction) -> bool {
        self.entries.get(&subject).is_some_and(|directions| directions.covers(direction))
    }

    fn block(&mut self, entry: Entry) -> Outcome {
        let directions = self.entries.entry(entry.subject).or_default();
        let before = *directions;
        *directions = before | entry.directions;
        Outcome::changed_if(*directions != before)
    }

    fn unblock(&mut self, entry: Entry) -> Outcome {
        let Some(directions) = self.entries.get_mut(&entry.subject) else { return Outcome::Unchanged };
        let before = *directions;
        *directions = before & !entry.directions;
        let after = *directions;
        if after.is_none() {
            self.entries.remove(&entry.subject);
        }
        Outcome::changed_if(after != before)
    }

    fn list(&self, after: Option<Subject>, limit: usize) -> Page {
        let from = after.map_or(Some(Subject::MIN), Subject::next);
        let rest = from.into_iter().flat_map(|from| self.entries.range(from..));
        Page::of(rest.map(|(&subject, &directions)| Entry { subject, directions }), limit)
    }

    fn count(&self) -> u64 {
        self.entries.len() as u64
    }
}

portcullis_plugin_sdk::export!(List);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        portcullis_plugin_sdk::conformance::check::<List>("{}");
    }
}
