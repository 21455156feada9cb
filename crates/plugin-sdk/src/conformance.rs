//! A conformance test that runs a plugin natively, in a unit test.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::split_mix::SplitMix;
use crate::{
    Blacklist, Description, Direction, Directions, Entry, Format, Outcome, Progress, Settings, Subject,
};

/// Configures `P` with the given options (JSON text), and runs thousands of operations on it and on a model of the
/// contract. Tests that `check` and `check-many` agree, blocking and unblocking are idempotent and affect exactly the
/// given directions, pages neither skip nor repeat entries while the list changes, and a saved state loads to the same
/// list.
///
/// The operations are the same in each run. The plugin must be a plain blacklist with these options: a plugin with
/// rules of its own differs from the model wherever a rule applies.
///
/// # Panics
///
/// If the plugin violates the contract; the message says how.
pub fn check<P: Blacklist>(options: &str) {
    described::<P>();
    let mut run = Run::<P>::new(options);
    for round in 0..8 {
        run.change(500, round % 4 != 3);
        run.agrees();
        run.pages_while_it_changes(37);
    }
    run.saves_and_loads(options);
}

fn described<P: Blacklist>() {
    let description = P::describe();
    assert_eq!(description, P::describe(), "describe() returned a different description the second time");
    let Description { name, version, saves, loads, .. } = description;
    assert_name("the plugin's name", &name);
    assert!(version.len() <= 64, "the version {version:?} is longer than 64 bytes");
    assert!(loads.len() <= 16, "`loads` has more than 16 formats");
    for format in saves.iter().chain(&loads) {
        assert_name("the name of a format", &format.name);
    }
}

pub(crate) fn assert_name(what: &str, name: &str) {
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    assert!(fits, "{what} must be 1 to 64 characters of a-z, 0-9 and -, starting with a letter: {name:?}");
}

/// A plugin, and the entries that it should have.
struct Run<P> {
    plugin: P,
    model: BTreeMap<Subject, Directions>,
    random: SplitMix,
}

impl<P: Blacklist> Run<P> {
    fn new(options: &str) -> Self {
        Run { plugin: configured(options), model: BTreeMap::new(), random: SplitMix::new(1) }
    }

    /// Blocks and unblocks random entries, mostly the one or the other, each twice.
    fn change(&mut self, times: usize, growing: bool) {
        for _ in 0..times {
            let entry = Entry { subject: self.any_subject(), directions: self.any_directions() };
            let blocks = self.random.below(10) < if growing { 8 } else { 2 };
            let before = self.model.get(&entry.subject).copied().unwrap_or_default();
            let after = if blocks { before | entry.directions } else { before & !entry.directions };
            if after.is_none() {
                self.model.remove(&entry.subject);
            } else {
                self.model.insert(entry.subject, after);
            }
            let name = if blocks { "block" } else { "unblock" };
            let apply = if blocks { P::block } else { P::unblock };
            assert_eq!(
                apply(&mut self.plugin, entry),
                Outcome::changed_if(before != after),
                "{name}() of {:?} when {before:?} was blocked",
                entry.directions
            );
            assert_eq!(apply(&mut self.plugin, entry), Outcome::Unchanged, "{name}() is not idempotent");
        }
    }

    fn agrees(&mut self) {
        assert_eq!(self.plugin.count(), self.model.len() as u64, "count() is not the number of entries");
        let mut asked: Vec<Subject> = self.model.keys().copied().collect();
        asked.extend((0..1000).map(|_| self.random.subject()));
        for direction in [Direction::Inbound, Direction::Outbound] {
            for some in asked.chunks(61) {
                let bits = self.plugin.blocks_many(some, direction);
                assert_eq!(bits.len(), some.len().div_ceil(8), "the length of the bitmap of blocks_many()");
                for (i, subject) in some.iter().enumerate() {
                    let expected =
                        self.model.get(subject).is_some_and(|directions| directions.covers(direction));
                    assert_eq!(
                        self.plugin.blocks(*subject, direction),
                        expected,
                        "blocks() for an {direction} message"
                    );
                    assert_eq!(
                        bits[i / 8] >> (i % 8) & 1 == 1,
                        expected,
                        "blocks_many() for an {direction} message"
                    );
                }
                let unused = some.len().wrapping_neg() % 8;
                assert_eq!(
                    bits.last().map_or(0, |last| last
                        .checked_shr(8 - u32::try_from(unused).unwrap_or(0))
                        .unwrap_or(0)),
                    0,
                    "bits past the last subject are set"
                );
            }
        }
        assert_eq!(self.walk(1 << 20), self.model, "list() in one page differs from what was blocked");
        assert_eq!(self.walk(7), self.model, "list() in pages of 7 differs from what was blocked");
    }

    fn walk(&self, limit: usize) -> BTreeMap<Subject, Directions> {
        let (mut seen, mut after) = (BTreeMap::new(), None);
        loop {
            let next = self.page(after, limit, &mut seen);
            if next.is_none() {
                return seen;
            }
            after = next;
        }
    }

    fn page(
        &self,
        after: Option<Subject>,
        limit: usize,
        seen: &mut BTreeMap<Subject, Directions>,
    ) -> Option<Subject> {
        let page = self.plugin.list(after, limit);
        assert!(page.entries.len() <= limit, "a page is longer than its limit of {limit}");
        let mut last = after;
        for Entry { subject, directions } in page.entries {
            assert!(last < Some(subject), "a page is not in ascending order of subject");
            assert!(!directions.is_none(), "list() returned an entry without a direction");
            last = Some(subject);
            seen.insert(subject, directions);
        }
        if let Some(next) = page.next {
            assert!(Some(next) > after && Some(next) >= last, "the cursor of a page does not advance");
        }
        page.next
    }

    fn pages_while_it_changes(&mut self, limit: usize) {
        let start = self.model.clone();
        let mut stayed = start.clone();
        let (mut seen, mut after) = (BTreeMap::new(), None);
        loop {
            let count = seen.len();
            let next = self.page(after, limit, &mut seen);
            assert!(seen.len() - count <= limit, "list() repeated an entry");
            self.change(5, true);
            stayed.retain(|subject, _| self.model.contains_key(subject));
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
        for subject in stayed.keys() {
            assert!(seen.contains_key(subject), "list() skipped an entry that stayed");
        }
    }

    fn saves_and_loads(&self, options: &str) {
        let Some(format) = P::describe().saves else { return };
        let max_bytes = 64 << 10;
        let loads_it = P::describe().loads.contains(&format);
        let mut copy: P = configured(options);
        let (mut cursor, mut parts) = (None, Vec::new());
        loop {
            let part = self.plugin.save(cursor, max_bytes);
            assert!(part.bytes.len() <= max_bytes, "save() returned a part that is longer than max_bytes");
            parts.push(part.bytes);
            assert_ne!(part.next, cursor.or(Some(u64::MAX)), "the cursor of save() does not advance");
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
        }
        if !loads_it {
            return;
        }
        let last = parts.len() - 1;
        for (i, part) in parts.iter().enumerate() {
            let expected = if i == last { Progress::Complete } else { Progress::More };
            assert_eq!(copy.load(format.clone(), part), Ok(expected), "load() of a part that was just saved");
        }
        let restored = Run { plugin: copy, model: self.model.clone(), random: SplitMix::new(2) };
        assert_eq!(restored.walk(1000), self.model, "the loaded state differs from the saved one");
        refuses_broken_parts::<P>(options, &format, &parts[0]);
    }

    fn any_subject(&mut self) -> Subject {
        // A quarter of the operations affect existing entries.
        if self.random.below(4) == 0
            && let Some((&subject, _)) = self.model.range(self.random.subject()..).next()
        {
            return subject;
        }
        self.random.subject()
    }

    fn any_directions(&mut self) -> Directions {
        [Directions::INBOUND, Directions::OUTBOUND, Directions::BOTH, Directions::BOTH][self.random.below(4)]
    }
}

fn refuses_broken_parts<P: Blacklist>(options: &str, format: &Format, part: &[u8]) {
    for length in [0, 1, part.len() / 2, part.len() - 1] {
        let mut copy: P = configured(options);
        let loaded = catch_unwind(AssertUnwindSafe(|| copy.load(format.clone(), &part[..length])))
            .expect("load() panicked at a truncated part");
        assert!(loaded.is_err(), "load() accepted a part truncated to {length} bytes");
    }
}

fn configured<P: Blacklist>(options: &str) -> P {
    let settings = Settings { capacity: 1000, options: options.to_owned() };
    P::configure(settings).unwrap_or_else(|why| panic!("configure() refused {options}: {why}"))
}
