//! Measures the set's memory use with a counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use portcullis_hashed_set::{DirectedSet, LoadError, Loader, Progress, SaveCursor};
use portcullis_msisdn::{Direction, Directions, Subject};

/// Counts the allocations of the test's own thread.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(allocated: usize, freed: usize) {
    LIVE.set(LIVE.get().wrapping_add(allocated).wrapping_sub(freed));
    PEAK.set(PEAK.get().max(LIVE.get()));
    LARGEST.set(LARGEST.get().max(allocated));
    ASKED.set(ASKED.get() + allocated);
}

// SAFETY: all calls are passed on to `System` unchanged. The counters are const-initialized thread-locals without a
// destructor, so using them neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller upholds the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller upholds the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller upholds the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller upholds the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the result of `make`, and the heap memory that it keeps in bytes.
fn kept_by<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    let made = make();
    (made, LIVE.get().wrapping_sub(before))
}

const MILLION: u64 = 1_000_000;

fn subject(n: u64) -> Subject {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Subject::new((mixed ^ mixed >> 31) >> 14).expect("50 bits")
}

fn bulk(count: u64) -> DirectedSet {
    (0..count).map(|n| (subject(n), Directions::BOTH)).collect()
}

fn save(set: &DirectedSet, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut cursor = Some(SaveCursor::START);
    while let Some(at) = cursor {
        let part = set.save_part(at, max_bytes);
        cursor = part.next;
        parts.push(part.bytes);
    }
    parts
}

#[test]
fn an_empty_set_allocates_nothing() {
    let asked = ASKED.get();
    let mut set = DirectedSet::new();
    assert!(!set.contains(subject(1), Direction::Inbound));
    assert_eq!(set.remove(subject(1), Directions::BOTH), Directions::NONE);
    assert_eq!(set.page(None, 10), []);
    set.clear();
    assert_eq!(ASKED.get(), asked);
}

#[test]
fn a_million_members_take_five_and_a_half_bytes_each() {
    let (set, kept) = kept_by(|| bulk(MILLION));
    let each = kept as f64 / set.len() as f64;
    assert!(each <= 5.5, "built at once: {each}");

    let parts = save(&set, 1 << 18);
    let (set, kept) = kept_by(|| {
        let mut loader = Loader::new();
        parts.iter().for_each(|part| assert!(loader.load(part).is_ok()));
        loader.finish().expect("all parts")
    });
    let each = kept as f64 / set.len() as f64;
    assert!(each <= 5.5, "loaded: {each}");
}

#[test]
fn growing_takes_no_more_memory_and_an_insertion_allocates_at_most_a_shard() {
    let mut set = DirectedSet::new();
    let (mut most_asked, mut most_kept) = (0, 0.0_f64);
    let ((), kept) = kept_by(|| {
        let before = LIVE.get();
        for n in 0..MILLION {
            let asked = ASKED.get();
            set.insert(subject(n), Directions::BOTH);
            most_asked = most_asked.max(ASKED.get() - asked);
            if n > 200_000 {
                most_kept = most_kept.max(LIVE.get().wrapping_sub(before) as f64 / n as f64);
            }
        }
    });
    let each = kept as f64 / set.len() as f64;
    assert!(each <= 5.6, "grown: {each}");
    assert!(most_kept <= 7.0, "on the way: {most_kept}");
    assert!(LARGEST.get() <= 16 << 10, "the largest allocation: {}", LARGEST.get());
    assert!(most_asked <= 192 << 10, "all of one insert's allocations: {most_asked}");

    let before = LIVE.get();
    (0..MILLION).for_each(|n| assert_eq!(set.remove(subject(n), Directions::BOTH), Directions::BOTH));
    assert_eq!(before - LIVE.get(), kept, "an emptied set frees all its memory");
}

#[test]
fn removing_frees_memory() {
    let (mut set, all) = kept_by(|| bulk(MILLION));
    (0..MILLION * 9 / 10).for_each(|n| {
        set.remove(subject(n), Directions::BOTH);
    });
    let freed = kept_by(|| drop(set)).1.wrapping_neg();
    assert!(freed < all / 5, "{freed} of {all} for a tenth");
}

/// Hostile data: members crowded at the front make many shards seem necessary, and the next part has only one member
/// for each.
#[test]
fn hostile_parts_cost_a_small_multiple_of_their_length() {
    let header = |first: u64, last: u64, count: usize| {
        let mut part = b"PSET\x01\x00".to_vec();
        part.extend(first.to_le_bytes());
        part.extend(last.to_le_bytes());
        part.extend(u32::try_from(count).expect("few").to_le_bytes());
        part
    };
    let crowd = 20_000;
    let mut crowded = header(0, crowd - 1, 20_000);
    crowded.extend(vec![0; 20_000]);
    let mut sparse = header(crowd, Subject::MAX.get(), 4_000);
    // Skips 2^38 + 2^7 - 1 subjects each time, 4,000 times: across the whole space.
    sparse.extend([0xFF, 0x80, 0x80, 0x80, 0x80, 0x08].repeat(4_000));
    let unending = header(0, Subject::MAX.get(), 1 << 30);

    for (parts, last) in
        [(vec![crowded, sparse], Ok(Progress::More)), (vec![unending], Err(LoadError::Truncated))]
    {
        let bytes: usize = parts.iter().map(Vec::len).sum();
        let before = LIVE.get();
        PEAK.set(before);
        let mut loader = Loader::new();
        let progress = parts.iter().map(|part| loader.load(part)).last();
        assert_eq!(progress, Some(last));
        let taken = PEAK.get().wrapping_sub(before);
        assert!(taken <= 24 * bytes + (64 << 10), "{taken} for {bytes}");
    }
}
