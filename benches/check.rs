//! Benchmarks of checks: in the set itself, and through the host one by one and in batches, compared with a hash set
//! and a component that does nothing.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros generate undocumented functions")]

mod peers;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use portcullis_benches::{
    MEASUREMENT, SIZES, TENANTS, WARM_UP, asked, empty, hash_set, holding, members, native, recipe,
    through_the_host,
};
use portcullis_host::rules::{self, Channel, Decision, Message, Person, Purpose, RuleSet};
use portcullis_host::{
    Component, Direction, Engine, Generation, Limits, MemoryAccount, Msisdn, Permutation, PermutationKey,
    Revealed, Subject,
};

/// A cyclic stream of subjects to check.
struct Stream<'a> {
    asked: &'a [Subject],
    next: usize,
}

impl<'a> Stream<'a> {
    fn new(asked: &'a [Subject]) -> Self {
        Stream { asked, next: 0 }
    }

    fn one(&mut self) -> Subject {
        self.some(1)[0]
    }

    fn some(&mut self, count: usize) -> &'a [Subject] {
        if self.next + count > self.asked.len() {
            self.next = 0;
        }
        let some = &self.asked[self.next..][..count];
        self.next += count;
        some
    }
}

fn one_at_a_time(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        let asked = asked(&members);
        let mut group = criterion.benchmark_group(format!("check/one/{size}"));
        group.throughput(Throughput::Elements(1));

        let baseline = hash_set(&members);
        let mut stream = Stream::new(&asked);
        group.bench_function("hash-set", |bencher| {
            bencher.iter(|| baseline.contains(&black_box(stream.one()).get()));
        });
        let set = native(&members);
        group.bench_function("native", |bencher| {
            bencher.iter(|| set.contains(black_box(stream.one()), Direction::Inbound));
        });
        beside(&mut group, &members, &asked);
        let trivial = empty(portcullis_plugin_bundle::TRIVIAL.component);
        let list = through_the_host(&members);
        for (name, list) in [("trivial-component", &trivial), ("host", &list)] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| check(list, black_box(stream.one())));
            });
        }
        group.finish();
    }
}

/// Checks only blocked numbers.
fn hits(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        // In random order, and about as many as in the other benchmarks.
        let asked: Vec<Subject> = members.iter().step_by((size >> 16).max(1)).copied().collect();
        let (baseline, set, list) = (hash_set(&members), native(&members), through_the_host(&members));
        let mut stream = Stream::new(&asked);
        let mut group = criterion.benchmark_group(format!("check/hit/{size}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("hash-set", |bencher| {
            bencher.iter(|| baseline.contains(&black_box(stream.one()).get()));
        });
        group.bench_function("native", |bencher| {
            bencher.iter(|| set.contains(black_box(stream.one()), Direction::Inbound));
        });
        group.bench_function("host", |bencher| bencher.iter(|| check(&list, black_box(stream.one()))));
        group.finish();
    }
}

/// Benchmarks alternative data structures.
fn beside(group: &mut BenchmarkGroup<'_, WallTime>, members: &[Subject], asked: &[Subject]) {
    let folder = tempfile::tempdir().expect("can create a temporary directory");
    let mut stream = Stream::new(asked);
    let treemap = peers::treemap(members);
    group.bench_function("treemap", |bencher| {
        bencher.iter(|| treemap.contains(black_box(stream.one()).get()));
    });
    let (_database, table) = peers::redb(folder.path(), members);
    assert!(peers::redb_has(&table, members[0]), "redb contains the members");
    group.bench_function("redb", |bencher| {
        bencher.iter(|| peers::redb_has(&table, black_box(stream.one())));
    });
    let connection = peers::sqlite(folder.path(), members);
    assert!(peers::sqlite_has(&connection, members[0]), "SQLite contains the members");
    group.bench_function("sqlite", |bencher| {
        bencher.iter(|| peers::sqlite_has(&connection, black_box(stream.one())));
    });
}

fn check(list: &Generation, subject: Subject) -> bool {
    list.check(subject, Direction::Inbound) == Ok(portcullis_host::Verdict::Block)
}

fn in_batches(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        let asked = asked(&members);
        let (set, list) = (native(&members), through_the_host(&members));
        let trivial = empty(portcullis_plugin_bundle::TRIVIAL.component);
        for batch in [8, 64, 1024, 4096] {
            let mut group = criterion.benchmark_group(format!("check/batch/{size}"));
            group.throughput(Throughput::Elements(batch as u64));
            let mut stream = Stream::new(&asked);
            group.bench_function(BenchmarkId::new("native", batch), |bencher| {
                bencher.iter(|| set.contains_many(black_box(stream.some(batch)), Direction::Inbound));
            });
            for (name, list) in [("trivial-component", &trivial), ("host", &list)] {
                group.bench_function(BenchmarkId::new(name, batch), |bencher| {
                    bencher.iter(|| list.check_many(black_box(stream.some(batch)), Direction::Inbound));
                });
            }
            group.finish();
        }
    }
}

/// Checks lists of a thousand numbers each in turn, so that consecutive checks are of different tenants.
fn many_tenants(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check/tenants");
    group.throughput(Throughput::Elements(1));
    let members = members(1000);
    let asked = asked(&members);
    for tenants in TENANTS {
        let lists: Vec<Generation> = (0..tenants).map(|_| through_the_host(&members)).collect();
        let mut stream = Stream::new(&asked);
        let mut turns = lists.iter().cycle();
        group.bench_function(BenchmarkId::new("host", tenants), |bencher| {
            bencher.iter(|| turns.next().map(|list| check(list, black_box(stream.one()))));
        });
    }
    group.finish();
}

/// Checks a busy list with two replicas, from one thread and from two. An iteration is one check per thread.
fn threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check/threads");
    let members = members(64_000);
    let asked = asked(&members);
    let mut recipe = recipe(portcullis_plugin_bundle::EXACT.component);
    recipe.replicas = NonZeroUsize::new(2).expect("2 is not zero");
    let list = holding(recipe, &members);
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads));
        group.bench_function(BenchmarkId::new("host", threads), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let (list, asked) = (&list, &asked);
                        scope.spawn(move || {
                            let mut stream = Stream::new(asked);
                            stream.next = usize::try_from(thread).unwrap_or(0) * 1000;
                            for _ in 0..iterations {
                                black_box(check(list, black_box(stream.one())));
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

/// Checks batches of phone numbers, including the permutation at the edge, as an embedding program does.
fn from_numbers(criterion: &mut Criterion) {
    let hidden = Permutation::new(PermutationKey::from_bytes([7; 16]));
    for size in SIZES {
        let members = members(size);
        let numbers: Vec<Msisdn> =
            asked(&members).iter().filter_map(|&subject| number_of(&hidden, subject)).collect();
        let (set, list) = (native(&members), through_the_host(&members));
        let mut group = criterion.benchmark_group(format!("check/numbers/{size}"));
        let batches: Vec<&[Msisdn]> = numbers.chunks_exact(1024).collect();
        group.throughput(Throughput::Elements(1024));
        let subjects = |batch: &[Msisdn]| -> Vec<Subject> {
            batch.iter().map(|&number| hidden.subject(number)).collect()
        };
        let mut next = batches.iter().cycle();
        let mut batch = || black_box(next.next().copied().unwrap_or_default());
        group.bench_function(BenchmarkId::new("native", 1024), |bencher| {
            bencher.iter(|| set.contains_many(&subjects(batch()), Direction::Inbound));
        });
        group.bench_function(BenchmarkId::new("host", 1024), |bencher| {
            bencher.iter(|| list.check_many(&subjects(batch()), Direction::Inbound));
        });
        group.finish();
    }
}

/// Checks a list, and has a rules plugin with four meters decide about what passes: a message, and many people at once.
fn with_rules(criterion: &mut Criterion) {
    let members = members(64_000);
    let (asked, list, rules) = (asked(&members), through_the_host(&members), trivial_rules());
    let message =
        Message { channel: Channel::Sms, purpose: Purpose::Marketing, ..Message::at(1_780_000_000_000) };
    let counts = [1_u32, 2, 3, 4];
    let decide = |subject: Subject| {
        rules.decide(Direction::Outbound, &message, &Person::new(subject), black_box(&counts))
    };
    let mut stream = Stream::new(&asked);
    let mut group = criterion.benchmark_group("check/rules");
    group.throughput(Throughput::Elements(1));
    group.bench_function("check", |bencher| bencher.iter(|| check(&list, black_box(stream.one()))));
    group.bench_function("decide", |bencher| bencher.iter(|| decide(black_box(stream.one()))));
    group.bench_function("check-and-decide", |bencher| {
        bencher.iter(|| {
            let subject = black_box(stream.one());
            match check(&list, subject) {
                true => Ok(Decision::Allow),
                false => decide(subject),
            }
        });
    });
    let people: Vec<Person> = asked.iter().map(|&subject| Person::new(subject)).collect();
    let batches: Vec<&[Person]> = people.chunks_exact(1024).collect();
    let rows = counts.repeat(1024);
    let mut next = batches.iter().cycle();
    group.throughput(Throughput::Elements(1024));
    group.bench_function(BenchmarkId::new("decide-many", 1024), |bencher| {
        bencher.iter(|| {
            let batch = black_box(next.next().copied().unwrap_or_default());
            rules.decide_many(Direction::Outbound, &message, batch, black_box(&rows))
        });
    });
    group.finish();
}

/// A rules plugin that stops nothing.
fn trivial_rules() -> RuleSet {
    let engine = Engine::new().expect("this machine runs WebAssembly");
    let component = portcullis_plugin_bundle::TRIVIAL_RULES.component;
    let component = Component::load(&engine, component, Limits::default()).expect("a bundled plugin loads");
    let plugin = component.rules().cloned().expect("it exports rules");
    RuleSet::new(rules::Recipe::new(plugin, MemoryAccount::new(64 << 20))).expect("it starts")
}

/// The number that a subject stands for, if it is a number. Nine in ten are.
fn number_of(hidden: &Permutation, subject: Subject) -> Option<Msisdn> {
    match hidden.reveal(subject) {
        Revealed::Number(number) => Some(number),
        Revealed::Reserved(_) | Revealed::Neither => None,
    }
}

/// The work at the edge, which each message needs before any of the above.
fn at_the_edge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check/edge");
    let hidden = Permutation::new(PermutationKey::from_bytes([7; 16]));
    let number = Msisdn::parse("+46732001122").expect("a number");
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Msisdn::parse(black_box("+46732001122")));
    });
    group.bench_function("permute", |bencher| {
        bencher.iter(|| hidden.subject(black_box(number)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    targets = one_at_a_time, hits, in_batches, many_tenants, threads, from_numbers, with_rules, at_the_edge
}
criterion_main!(benches);
