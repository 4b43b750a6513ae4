//! Replacing the program by another version of itself, nothing dropped: the file that this process was started from is
//! started again, with the same arguments, and is given every listening socket. When it serves, this process drains and
//! ends; if it does not come so far, this one goes on.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use rustix::process::{Pid, Signal, kill_process};

use super::inherited::{self, VARIABLE};

/// How long the successor may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this process was started from.
pub(super) struct Program {
    /// By name, so that it is found again when another file has been put there.
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A successor that serves.
pub(super) struct Successor {
    pub pid: u32,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot start {0}: {1}")]
    Start(PathBuf, #[source] io::Error),
    #[error("the new process ended before it was ready, with {0}; what it wrote says why")]
    Ended(std::process::ExitStatus),
    #[error("the new process was not ready in {} s, and was ended", PATIENCE.as_secs())]
    Late,
    #[error("the new process cannot be spoken to: {0}")]
    Broken(#[source] io::Error),
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Program {
    pub fn of_this_process() -> io::Result<Self> {
        Ok(Program { path: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect() })
    }

    /// Starts the successor and waits until it serves. A successor that is no longer waited for is ended.
    pub async fn start_again(
        &self,
        sockets: &Arc<Vec<(SocketAddr, TcpListener)>>,
    ) -> Result<Successor, Failure> {
        let broken = |error: rustix::io::Errno| Failure::Broken(error.into());
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(broken)?;
        for way in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&ours, way, Some(PATIENCE)).map_err(broken)?;
        }
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|error| Failure::Start(self.path.clone(), error))?;
        let mut watch = Watch(Some(child.id()));
        let sockets = Arc::clone(sockets);
        let outcome = tokio::task::spawn_blocking(move || {
            let handed = inherited::hand_over(&ours, &sockets);
            // Where it could not be handed everything, it has ended.
            match handed.and_then(|()| inherited::is_served(&ours)) {
                Ok(true) => Ok(Successor { pid: child.id() }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(end(child, Failure::Late)),
                Ok(false) | Err(_) => Err(ended(child)),
            }
        });
        let outcome = outcome.await.unwrap_or_else(|error| Err(Failure::Broken(io::Error::other(error))));
        watch.0 = None;
        outcome
    }
}

fn end(mut child: Child, failure: Failure) -> Failure {
    let _ = child.kill();
    let _ = child.wait();
    failure
}

fn ended(mut child: Child) -> Failure {
    match child.wait() {
        Ok(status) => Failure::Ended(status),
        Err(error) => Failure::Broken(error),
    }
}

/// Ends a successor that is no longer waited for.
struct Watch(Option<u32>);

impl Drop for Watch {
    fn drop(&mut self) {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
