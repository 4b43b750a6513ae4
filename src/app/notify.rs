//! Telling systemd how the service fares: one datagram to `$NOTIFY_SOCKET` (`man sd_notify`), which is all that a crate
//! would do. Without systemd nobody is told.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Requests are served.
pub(super) const READY: &str = "READY=1";
/// The configuration is being read again.
pub(super) const RELOADING: &str = "RELOADING=1";
/// The program is about to end.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Tells it, if there is somebody to be told.
pub(super) fn tell(state: &str) {
    let Some(place) = env::var_os("NOTIFY_SOCKET") else { return };
    let send = || -> io::Result<()> {
        let address = match place.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&place)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
    };
    if let Err(error) = send() {
        tracing::warn!("cannot tell systemd {state:?}: {error}");
    }
}
