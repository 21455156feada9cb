//! Blocks nobody: the smallest plugin there can be, and the measure of what a call costs by itself.
#![forbid(unsafe_code)]
use portcullis_plugin_sdk::{Blacklist, Description, Direction, Entry, Outcome, Page, Settings, Subject};

struct Trivial;
impl Blacklist for Trivial {
    fn describe() -> Description {
        Description::hashed("trivial", env!("CARGO_PKG_VERSION"))
    }
    fn configure(settings: Settings) -> Result<Self, String> {
        settings.refuse_options().map(|()| Trivial)
    }
    fn blocks(&self, _: Subject, _: Direction) -> bool {
        false
    }
    fn block(&mut self, _: Entry) -> Outcome {
        Outcome::Refused("the trivial plugin blocks nobody".to_owned())
    }
    fn unblock(&mut self, _: Entry) -> Outcome {
        Outcome::Unchanged
    }
    fn list(&self, _: Option<Subject>, _: usize) -> Page {
        Page::default()
    }
    fn count(&self) -> u64 {
        0
    }
}
portcullis_plugin_sdk::export!(Trivial);
