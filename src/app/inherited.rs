//! Listening sockets that were open before this process began: from systemd (`LISTEN_FDS`), or from the process that it
//! takes over from. A listening socket that is closed resets the connections in its queue, so none is ever closed while
//! somebody goes on serving.
//!
//! How they come from another process: its standard input is a socket (see [`super::upgrade`]), on which each listening
//! socket arrives (`SCM_RIGHTS`) with the address that the configuration of the other process gives it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, send, sendmsg,
};

/// The variable that says that standard input is such a socket.
pub(super) const VARIABLE: &str = "DUSKGATE_TAKES_OVER";
/// What is said when all sockets have been sent, and when they are served.
const END: &[u8] = b"end";
const READY: &[u8] = b"ready";

/// Sockets to be taken, and whom to tell that they are served.
#[derive(Debug, Default)]
pub struct Inherited {
    /// With the configured address, which has port 0 where any port would do.
    sockets: Vec<(SocketAddr, TcpListener)>,
    predecessor: Option<OwnedFd>,
}

impl Inherited {
    /// What this process was given, if anything.
    ///
    /// # Errors
    ///
    /// What was given is no listening TCP socket.
    pub fn of_this_process() -> io::Result<Self> {
        if std::env::var_os(VARIABLE).is_some() {
            return Inherited::from_predecessor(io::stdin().as_fd().try_clone_to_owned()?);
        }
        let mut inherited = Inherited::default();
        let mut handed = listenfd::ListenFd::from_env();
        for index in 0..handed.len() {
            if let Some(socket) = handed.take_tcp_listener(index)? {
                // It would stay open in whatever this process starts.
                rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
                inherited.sockets.push((socket.local_addr()?, socket));
            }
        }
        Ok(inherited)
    }

    fn from_predecessor(predecessor: OwnedFd) -> io::Result<Self> {
        let mut sockets = Vec::new();
        loop {
            let (text, handles) = receive(&predecessor)?;
            if text == END {
                return Ok(Inherited { sockets, predecessor: Some(predecessor) });
            }
            let address = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            let Some(address) = address else { return Err(io::ErrorKind::InvalidData.into()) };
            sockets.extend(handles.into_iter().map(|handle| (address, TcpListener::from(handle))));
        }
    }

    /// Takes the sockets of one listener that is configured so.
    pub fn take(&mut self, configured: SocketAddr) -> Vec<TcpListener> {
        let first = self.sockets.iter().find(|(address, _)| *address == configured);
        let Some(real) = first.and_then(|(_, socket)| socket.local_addr().ok()) else { return Vec::new() };
        let is_of_it = |socket: &TcpListener| socket.local_addr().is_ok_and(|address| address == real);
        let (taken, left) =
            std::mem::take(&mut self.sockets).into_iter().partition(|(_, socket)| is_of_it(socket));
        self.sockets = left;
        let taken: Vec<(SocketAddr, TcpListener)> = taken;
        taken.into_iter().map(|(_, socket)| socket).collect()
    }

    /// Tells the predecessor that the sockets are served, and lets go of those that nobody wanted.
    pub fn are_served(self) {
        for (address, _) in &self.sockets {
            tracing::warn!(
                "no listener is configured for the socket {address} that was handed over: closing it"
            );
        }
        if let Some(predecessor) = self.predecessor
            && let Err(error) = send(&predecessor, READY, SendFlags::NOSIGNAL)
        {
            tracing::warn!("cannot tell the process before that this one is ready: {error}");
        }
    }
}

/// Sends sockets to a successor.
pub(super) fn hand_over(successor: &OwnedFd, sockets: &[(SocketAddr, TcpListener)]) -> io::Result<()> {
    for (address, socket) in sockets {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let handles = [socket.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&handles));
        let text = address.to_string();
        sendmsg(successor, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    }
    send(successor, END, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits until the successor serves; false if it has ended before.
pub(super) fn is_served(successor: &OwnedFd) -> io::Result<bool> {
    receive(successor).map(|(text, _)| text == READY)
}

/// One message, empty at the end.
fn receive(socket: &OwnedFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = [0; 128];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut handles = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(of_it) = message {
            handles.extend(of_it);
        }
    }
    Ok((text[..received.bytes].to_vec(), handles))
}
