//! One listening socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::Context as _;
use portcullis_edge::http::peer::Peer;
use socket2::{Domain, SockRef};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::passed::PassedSocket;
use super::socket_file::{self, SocketFile};
use crate::config::SocketName;

/// How much of a response the kernel takes on each TCP connection, in bytes; Linux reserves twice as much.
///
/// Left to itself, it takes up to 4 MiB: 140 clients that read nothing had answers of 600 MB made at once. So much is enough for 5 MB a second
/// to a client that is 100 ms away. Unix sockets take 208 KiB.
const SEND_BUFFER: u32 = 256 << 10;
/// How many connections may wait to be accepted.
pub(super) const BACKLOG: u32 = 1024;

/// A listening socket. Dropping it closes it, and removes its file if it made one.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// `None` if the file is not its own.
        file: Option<SocketFile>,
    },
}

/// A connection that was accepted.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Listens on an address.
    pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A gateway that is restarted gets its address at once.
        socket.set_reuseaddr(true)?;
        // The connections inherit it.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        Ok(Socket::Tcp(socket.listen(BACKLOG)?))
    }

    /// Listens on a path, with this mode.
    pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<Self> {
        let (listener, file) = socket_file::bind(path, mode)?;
        Ok(Socket::Unix { listener, file: Some(file) })
    }

    /// Listens on a socket that was passed. Its file is left to those who passed it.
    pub(super) fn of_passed(socket: PassedSocket) -> anyhow::Result<Self> {
        let listen = || match socket {
            PassedSocket::Tcp(listener) => {
                SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER as usize)?;
                listener.set_nonblocking(true)?;
                io::Result::Ok(Socket::Tcp(TcpListener::from_std(listener)?))
            }
            PassedSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Socket::Unix { listener: UnixListener::from_std(listener)?, file: None })
            }
        };
        listen().context("can't listen on a socket that was passed")
    }

    /// Goes on listening on a socket of a process that hands over. Its file is this one's now.
    pub(super) fn of_predecessor(name: &SocketName, socket: OwnedFd) -> anyhow::Result<Self> {
        match name {
            SocketName::Unix(path) => match Self::of_passed(PassedSocket::Unix(socket.into()))? {
                Socket::Unix { listener, .. } => Ok(Socket::Unix { listener, file: SocketFile::of(path) }),
                tcp @ Socket::Tcp(_) => Ok(tcp),
            },
            SocketName::Tcp(_) => Self::of_passed(PassedSocket::Tcp(socket.into())),
            SocketName::Passed(_) => {
                let is_unix = SockRef::from(&socket).domain().is_ok_and(|domain| domain == Domain::UNIX);
                Self::of_passed(match is_unix {
                    true => PassedSocket::Unix(socket.into()),
                    false => PassedSocket::Tcp(socket.into()),
                })
            }
        }
    }

    /// Lets the file of a Unix socket stay, for the process that has the socket now.
    pub(crate) fn leave_file(&mut self) {
        if let Socket::Unix { file, .. } = self
            && let Some(file) = file.take()
        {
            file.leave();
        }
    }

    /// The address as clients write it.
    pub(super) fn url(&self, is_tls: bool) -> io::Result<String> {
        match self {
            Socket::Tcp(listener) => {
                let scheme = if is_tls { "https" } else { "http" };
                Ok(format!("{scheme}://{}", listener.local_addr()?))
            }
            Socket::Unix { listener, .. } => {
                let address = listener.local_addr()?;
                let path =
                    address.as_pathname().map_or_else(|| "?".to_owned(), |path| path.display().to_string());
                Ok(format!("unix:{path}"))
            }
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Those of the system, mostly that there are no descriptors left.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Peer::Ip(from.ip())))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted::Unix(stream), Peer::Unix))
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_takes_little_of_a_response_that_is_not_read() {
        let passed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [
            Socket::bind_tcp(([127, 0, 0, 1], 0).into()),
            Ok(Socket::of_passed(PassedSocket::Tcp(passed)).unwrap()),
        ];
        for listener in listeners {
            let Socket::Tcp(listener) = listener.unwrap() else { panic!("not TCP") };
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            stream.writable().await.unwrap();
            let mut taken = 0;
            while let Ok(written) = stream.try_write(&[0; 1 << 16]) {
                taken += written;
            }
            assert!((1..1 << 20).contains(&taken), "{taken} bytes");
        }
    }
}
