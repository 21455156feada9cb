//! Listening sockets that one process hands to another, each by a name.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// The most sockets that are handed over.
const MOST: usize = 64;
/// The most bytes of a message.
const LONGEST: usize = 64 << 10;

/// Listening sockets by name. One that is in use elsewhere in this process goes on listening until it is dropped here, too.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<(String, OwnedFd)>);

impl Sockets {
    /// Adds a copy of the descriptor of a socket.
    ///
    /// # Errors
    /// If no descriptors are left.
    pub(crate) fn add(&mut self, name: String, socket: impl AsFd) -> io::Result<()> {
        self.0.push((name, socket.as_fd().try_clone_to_owned()?));
        Ok(())
    }

    /// Takes the socket of this name, if there is one.
    pub(crate) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Names those that were received.
    pub(super) fn named(names: Vec<String>, descriptors: Vec<OwnedFd>) -> Self {
        Sockets(names.into_iter().zip(descriptors).collect())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Sends a line, and the descriptors of these sockets with it. Blocks.
pub(super) fn send(stream: &mut UnixStream, line: &[u8], sockets: Option<&Sockets>) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> =
        sockets.iter().flat_map(|sockets| &sockets.0).map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there are too many sockets to hand over"));
    }
    let sent = sendmsg(&*stream, &[IoSlice::new(line)], &mut ancillary, SendFlags::NOSIGNAL)?;
    stream.write_all(line.get(sent..).unwrap_or_default())
}

/// Receives a line, and the descriptors that were sent with it. Blocks, for as long as the stream's timeout.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if the other process is gone.
pub(super) fn receive(stream: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut line, mut descriptors) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    while line.last() != Some(&b'\n') {
        let received = if line.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let into = &mut [IoSliceMut::new(&mut buffer)];
            let received = recvmsg(&*stream, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    descriptors.extend(received);
                }
            }
            received
        } else {
            stream.read(&mut buffer)?
        };
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(buffer.get(..received).unwrap_or_default());
        if line.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
        }
    }
    Ok((line, descriptors))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_that_was_handed_over_accepts_what_waits() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = Sockets::default();
        sockets.add("one".to_owned(), &listener).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let (mut here, mut there) = UnixStream::pair().unwrap();
        send(&mut here, b"take it\n", Some(&sockets)).unwrap();
        drop((listener, sockets));
        let (line, descriptors) = receive(&mut there).unwrap();
        assert_eq!(line, b"take it\n");
        let mut received = Sockets::named(vec!["one".to_owned()], descriptors);
        assert!(received.take("other").is_none());
        let listener = TcpListener::from(received.take("one").unwrap());
        assert_eq!(listener.local_addr().unwrap(), address);
        listener.accept().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_told_from_one_that_says_nothing() {
        let (here, mut there) = UnixStream::pair().unwrap();
        drop(here);
        assert_eq!(receive(&mut there).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
