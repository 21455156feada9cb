//! `storage.master_key_command`.

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_ledger::KeyCommand;

use super::file;

/// Validates the command. `place` is that of `[storage]`.
pub(super) fn check(
    typed: &file::Storage,
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> Option<KeyCommand> {
    let words = typed.master_key_command.as_ref()?;
    let place = place.key("master_key_command");
    if typed.master_key_file.is_some() {
        let what =
            "can't be set together with master_key_file, as the key has one source: remove one of them";
        problems.push(Problem::new(place.clone(), what));
    }
    let command = KeyCommand::new(words);
    if command.is_none() {
        let what = "must name a program, and may have arguments, none with a zero byte; write it like [\"/usr/local/bin/print-key\", \"portcullis\"]";
        problems.push(Problem::new(place, what));
    }
    command
}
