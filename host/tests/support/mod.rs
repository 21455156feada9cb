//! Shared test support: one engine, plugins compiled once, and shorthand for entries.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a different part")]

pub mod bombs;
pub mod composed;
pub mod record;
pub mod states;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_host::{
    Directions, Engine, Entry, Format, Generation, Instance, Limits, MemoryAccount, Plugin, Recipe, Settings,
    Subject,
};

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().expect("this machine runs WebAssembly"))
}

pub fn exact() -> Plugin {
    static EXACT: OnceLock<Plugin> = OnceLock::new();
    EXACT.get_or_init(|| load(portcullis_plugin_bundle::EXACT.component, Limits::default())).clone()
}

pub fn prefix() -> Plugin {
    static PREFIX: OnceLock<Plugin> = OnceLock::new();
    PREFIX.get_or_init(|| load(portcullis_plugin_bundle::PREFIX.component, Limits::default())).clone()
}

pub fn evil() -> Plugin {
    static EVIL: OnceLock<Plugin> = OnceLock::new();
    let limits = Limits {
        check: Duration::from_millis(20),
        call: Duration::from_millis(200),
        configure: Duration::from_millis(20),
        ..Limits::default()
    };
    EVIL.get_or_init(|| load(portcullis_plugin_bundle::EVIL.component, limits)).clone()
}

fn load(component: &[u8], limits: Limits) -> Plugin {
    Plugin::load(engine(), component, limits).expect("a bundled plugin loads")
}

pub const MIB: u64 = 1 << 20;

pub fn recipe(plugin: Plugin, options: &str) -> Recipe {
    let settings = Settings { options: options.to_owned(), ..Settings::default() };
    Recipe { settings, ..Recipe::new(plugin, MemoryAccount::new(64 * MIB)) }
}

pub fn empty(plugin: Plugin) -> Generation {
    Generation::empty(recipe(plugin, "{}")).expect("the plugin starts")
}

pub fn account(limit: u64) -> Arc<MemoryAccount> {
    MemoryAccount::new(limit)
}

pub fn subject(value: u64) -> Subject {
    Subject::new(value).expect("below 2^50")
}

pub fn entry(value: u64, directions: Directions) -> Entry {
    Entry { subject: subject(value), directions }
}

/// Saves the list of one instance in parts of at most 64 KiB and loads them into another. Returns the number of parts.
pub fn hand_over(from: &mut Instance, to: &mut Instance, format: &Format) -> usize {
    let (mut cursor, mut parts) = (None, 0);
    loop {
        let part = from.save(cursor, 64 << 10).expect("a part is answered");
        to.load(format, &part.bytes).expect("a part is loaded");
        parts += 1;
        cursor = part.next;
        if cursor.is_none() {
            return parts;
        }
    }
}
