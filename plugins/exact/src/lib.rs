//! The default plugin: blocks exactly the subjects that it is told to block, in the given directions.
#![forbid(unsafe_code)]

use portcullis_hashed_set::{self as hashed_set, DirectedSet, Loader, SaveCursor};
use portcullis_plugin_sdk::{
    Blacklist, Description, Direction, Entry, Format, Outcome, Page, Part, Progress, Settings, Subject,
};

/// The list, and the saved state that is being loaded, if any.
#[derive(Default)]
struct Exact {
    set: DirectedSet,
    loading: Option<Loader>,
}

impl Blacklist for Exact {
    fn describe() -> Description {
        let format = Format { name: "hashed-set".to_owned(), version: 1 };
        Description::hashed("exact", env!("CARGO_PKG_VERSION")).saving(format)
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.refuse_options()?;
        let expected = usize::try_from(settings.capacity).unwrap_or(usize::MAX);
        Ok(Exact { set: DirectedSet::expecting(expected), loading: None })
    }

    fn blocks(&self, subject: Subject, direction: Direction) -> bool {
        self.set.contains(subject, direction)
    }

    fn blocks_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        self.set.contains_many(subjects, direction)
    }

    fn block(&mut self, entry: Entry) -> Outcome {
        let before = self.set.insert(entry.subject, entry.directions);
        Outcome::changed_if(before | entry.directions != before)
    }

    fn unblock(&mut self, entry: Entry) -> Outcome {
        let before = self.set.remove(entry.subject, entry.directions);
        Outcome::changed_if(before & !entry.directions != before)
    }

    fn list(&self, after: Option<Subject>, limit: usize) -> Page {
        // One more than fits, to find out whether there is a next page.
        let found = self.set.page(after, limit + 1);
        Page::of(found.into_iter().map(|(subject, directions)| Entry { subject, directions }), limit)
    }

    fn count(&self) -> u64 {
        self.set.len() as u64
    }

    fn save(&self, cursor: Option<u64>, max_bytes: usize) -> Part {
        let cursor = cursor.map_or(SaveCursor::START, |at| {
            SaveCursor::new(at).expect("the host passes cursors that `save` returned")
        });
        let hashed_set::Part { bytes, next } = self.set.save_part(cursor, max_bytes);
        Part { bytes, next: next.map(SaveCursor::get) }
    }

    fn load(&mut self, _: Format, part: &[u8]) -> Result<Progress, String> {
        let mut loader = self.loading.take().unwrap_or_default();
        match loader.load(part).map_err(|error| error.to_string())? {
            hashed_set::Progress::More => {
                self.loading = Some(loader);
                Ok(Progress::More)
            }
            hashed_set::Progress::Complete => {
                self.set = loader.finish().map_err(|error| error.to_string())?;
                Ok(Progress::Complete)
            }
        }
    }
}

portcullis_plugin_sdk::export!(Exact);

#[cfg(test)]
mod tests {
    use super::Exact;

    #[test]
    fn keeps_the_contract() {
        portcullis_plugin_sdk::conformance::check::<Exact>("{}");
    }

    #[test]
    #[should_panic(expected = "has no options")]
    fn refuses_options() {
        portcullis_plugin_sdk::conformance::check::<Exact>(r#"{"threshold": 3}"#);
    }
}
