//! What the benchmarks share: the numbers, and the blacklists filled with them.
//!
//! Subjects are what the set sees, and they are uniform by construction: so random ones stand for the numbers of any
//! country. 99 of 100 checks ask about a stranger, as in real traffic.
#![forbid(unsafe_code)]

pub mod numbers;
mod server;

use portcullis_hashed_set::DirectedSet;
use portcullis_host::{
    BATCH, Directions, Engine, Entry, Generation, Limits, MemoryAccount, Plugin, Recipe, Subject,
};

pub use server::Server;

/// The sizes that are measured.
pub const SIZES: [usize; 4] = [10_000, 64_000, 1_000_000, 10_000_000];

/// Sebastiano Vigna's SplitMix64: the same numbers at each run.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        SplitMix(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A random subject.
    pub fn subject(&mut self) -> Subject {
        Subject::new(self.bits() >> (64 - Subject::BITS)).unwrap_or(Subject::MIN)
    }
}

/// The members of a list of `size`.
pub fn members(size: usize) -> Vec<Subject> {
    let mut random = SplitMix::new(1);
    (0..size).map(|_| random.subject()).collect()
}

/// A stream of 2^16 subjects to ask about, one in a hundred a member.
pub fn asked(members: &[Subject]) -> Vec<Subject> {
    let mut random = SplitMix::new(2);
    let any = |random: &mut SplitMix| usize::try_from(random.bits() >> 1).unwrap_or(0);
    (0..1 << 16)
        .map(|_| match any(&mut random) % 100 {
            0 => members[any(&mut random) % members.len()],
            _ => random.subject(),
        })
        .collect()
}

/// The set by itself, as the default plugin holds it.
pub fn native(members: &[Subject]) -> DirectedSet {
    DirectedSet::from_unsorted(members.iter().map(|&subject| (subject, Directions::BOTH)).collect())
}

/// The speed limit: no order, no privacy, and three times the memory.
pub fn hash_set(members: &[Subject]) -> hashbrown::HashSet<u64> {
    members.iter().map(|subject| subject.get()).collect()
}

/// A plugin with an empty list.
///
/// # Panics
///
/// Where the machine runs no WebAssembly.
pub fn empty(component: &[u8]) -> Generation {
    empty_within(component, Limits::default())
}

fn empty_within(component: &[u8], limits: Limits) -> Generation {
    let engine = Engine::new().expect("this machine runs WebAssembly");
    let plugin = Plugin::load(&engine, component, limits).expect("a bundled plugin loads");
    Generation::empty(Recipe::new(plugin, MemoryAccount::new(4 << 30))).expect("it starts")
}

/// The default plugin, holding `members`.
///
/// # Panics
///
/// Where the plugin does not take them.
pub fn through_the_host(members: &[Subject]) -> Generation {
    through_the_host_within(members, Limits::default())
}

/// The same, where calls may take as long as `limits` say.
///
/// # Panics
///
/// Where the plugin does not take them.
pub fn through_the_host_within(members: &[Subject], limits: Limits) -> Generation {
    let list = empty_within(portcullis_plugin_bundle::EXACT.component, limits);
    let entries: Vec<Entry> =
        members.iter().map(|&subject| Entry { subject, directions: Directions::BOTH }).collect();
    for batch in entries.chunks(BATCH) {
        list.block(batch).expect("entries are taken");
    }
    list
}
