//! `server.hand_over_socket`: where another process of this gateway asks to take over.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_ledger::StorageUrl;

use super::listen::{Endpoint, SocketName};

/// The setting that turns it off.
const OFF: &str = "off";
/// The extension of the default path, which is otherwise the ledger's.
const EXTENSION: &str = "hand-over";
/// The longest path of a Unix socket, in bytes, less what is appended for the socket of the process that takes over.
const LONGEST: usize = 107 - ".4194304".len();

/// The path of the socket; `None` if nobody can take over. `place` is the path of the setting.
pub(super) fn check(
    typed: Option<&str>,
    storage: Option<&StorageUrl>,
    folder: &Path,
    listening: &[Endpoint],
    place: FieldPath,
    problems: &mut Vec<Problem>,
) -> Option<PathBuf> {
    let mut problem = |what: &str| problems.push(Problem::new(place.clone(), what));
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
            let is_own =
                |endpoint: &Endpoint| matches!(&endpoint.socket, SocketName::Unix(own) if *own == path);
            if listening.iter().any(is_own) {
                problem("clients connect to this socket: use another path, or \"off\"");
            }
            Some(path)
        }
        (None, StorageUrl::Sqlite(database)) => Some(database.with_extension(EXTENSION))
            .filter(|path| path.as_os_str().as_bytes().len() <= LONGEST),
        (None, _) => None,
    }
}
