//! Breaks the contract in one way, which its options choose: `{"mode": "NAME"}`. For tests of the host's bounds.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::hint::black_box;

use portcullis_plugin_sdk::{
    Blacklist, Description, Direction, Directions, Entry, Outcome, Page, Part, Settings, Subject,
};

/// What it does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// `check` never ends.
    SpinInCheck,
    /// `check-many` never ends.
    SpinInCheckMany,
    /// `configure` never ends.
    SpinInConfigure,
    /// `check` calls itself until the stack is full.
    Recurse,
    /// `check` panics.
    Panic,
    /// `block` takes memory until there is no more.
    HoardMemory,
    /// `check-many` answers one byte too few.
    ShortBitmap,
    /// `check-many` answers a gigabyte, as far as its memory goes.
    HugeBitmap,
    /// `block` refuses with a text of a megabyte an entry.
    HugeRefusals,
    /// `list` begins anew with each page.
    ListGoesBackwards,
    /// `list` answers more entries than were asked for.
    ListOverflows,
    /// `list` gives a cursor for ever, and no entries.
    ListNeverEnds,
    /// `save` answers the cursor it was asked with.
    SaveNeverEnds,
    /// `count` says one less than there are.
    Miscount,
    /// Every third blocked entry is forgotten, though counted.
    ForgetEveryThird,
    /// `block` says that it takes no entry.
    RefuseEntries,
}

impl Mode {
    const ALL: [(&str, Mode); 16] = [
        ("spin-in-check", Mode::SpinInCheck),
        ("spin-in-check-many", Mode::SpinInCheckMany),
        ("spin-in-configure", Mode::SpinInConfigure),
        ("recurse", Mode::Recurse),
        ("panic", Mode::Panic),
        ("hoard-memory", Mode::HoardMemory),
        ("short-bitmap", Mode::ShortBitmap),
        ("huge-bitmap", Mode::HugeBitmap),
        ("huge-refusals", Mode::HugeRefusals),
        ("list-goes-backwards", Mode::ListGoesBackwards),
        ("list-overflows", Mode::ListOverflows),
        ("list-never-ends", Mode::ListNeverEnds),
        ("save-never-ends", Mode::SaveNeverEnds),
        ("miscount", Mode::Miscount),
        ("forget-every-third", Mode::ForgetEveryThird),
        ("refuse-entries", Mode::RefuseEntries),
    ];
}

struct Evil {
    mode: Mode,
    entries: BTreeMap<Subject, Directions>,
    blocked: u64,
    hoard: Vec<Vec<u8>>,
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Keeps nothing in linear memory, so that it is the host's stack that fills.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_mul(3) ^ depth }
}

impl Blacklist for Evil {
    fn describe() -> Description {
        let format = portcullis_plugin_sdk::Format { name: "evil".to_owned(), version: 1 };
        Description::hashed("evil", env!("CARGO_PKG_VERSION")).saving(format)
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        let chosen = settings.options.split('"').nth(3).unwrap_or_default();
        let mode = Mode::ALL.iter().find(|(name, _)| *name == chosen).map(|(_, mode)| *mode);
        let mode = mode.ok_or("the option `mode` names no way to be evil")?;
        if mode == Mode::SpinInConfigure {
            spin();
        }
        Ok(Evil { mode, entries: BTreeMap::new(), blocked: 0, hoard: Vec::new() })
    }

    fn blocks(&self, subject: Subject, direction: Direction) -> bool {
        match self.mode {
            Mode::SpinInCheck => spin(),
            Mode::Recurse => black_box(recurse(0)) > 0,
            Mode::Panic => panic!("on purpose"),
            _ => self.entries.get(&subject).is_some_and(|directions| directions.covers(direction)),
        }
    }

    fn blocks_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        let bytes = subjects.len().div_ceil(8);
        let mut bits = vec![0; bytes];
        match self.mode {
            Mode::SpinInCheckMany => spin(),
            Mode::ShortBitmap => vec![0; bytes - 1],
            Mode::HugeBitmap => vec![0; 32 << 20],
            _ => {
                for (i, &subject) in subjects.iter().enumerate() {
                    bits[i / 8] |= u8::from(self.blocks(subject, direction)) << (i % 8);
                }
                bits
            }
        }
    }

    fn block(&mut self, entry: Entry) -> Outcome {
        self.blocked += 1;
        match self.mode {
            Mode::HoardMemory => loop {
                self.hoard.push(black_box(vec![1; 1 << 20]));
            },
            Mode::HugeRefusals => Outcome::Refused("no! ".repeat(1 << 18)),
            Mode::RefuseEntries => Outcome::Refused("it takes no entries today".to_owned()),
            Mode::ForgetEveryThird if self.blocked.is_multiple_of(3) => Outcome::Changed,
            _ => {
                let directions = self.entries.entry(entry.subject).or_default();
                *directions = *directions | entry.directions;
                Outcome::Changed
            }
        }
    }

    fn unblock(&mut self, entry: Entry) -> Outcome {
        Outcome::changed_if(self.entries.remove(&entry.subject).is_some())
    }

    fn list(&self, after: Option<Subject>, limit: usize) -> Page {
        let from = |subject: Option<Subject>| {
            let from = subject.map_or(Subject::MIN, |subject| subject.next().unwrap_or(Subject::MAX));
            self.entries.range(from..).map(|(&subject, &directions)| Entry { subject, directions })
        };
        match self.mode {
            Mode::ListGoesBackwards => Page::of(from(None), limit),
            Mode::ListOverflows => Page::of(from(after), limit + 1),
            Mode::ListNeverEnds => Page { entries: Vec::new(), next: after.or(Some(Subject::MIN)) },
            _ => Page::of(from(after), limit),
        }
    }

    fn count(&self) -> u64 {
        match self.mode {
            Mode::Miscount => self.blocked - 1,
            Mode::ForgetEveryThird => self.blocked,
            _ => self.entries.len() as u64,
        }
    }

    fn save(&self, cursor: Option<u64>, _: usize) -> Part {
        Part { bytes: Vec::new(), next: cursor.or(Some(1)) }
    }
}

portcullis_plugin_sdk::export!(Evil);
