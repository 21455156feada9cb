//! `server.hand_over_socket`: where another process of this gateway asks to take over.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_ledger::StorageUrl;

/// The setting that turns it off.
const OFF: &str = "off";
/// The longest path of a Unix socket, in bytes, less what is appended for the socket of the process that takes over.
const LONGEST: usize = 107 - ".4194304".len();

/// The path of the socket; `None` if nobody can take over. `place` is the path of the setting.
pub(super) fn check(
    typed: Option<&str>,
    storage: Option<&StorageUrl>,
    folder: &Path,
    place: FieldPath,
    problems: &mut Vec<Problem>,
) -> Option<PathBuf> {
    let problem = |what: &str| problems.push(Problem::new(place, what));
    match (typed, storage?) {
        (Some(OFF), _) | (None, StorageUrl::Postgres(_)) => None,
        (Some(_), StorageUrl::Postgres(_)) => {
            problem(
                "only for a ledger in a file: of gateways that share a ledger, another one serves while this one is restarted; remove the setting",
            );
            None
        }
        (Some(path), _) => {
            let path = folder.join(path);
            if path.as_os_str().as_bytes().len() > LONGEST {
                problem(
                    "the path of a socket has at most 99 bytes, this folder included; use a shorter one, or \"off\"",
                );
            }
            Some(path)
        }
        (None, StorageUrl::Sqlite(database)) => {
            Some(database.with_extension("sock")).filter(|path| path.as_os_str().as_bytes().len() <= LONGEST)
        }
        (None, _) => None,
    }
}
