use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;

use portcullis_msisdn::Directions;
use proptest::prelude::*;

use super::*;
use crate::saved::{MIN_PART_BYTES, Part, SaveCursor};
use crate::testing::{directions, limits, spread, subject, subjects};

fn save(set: &DirectedSet, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut cursor = Some(SaveCursor::START);
    while let Some(at) = cursor {
        let Part { bytes, next } = set.save_part(at, max_bytes);
        assert!(bytes.len() <= max_bytes.max(MIN_PART_BYTES));
        parts.push(bytes);
        cursor = next;
    }
    parts
}

fn load(parts: &[Vec<u8>]) -> Result<DirectedSet, LoadError> {
    load_limited(parts, Limits::DEFAULT)
}

fn load_limited(parts: &[Vec<u8>], limits: Limits) -> Result<DirectedSet, LoadError> {
    let mut loader = Loader::with_limits(limits);
    for (n, part) in parts.iter().enumerate() {
        let progress = loader.load(part)?;
        assert_eq!(progress == Progress::Complete, n + 1 == parts.len());
    }
    loader.finish()
}

fn entries(set: &DirectedSet) -> Vec<(Subject, Directions)> {
    set.page(None, usize::MAX)
}

fn sets() -> impl Strategy<Value = DirectedSet> {
    let entries =
        subjects().prop_flat_map(|subjects| prop::collection::vec((subjects, directions()), 0..300));
    (limits(), prop::collection::vec(entries, 1..3))
        .prop_map(|(limits, entries)| DirectedSet::from_unsorted_limited(entries.concat(), limits))
}

/// A part with a given header and gaps, valid or not.
fn part(kind: u8, first: u64, last: u64, count: u32, gaps: &[u8]) -> Vec<u8> {
    let mut bytes = b"PSET\x01".to_vec();
    bytes.push(kind);
    bytes.extend(first.to_le_bytes());
    bytes.extend(last.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(gaps);
    bytes
}

const LAST: u64 = Subject::MAX.get();

/// A bound of a range. Most are those with which a save begins and ends.
fn bound() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 3 => Just(LAST), 1 => 0..1_000_u64, 1 => any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_saved_set_is_loaded(set in sets(), limits in limits(), max_bytes in 0..900_usize) {
        let parts = save(&set, max_bytes);
        let loaded = load_limited(&parts, limits).unwrap();
        prop_assert_eq!(entries(&loaded), entries(&set));
        prop_assert_eq!(save(&loaded, max_bytes), parts);
    }

    #[test]
    fn a_loaded_set_can_be_changed(
        set in sets(),
        limits in limits(),
        changes in prop::collection::vec((0..300_usize, directions(), any::<bool>()), 0..300),
    ) {
        let mut model: BTreeMap<Subject, Directions> = entries(&set).into_iter().collect();
        let mut loaded = load_limited(&save(&set, 200), limits).unwrap();
        let subjects: Vec<Subject> =
            model.keys().copied().chain(spread(5, 300)).take(300).collect();
        for (n, directions, insert) in changes {
            let subject = subjects[n];
            let before = model.remove(&subject).unwrap_or_default();
            let (returned, after) = if insert {
                (loaded.insert(subject, directions), before | directions)
            } else {
                (loaded.remove(subject, directions), before & !directions)
            };
            prop_assert_eq!(returned, before);
            if !after.is_none() {
                model.insert(subject, after);
            }
        }
        prop_assert!(entries(&loaded).into_iter().eq(model));
    }

    #[test]
    fn a_save_made_while_the_set_changes_has_all_subjects_that_stayed(
        limits in limits(),
        staying in 1..300_u64,
        changes in prop::collection::vec((0..400_usize, directions(), any::<bool>()), 0..800),
        max_bytes in 64..400_usize,
    ) {
        let stays: BTreeMap<Subject, Directions> = spread(1, staying)
            .zip([Directions::OUTBOUND, Directions::BOTH, Directions::INBOUND].into_iter().cycle())
            .collect();
        let passing: Vec<Subject> = spread(2, 400).collect();
        let mut set = DirectedSet::with_limits(limits);
        for (&subject, &directions) in &stays {
            set.insert(subject, directions);
        }

        let mut changes = changes.into_iter();
        let mut parts = Vec::new();
        let mut cursor = Some(SaveCursor::START);
        let mut had: BTreeMap<Subject, Directions> = BTreeMap::new();
        while let Some(at) = cursor {
            for (subject, directions) in entries(&set) {
                let all = had.entry(subject).or_default();
                *all = *all | directions;
            }
            let cursor_kept = SaveCursor::new(at.get()).unwrap();
            let Part { bytes, next } = set.save_part(cursor_kept, max_bytes);
            parts.push(bytes);
            cursor = next;
            for (n, directions, insert) in changes.by_ref().take(31) {
                if insert {
                    set.insert(passing[n], directions);
                } else {
                    set.remove(passing[n], directions);
                }
            }
        }
        let loaded = entries(&load_limited(&parts, limits).unwrap());
        prop_assert!(loaded.is_sorted_by(|(one, _), (next, _)| one < next));
        for &(subject, directions) in &loaded {
            let had = had.get(&subject).copied().unwrap_or_default();
            prop_assert_eq!(directions & !had, Directions::NONE, "nothing is loaded that the set never had");
        }
        let mut loaded: BTreeMap<Subject, Directions> = loaded.into_iter().collect();
        loaded.retain(|subject, _| stays.contains_key(subject));
        prop_assert_eq!(loaded, stays);
    }

    #[test]
    fn modified_bytes_are_rejected_or_yield_another_valid_set(
        set in sets(),
        max_bytes in 64..2_000_usize,
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
            1..4,
        ),
    ) {
        let mut parts = save(&set, max_bytes);
        for (part, at, byte) in changes {
            let part = part.get_mut(&mut parts);
            let at = at.index(part.len());
            part[at] = byte;
        }
        if let Some(loaded) = load_any(&parts) {
            let saved = save(&loaded, usize::MAX);
            prop_assert_eq!(entries(&load(&saved).unwrap()), entries(&loaded));
            if parts.len() == 3 && loaded.len() == members(&parts) {
                prop_assert_eq!(saved, parts);
            }
        }
    }

    #[test]
    fn no_input_panics(
        parts in prop::collection::vec(
            (0..4_u8, bound(), bound(), 0..40_u32, prop::collection::vec(any::<u8>(), 0..200)),
            0..5,
        ),
        garbage: Vec<u8>,
    ) {
        let parts: Vec<Vec<u8>> = parts
            .into_iter()
            .map(|(kind, first, last, count, gaps)| part(kind, first, last, count, &gaps))
            .collect();
        load_any(&parts);
        load_any(&[garbage]);
    }
}

/// Returns the set if all parts are accepted and complete it.
fn load_any(parts: &[Vec<u8>]) -> Option<DirectedSet> {
    let mut loader = Loader::new();
    let mut progress = Progress::More;
    for part in parts {
        progress = loader.load(part).ok()?;
    }
    let set = loader.finish().ok();
    assert_eq!(set.is_some(), progress == Progress::Complete);
    set
}

/// The number of members according to the parts' headers, which must be below 2^16 per part.
fn members(parts: &[Vec<u8>]) -> usize {
    parts.iter().map(|part| usize::from(part[22]) | usize::from(part[23]) << 8).sum()
}

#[test]
fn a_large_set_is_saved_compactly_and_loaded_at_its_level() {
    let set: DirectedSet = spread(1, 100_000).map(|subject| (subject, Directions::BOTH)).collect();
    let parts = save(&set, 1 << 14);
    let bytes: usize = parts.iter().map(Vec::len).sum();
    assert!(bytes < 520_000, "{bytes}");
    let loaded = load(&parts).unwrap();
    assert_eq!(entries(&loaded), entries(&set));
    let (loaded, set) = (&loaded.kinds()[0], &set.kinds()[0]);
    assert!(loaded.level.shard_count().abs_diff(set.level.shard_count()) <= 1);
}

/// Members crowded at one end mislead the extrapolation, in both directions.
#[test]
fn a_lopsided_set_is_loaded_at_its_level() {
    for crowd in [0..30_000, LAST - 30_000..LAST] {
        let crowd = crowd.map(subject);
        let members: BTreeSet<Subject> = crowd.chain(spread(1, 40_000)).collect();
        let set: DirectedSet = members.iter().map(|&subject| (subject, Directions::INBOUND)).collect();
        let loaded = load(&save(&set, 4_096)).unwrap();
        assert_eq!(entries(&loaded), entries(&set));
        let (loaded, set) = (&loaded.kinds()[1], &set.kinds()[1]);
        assert!(loaded.level.shard_count() <= 2 * set.level.shard_count());
    }
}

#[test]
fn a_subject_in_several_sets_has_its_directions_united() {
    let part_of = |kind, member| part(kind, 0, LAST, 1, &[member]);
    let inbound_outbound = [part(0, 0, LAST, 0, &[]), part_of(1, 9), part_of(2, 9)];
    let both_outbound = [part_of(0, 9), part_of(1, 8), part_of(2, 9)];
    let loaded = load(&inbound_outbound).unwrap();
    assert_eq!(entries(&loaded), [(subject(9), Directions::BOTH)]);
    let loaded = load(&both_outbound).unwrap();
    assert_eq!(entries(&loaded), [(subject(8), Directions::INBOUND), (subject(9), Directions::BOTH)]);
}

#[test]
fn every_truncation_is_rejected() {
    let set: DirectedSet = spread(1, 40).zip(KINDS.into_iter().cycle()).collect();
    let parts = save(&set, 64);
    assert!(parts.len() > 6);
    for n in 0..parts.len() {
        let mut loader = Loader::new();
        parts[..n].iter().for_each(|part| assert_eq!(loader.load(part), Ok(Progress::More)));
        assert_eq!(loader.finish().err(), Some(LoadError::Incomplete));
        for len in 0..parts[n].len() {
            let mut loader = Loader::new();
            parts[..n].iter().for_each(|part| assert_eq!(loader.load(part), Ok(Progress::More)));
            let expected = if len < 4 { LoadError::NotAPart } else { LoadError::Truncated };
            assert_eq!(loader.load(&parts[n][..len]), Err(expected));
            assert_eq!(loader.load(&parts[n]), Err(LoadError::Refused));
            assert_eq!(loader.finish().err(), Some(LoadError::Refused));
        }
    }
}

#[test]
fn each_defect_has_its_error() {
    let refusal = |parts: &[Vec<u8>]| {
        let mut loader = Loader::new();
        let (last, before) = parts.split_last().unwrap();
        before.iter().for_each(|part| assert_eq!(loader.load(part), Ok(Progress::More)));
        loader.load(last).unwrap_err()
    };
    let empty = |kind| part(kind, 0, LAST, 0, &[]);
    let faults = [
        (vec![b"PSEX\x01".to_vec()], LoadError::NotAPart),
        (vec![b"PSET\x02".to_vec()], LoadError::Version(2)),
        (vec![part(0, 0, LAST, 2, &[1])], LoadError::Truncated),
        (vec![part(0, 0, LAST, 1, &[0x81])], LoadError::Truncated),
        (vec![part(0, 0, LAST, 1, &[1, 1])], LoadError::Trailing),
        (vec![part(0, 0, LAST, 1, &[0x81, 0])], LoadError::Gap),
        (vec![part(0, 0, LAST, 1, &[0xFF; 9])], LoadError::Gap),
        (vec![part(0, 0, 5, 1, &[6])], LoadError::BeyondRange),
        (
            vec![part(0, 0, LAST, 2, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0])],
            LoadError::BeyondRange,
        ),
        (vec![part(0, 0, 5, 1, &[4])], LoadError::Range),
        (vec![part(0, 0, 5, 0, &[])], LoadError::Range),
        (vec![part(0, 0, LAST + 1, 0, &[])], LoadError::Range),
        (vec![part(0, 0, 5, 1, &[5]), part(0, 6, 5, 0, &[])], LoadError::Range),
        (vec![part(1, 0, LAST, 0, &[])], LoadError::OutOfOrder),
        (vec![part(3, 0, LAST, 0, &[])], LoadError::OutOfOrder),
        (vec![part(0, 1, LAST, 0, &[])], LoadError::OutOfOrder),
        (vec![empty(0), empty(0)], LoadError::OutOfOrder),
        (vec![part(0, 0, 5, 1, &[5]), part(0, 7, LAST, 0, &[])], LoadError::OutOfOrder),
        (vec![part(0, 0, 5, 1, &[5]), part(0, 0, 5, 1, &[5])], LoadError::OutOfOrder),
    ];
    for (parts, error) in faults {
        assert_eq!(refusal(&parts), error, "for {parts:?}");
    }

    for after_the_last in 0..4 {
        let mut loader = Loader::new();
        (0..3).for_each(|kind| assert!(loader.load(&empty(kind)).is_ok()));
        assert_eq!(loader.load(&empty(after_the_last)), Err(LoadError::OutOfOrder));
    }
}

#[test]
fn a_part_without_members_ends_its_set() {
    let parts = [
        part(0, 0, 5, 1, &[5]),
        part(0, 6, LAST, 0, &[]),
        part(1, 0, LAST, 0, &[]),
        part(2, 0, LAST, 0, &[]),
    ];
    assert_eq!(entries(&load(&parts).unwrap()), [(subject(5), Directions::BOTH)]);
}

#[test]
fn the_smallest_and_largest_subjects_are_saved() {
    let both = vec![(Subject::MIN, Directions::OUTBOUND), (Subject::MAX, Directions::OUTBOUND)];
    let set = DirectedSet::from_unsorted(both.clone());
    assert_eq!(entries(&load(&save(&set, 0)).unwrap()), both);
}

#[test]
fn cursors_round_trip_and_others_are_rejected() {
    let set: DirectedSet = spread(1, 100).zip(KINDS.into_iter().cycle()).collect();
    let mut cursor = Some(SaveCursor::START);
    while let Some(at) = cursor {
        assert_eq!(SaveCursor::new(at.get()), Some(at));
        cursor = set.save_part(at, 64).next;
    }
    assert_eq!(SaveCursor::new(3 << 50), None);
    assert_eq!(SaveCursor::new(u64::MAX), None);
}

#[test]
fn debug_shows_only_the_length_of_a_part() {
    let set: DirectedSet = [(subject(5), Directions::BOTH)].into_iter().collect();
    let part = set.save_part(SaveCursor::START, 64);
    assert_eq!(
        alloc::format!("{part:?}"),
        "Part { len: 27, next: Some(SaveCursor(inbound, Some(Subject(0000…)))) }"
    );
}
