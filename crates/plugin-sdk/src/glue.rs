//! Conversion between the generated bindings and the trait.

use std::cell::RefCell;

use crate::bindings::exports::portcullis::blacklist::blacklist as wit;
use crate::contract::{
    Blacklist, Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings,
};
use crate::panics::keep_messages;
use portcullis_msisdn::{Direction, Directions, Subject};

/// The single list of a component. Empty until `configure` is called.
pub struct Slot<P>(RefCell<Option<P>>);

impl<P: Blacklist> Slot<P> {
    pub const fn empty() -> Self {
        Slot(RefCell::new(None))
    }

    fn with<R>(&self, call: impl FnOnce(&P) -> R) -> R {
        call(self.0.borrow().as_ref().expect("the host calls `configure` first"))
    }

    fn with_mut<R>(&self, call: impl FnOnce(&mut P) -> R) -> R {
        call(self.0.borrow_mut().as_mut().expect("the host calls `configure` first"))
    }

    pub fn describe() -> wit::Description {
        keep_messages();
        P::describe().into()
    }

    pub fn configure(&self, settings: wit::Settings) -> Result<(), String> {
        keep_messages();
        let wit::Settings { capacity, options } = settings;
        let list = P::configure(Settings { capacity, options })?;
        let replaced = self.0.borrow_mut().replace(list);
        assert!(replaced.is_none(), "`configure` was called twice");
        Ok(())
    }

    #[inline]
    pub fn check(&self, key: u64, direction: wit::Direction) -> wit::Verdict {
        if self.with(|list| list.blocks(subject(key), direction.into())) {
            wit::Verdict::Block
        } else {
            wit::Verdict::Allow
        }
    }

    pub fn check_many(&self, keys: Vec<u64>, direction: wit::Direction) -> Vec<u8> {
        let subjects = Subject::from_values(&keys).expect("the host passes subjects below 2^50");
        self.with(|list| list.blocks_many(subjects, direction.into()))
    }

    pub fn block(&self, entries: Vec<wit::Entry>) -> Vec<wit::Outcome> {
        self.with_mut(|list| entries.into_iter().map(|entry| list.block(entry.into()).into()).collect())
    }

    pub fn unblock(&self, entries: Vec<wit::Entry>) -> Vec<wit::Outcome> {
        self.with_mut(|list| entries.into_iter().map(|entry| list.unblock(entry.into()).into()).collect())
    }

    pub fn list(&self, after: Option<u64>, limit: u32) -> wit::Page {
        self.with(|list| list.list(after.map(subject), limit as usize).into())
    }

    pub fn count(&self) -> u64 {
        self.with(P::count)
    }

    pub fn save(&self, cursor: Option<u64>, max_bytes: u32) -> wit::Part {
        let Part { bytes, next } = self.with(|list| list.save(cursor, max_bytes as usize));
        wit::Part { bytes, next }
    }

    pub fn load(&self, format: wit::Format, part: &[u8]) -> Result<wit::Progress, String> {
        let wit::Format { name, version } = format;
        match self.with_mut(|list| list.load(Format { name, version }, part))? {
            Progress::More => Ok(wit::Progress::More),
            Progress::Complete => Ok(wit::Progress::Complete),
        }
    }
}

/// Implements the generated `Guest` trait for a plugin's component.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_guest {
    ($component:ty, $state:ident, $plugin:ty) => {
        use $crate::bindings::exports::portcullis::blacklist::blacklist as contract;

        impl contract::Guest for $component {
            fn describe() -> contract::Description {
                $crate::Slot::<$plugin>::describe()
            }
            fn configure(settings: contract::Settings) -> Result<(), String> {
                $state.with(|state| state.configure(settings))
            }
            fn check(subject: u64, direction: contract::Direction) -> contract::Verdict {
                $state.with(|state| state.check(subject, direction))
            }
            fn check_many(subjects: Vec<u64>, direction: contract::Direction) -> Vec<u8> {
                $state.with(|state| state.check_many(subjects, direction))
            }
            fn block(entries: Vec<contract::Entry>) -> Vec<contract::Outcome> {
                $state.with(|state| state.block(entries))
            }
            fn unblock(entries: Vec<contract::Entry>) -> Vec<contract::Outcome> {
                $state.with(|state| state.unblock(entries))
            }
            fn list(after: Option<u64>, limit: u32) -> contract::Page {
                $state.with(|state| state.list(after, limit))
            }
            fn count() -> u64 {
                $state.with(|state| state.count())
            }
            fn save(cursor: Option<u64>, max_bytes: u32) -> contract::Part {
                $state.with(|state| state.save(cursor, max_bytes))
            }
            fn load(format: contract::Format, part: Vec<u8>) -> Result<contract::Progress, String> {
                $state.with(|state| state.load(format, &part))
            }
        }
    };
}

fn subject(key: u64) -> Subject {
    Subject::new(key).expect("the host passes subjects below 2^50")
}

impl From<wit::Direction> for Direction {
    fn from(direction: wit::Direction) -> Self {
        match direction {
            wit::Direction::Inbound => Direction::Inbound,
            wit::Direction::Outbound => Direction::Outbound,
        }
    }
}

impl From<wit::Entry> for Entry {
    fn from(entry: wit::Entry) -> Self {
        Entry {
            subject: subject(entry.subject),
            directions: Directions::from_bits(entry.directions.bits())
                .expect("there are only two directions"),
        }
    }
}

impl From<Entry> for wit::Entry {
    fn from(entry: Entry) -> Self {
        wit::Entry {
            subject: entry.subject.get(),
            directions: wit::Directions::from_bits_truncate(entry.directions.bits()),
        }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Changed => wit::Outcome::Changed,
            Outcome::Unchanged => wit::Outcome::Unchanged,
            Outcome::Refused(why) => wit::Outcome::Refused(why),
        }
    }
}

impl From<Page> for wit::Page {
    fn from(page: Page) -> Self {
        wit::Page {
            entries: page.entries.into_iter().map(Into::into).collect(),
            next: page.next.map(Subject::get),
        }
    }
}

impl From<Format> for wit::Format {
    fn from(Format { name, version }: Format) -> Self {
        wit::Format { name, version }
    }
}

impl From<Description> for wit::Description {
    fn from(description: Description) -> Self {
        wit::Description {
            name: description.name,
            version: description.version,
            keyspace: match description.keyspace {
                Keyspace::Hashed => wit::Keyspace::Hashed,
                Keyspace::Clear => wit::Keyspace::Clear,
            },
            saves: description.saves.map(Into::into),
            loads: description.loads.into_iter().map(Into::into).collect(),
        }
    }
}
