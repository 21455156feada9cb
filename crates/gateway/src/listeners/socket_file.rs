//! The file of a Unix socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixSocket};
use tracing::warn;

use super::socket::BACKLOG;

/// A socket's file, which is removed on drop, unless another one has taken its place.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The device and the inode.
    identity: (u64, u64),
    /// Whether it is another process's now.
    is_left: bool,
}

impl SocketFile {
    /// The file of a socket that another process made, and hands over. `None` if there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let made = fs::symlink_metadata(path).ok()?;
        Some(SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()), is_left: false })
    }

    /// Does not remove it.
    pub(super) fn leave(mut self) {
        self.is_left = true;
    }
}

/// Listens on a path. Replaces the file of a socket that nobody listens on.
///
/// Nobody can connect before the file has its mode, because the socket listens only then.
///
/// # Errors
/// If somebody listens on it, it is another kind of file, or those of the system.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let made = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()), is_left: false };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let what = "there is a file of another kind: remove it, or use another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose backlog is full must not keep the start waiting.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens on this socket")),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_own
            && !self.is_left
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %error, "can't remove the file of a Unix socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_file_of_a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.sock");
        // Its file stays when it is closed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (listener, file) = bind(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(bind(&path, 0o600).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop((listener, file));
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&path, 0o600).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_of_its_own_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.sock");
        let (_old, file) = bind(&path, 0o660).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let (_new, _file) = bind(&path, 0o660).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
