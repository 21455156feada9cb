//! Benchmarks of changes: blocking and unblocking in the set and through the host, and filling, saving and loading a
//! list.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros generate undocumented functions")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use portcullis_benches::{
    MEASUREMENT, SIZES, SplitMix, WARM_UP, hash_set, members, native, recipe, through_the_host,
};
use portcullis_hashed_set::{DirectedSet, Loader, SaveCursor};
use portcullis_host::{
    ArtefactCache, Compiler, Directions, Engine, Entry, Generation, Limits, Plugin, compile_child_main,
};

/// Each iteration blocks a number and unblocks it again, so that the list keeps its size.
fn block_and_unblock(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        let mut group = criterion.benchmark_group(format!("block-and-unblock/{size}"));
        let mut random = SplitMix::new(3);
        let mut baseline = hash_set(&members);
        group.bench_function("hash-set", |bencher| {
            bencher.iter(|| {
                let value = random.subject().get();
                baseline.insert(value) & baseline.remove(&value)
            });
        });
        let mut set = native(&members);
        group.bench_function("native", |bencher| {
            bencher.iter(|| {
                let subject = random.subject();
                set.insert(subject, Directions::BOTH) | set.remove(subject, Directions::BOTH)
            });
        });
        let list = through_the_host(&members);
        group.bench_function("host", |bencher| {
            bencher.iter(|| {
                let entry = [Entry { subject: random.subject(), directions: Directions::BOTH }];
                (list.block(&entry), list.unblock(&entry))
            });
        });
        group.finish();
    }
}

/// Reads pages of a hundred entries, from random positions in the list.
fn pages(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        let mut group = criterion.benchmark_group(format!("page/{size}"));
        let mut random = SplitMix::new(4);
        let set = native(&members);
        group.bench_function("native", |bencher| bencher.iter(|| set.page(Some(random.subject()), 100)));
        let list = through_the_host(&members);
        group.bench_function("host", |bencher| bencher.iter(|| list.list(Some(random.subject()), 100)));
        group.finish();
    }
}

fn whole_lists(criterion: &mut Criterion) {
    for size in SIZES {
        let members = members(size);
        let mut group = criterion.benchmark_group(format!("list/{size}"));
        group.sample_size(10).throughput(Throughput::Elements(size as u64));
        group.bench_function("build/native", |bencher| bencher.iter(|| native(black_box(&members))));
        group.bench_function("fill/host", |bencher| bencher.iter(|| through_the_host(black_box(&members))));
        let set = native(&members);
        group.bench_function("save/native", |bencher| bencher.iter(|| save(&set)));
        let parts = save(&set);
        group.bench_function("load/native", |bencher| {
            bencher.iter_batched(Loader::new, |loader| load(loader, &parts), BatchSize::PerIteration);
        });
        group.finish();
    }
}

/// Creates an empty generation.
fn instantiate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("instantiate");
    for (name, component) in [
        ("exact", portcullis_plugin_bundle::EXACT.component),
        ("trivial-component", portcullis_plugin_bundle::TRIVIAL.component),
    ] {
        let recipe = recipe(component);
        group.bench_function(name, |bencher| bencher.iter(|| Generation::empty(recipe.clone())));
    }
    group.finish();
}

/// Loads a plugin, from its bytes to its description.
fn load_plugin(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = || Engine::new().expect("this machine runs WebAssembly");
    let engines = [
        ("in-process", engine()),
        ("child", engine().with_compiler(Compiler::this_program())),
        ("cached", engine().with_cache(ArtefactCache::open(dir.path(), [7; 32]))),
    ];
    let mut group = criterion.benchmark_group("load-plugin");
    group.sample_size(11);
    for (name, engine) in &engines {
        let load = || Plugin::load(engine, portcullis_plugin_bundle::EXACT.component, Limits::default());
        // Fills the cache.
        load().expect("a bundled plugin loads");
        group.bench_function(*name, |bencher| bencher.iter(load));
    }
    group.finish();
}

fn save(set: &DirectedSet) -> Vec<Vec<u8>> {
    let (mut parts, mut cursor) = (Vec::new(), Some(SaveCursor::START));
    while let Some(at) = cursor {
        let part = set.save_part(at, 1 << 20);
        parts.push(part.bytes);
        cursor = part.next;
    }
    parts
}

fn load(mut loader: Loader, parts: &[Vec<u8>]) -> DirectedSet {
    for part in parts {
        loader.load(part).expect("the part was just saved");
    }
    loader.finish().expect("all parts were loaded")
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    targets = instantiate, load_plugin, block_and_unblock, pages, whole_lists
}

fn main() {
    // The child process in which a plugin is compiled is this program, too.
    compile_child_main();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
