//! How many connections each client has open. Counted only where there is a limit, so that it costs nothing without one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::network::peer_key;

/// Several shelves, so that threads that accept rarely wait for each other.
const SHELVES: usize = 16;

/// The open connections of each client that has any.
#[derive(Default)]
pub(super) struct Peers([Mutex<HashMap<Client, usize>>; SHELVES]);

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, of which one subscriber has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(u128);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        // No /64 has the key of an IPv4 address: its lower half is zero.
        Client(match peer_key(address) {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(network) => network.to_bits(),
        })
    }
}

impl Peers {
    /// Counts one connection more, unless the client has that many already.
    pub fn enter(&self, client: Client, most: usize) -> bool {
        let mut shelf = self.shelf(client);
        let open = shelf.entry(client).or_default();
        if *open >= most {
            return false;
        }
        *open += 1;
        true
    }

    /// Counts one less.
    pub fn leave(&self, client: Client) {
        let mut shelf = self.shelf(client);
        if let Some(open) = shelf.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                shelf.remove(&client);
            }
        }
    }

    fn shelf(&self, Client(key): Client) -> MutexGuard<'_, HashMap<Client, usize>> {
        let mixed = (key ^ (key >> 64)) as u64;
        let shelf = (mixed ^ (mixed >> 32) ^ (mixed >> 16)) as usize % SHELVES;
        self.0[shelf].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8:0:1::1"), client("2001:db8:0:1:ffff::2"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
        assert_ne!(client("::1"), client("0.0.0.0"));
    }

    #[test]
    fn each_client_has_its_own_count_and_who_leaves_is_forgotten() {
        let peers = Peers::default();
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        assert!(peers.enter(one, 2) && peers.enter(one, 2) && !peers.enter(one, 2));
        assert!(peers.enter(other, 2));
        peers.leave(one);
        assert!(peers.enter(one, 2) && !peers.enter(one, 2));
        peers.leave(other);
        peers.leave(one);
        peers.leave(one);
        assert!(peers.0.iter().all(|shelf| shelf.lock().unwrap().is_empty()));
    }
}
