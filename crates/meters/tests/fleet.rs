//! Nodes that take over each other's counts.

mod support;

use portcullis_meters::{
    DEFAULT_BYTES, DamagedChanges, MergeError, Meter, Meters, NodeId, Position, Reservation, Scope,
};
use proptest::prelude::*;
use support::{Model, any_meter, message, meter, time};

const NODES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Send {
        node: usize,
        person: u64,
    },
    Release {
        back: usize,
    },
    /// A node says what changed since a position that it had some time ago.
    Tell {
        node: usize,
        since: prop::sample::Index,
    },
    /// One of what was told reaches a node, perhaps again, perhaps late.
    Hear {
        node: usize,
        told: prop::sample::Index,
    },
    Wait {
        millis: u64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..NODES, 0..8_u64).prop_map(|(node, person)| Step::Send { node, person }),
        2 => (0..8_usize).prop_map(|back| Step::Release { back }),
        4 => (0..NODES, any::<prop::sample::Index>()).prop_map(|(node, since)| Step::Tell { node, since }),
        6 => (0..NODES, any::<prop::sample::Index>()).prop_map(|(node, told)| Step::Hear { node, told }),
        2 => prop_oneof![0..100_u64, 0..4_000_u64].prop_map(|millis| Step::Wait { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Changes come twice, late, in any order, or never. Once each node has heard the last of each other, all agree.
    #[test]
    fn nodes_agree_however_changes_travel(
        declared in prop::collection::vec(any_meter(), 1..5),
        skews in prop::array::uniform3(prop_oneof![Just(0_i64), -4_000..4_000_i64, -1_000_000..1_000_000_i64]),
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        // A slot of a node whose clock is wrong begins at another time: let these be as the others'.
        let slots = declared.iter().map(|meter| u64::from(meter.window.as_seconds()) * 125).max().unwrap();
        let skews = skews.map(|skew| if skew.abs() <= 4_000 { 0 } else { skew / 1000 * i64::try_from(slots).unwrap() });
        let clock = |node: usize, now: u64| {
            portcullis_meters::Time::from_millis(time(now).as_millis().saturating_add_signed(skews[node]))
        };
        // Meters with the longest window only: others' slots would begin at other times with a skewed clock.
        let declared: Vec<Meter> =
            declared.into_iter().filter(|meter| u64::from(meter.window.as_seconds()) * 125 == slots).collect();
        let nodes: Vec<Meters> = (0..NODES).map(|node| Meters::new(NodeId(node as u128), DEFAULT_BYTES)).collect();
        let mut positions = vec![vec![Position::START]; NODES];
        let mut told: Vec<Vec<u8>> = Vec::new();
        let mut model = Model::default();
        let mut sent: Vec<(usize, Reservation, usize)> = Vec::new();
        let mut now = 0;
        let mut counts = vec![0; declared.len()];
        for step in steps {
            match step {
                Step::Send { node, person } => {
                    let handle = nodes[node].declare(&declared, clock(node, now)).unwrap();
                    let reservation = nodes[node].reserve(&handle, &message(person), clock(node, now), &mut counts);
                    sent.push((node, reservation, model.count(time(now), &message(person), &declared)));
                }
                Step::Release { back } => {
                    if let Some(place) = sent.len().checked_sub(back + 1) {
                        let (node, reservation, number) = sent.remove(place);
                        nodes[node].release(&reservation);
                        model.release(number);
                    }
                }
                Step::Tell { node, since } => {
                    let changes = nodes[node].changes_since(*since.get(&positions[node]), clock(node, now));
                    positions[node].push(changes.next);
                    told.push(changes.bytes);
                }
                Step::Hear { node, told: which } => {
                    if !told.is_empty() {
                        nodes[node].merge(which.get::<Vec<u8>>(&told), clock(node, now)).unwrap();
                    }
                }
                Step::Wait { millis } => now += millis,
            }
        }
        for from in 0..NODES {
            let all = nodes[from].changes_since(Position::START, clock(from, now));
            for (to, node) in nodes.iter().enumerate() {
                node.merge(&all.bytes, clock(to, now)).unwrap();
            }
        }
        for (node, meters) in nodes.iter().enumerate() {
            let handle = meters.declare(&declared, clock(node, now)).unwrap();
            for person in 0..8 {
                meters.peek(&handle, &message(person), clock(node, now), &mut counts);
                for (meter, &count) in declared.iter().zip(&counts) {
                    prop_assert_eq!(count, model.expected(meter, &message(person), time(now)), "{:?}", meter);
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_counts_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
        let merged = meters.merge(&bytes, time(0));
        prop_assert!(matches!(merged, Err(MergeError::Damaged(DamagedChanges { .. }))), "{merged:?}");
    }

    /// A byte that was changed gives an error or other counts, and never a panic.
    #[test]
    fn damaged_counts_are_harmless(persons in prop::collection::vec(0..50_u64, 1..20), at: prop::sample::Index, byte: u8) {
        let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
        let declared = meters.declare(&[meter(Scope::Subject, 60), meter(Scope::Country, 3600)], time(0)).unwrap();
        for person in persons {
            meters.reserve(&declared, &message(person), time(0), &mut [0; 2]);
        }
        let mut bytes = meters.changes_since(Position::START, time(0)).bytes;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let other = Meters::new(NodeId(2), DEFAULT_BYTES);
        let _ = other.merge(&bytes, time(0));
        let _ = Meters::restore([bytes.as_slice()], NodeId(3), DEFAULT_BYTES, time(0));
        let declared = other.declare(&[meter(Scope::Subject, 60)], time(0)).unwrap();
        other.peek(&declared, &message(1), time(1_000_000), &mut [0]);
        other.changes_since(Position::START, time(1_000_000));
    }
}

#[test]
fn a_node_that_was_restored_is_heard_again() {
    let declared = [meter(Scope::Tenant, 3600)];
    let (a, b) = (Meters::new(NodeId(1), DEFAULT_BYTES), Meters::new(NodeId(2), DEFAULT_BYTES));
    let count = |meters: &Meters| {
        let mut counts = [0];
        meters.peek(&meters.declare(&declared, time(0)).unwrap(), &message(1), time(0), &mut counts);
        counts[0]
    };
    let send = |meters: &Meters| {
        meters.reserve(&meters.declare(&declared, time(0)).unwrap(), &message(1), time(0), &mut [0]);
    };
    send(&a);
    let saved = a.changes_since(Position::START, time(0));
    let mut position = saved.next;
    // What is told to the other and then not saved is what a node loses that is killed.
    for _ in 0..5 {
        send(&a);
        let changes = a.changes_since(position, time(0));
        b.merge(&changes.bytes, time(0)).unwrap();
        position = changes.next;
    }
    assert_eq!(count(&b), 6);
    let a = Meters::restore([saved.bytes.as_slice()], NodeId(3), DEFAULT_BYTES, time(0)).unwrap();
    assert_eq!(count(&a), 1);
    for _ in 0..9 {
        send(&a);
    }
    let changes = a.changes_since(position, time(0));
    assert!(changes.is_all, "what changed before is not known any more");
    b.merge(&changes.bytes, time(0)).unwrap();
    assert_eq!((count(&a), count(&b)), (10, 10));
}

#[test]
fn counts_of_another_node_expire_and_make_room_for_other_nodes() {
    let declared = [meter(Scope::Subject, 8)];
    let meters = Meters::new(NodeId(0), DEFAULT_BYTES);
    let handle = meters.declare(&declared, time(0)).unwrap();
    let told = |node: u128, at: u64| {
        let other = Meters::new(NodeId(node), DEFAULT_BYTES);
        other.reserve(&other.declare(&declared, time(at)).unwrap(), &message(1), time(at), &mut [0]);
        other.changes_since(Position::START, time(at)).bytes
    };
    for node in 1..=64 {
        meters.merge(&told(node, 0), time(0)).unwrap();
    }
    let mut counts = [0];
    meters.peek(&handle, &message(1), time(0), &mut counts);
    assert_eq!(counts, [64]);
    assert_eq!(meters.merge(&told(65, 0), time(0)), Err(MergeError::TooManyNodes));
    meters.peek(&handle, &message(1), time(10_000), &mut counts);
    assert_eq!(counts, [0]);
    for _ in 0..16 {
        meters.changes_since(Position::START, time(10_000));
    }
    meters.merge(&told(65, 10_000), time(10_000)).unwrap();
    meters.peek(&handle, &message(1), time(10_000), &mut counts);
    assert_eq!(counts, [1]);
}

#[test]
fn where_others_counts_found_no_room_the_count_is_unknown_until_they_have_expired() {
    let asked = meter(Scope::Subject, 60);
    let far = Meters::new(NodeId(2), DEFAULT_BYTES);
    let declared = far.declare(&[asked], time(0)).unwrap();
    for person in 0..5_000 {
        far.reserve(&declared, &message(person), time(0), &mut [0]);
    }
    let limit = 150_000;
    let here = Meters::new(NodeId(1), limit);
    let declared = here.declare(&[asked], time(0)).unwrap();
    here.merge(&far.changes_since(Position::START, time(0)).bytes, time(0)).unwrap();
    let usage = here.usage();
    assert!(usage.unmerged > 0 && usage.bytes <= limit, "{usage:?}");
    let asked_about = |person, at| {
        let mut counts = [0];
        let unknown = here.peek(&declared, &message(person), time(at), &mut counts);
        (!unknown.is_any(0..1)).then_some(counts[0])
    };
    let known: Vec<u32> = (0..5_000).filter_map(|person| asked_about(person, 0)).collect();
    assert_eq!(known.len() as u64, 5_000 - usage.unmerged);
    assert!(known.iter().all(|&count| count == 1), "none is less than it is");
    assert_eq!(asked_about(1_000_000, 0), None, "it may be one of those that were left out");
    assert_eq!(asked_about(1_000_000, 100_000), Some(0));
}
