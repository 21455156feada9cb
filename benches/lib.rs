//! Shared code of the benchmarks: test data, and blacklists filled with it.
//!
//! The set sees only subjects, which are uniformly distributed by construction, so random ones represent the numbers of
//! any country. 99 of 100 checks are of numbers that are not blocked, as in real traffic.
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

/// The warm-up time of each benchmark.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// The measurement time of each benchmark. Short, because there are many, and medians of nanoseconds need no more.
pub const MEASUREMENT: Duration = Duration::from_secs(3);

/// The list sizes measured.
pub const SIZES: [usize; 4] = [10_000, 64_000, 1_000_000, 10_000_000];

/// The numbers of tenants measured.
pub const TENANTS: [usize; 4] = [1, 32, 1024, 4096];

/// Sebastiano Vigna's SplitMix64, which makes runs reproducible.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// Creates a generator with a seed.
    pub fn new(seed: u64) -> Self {
        SplitMix(seed)
    }

    /// Returns the next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a random subject.
    pub fn subject(&mut self) -> Subject {
        Subject::new(self.bits() >> (64 - Subject::BITS)).unwrap_or(Subject::MIN)
    }
}

/// Returns the members of a list with `size` entries.
pub fn members(size: usize) -> Vec<Subject> {
    let mut random = SplitMix::new(1);
    (0..size).map(|_| random.subject()).collect()
}

/// Returns 2^16 subjects to check, of which one in a hundred is a member.
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

/// Creates the set that the default plugin uses.
pub fn native(members: &[Subject]) -> DirectedSet {
    DirectedSet::from_unsorted(members.iter().map(|&subject| (subject, Directions::BOTH)).collect())
}

/// Creates a hash set, as a lower bound for the cost of a check. It has no order and no privacy, and takes three times
/// the memory.
pub fn hash_set(members: &[Subject]) -> hashbrown::HashSet<u64> {
    members.iter().map(|subject| subject.get()).collect()
}

/// Creates a plugin with an empty list.
///
/// # Panics
///
/// If the machine can't run WebAssembly.
pub fn empty(component: &[u8]) -> Generation {
    Generation::empty(recipe(component)).expect("a bundled plugin can be instantiated")
}

/// Creates the default plugin with a list of `members`.
///
/// # Panics
///
/// If the plugin rejects them.
pub fn through_the_host(members: &[Subject]) -> Generation {
    holding(recipe(portcullis_plugin_bundle::EXACT.component), members)
}

/// Returns the recipe for a bundled plugin.
///
/// # Panics
///
/// If the machine can't run WebAssembly.
pub fn recipe(component: &[u8]) -> Recipe {
    // Compiled once, as in a gateway, where the lists of all tenants share the code of a plugin.
    static EXACT: LazyLock<Plugin> =
        LazyLock::new(|| load(portcullis_plugin_bundle::EXACT.component, Limits::default()));
    of(match component == portcullis_plugin_bundle::EXACT.component {
        true => EXACT.clone(),
        false => load(component, Limits::default()),
    })
}

/// Returns the recipe for the default plugin with other limits.
///
/// # Panics
///
/// If the machine can't run WebAssembly.
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

/// Creates a generation with a list of `members`.
///
/// # Panics
///
/// If the plugin rejects them.
pub fn holding(recipe: Recipe, members: &[Subject]) -> Generation {
    let list = Generation::empty(recipe).expect("a bundled plugin can be instantiated");
    let entries: Vec<Entry> =
        members.iter().map(|&subject| Entry { subject, directions: Directions::BOTH }).collect();
    for batch in entries.chunks(BATCH) {
        list.block(batch).expect("a bundled plugin accepts entries");
    }
    list
}
