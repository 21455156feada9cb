//! Files of saved states.

use std::path::PathBuf;
use std::sync::LazyLock;

use portcullis_ledger::{Ledger, MasterKey, StorageUrl};
use portcullis_saved_states::fuzz::{File, header};

use crate::support::{choice, folder, frames};

const HEADER: u8 = 1;
const PART: u8 = 2;
const END: u8 = 3;

static STATE: LazyLock<(File, PathBuf)> = LazyLock::new(|| {
    let folder = folder();
    let storage = StorageUrl::Sqlite(folder.join("ledger.db"));
    let ledger = Ledger::open(&storage, MasterKey::from_bytes([1; 32])).expect("a ledger");
    let tenant = "acme".parse().expect("a name");
    let keys = ledger.ensure_tenant(&tenant).expect("keys");
    let path = folder.join("list.state");
    (File::new(&path, &tenant, &keys), path)
});

/// A file is read if its records are sealed, and are a header, parts, and an end that counts the parts; else it is refused.
pub fn state_file(data: &[u8]) {
    let (file, path) = &*STATE;
    let (choice, data) = choice(data);
    if choice % 2 == 0 {
        std::fs::write(path, data).expect("the file is written");
        assert!(file.read().is_none(), "nobody without the key writes a state");
        return;
    }
    let mut records: Vec<(u8, Vec<u8>)> = Vec::new();
    for frame in frames(data) {
        let (kind, content) = frame.split_first().map_or((0, frame), |(first, rest)| (*first, rest));
        records.push(match kind % 4 {
            // Another one could hardly be guessed.
            0 => (END, (records.len() as u64).saturating_sub(1).to_le_bytes().to_vec()),
            kind => (kind, content.to_vec()),
        });
    }
    let sealed: Vec<(u8, &[u8])> =
        records.iter().map(|(kind, content)| (*kind, content.as_slice())).collect();
    std::fs::write(path, file.sealed(&sealed).expect("it is sealed")).expect("the file is written");
    let read = file.read();

    let expected = match &records[..] {
        [(HEADER, first), parts @ .., (END, end)]
            if parts.iter().all(|(kind, _)| *kind == PART) && *end == (parts.len() as u64).to_le_bytes() =>
        {
            header(first).map(|again| (again, parts))
        }
        _ => None,
    };
    if let Some((first, _)) = records.first().zip(expected.as_ref()) {
        assert_eq!(
            Some(&first.1),
            expected.as_ref().map(|(again, _)| again),
            "a header is written as it was read"
        );
    }
    let expected =
        expected.map(|(_, parts)| parts.iter().map(|(_, content)| content.clone()).collect::<Vec<_>>());
    assert_eq!(read.map(|(_, parts)| parts), expected);
}
