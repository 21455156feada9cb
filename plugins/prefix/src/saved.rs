//! The serialization of the entries, in parts of bounded size: the format `prefix-entries`, version 1.
//!
//! | bytes | contents |
//! | --- | --- |
//! | 1 | 1 if this part is the last, otherwise 0 |
//! | 8 | the first subject of the part's range, little endian: 0, or the one after the last entry of the previous part |
//! | 8 | the number of entries, little endian: 0 only in the last part |
//! | rest | for each entry in ascending order, the number of subjects skipped before it, times four, plus its directions (1 inbound, 2 outbound), as minimal LEB128 |
//!
//! A cursor is the first subject of the next part's range. So an entry that stays is in exactly one part, whatever
//! changes between parts.

use portcullis_plugin_sdk::{Directions, Entry, Part, Subject};

use crate::entries::Entries;

const HEADER: usize = 17;

/// The maximum size of an entry in bytes: 52 bits, seven per byte.
const MAX_ENTRY: usize = 8;

/// Why a part can't be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("this is not a part of saved entries")]
    NotAPart,
    #[error(
        "this part of the saved entries does not follow the previous part: load the parts in the order in which they were saved"
    )]
    OutOfOrder,
    #[error("the part of the saved entries ends before its last entry")]
    Truncated,
    #[error("bytes follow the last entry of the part of the saved entries")]
    Trailing,
    #[error("a saved entry is not encoded as a save would encode it")]
    Entry,
    #[error("the part of the saved entries announces further parts, but none can follow")]
    Unending,
}

/// Saves the part that begins at the cursor, in at most `max_bytes`.
pub(crate) fn save_part(entries: &Entries, cursor: Option<u64>, max_bytes: usize) -> Part {
    let first = cursor.unwrap_or(0);
    let mut bytes = vec![0; HEADER];
    let (mut count, mut expected, mut next) = (0_u64, first, None);
    for Entry { subject, directions } in entries.from(first) {
        let before = bytes.len();
        push((subject.get() - expected) << 2 | u64::from(directions.bits()), &mut bytes);
        if bytes.len() > max_bytes && count > 0 {
            bytes.truncate(before);
            next = Some(expected);
            break;
        }
        count += 1;
        expected = subject.get() + 1;
    }
    bytes[0] = u8::from(next.is_none());
    bytes[1..9].copy_from_slice(&first.to_le_bytes());
    bytes[9..HEADER].copy_from_slice(&count.to_le_bytes());
    Part { bytes, next }
}

/// Adds the entries of a part whose range begins at `first`. Returns where the next range begins; `None` after the last
/// part. Memory use is proportional to the part's length, even for hostile data.
pub(crate) fn load_part(entries: &mut Entries, first: u64, part: &[u8]) -> Result<Option<u64>, LoadError> {
    let (last, covers, count, mut bytes) = header(part).ok_or(LoadError::NotAPart)?;
    if covers != first {
        return Err(LoadError::OutOfOrder);
    }
    let mut expected = first;
    for _ in 0..count {
        let value = take(&mut bytes)?;
        let directions = Directions::from_bits((value & 3) as u8).filter(|directions| !directions.is_none());
        let subject = Subject::new(expected + (value >> 2));
        let (Some(subject), Some(directions)) = (subject, directions) else { return Err(LoadError::Entry) };
        entries.insert(Entry { subject, directions });
        expected = subject.get() + 1;
    }
    match (last, bytes) {
        (_, [_, ..]) => Err(LoadError::Trailing),
        (true, []) => Ok(None),
        (false, []) if count == 0 || expected > Subject::MAX.get() => Err(LoadError::Unending),
        (false, []) => Ok(Some(expected)),
    }
}

/// Parses the header: whether the part is the last, where its range begins, its number of entries, and their bytes.
fn header(part: &[u8]) -> Option<(bool, u64, u64, &[u8])> {
    let (&[last @ (0 | 1)], part) = part.split_first_chunk()? else { return None };
    let (&first, part) = part.split_first_chunk()?;
    let (&count, part) = part.split_first_chunk()?;
    Some((last == 1, u64::from_le_bytes(first), u64::from_le_bytes(count), part))
}

fn push(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7F) as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, LoadError> {
    let mut value = 0;
    for place in 0..MAX_ENTRY {
        let (&byte, rest) = bytes.split_first().ok_or(LoadError::Truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            let longer_than_needed = byte == 0 && place > 0;
            return if longer_than_needed { Err(LoadError::Entry) } else { Ok(value) };
        }
    }
    Err(LoadError::Entry)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn entry(subject: u64, bits: u8) -> Entry {
        let directions = Directions::from_bits(bits).expect("two bits");
        Entry { subject: Subject::new(subject).expect("below 2^50"), directions }
    }

    fn entries(of: impl IntoIterator<Item = Entry>) -> Entries {
        let mut entries = Entries::default();
        for entry in of {
            entries.insert(entry);
        }
        entries
    }

    fn all(entries: &Entries) -> Vec<Entry> {
        entries.from(0).collect()
    }

    fn parts(entries: &Entries, max_bytes: usize) -> Vec<Vec<u8>> {
        let (mut parts, mut cursor) = (Vec::new(), None);
        loop {
            let part = save_part(entries, cursor, max_bytes);
            assert!(part.bytes.len() <= max_bytes);
            parts.push(part.bytes);
            cursor = part.next;
            if cursor.is_none() {
                return parts;
            }
        }
    }

    fn loaded(parts: &[Vec<u8>]) -> Result<Entries, LoadError> {
        let (mut entries, mut first) = (Entries::default(), Some(0));
        for part in parts {
            first = load_part(&mut entries, first.unwrap_or(u64::MAX), part)?;
        }
        assert_eq!(first, None, "the last part is marked as the last");
        Ok(entries)
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        // Both dense and sparse numbers.
        let subject = prop_oneof![0_u64..200, 41_790_000_000_u64..41_790_100_000, 0..=Subject::MAX.get()];
        (subject, 1_u8..=3).prop_map(|(subject, bits)| entry(subject, bits))
    }

    proptest! {
        #[test]
        fn saved_entries_are_loaded(of in vec(any_entry(), 0..300), max_bytes in HEADER + MAX_ENTRY..400) {
            let saved = entries(of);
            let loaded = loaded(&parts(&saved, max_bytes)).expect("the parts were just saved");
            prop_assert_eq!(all(&loaded), all(&saved));
            prop_assert_eq!(loaded.len(), saved.len());
        }

        #[test]
        fn an_entry_that_stays_is_in_exactly_one_part_whatever_changes(
            stays in vec(any_entry(), 0..100),
            moves in vec(vec(any_entry(), 0..20), 10),
        ) {
            let stays = entries(stays);
            let mut list = entries(all(&stays));
            let (mut parts, mut cursor) = (Vec::new(), None);
            for step in (0..).map(|step: usize| step % moves.len()) {
                let part = save_part(&list, cursor, 60);
                parts.push(part.bytes);
                cursor = part.next;
                if cursor.is_none() {
                    break;
                }
                // Adds the entries of this step, and removes those of the previous step, except entries that stay.
                let others = |step: usize| {
                    moves[step % moves.len()].iter().filter(|entry| stays.directions(entry.subject).is_none())
                };
                for &entry in others(step) {
                    list.insert(entry);
                }
                for &Entry { subject, .. } in others(step + moves.len() - 1) {
                    list.remove(Entry { subject, directions: Directions::BOTH });
                }
            }
            let loaded = loaded(&parts).expect("no part repeats an entry");
            for Entry { subject, directions } in all(&stays) {
                prop_assert_eq!(loaded.directions(subject), directions);
            }
        }

        #[test]
        fn only_what_a_save_could_have_written_is_loaded(
            of in vec(any_entry(), 0..30),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<Option<prop::sample::Index>>(),
        ) {
            let mut part = parts(&entries(of), usize::MAX).remove(0);
            for (place, byte) in changes {
                let place = place.index(part.len());
                part[place] = byte;
            }
            part.truncate(cut.map_or(part.len(), |cut| cut.index(part.len())));
            let mut entries = Entries::default();
            if load_part(&mut entries, 0, &part) == Ok(None) {
                prop_assert_eq!(save_part(&entries, None, usize::MAX).bytes, part);
            }
        }

        #[test]
        fn no_input_panics(part in vec(any::<u8>(), 0..100), first in 0..=Subject::MAX.get()) {
            let _ = load_part(&mut Entries::default(), first, &part);
            let header = [&[0][..], &first.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
            let _ = load_part(&mut Entries::default(), first, &[header, part].concat());
        }
    }

    #[test]
    fn each_defect_of_a_part_has_its_error() {
        let part = |last: u8, first: u64, count: u64, entries: &[u8]| {
            [&[last][..], &first.to_le_bytes(), &count.to_le_bytes(), entries].concat()
        };
        let refusal = |part: &[u8]| load_part(&mut Entries::default(), 0, part);
        assert_eq!(refusal(&part(1, 0, 2, &[7, 6])), Ok(None));
        assert_eq!(refusal(&part(0, 0, 2, &[7, 6])), Ok(Some(4)));
        for (part, error) in [
            (b"".to_vec(), LoadError::NotAPart),
            (b"not a saved state".to_vec(), LoadError::NotAPart),
            (part(2, 0, 0, &[]), LoadError::NotAPart),
            (part(1, 5, 0, &[]), LoadError::OutOfOrder),
            (part(1, 0, 2, &[7]), LoadError::Truncated),
            (part(1, 0, 1, &[0x87]), LoadError::Truncated),
            (part(1, 0, u64::MAX, &[7]), LoadError::Truncated),
            (part(1, 0, 1, &[7, 7]), LoadError::Trailing),
            // No direction; overlong encoding; longer than the maximum; beyond the last subject.
            (part(1, 0, 1, &[4]), LoadError::Entry),
            (part(1, 0, 1, &[0x87, 0]), LoadError::Entry),
            (part(1, 0, 1, &[0xFF; 9]), LoadError::Entry),
            (part(1, 0, 1, &[0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08]), LoadError::Entry),
            (part(0, 0, 0, &[]), LoadError::Unending),
            (part(0, 0, 1, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07]), LoadError::Unending),
        ] {
            assert_eq!(refusal(&part), Err(error), "{part:?}");
        }
    }
}
