//! Saved sets.

use std::collections::BTreeMap;

use portcullis_hashed_set::{DirectedSet, Loader, Progress, SaveCursor};
use portcullis_msisdn::{Direction, Directions, Subject};

use crate::support::frames;

/// Loads parts up to the last one; `None` where one is refused.
pub(crate) fn loaded(parts: &[&[u8]]) -> Option<DirectedSet> {
    let mut loader = Loader::new();
    for part in parts {
        if loader.load(part).ok()? == Progress::Complete {
            break;
        }
    }
    loader.finish().ok()
}

fn saved(set: &DirectedSet, max_bytes: usize) -> Vec<Vec<u8>> {
    let (mut parts, mut cursor) = (Vec::new(), Some(SaveCursor::START));
    while let Some(at) = cursor {
        let part = set.save_part(at, max_bytes);
        parts.push(part.bytes);
        cursor = part.next;
    }
    parts
}

/// Of a part: which set it is of, and what follows its header.
fn split(part: &[u8]) -> (usize, &[u8]) {
    (usize::from(part[5]), &part[26..])
}

/// The members of a part, read in the plainest way.
fn members(part: &[u8]) -> Vec<u64> {
    let (mut members, mut gap, mut shift) = (Vec::new(), 0, 0);
    let mut expected = u64::from_le_bytes(part[6..14].try_into().expect("eight bytes"));
    for byte in split(part).1 {
        gap |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            members.push(expected + gap);
            expected += gap + 1;
            (gap, shift) = (0, 0);
        }
    }
    members
}

/// A set that loads has the members of its parts, and is saved as it was.
pub fn set(data: &[u8]) {
    let mut parts = frames(data);
    let Some(set) = loaded(&parts) else { return };
    let is_last = |part: &&[u8]| split(part).0 == 2 && part[14..22] == Subject::MAX.get().to_le_bytes();
    let count = parts.iter().position(is_last).expect("it has a last part") + 1;
    parts.truncate(count);

    const KINDS: [Directions; 3] = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];
    let mut model: BTreeMap<u64, Directions> = BTreeMap::new();
    let (mut gaps, mut is_disjoint) = ([const { Vec::new() }; 3], true);
    for part in &parts {
        let (kind, of_part) = split(part);
        gaps[kind].extend_from_slice(of_part);
        for member in members(part) {
            let known = model.entry(member).or_default();
            is_disjoint &= known.is_none();
            *known = *known | KINDS[kind];
        }
    }
    let page = set.page(None, usize::MAX);
    assert!(page.iter().map(|(subject, directions)| (subject.get(), *directions)).eq(model));
    assert_eq!(set.len(), page.len());
    for (subject, directions) in &page {
        assert_eq!(set.directions(*subject), *directions);
        for direction in [Direction::Inbound, Direction::Outbound] {
            assert_eq!(set.contains(*subject, direction), directions.covers(direction));
        }
    }
    if is_disjoint {
        for part in saved(&set, usize::MAX) {
            let (kind, of_part) = split(&part);
            assert_eq!(of_part, gaps[kind], "it is saved as it was");
        }
    }
    let again = saved(&set, 100);
    let again: Vec<&[u8]> = again.iter().map(Vec::as_slice).collect();
    assert_eq!(loaded(&again).map(|set| set.page(None, usize::MAX)), Some(page));
}
