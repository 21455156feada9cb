//! Manifests of backups.

use std::path::{Component, Path};

use portcullis_backup::Manifest;

/// What is read as a manifest names only files inside of the backup, and is written as what it was read from.
pub fn manifest(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Manifest>(data) else { return };
    for file in &read.files {
        let mut names = Path::new(file.path.as_str()).components();
        assert!(names.all(|name| matches!(name, Component::Normal(_))), "{}", file.path);
    }
    let text = serde_json::to_string(&read).expect("it is written");
    let again: Manifest = serde_json::from_str(&text).expect("it is read again");
    assert_eq!(serde_json::to_string(&again).expect("it is written"), text);
}
