use alloc::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::testing::{limits, sorted, spread, subject, subjects};

#[derive(Clone, Debug)]
enum Step {
    Insert(Subject),
    Remove(Subject),
    /// Removes the first member from this one on.
    RemoveMember(Subject),
    Contains(Subject),
    WalkFrom(Subject),
    Rebuild,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let phase = (subjects(), 1..9_u32, 1..9_u32).prop_flat_map(|(subjects, inserts, removals)| {
        let step = prop_oneof![
            4 * inserts => subjects.clone().prop_map(Step::Insert),
            1 => subjects.clone().prop_map(Step::Remove),
            4 * removals => subjects.clone().prop_map(Step::RemoveMember),
            4 => subjects.clone().prop_map(Step::Contains),
            1 => subjects.prop_map(Step::WalkFrom),
            1 => Just(Step::Rebuild),
        ];
        prop::collection::vec(step, 0..400)
    });
    prop::collection::vec(phase, 1..4).prop_map(|phases| phases.concat())
}

impl HashedSet {
    /// Asserts that each member is where lookups expect it, and nothing else is stored.
    fn assert_sound(&self) {
        assert_eq!(self.shards.len(), if self.is_empty() { 0 } else { self.level.shard_count() });
        let mut members = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            let (first, depth) = self.level.shard(index);
            let of_shard = shard.assert_sound(depth, first);
            members += of_shard.len();
            for member in of_shard {
                assert_eq!(self.level.locate(member), (index, depth));
            }
        }
        assert_eq!(members, self.len);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_behaves_like_a_set(limits in limits(), expected in 0..20_000_usize, steps in steps()) {
        let mut set = HashedSet::with_limits(limits);
        set.expect(expected);
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(subject) => prop_assert_eq!(set.insert(subject), model.insert(subject)),
                Step::Remove(subject) => prop_assert_eq!(set.remove(subject), model.remove(&subject)),
                Step::RemoveMember(from) => {
                    if let Some(&subject) = model.range(from..).next() {
                        prop_assert!(set.remove(subject));
                        model.remove(&subject);
                    }
                }
                Step::Contains(subject) => {
                    prop_assert_eq!(set.contains(subject), model.contains(&subject));
                }
                Step::WalkFrom(subject) => {
                    prop_assert!(set.iter_from(subject).eq(model.range(subject..).copied()));
                }
                Step::Rebuild => {
                    let members = model.iter().map(|member| member.get());
                    set = HashedSet::from_ascending(model.len(), members, limits);
                }
            }
            prop_assert_eq!(set.len(), model.len());
        }
        set.assert_sound();
        prop_assert!(set.iter().eq(model.iter().copied()));
        for chunk in model.iter().copied().collect::<Vec<_>>().chunks(64) {
            prop_assert_eq!(set.contained(chunk), u64::MAX >> (64 - chunk.len()));
        }
    }

    #[test]
    fn a_bulk_build_equals_insertion(
        subjects in subjects().prop_flat_map(|subjects| prop::collection::vec(subjects, 0..300)),
    ) {
        let built = HashedSet::from_unsorted(subjects.clone());
        let mut grown = HashedSet::new();
        subjects.iter().for_each(|&subject| { grown.insert(subject); });
        built.assert_sound();
        prop_assert!(built.iter().eq(&grown));
        prop_assert_eq!(built.len(), grown.len());
    }
}

/// Grows past several splits with the default limits and back: with array and bitset containers, many pages per shard,
/// and all three entry widths.
#[test]
fn it_grows_and_shrinks_with_the_default_limits() {
    let members: Vec<Subject> = spread(1, 60_000).collect();
    let mut set = HashedSet::new();
    for &member in &members {
        assert!(set.insert(member));
    }
    set.assert_sound();
    assert_eq!(set.level, Level::for_len(60_000, &Limits::DEFAULT));
    assert!(set.iter().eq(sorted(members.iter().copied())));
    assert!(members.iter().all(|&member| set.contains(member) && !set.insert(member)));
    assert!(spread(2, 60_000).all(|stranger| !set.contains(stranger) && !set.remove(stranger)));

    let (removed, kept) = members.split_at(58_000);
    assert!(removed.iter().all(|&member| set.remove(member)));
    set.assert_sound();
    assert_eq!(set.level, Level::ROOT);
    assert!(set.iter().eq(sorted(kept.iter().copied())));
    assert!(kept.iter().all(|&member| set.remove(member)));
    assert!(set.is_empty() && set.shards.capacity() == 0, "an empty set has no memory");
}

/// With one or two members per shard, the level gets deep enough for entries of three bytes.
#[test]
fn it_works_at_every_depth() {
    let limits = Limits { high: 2, step: 1, low: 1 };
    let members: Vec<Subject> = spread(3, 70_000).collect();
    let mut set = HashedSet::with_limits(limits);
    for (n, &member) in members.iter().enumerate() {
        assert!(set.insert(member));
        if n.is_power_of_two() {
            set.assert_sound();
            assert!(members[..=n].iter().all(|&member| set.contains(member)));
        }
    }
    assert!(set.level.locate(0).1.width() == 3);
    set.assert_sound();
    assert!(set.iter().eq(sorted(members.iter().copied())));
    for (n, &member) in members.iter().enumerate() {
        assert!(set.remove(member));
        if (members.len() - n).is_power_of_two() {
            set.assert_sound();
        }
    }
}

/// Consecutive subjects share one bucket at any depth, so almost all are surplus.
#[test]
fn crowded_members_are_stored_exactly() {
    let limits = Limits { high: 8, step: 2, low: 3 };
    let mut set = HashedSet::with_limits(limits);
    let first = 7 << 40;
    for value in (0..3_000).rev() {
        assert!(set.insert(subject(first + value)));
    }
    let surplus: usize = set.shards.iter().map(Shard::surplus).sum();
    assert!(surplus > 2_900);
    set.assert_sound();
    assert!(set.iter().map(Subject::get).eq(first..first + 3_000));
    assert!(set.iter_from(subject(first + 10)).map(Subject::get).eq(first + 10..first + 3_000));
    assert!((0..3_000).all(|value| !set.insert(subject(first + value))));
    assert!((0..3_000).step_by(2).all(|value| set.remove(subject(first + value))));
    set.assert_sound();
    assert!(set.iter().map(Subject::get).eq((first + 1..first + 3_000).step_by(2)));
    let queries: Vec<Subject> = (0..64).map(|value| subject(first + value)).collect();
    assert_eq!(set.contained(&queries), 0xAAAA_AAAA_AAAA_AAAA);
}

/// The order in which the ledger fills a list: all members so far are at the front of the space.
#[test]
fn filling_in_ascending_order_leaves_no_crowded_shards() {
    let members = sorted(spread(5, 300_000));
    for (expected, most) in [(0, usize::MAX), (300_000, 2 * CROWD), (100_000, usize::MAX)] {
        let (mut set, mut most_surplus) = (HashedSet::new(), 0);
        set.expect(expected);
        for (n, &member) in members.iter().enumerate() {
            assert!(set.insert(member));
            if n % 1_000 == 0 {
                most_surplus = most_surplus.max(set.shards.iter().map(Shard::surplus).sum());
            }
        }
        set.assert_sound();
        assert!(set.iter().eq(members.iter().copied()));
        assert_eq!(set.level, Level::for_len(300_000, &Limits::DEFAULT));
        assert!(set.shards.iter().all(|shard| shard.surplus() < CROWD), "evenly distributed in the end");
        assert!(most_surplus <= most, "on the way: {most_surplus}");
    }
}

#[test]
fn a_set_redistributed_for_more_members_than_it_gets_still_works() {
    let members = sorted(spread(6, 400_000));
    let mut set = HashedSet::new();
    set.expect(400_000);
    let (came, removed) = (&members[..30_000], &members[5_000..30_000]);
    assert!(came.iter().all(|&member| set.insert(member)));
    assert!(set.level.shard_count() > 16, "redistributed when the first shard was crowded");
    set.assert_sound();
    assert!(removed.iter().all(|&member| set.remove(member)));
    set.assert_sound();
    assert!(set.level.shard_count() < 4, "merged after many removals");
    assert!(set.iter().eq(members[..5_000].iter().copied()));
}

#[test]
fn splits_and_merges_keep_all_members() {
    let limits = Limits { high: 1_000, step: 10, low: 300 };
    let mut model: BTreeSet<Subject> = spread(4, 3_000).chain((0..200).map(subject)).collect();
    let members = model.iter().map(|member| member.get());
    let mut set = HashedSet::from_ascending(model.len(), members, limits);
    for _ in 0..20 {
        set.split();
        set.assert_sound();
        assert!(set.iter().eq(model.iter().copied()));
    }
    let removed = *model.iter().nth(1_000).expect("there are 3,200");
    model.remove(&removed);
    set.remove(removed);
    while set.level != Level::ROOT {
        set.merge();
        set.assert_sound();
        assert!(set.iter().eq(model.iter().copied()));
    }
}

#[test]
fn debug_shows_only_the_length() {
    let set: HashedSet = [subject(0x2_A5C3_9B1F_70E4)].into_iter().collect();
    assert_eq!(alloc::format!("{set:?}"), "HashedSet { len: 1, .. }");
}
