//! File handles: the process takes as many as it may, and takes no more connections than it has handles for, so that
//! the admin listener, the ledger and the log never go without.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::listen::Limits;

/// Handles for everything that is no connection of a client: the admin listener and its connections, listening sockets,
/// runtimes, ledger, log, certificates, and to spare.
const RESERVE: u64 = 192;
/// A connection of a client needs its own handle, and one to the backend while a request is served.
const EACH: u64 = 2;
/// Of the handles, one in so many is never for connections: HTTP/2 serves many requests on one, each with a handle to the
/// backend.
const SHARED: u64 = 4;
/// No default is larger: at 64 KiB of an unfinished head each, so many cost 1 GiB, and an idle one about 2.3 KiB.
const DEFAULT: u64 = 16_384;
/// However few handles there are, it is worth trying.
const LEAST: u64 = 8;

/// Raises the soft limit to the hard one. The soft limit is low for programs that use `select(2)`, which this one does
/// not.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => {
            tracing::info!("the limit of file handles is raised from {} to {}", say(current), say(maximum))
        }
        Err(error) => {
            tracing::warn!("the limit of file handles stays at {}: cannot raise it: {error}", say(current));
        }
    }
}

/// The limits with the number of connections settled: what is configured, but never more than there are handles for. The
/// handles that are left are for the further requests of HTTP/2 connections.
pub(super) fn settled(mut limits: Limits) -> Limits {
    let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let usable = handles.saturating_sub(RESERVE);
    let most = (usable - usable / SHARED) / EACH;
    let most = usize::try_from(most.max(LEAST)).unwrap_or(usize::MAX);
    let connections = match limits.connections {
        Some(wanted) if wanted > most => {
            tracing::warn!(
                "limits.connections is {wanted}, but {handles} file handles serve no more than {most}: that is the \
                 limit now; raise the process's limit (LimitNOFILE= of systemd, ulimit -Hn)"
            );
            most
        }
        Some(wanted) => wanted,
        None => {
            let connections = most.min(DEFAULT as usize);
            tracing::info!("at most {connections} connections, for {handles} file handles");
            connections
        }
    };
    let left = usable.saturating_sub(EACH.saturating_mul(connections as u64));
    limits.connections = Some(connections);
    limits.http2_places = usize::try_from(left).unwrap_or(usize::MAX);
    limits
}

fn say(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}
