//! Files with secrets that others than the gateway can read.

use std::path::Path;

use super::values::Elsewhere;

/// What is to be said about the configuration file and the files with secrets that it names.
pub(super) fn remarks(file: &Path, found: &Elsewhere) -> Vec<String> {
    let own = found.has_secrets.then_some(file);
    let files = own.into_iter().chain(found.files.iter().map(std::path::PathBuf::as_path));
    let remark = |file: &Path| {
        let (readers, mode) = readers(file)?;
        let file = file.display();
        Some(format!(
            "{file}: it has secrets, and {readers} can read it (mode {mode:04o}); take that from them with chmod"
        ))
    };
    let mut remarks: Vec<String> = files.filter_map(remark).collect();
    remarks.dedup();
    remarks
}

/// Who can read a file besides those who need to, and its mode.
///
/// A group needs to if it is how the gateway reads the file: another user owns it, or the group is the gateway's own.
#[cfg(unix)]
fn readers(file: &Path) -> Option<(&'static str, u32)> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::metadata(file).ok()?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o004 != 0 && folders_let_in(file, 0o001) {
        return Some(("all users of this machine", mode));
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let is_theirs = metadata.uid() == user && user != 0 && metadata.gid() != group;
    (mode & 0o040 != 0 && is_theirs && folders_let_in(file, 0o011)).then_some(("its group", mode))
}

/// Whether all folders above a file have one of these bits, without which nothing in them can be opened.
#[cfg(unix)]
fn folders_let_in(file: &Path, bits: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(file) = file.canonicalize() else { return false };
    file.ancestors().skip(1).all(|folder| {
        // What can't be told is to be looked at.
        std::fs::metadata(folder).map_or(true, |folder| folder.mode() & bits != 0)
    })
}

#[cfg(not(unix))]
fn readers(_: &Path) -> Option<(&'static str, u32)> {
    None
}
