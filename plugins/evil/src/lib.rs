//! Violates the contract in one way, chosen by its options: `{"mode": "NAME"}`. For tests of the host's limits.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::black_box;

use portcullis_plugin_sdk::{
    Blacklist, Description, Direction, Directions, Entry, Format, Outcome, Page, Part, Progress, Settings,
    Subject,
};

/// Generates the modes and the table of their names from the list in `modes.rs`.
macro_rules! modes {
    ($($(#[doc = $doc:literal])+ $name:literal => $mode:ident,)+) => {
        /// What the plugin does wrong.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Mode {
            $($(#[doc = $doc])+ $mode,)+
        }

        impl Mode {
            const ALL: &[(&str, Mode)] = &[$(($name, Mode::$mode),)+];
        }
    };
}

include!("modes.rs");

struct Evil {
    mode: Mode,
    entries: BTreeMap<Subject, Directions>,
    blocked: u64,
    checks: Cell<u64>,
    /// The subject of the last check.
    last: Cell<Option<Subject>>,
    /// How often each subject was checked.
    asked: RefCell<BTreeMap<Subject, u32>>,
    hoard: RefCell<Vec<Vec<u8>>>,
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Computes for about as many nanoseconds.
fn compute(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

/// Uses no linear memory, so that it exhausts the host's stack.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_mul(3) ^ depth }
}

impl Evil {
    fn has(&self, subject: Subject, direction: Direction) -> bool {
        self.entries.get(&subject).is_some_and(|directions| directions.covers(direction))
    }

    /// Whether it has answered so many checks that it begins to lie, or to leak.
    fn has_turned(&self) -> bool {
        self.checks.get() >= 20_000
    }

    fn add(&mut self, entry: Entry) -> Outcome {
        let directions = self.entries.entry(entry.subject).or_default();
        let before = *directions;
        *directions = before | entry.directions;
        Outcome::changed_if(*directions != before)
    }
}

impl Blacklist for Evil {
    fn describe() -> Description {
        let format = Format { name: "evil".to_owned(), version: 1 };
        Description::hashed("evil", env!("CARGO_PKG_VERSION")).saving(format)
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        let chosen = settings.options.split('"').nth(3).unwrap_or_default();
        let mode = Mode::ALL.iter().find(|(name, _)| *name == chosen).map(|(_, mode)| *mode);
        let mode = mode.ok_or("the option `mode` is not the name of a mode")?;
        match mode {
            Mode::SpinInConfigure => spin(),
            Mode::RefuseLongLists if settings.capacity > 100 => {
                return Err("it takes no lists of more than 100 entries".to_owned());
            }
            _ => {}
        }
        let hoard = match mode {
            Mode::Fat => vec![black_box(Vec::with_capacity(40 << 20))],
            _ => Vec::new(),
        };
        Ok(Evil {
            mode,
            entries: BTreeMap::new(),
            blocked: 0,
            checks: Cell::new(0),
            last: Cell::new(None),
            asked: RefCell::default(),
            hoard: RefCell::new(hoard),
        })
    }

    fn blocks(&self, subject: Subject, direction: Direction) -> bool {
        self.checks.set(self.checks.get() + 1);
        match self.mode {
            Mode::SpinInCheck => spin(),
            Mode::Recurse => black_box(recurse(0)) > 0,
            Mode::Panic => panic!("on purpose\nfor +46 73-200 11 22"),
            Mode::PanicLater if self.checks.get() >= 2000 => panic!("on purpose"),
            Mode::SlowToRecover if self.checks.get() >= 4000 => panic!("on purpose"),
            Mode::Leak => {
                self.hoard.borrow_mut().push(black_box(vec![1; 1 << 20]));
                false
            }
            Mode::LeakUntilFull => {
                let mut leaked = Vec::new();
                let mut hoard = self.hoard.borrow_mut();
                if hoard.try_reserve(1).is_ok() && leaked.try_reserve_exact(1 << 20).is_ok() {
                    leaked.resize(1 << 20, 1);
                    hoard.push(black_box(leaked));
                }
                self.has(subject, direction)
            }
            Mode::LeakLater if self.has_turned() => {
                self.hoard.borrow_mut().push(black_box(vec![1; 1 << 20]));
                self.has(subject, direction)
            }
            Mode::FillMemory => {
                let mut hoard = self.hoard.borrow_mut();
                if hoard.is_empty() {
                    hoard.push(vec![0; 256 << 20]);
                }
                hoard[0].fill(black_box(1));
                false
            }
            Mode::SlowCheck => {
                compute(10_000_000);
                self.has(subject, direction)
            }
            Mode::LieLater if self.has_turned() => false,
            Mode::LieUnlessAskedTwice => {
                let is_asked_twice = self.last.replace(Some(subject)) == Some(subject);
                let lies = self.has_turned() && direction == Direction::Outbound && !is_asked_twice;
                !lies && self.has(subject, direction)
            }
            Mode::LieToRegulars => {
                let mut asked = self.asked.borrow_mut();
                let times = asked.entry(subject).or_default();
                *times += 1;
                *times <= 100 && self.has(subject, direction)
            }
            Mode::BlockStrangers if subject.get().is_multiple_of(7) => true,
            _ => self.has(subject, direction),
        }
    }

    fn blocks_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        let bytes = subjects.len().div_ceil(8);
        let mut bits = vec![0; bytes];
        match self.mode {
            Mode::SpinInCheckMany => spin(),
            Mode::ShortBitmap => vec![0; bytes - 1],
            Mode::HugeBitmap => vec![0; 32 << 20],
            Mode::SlowCheck => {
                compute(10_000_000);
                for (i, &subject) in subjects.iter().enumerate() {
                    bits[i / 8] |= u8::from(self.has(subject, direction)) << (i % 8);
                }
                bits
            }
            Mode::LieInBatches if self.has_turned() => bits,
            Mode::BlockStrangersInBatches if self.has_turned() => vec![u8::MAX; bytes],
            Mode::DisagreeInBatch => {
                for (i, &subject) in subjects.iter().enumerate() {
                    bits[i / 8] |= u8::from(!self.blocks(subject, direction)) << (i % 8);
                }
                bits
            }
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
            Mode::SpinInBlock => spin(),
            Mode::PanicInBlock => panic!("on purpose"),
            Mode::HoardMemory => loop {
                self.hoard.get_mut().push(black_box(vec![1; 1 << 20]));
            },
            Mode::HugeRefusals => Outcome::Refused("no! ".repeat(1 << 18)),
            Mode::RefuseEntries => Outcome::Refused("it takes no entries today".to_owned()),
            Mode::SlowBlock | Mode::SlowToRecover => {
                compute(2_000_000);
                self.add(entry)
            }
            Mode::LeakInBlock => {
                self.hoard.get_mut().push(black_box(vec![1; 1 << 20]));
                self.add(entry)
            }
            Mode::ForgetEveryThird if self.blocked.is_multiple_of(3) => Outcome::Changed,
            _ => self.add(entry),
        }
    }

    fn unblock(&mut self, entry: Entry) -> Outcome {
        match self.mode {
            Mode::SpinInUnblock => spin(),
            Mode::ForgetUnblocks => return Outcome::Changed,
            _ => {}
        }
        let Some(&before) = self.entries.get(&entry.subject) else { return Outcome::Unchanged };
        let left = before & !entry.directions;
        if left.is_none() {
            self.entries.remove(&entry.subject)
        } else {
            self.entries.insert(entry.subject, left)
        };
        Outcome::changed_if(left != before)
    }

    fn list(&self, after: Option<Subject>, limit: usize) -> Page {
        let from = |subject: Option<Subject>| {
            let from = subject.map_or(Subject::MIN, |subject| subject.next().unwrap_or(Subject::MAX));
            self.entries.range(from..).map(|(&subject, &directions)| Entry { subject, directions })
        };
        match self.mode {
            Mode::SpinInList => spin(),
            Mode::ListGoesBackwards => Page::of(from(None), limit),
            Mode::ListOverflows => Page::of(from(after), limit + 1),
            Mode::ListNeverEnds => Page { entries: Vec::new(), next: after.or(Some(Subject::MIN)) },
            Mode::ListForgets => {
                Page::of(from(after).filter(|entry| !entry.subject.get().is_multiple_of(5)), limit)
            }
            Mode::ListInvents => {
                let invented = Entry { subject: Subject::MAX, directions: Directions::BOTH };
                let invented = Some(invented).filter(|entry| after < Some(entry.subject));
                Page::of(from(after).chain(invented), limit)
            }
            Mode::ListHalves => {
                let half = |entry: Entry| Entry { directions: Directions::INBOUND, ..entry };
                Page::of(from(after).map(half), limit)
            }
            _ => Page::of(from(after), limit),
        }
    }

    fn count(&self) -> u64 {
        match self.mode {
            Mode::SpinInCount => spin(),
            Mode::SaveFloods => 1 << 58,
            Mode::Miscount => self.blocked.saturating_sub(1),
            Mode::ForgetEveryThird => self.blocked,
            _ => self.entries.len() as u64,
        }
    }

    fn save(&self, cursor: Option<u64>, max_bytes: usize) -> Part {
        match self.mode {
            Mode::SpinInSave => spin(),
            Mode::SaveNeverEnds => Part { bytes: Vec::new(), next: cursor.or(Some(1)) },
            Mode::SaveCreeps => Part { bytes: vec![0], next: Some(cursor.unwrap_or(0) + 1) },
            Mode::SaveFloods => Part { bytes: vec![0; max_bytes], next: Some(cursor.unwrap_or(0) + 1) },
            Mode::HugePart => Part { bytes: vec![0; max_bytes + 1], next: None },
            _ => Part { bytes: vec![0], next: None },
        }
    }

    fn load(&mut self, _: Format, _: &[u8]) -> Result<Progress, String> {
        match self.mode {
            Mode::SpinInLoad => spin(),
            Mode::LoadLies => Ok(Progress::Complete),
            _ => Err("it loads no states".to_owned()),
        }
    }
}

portcullis_plugin_sdk::export!(Evil);
