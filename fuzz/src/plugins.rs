//! Components, and the states that plugins are handed.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use portcullis_host::{
    CallError, Direction, Directions, Engine, Entry, Instance, Limits, MemoryAccount, Permutation,
    PermutationKey, Plugin, Progress, Settings, Subject, Verdict,
};
use portcullis_plugin_bundle::{Bundled, EXACT, PREFIX, TRIVIAL};

use crate::sets;
use crate::support::{choice, frames};

const MIB: u64 = 1 << 20;
const BOTH_WAYS: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("an engine"));
static EXACT_PLUGIN: LazyLock<Plugin> = LazyLock::new(|| bundled(EXACT));
static PREFIX_PLUGIN: LazyLock<Plugin> = LazyLock::new(|| bundled(PREFIX));

fn bundled(plugin: Bundled) -> Plugin {
    // A busy machine is no finding.
    let long = Duration::from_secs(120);
    let limits = Limits { check: long, call: long, configure: long, load: long, ..Limits::default() };
    Plugin::load(&ENGINE, plugin.component, limits).expect("it is a plugin")
}

fn permutation() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"a key for a fuzz"))
}

fn account() -> Arc<MemoryAccount> {
    MemoryAccount::new(256 * MIB)
}

fn instance(plugin: &Plugin) -> Instance {
    plugin.instantiate(&Settings::default(), &account(), Some(&permutation())).expect("it starts")
}

/// Loads parts up to the last one; whether all of them are a state.
fn load<'a>(instance: &mut Instance, plugin: &Plugin, parts: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let format = plugin.description().loads.first().expect("it loads states").clone();
    for part in parts {
        match instance.load(&format, part) {
            Ok(Progress::More) => {}
            Ok(Progress::Complete) => return true,
            Err(CallError::Refused(_)) => return false,
            Err(error) => panic!("a state is loaded or refused: {error}"),
        }
    }
    false
}

fn list(instance: &mut Instance) -> Vec<Entry> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = instance.list(after, 1000).expect("the list is told");
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

fn save(instance: &mut Instance) -> Vec<Vec<u8>> {
    let (mut parts, mut cursor) = (Vec::new(), None);
    loop {
        let part = instance.save(cursor, 64 << 10).expect("the list is saved");
        parts.push(part.bytes);
        cursor = part.next;
        if cursor.is_none() {
            return parts;
        }
    }
}

/// A plugin refuses a state, or holds a list that it counts, tells, answers for and saves alike. The exact one holds what the native
/// set does.
pub fn plugin_state(data: &[u8]) {
    let (choice, data) = choice(data);
    let is_exact = choice % 2 == 0;
    let plugin: &Plugin = if is_exact { &EXACT_PLUGIN } else { &PREFIX_PLUGIN };
    let parts = frames(data);
    let mut loaded = instance(plugin);
    let is_loaded = load(&mut loaded, plugin, parts.iter().copied());
    if is_exact {
        let native = sets::loaded(&parts);
        assert_eq!(native.is_some(), is_loaded, "the plugin and the native set take the same states");
        let Some(native) = native else { return };
        let page = native.page(None, usize::MAX).into_iter();
        assert_eq!(
            list(&mut loaded),
            page.map(|(subject, directions)| Entry { subject, directions }).collect::<Vec<_>>()
        );
    }
    if !is_loaded {
        return;
    }
    let entries = list(&mut loaded);
    assert_eq!(loaded.count().ok(), Some(entries.len() as u64));
    let subjects: Vec<Subject> = entries.iter().map(|entry| entry.subject).collect();
    for direction in BOTH_WAYS {
        let verdicts = loaded.check_many(&subjects, direction).expect("checks are answered");
        for (entry, verdict) in entries.iter().zip(verdicts) {
            assert_eq!(verdict == Verdict::Block, entry.directions.covers(direction));
        }
    }
    let parts = save(&mut loaded);
    let mut again = instance(plugin);
    assert!(load(&mut again, plugin, parts.iter().map(Vec::as_slice)), "what was saved can be loaded");
    assert_eq!(list(&mut again), entries);
    assert_eq!(save(&mut again), parts);
}

/// The smallest plugin with some of its bytes changed: of each four bytes, two are a place, one says what to do there, and one is
/// the byte to do it with.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut component = TRIVIAL.component.to_vec();
    for [low, high, what, byte] in edits.as_chunks().0 {
        let place = usize::from(u16::from_le_bytes([*low, *high])) % component.len().max(1);
        match what % 4 {
            0 | 1 => component[place] = *byte,
            2 => component.insert(place, *byte),
            _ if component.len() > 1 => drop(component.remove(place)),
            _ => {}
        }
    }
    component
}

/// A component is refused, or is a plugin whose every call ends.
pub fn component(data: &[u8]) {
    let (choice, data) = choice(data);
    let edited = (choice % 2 == 1).then(|| edited(data));
    let data = edited.as_deref().unwrap_or(data);
    let limits = Limits {
        check: Duration::from_millis(20),
        call: Duration::from_millis(50),
        configure: Duration::from_millis(50),
        component_bytes: 256 << 10,
        load: Duration::from_secs(120),
        instance_bytes: 16 * MIB,
        result_bytes: 1 << 20,
        ..Limits::default()
    };
    let Ok(plugin) = Plugin::load(&ENGINE, data, limits) else { return };
    let Ok(mut instance) = plugin.instantiate(&Settings::default(), &account(), Some(&permutation())) else {
        return;
    };
    let subject = Subject::new(4711).expect("a subject");
    let entry = Entry { subject, directions: Directions::BOTH };
    // Each may fail; what matters is that it comes back.
    let _ = instance.check(subject, Direction::Inbound);
    let _ = instance.check_many(&[subject; 9], Direction::Outbound);
    let _ = instance.block(&[entry]);
    let _ = instance.list(None, 10);
    let _ = instance.count();
    let _ = instance.save(None, 64 << 10);
    if let Some(format) = plugin.description().loads.first() {
        let _ = instance.load(format, data);
    }
    let _ = instance.unblock(&[entry]);
}
