//! Swaps generations repeatedly while checks and writes continue. `cargo xtask soak` runs the long form.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis_host::{
    Blacklist, Direction, Directions, Generation, Limits, MemoryAccount, Plugin, Recipe, Subject, Verdict,
};
use support::record::Record;
use support::states::States;

/// The size of the test.
struct Scale {
    members: u64,
    reloads: usize,
    quiet: Duration,
}

fn scale() -> Scale {
    match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => Scale { members: 1_000_000, reloads: 200, quiet: Duration::from_secs(10) },
        None => Scale { members: 64_000, reloads: 10, quiet: Duration::from_millis(300) },
    }
}

/// Spreads numbers over all subjects, as the permutation does.
fn spread(n: u64) -> Subject {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n.rotate_left(17);
    support::subject(mixed >> 14)
}

/// Permanent entries are even numbers, permanent non-entries odd ones.
fn member(n: u64) -> Subject {
    spread(2 * n)
}

fn stranger(n: u64) -> Subject {
    spread(2 * n + 1)
}

/// The number of entries that are toggled during the test.
const TOGGLED: u64 = 1000;

fn toggled(n: u64) -> Subject {
    spread((1 << 40) + n)
}

/// The state of a toggled entry.
const OUT: u8 = 0;
const IN: u8 = 1;
/// A write is in progress and not yet acknowledged.
const EITHER: u8 = 2;

/// Latencies of checks in nanoseconds: since they were made, which the host is responsible for, and since they were
/// due, which also includes how long the machine delayed the thread.
#[derive(Default)]
struct Delays {
    since_asked: Vec<u64>,
    since_due: Vec<u64>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Load<'a> {
    list: &'a Blacklist,
    scale: &'a Scale,
    states: Vec<AtomicU8>,
    stop: AtomicBool,
    checks: AtomicU64,
    writes: AtomicU64,
}

impl Load<'_> {
    /// Makes a check every 50 µs and compares it with the model. Returns the latencies.
    fn check(&self, thread: u64) -> Delays {
        let interval = Duration::from_micros(50);
        let (mut delays, mut due, mut n) = (Delays::default(), Instant::now(), thread);
        while !self.stop.load(Ordering::Relaxed) {
            due += interval;
            while Instant::now() < due {
                let left = due.saturating_duration_since(Instant::now());
                if left > Duration::from_micros(20) {
                    std::thread::sleep(left - Duration::from_micros(10));
                }
            }
            let asked = Instant::now();
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = (n >> 20) % self.scale.members;
            match (n >> 10) % 4 {
                0 => assert_eq!(self.ask(member(pick)), Verdict::Block, "a member"),
                1 => {
                    let which = pick % TOGGLED;
                    let state = &self.states[usize::try_from(which).expect("it is small")];
                    let before = state.load(Ordering::SeqCst);
                    let verdict = self.ask(toggled(which));
                    let after = state.load(Ordering::SeqCst);
                    // No write was observed in between, so the verdict is that of the last acknowledged write.
                    if before == after && before != EITHER {
                        let wanted = if before == IN { Verdict::Block } else { Verdict::Allow };
                        let again =
                            state.load(Ordering::SeqCst) == before && self.ask(toggled(which)) == wanted;
                        assert!(verdict == wanted || again, "an entry that comes and goes");
                    }
                }
                _ => assert_eq!(self.ask(stranger(pick)), Verdict::Allow, "a stranger"),
            }
            delays.since_asked.push(nanos(asked.elapsed()));
            delays.since_due.push(nanos(due.elapsed()));
            self.checks.fetch_add(1, Ordering::Relaxed);
            // After a long pause, restart the schedule: a pause counts as one late check, not as thousands.
            if due.elapsed() > Duration::from_millis(50) {
                due = Instant::now();
            }
        }
        delays
    }

    fn ask(&self, subject: Subject) -> Verdict {
        self.list.check(subject, Direction::Inbound).expect("a check never fails")
    }

    /// Toggles entries: writes to the record, then to the plugin, then acknowledges.
    fn write(&self, record: &Record) {
        let mut n = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let which = n * 7 % TOGGLED;
            let state = &self.states[usize::try_from(which).expect("it is small")];
            let next = if state.load(Ordering::SeqCst) == IN { OUT } else { IN };
            state.store(EITHER, Ordering::SeqCst);
            record.set(toggled(which), if next == IN { Directions::BOTH } else { Directions::NONE });
            self.list.catch_up(record).expect("the plugin follows");
            state.store(next, Ordering::SeqCst);
            self.writes.fetch_add(1, Ordering::Relaxed);
            n += 1;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// The default plugin with different bytes: a custom section is appended.
fn another(name: u8) -> Plugin {
    let component = [portcullis_plugin_bundle::EXACT.component, &[0, 3, 1, b'v', name]].concat();
    Plugin::load(support::engine(), &component, Limits::default()).expect("it loads")
}

fn recipe(plugin: Plugin) -> Recipe {
    Recipe::new(plugin, MemoryAccount::new(256 * support::MIB))
}

/// Applies the load while `meanwhile` runs.
fn under_load(load: &Load<'_>, record: &Record, meanwhile: impl FnOnce() + Send) -> Delays {
    load.stop.store(false, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let checkers: Vec<_> = (1..3).map(|thread| scope.spawn(move || load.check(thread))).collect();
        let writer = scope.spawn(|| load.write(record));
        let reloader = scope.spawn(|| {
            portcullis_host::lower_priority();
            meanwhile();
        });
        let done = reloader.join();
        load.stop.store(true, Ordering::SeqCst);
        let mut delays = Delays::default();
        for checker in checkers {
            let Delays { since_asked, since_due } = checker.join().expect("no verdict was wrong");
            delays.since_asked.extend(since_asked);
            delays.since_due.extend(since_due);
        }
        writer.join().expect("every write is taken");
        done.expect("every reload succeeds");
        delays
    })
}

/// Writes results in nanoseconds to `file` in the directory `$PORTCULLIS_MEASURED`, where `cargo xtask bench` reads
/// them.
fn put(file: &str, figures: &[(String, Duration)]) {
    let Some(folder) = std::env::var_os("PORTCULLIS_MEASURED") else { return };
    let lines: Vec<String> =
        figures.iter().map(|(name, figure)| format!("\"{name}\": {}", figure.as_nanos())).collect();
    let path = std::path::Path::new(&folder).join(file);
    std::fs::write(path, format!("{{{}}}", lines.join(", "))).expect("the figures can be written");
}

/// The 99.9th percentile.
fn nearly_all(delays: &[u64]) -> Duration {
    let mut delays = delays.to_vec();
    delays.sort_unstable();
    Duration::from_nanos(delays.get(delays.len() * 999 / 1000).copied().unwrap_or_default())
}

#[expect(clippy::print_stdout, reason = "the report is the purpose of the long form")]
fn report(what: &str, mut delays: Vec<u64>) {
    delays.sort_unstable();
    let at = |part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list"
        )]
        let place = (delays.len() as f64 * part) as usize;
        delays.get(place.min(delays.len().saturating_sub(1))).map_or(0.0, |&nanos| nanos as f64 / 1000.0)
    };
    let [half, most, nearly, worst] = [0.5, 0.99, 0.999, 1.0].map(at);
    println!(
        "{what}: {} checks, µs late: p50 {half:.1}, p99 {most:.1}, p99.9 {nearly:.1}, worst {worst:.1}",
        delays.len()
    );
    let mut bound = 1_000;
    let mut rest = &delays[..];
    while !rest.is_empty() {
        let within = rest.partition_point(|&nanos| nanos <= bound);
        println!("  up to {:>7} µs: {within}", bound / 1000);
        rest = &rest[within..];
        bound *= 2;
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the report is the purpose of the long form")]
fn repeated_reloads_under_load_fail_no_check_and_lose_no_write() {
    let scale = scale();
    let record = Record::of((0..scale.members).map(member));
    let states = States::default();
    let plugins = [another(b'a'), another(b'b')];
    let first = Generation::filled(recipe(plugins[0].clone()), &record, None).expect("it is filled");
    first.save(&states, record.len()).expect("it is saved");
    let list = Blacklist::new(first);
    let load = Load {
        list: &list,
        scale: &scale,
        states: (0..TOGGLED).map(|_| AtomicU8::new(OUT)).collect(),
        stop: AtomicBool::new(false),
        checks: AtomicU64::new(0),
        writes: AtomicU64::new(0),
    };
    let before = under_load(&load, &record, || std::thread::sleep(scale.quiet));
    let mut took = Vec::new();
    let meanwhile = under_load(&load, &record, || {
        let mut kept = Vec::new();
        for round in 0..scale.reloads {
            let start = Instant::now();
            let plugin = plugins[(round + 1) % 2].clone();
            let next = Generation::filled(recipe(plugin), &record, Some(&states)).expect("it is filled");
            kept.push(list.replace(Arc::new(next), &record).expect("it is put in place"));
            took.push(start.elapsed());
            if kept.len() > 1 {
                kept.remove(0);
            }
            if round % 10 == 9 {
                list.generation().save(&states, record.len()).expect("it is saved");
            }
        }
    });
    put(
        "delays.json",
        &[
            ("delay/asked/quiet".to_owned(), nearly_all(&before.since_asked)),
            ("delay/asked/reloads".to_owned(), nearly_all(&meanwhile.since_asked)),
            ("delay/due/quiet".to_owned(), nearly_all(&before.since_due)),
            ("delay/due/reloads".to_owned(), nearly_all(&meanwhile.since_due)),
        ],
    );
    report("without reloads, since asked", before.since_asked);
    report("with reloads, since asked", meanwhile.since_asked);
    report("without reloads, since due", before.since_due);
    report("with reloads, since due", meanwhile.since_due);
    took.sort_unstable();
    println!(
        "{} reloads of {} entries, from a saved state: median {:?}, worst {:?}; {} checks, {} writes",
        took.len(),
        scale.members,
        took[took.len() / 2],
        took[took.len() - 1],
        load.checks.load(Ordering::Relaxed),
        load.writes.load(Ordering::Relaxed),
    );
    // Finally, every verdict is that of the last acknowledged write.
    for (n, state) in load.states.iter().enumerate() {
        let verdict = load.ask(toggled(n as u64));
        assert_eq!(verdict == Verdict::Block, state.load(Ordering::SeqCst) == IN, "an acknowledged write");
    }
    list.generation().prove(&record).expect("it holds what the record holds");
}

#[test]
#[expect(clippy::print_stdout, reason = "the report is the purpose of the long form")]
fn a_lost_list_is_recovered_from_its_saved_state_and_later_changes() {
    let scale = scale();
    let mut figures = Vec::new();
    for members in [64_000, scale.members] {
        let record = Record::of((0..members).map(member));
        let states = States::default();
        let plugin = another(b'a');
        let start = Instant::now();
        let first = Generation::filled(recipe(plugin.clone()), &record, None).expect("it is filled");
        let from_record = start.elapsed();
        first.save(&states, record.len()).expect("it is saved");
        let list = Blacklist::new(first);
        for n in 0..TOGGLED {
            record.set(toggled(n), Directions::BOTH);
            list.catch_up(&record).expect("it follows");
        }
        let mut took: Vec<Duration> = (0..9)
            .map(|_| {
                list.generation().retire();
                assert!(list.check(member(0), Direction::Inbound).is_err());
                let start = Instant::now();
                let next =
                    Generation::filled(recipe(plugin.clone()), &record, Some(&states)).expect("it is filled");
                list.replace(Arc::new(next), &record).expect("it is put in place");
                assert_eq!(list.check(toggled(5), Direction::Inbound), Ok(Verdict::Block));
                start.elapsed()
            })
            .collect();
        took.sort_unstable();
        println!(
            "{members} entries recovered, {TOGGLED} changes since the state: median {:?}, worst {:?}; from the record {from_record:?}",
            took[4], took[8]
        );
        figures.push((format!("recovery/{members}"), took[4]));
    }
    put("recovery.json", &figures);
}
