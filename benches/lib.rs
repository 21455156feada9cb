//! What the benchmarks share: the numbers, and the blacklists filled with them.
//!
//! Subjects are what the set sees, and they are uniform by construction: so random ones stand for the numbers of any
//! country. 99 of 100 checks ask about a stranger, as in real traffic.
#![forbid(unsafe_code)]

pub mod numbers;
mod server;

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_hashed_set::DirectedSet;
use portcullis_host::{
    BATCH, Directions, Engine, Entry, Generation, Limits, MemoryAccount, Plugin, Recipe, Subject,
};

pub use server::Server;

/// How long each benchmark runs before it is measured.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// How long each is measured: there are many, and medians of nanoseconds need no more.
pub const MEASUREMENT: Duration = Duration::from_secs(3);

/// The sizes that are measured.
pub const SIZES: [usize; 4] = [10_000, 64_000, 1_000_000, 10_000_000];

/// The numbers of tenants that are measured.
pub const TENANTS: [usize; 4] = [1, 32, 1024, 4096];

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
    Generation::empty(recipe(component)).expect("it starts")
}

/// The default plugin, holding `members`.
///
/// # Panics
///
/// Where the plugin does not take them.
pub fn through_the_host(members: &[Subject]) -> Generation {
    holding(recipe(portcullis_plugin_bundle::EXACT.component), members)
}

/// What a generation of a bundled plugin is made of.
///
/// # Panics
///
/// Where the machine runs no WebAssembly.
pub fn recipe(component: &[u8]) -> Recipe {
    // One for all: as in a gateway, where lists of many tenants share what a plugin was compiled to.
    static EXACT: LazyLock<Plugin> =
        LazyLock::new(|| load(portcullis_plugin_bundle::EXACT.component, Limits::default()));
    of(match component == portcullis_plugin_bundle::EXACT.component {
        true => EXACT.clone(),
        false => load(component, Limits::default()),
    })
}

/// The same of the default plugin, where calls may take as long as `limits` say.
///
/// # Panics
///
/// Where the machine runs no WebAssembly.
pub fn recipe_within(limits: Limits) -> Recipe {
    of(load(portcullis_plugin_bundle::EXACT.component, limits))
}

fn load(component: &[u8], limits: Limits) -> Plugin {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("this machine runs WebAssembly"));
    Plugin::load(&ENGINE, component, limits).expect("a bundled plugin loads")
}

fn of(plugin: Plugin) -> Recipe {
    Recipe::new(plugin, MemoryAccount::new(4 << 30))
}

/// A generation with these on its list.
///
/// # Panics
///
/// Where the plugin does not take them.
pub fn holding(recipe: Recipe, members: &[Subject]) -> Generation {
    let list = Generation::empty(recipe).expect("it starts");
    let entries: Vec<Entry> =
        members.iter().map(|&subject| Entry { subject, directions: Directions::BOTH }).collect();
    for batch in entries.chunks(BATCH) {
        list.block(batch).expect("entries are taken");
    }
    list
}
