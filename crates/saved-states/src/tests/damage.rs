//! Damaged and misplaced states are noticed.

use std::os::unix::fs::FileExt as _;

use portcullis_ledger::Seal;

use super::*;
use crate::error::Flaw;
use crate::record::{CONTENT_BYTES, Kind, PREFIX, Preamble, new_preamble};

/// A small state, to be damaged.
const PARTS: [&[u8]; 3] = [b"one", b"", b"three"];

/// The file's flaw. Also checks that the parts before it are as they were saved.
fn flaw(state: &StateFile) -> Flaw {
    let (parts, error) = load(state);
    assert!(parts.len() <= PARTS.len() && parts.iter().zip(PARTS).all(|(part, saved)| part == saved));
    let error = error.expect("a damaged state is an error");
    assert!(error.to_string().contains(&state.path().display().to_string()));
    match error.downcast_ref() {
        Some(StateError::Unusable { flaw, .. }) => *flaw,
        _ => panic!("{error}"),
    }
}

/// The file's beginning, and its records.
fn records(state: &StateFile) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut bytes = fs::read(state.path()).unwrap();
    let mut rest = bytes.split_off(size_of::<Preamble>());
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[1..PREFIX].try_into().unwrap());
        let next = rest.split_off(PREFIX + usize::try_from(length).unwrap());
        records.push(std::mem::replace(&mut rest, next));
    }
    (bytes, records)
}

fn put(state: &StateFile, preamble: &[u8], records: &[Vec<u8>]) {
    fs::write(state.path(), [preamble, &records.concat()].concat()).unwrap();
}

#[test]
fn each_changed_bit_is_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let bytes = fs::read(state.path()).unwrap();
    let file = File::options().write(true).open(state.path()).unwrap();
    for (position, &byte) in bytes.iter().enumerate() {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ 1 << bit], position as u64).unwrap();
            flaw(&state);
        }
        file.write_all_at(&[byte], position as u64).unwrap();
    }
    assert_eq!(loaded(&state), PARTS);
}

#[test]
fn a_file_that_is_too_short_or_too_long_is_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let bytes = fs::read(state.path()).unwrap();
    let file = File::options().write(true).open(state.path()).unwrap();
    for length in (0..bytes.len()).rev() {
        file.set_len(length as u64).unwrap();
        let flaw = flaw(&state);
        assert_eq!(matches!(flaw, Flaw::NoState), length < size_of::<Preamble>());
        assert!(matches!(flaw, Flaw::NoState | Flaw::CutOff { .. }));
    }
    for more in [&b"\0"[..], &bytes] {
        fs::write(state.path(), [&bytes, more].concat()).unwrap();
        assert_eq!(flaw(&state), Flaw::Longer);
    }
}

#[test]
fn records_that_are_moved_left_out_or_repeated_are_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let (preamble, whole) = records(&state);
    assert_eq!(whole.len(), PARTS.len() + 2);
    for one in 0..whole.len() {
        let mut records = whole.clone();
        records.remove(one);
        put(&state, &preamble, &records);
        flaw(&state);
        for other in 0..whole.len() {
            let mut records = whole.clone();
            records.insert(other, whole[one].clone());
            put(&state, &preamble, &records);
            flaw(&state);
            let mut records = whole.clone();
            records.swap(one, other);
            put(&state, &preamble, &records);
            if one != other {
                flaw(&state);
            }
        }
    }
    put(&state, &preamble, &whole);
    assert_eq!(loaded(&state), PARTS);
}

#[test]
fn records_of_an_older_file_of_the_same_list_are_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let (old_preamble, old) = records(&state);
    save(&state, &PARTS);
    let (preamble, new) = records(&state);
    for record in 0..new.len() {
        let mut mixed = new.clone();
        mixed[record] = old[record].clone();
        put(&state, &preamble, &mixed);
        assert_eq!(flaw(&state), Flaw::Changed { record: record as u64 });
    }
    put(&state, &old_preamble, &new);
    assert_eq!(flaw(&state), Flaw::Changed { record: 0 });
}

#[test]
fn a_file_of_another_list_or_tenant_is_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &sender("bot"));
    save(&state, &PARTS);
    let foreign = [
        gateway.state("acme", &Scope::Tenant),
        gateway.state("acme", &sender("bot2")),
        gateway.state("other", &sender("bot")),
        // Not told by their keys alone.
        gateway.states.of(&name("other"), &sender("bot"), &gateway.keys("acme")),
        gateway.states.of(&name("acme"), &sender("bot"), &gateway.keys("other")),
    ];
    for foreign in foreign {
        fs::create_dir_all(foreign.path().parent().unwrap()).unwrap();
        fs::copy(state.path(), foreign.path()).unwrap();
        assert_eq!(flaw(&foreign), Flaw::Changed { record: 0 });
    }
    assert_eq!(loaded(&state), PARTS);
}

#[test]
fn a_file_of_another_kind_or_version_is_named_as_such() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let mut bytes = fs::read(state.path()).unwrap();
    bytes[16] = 2;
    fs::write(state.path(), &bytes).unwrap();
    assert_eq!(flaw(&state), Flaw::OtherVersion { found: 2 });
    fs::write(state.path(), [b'x'; 1000]).unwrap();
    assert_eq!(flaw(&state), Flaw::NoState);
}

#[test]
fn an_impossible_length_is_noticed() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let (preamble, whole) = records(&state);
    let longest = u32::try_from(CONTENT_BYTES + Seal::OVERHEAD).unwrap();
    for (length, expected) in [
        (u32::MAX, Flaw::Changed { record: 1 }),
        (longest + 1, Flaw::Changed { record: 1 }),
        (longest, Flaw::CutOff { record: 1 }),
        (0, Flaw::Changed { record: 1 }),
    ] {
        let mut records = whole.clone();
        records[1][1..PREFIX].copy_from_slice(&length.to_le_bytes());
        put(&state, &preamble, &records);
        assert_eq!(flaw(&state), expected);
    }
}

#[test]
fn records_that_open_but_make_no_state_are_refused() {
    let gateway = Gateway::new();
    let state = gateway.state("acme", &Scope::Tenant);
    save(&state, &PARTS);
    let preamble = new_preamble().unwrap();
    let head = header::encode(&header());
    let (none, one) = (0u64.to_le_bytes(), 1u64.to_le_bytes());
    type Contents<'a> = &'a [(Kind, &'a [u8])];
    let files: [(Contents<'_>, _); 7] = [
        (&[(Kind::Header, &head), (Kind::Part, b"one"), (Kind::End, &one)], None),
        (&[(Kind::Header, &head), (Kind::Part, b"one"), (Kind::End, &none)], Some(2)),
        (&[(Kind::Header, &head), (Kind::End, &one)], Some(1)),
        (&[(Kind::Header, &head), (Kind::Header, &head), (Kind::End, &one)], Some(1)),
        (&[(Kind::Part, &head), (Kind::End, &none)], Some(0)),
        (&[(Kind::Header, &head[..20]), (Kind::End, &none)], Some(0)),
        (&[(Kind::Header, b"\x02 is no keyspace, but long enough"), (Kind::End, &none)], Some(0)),
    ];
    for (contents, changed) in files {
        let mut seals = state.seals(&preamble);
        let record = |&(kind, content)| {
            let sealed = seals.seal(kind, content).unwrap();
            let length = u32::try_from(sealed.len()).unwrap();
            [&[kind as u8], &length.to_le_bytes()[..], &sealed].concat()
        };
        let records: Vec<_> = contents.iter().map(record).collect();
        put(&state, &preamble, &records);
        match changed {
            None => assert_eq!(loaded(&state), [b"one"]),
            Some(record) => assert_eq!(flaw(&state), Flaw::Changed { record }),
        }
    }
}
