use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{directions, limits, spread, subject, subjects};

#[derive(Clone, Debug)]
enum Step {
    Insert(Subject, Directions),
    Remove(Subject, Directions),
    /// Removes the first subject from this one on.
    RemoveMember(Subject, Directions),
    Ask(Subject),
    Page(Option<Subject>, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let phase = (subjects(), 1..9_u32, 1..9_u32).prop_flat_map(|(subjects, inserts, removals)| {
        let entry = (subjects.clone(), directions()).boxed();
        let step = prop_oneof![
            4 * inserts => entry.clone().prop_map(|(subject, given)| Step::Insert(subject, given)),
            1 => entry.clone().prop_map(|(subject, taken)| Step::Remove(subject, taken)),
            4 * removals => entry.prop_map(|(from, taken)| Step::RemoveMember(from, taken)),
            4 => subjects.clone().prop_map(Step::Ask),
            1 => (prop::option::of(subjects), 0..40_usize)
                .prop_map(|(after, limit)| Step::Page(after, limit)),
        ];
        prop::collection::vec(step, 0..300)
    });
    prop::collection::vec(phase, 1..4).prop_map(|phases| phases.concat())
}

type Model = BTreeMap<Subject, Directions>;

fn directions_in(model: &Model, subject: Subject) -> Directions {
    model.get(&subject).copied().unwrap_or_default()
}

fn store(model: &mut Model, subject: Subject, directions: Directions) {
    if directions.is_none() {
        model.remove(&subject);
    } else {
        model.insert(subject, directions);
    }
}

fn walk(set: &DirectedSet, limit: usize) -> Vec<(Subject, Directions)> {
    let mut entries: Vec<(Subject, Directions)> = Vec::new();
    loop {
        let page = set.page(entries.last().map(|&(subject, _)| subject), limit);
        let last = page.len() < limit;
        entries.extend(page);
        if last {
            return entries;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn it_behaves_like_a_map_to_directions(limits in limits(), steps in steps()) {
        let mut set = DirectedSet::with_limits(limits);
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Insert(subject, directions) => {
                    let before = directions_in(&model, subject);
                    prop_assert_eq!(set.insert(subject, directions), before);
                    store(&mut model, subject, before | directions);
                }
                Step::Remove(subject, directions) => {
                    let before = directions_in(&model, subject);
                    prop_assert_eq!(set.remove(subject, directions), before);
                    store(&mut model, subject, before & !directions);
                }
                Step::RemoveMember(from, directions) => {
                    if let Some((&subject, &before)) = model.range(from..).next() {
                        prop_assert_eq!(set.remove(subject, directions), before);
                        store(&mut model, subject, before & !directions);
                    }
                }
                Step::Ask(subject) => {
                    let directions = directions_in(&model, subject);
                    prop_assert_eq!(set.directions(subject), directions);
                    for direction in Directions::BOTH.iter() {
                        prop_assert_eq!(set.contains(subject, direction), directions.covers(direction));
                    }
                }
                Step::Page(after, limit) => {
                    let rest = model.iter().filter(|&(&subject, _)| Some(subject) > after);
                    let rest = rest.take(limit).map(|(&subject, &directions)| (subject, directions));
                    prop_assert!(set.page(after, limit).into_iter().eq(rest));
                }
            }
            prop_assert_eq!(set.len(), model.len());
        }
        for kind in KINDS {
            let count = model.values().filter(|&&directions| directions == kind).count();
            prop_assert_eq!(set.len_of(kind), count);
        }
        let entries: Vec<(Subject, Directions)> = model.into_iter().collect();
        prop_assert_eq!(&walk(&set, 7), &entries);
        prop_assert_eq!(&set.page(None, usize::MAX), &entries);
        let backwards = entries.into_iter().rev().collect();
        let rebuilt = DirectedSet::from_unsorted_limited(backwards, limits);
        prop_assert_eq!(walk(&rebuilt, 50), walk(&set, 50));
        set.clear();
        prop_assert!(set.is_empty());
    }

    #[test]
    fn a_bulk_build_unites_directions(
        entries in subjects()
            .prop_flat_map(|subjects| prop::collection::vec((subjects, directions()), 0..200)),
    ) {
        let mut model = Model::new();
        for &(subject, directions) in &entries {
            let before = directions_in(&model, subject);
            store(&mut model, subject, before | directions);
        }
        let set: DirectedSet = entries.into_iter().collect();
        prop_assert!(walk(&set, 9).into_iter().eq(model));
    }

    #[test]
    fn batch_checks_agree_with_single_ones(
        members in 0..400_u64,
        picks in prop::collection::vec((0..2_usize, 0..400_usize), 0..200),
    ) {
        let kinds = KINDS.into_iter().cycle();
        let set: DirectedSet = spread(1, members).zip(kinds).collect();
        let pool: Vec<Subject> = spread(1, 400).chain(spread(2, 400)).collect();
        let asked: Vec<Subject> = picks.iter().map(|&(half, n)| pool[half * 400 + n]).collect();
        for direction in Directions::BOTH.iter() {
            let bitmap = set.contains_many(&asked, direction);
            prop_assert_eq!(bitmap.len(), asked.len().div_ceil(8));
            for n in 0..8 * bitmap.len() {
                let bit = bitmap[n / 8] >> (n % 8) & 1 == 1;
                let expected = asked.get(n).is_some_and(|&subject| set.contains(subject, direction));
                prop_assert_eq!(bit, expected);
            }
        }
    }

    #[test]
    fn paging_lists_every_subject_that_stays_once(
        limits in limits(),
        stay in 1..300_u64,
        changes in prop::collection::vec((0..600_usize, directions(), any::<bool>()), 0..600),
        limit in 1..20_usize,
    ) {
        let staying: Model = spread(1, stay).zip(KINDS.into_iter().cycle()).collect();
        let passing: Vec<Subject> = spread(2, 600).collect();
        let mut set = DirectedSet::with_limits(limits);
        for (&subject, &directions) in &staying {
            set.insert(subject, directions);
        }

        let mut changes = changes.into_iter();
        let mut met = Model::new();
        let mut after = None;
        loop {
            let page = set.page(after, limit);
            for &(subject, directions) in &page {
                prop_assert!(after < Some(subject), "in order");
                prop_assert!(met.insert(subject, directions).is_none(), "once");
                after = Some(subject);
            }
            if page.len() < limit {
                break;
            }
            for (n, directions, insert) in changes.by_ref().take(17) {
                if insert {
                    set.insert(passing[n], directions);
                } else {
                    set.remove(passing[n], directions);
                }
            }
        }
        met.retain(|subject, _| staying.contains_key(subject));
        prop_assert_eq!(met, staying);
    }
}

#[test]
fn the_smallest_and_largest_subjects_work() {
    let mut set = DirectedSet::new();
    for subject in [Subject::MIN, Subject::MAX] {
        assert_eq!(set.insert(subject, Directions::INBOUND), Directions::NONE);
        assert_eq!(set.insert(subject, Directions::OUTBOUND), Directions::INBOUND);
        assert_eq!(set.directions(subject), Directions::BOTH);
    }
    let both = [(Subject::MIN, Directions::BOTH), (Subject::MAX, Directions::BOTH)];
    assert_eq!(set.page(None, 10), both);
    assert_eq!(set.page(Some(Subject::MIN), 10), both[1..]);
    assert_eq!(set.page(Some(Subject::MAX), 10), []);
}

#[test]
fn entries_without_directions_are_ignored() {
    let mut set = DirectedSet::new();
    assert_eq!(set.insert(subject(1), Directions::NONE), Directions::NONE);
    assert!(set.is_empty());
    assert!(DirectedSet::from_unsorted(vec![(subject(1), Directions::NONE)]).is_empty());
    assert_eq!(set.len_of(Directions::NONE), 0);
}

#[test]
#[should_panic(expected = "less than one bit per subject")]
fn a_bitmap_that_is_too_short_panics() {
    DirectedSet::new().contains_many_into(&[Subject::MIN; 9], Direction::Inbound, &mut [0]);
}

#[test]
fn debug_shows_only_counts() {
    let set: DirectedSet = [(subject(0x2_A5C3_9B1F_70E4), Directions::INBOUND)].into_iter().collect();
    assert_eq!(alloc::format!("{set:?}"), "{both: 0, inbound: 1, outbound: 0}");
}
