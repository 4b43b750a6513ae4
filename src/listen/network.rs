//! Networks of IPv4 and IPv6 addresses: whom a listener trusts, and which addresses are one peer where peers are counted.
//! An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, as a socket on `[::]` shows it) is that IPv4 address everywhere.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// How much of an IPv6 address stands for one peer: a subscriber is given a whole /64 at least (RFC 6177).
const PEER_PREFIX: u32 = 64;
/// How many bits of an IPv6 address say that it is an IPv4 one.
const MAPPED_PREFIX: u8 = 96;

/// A network in CIDR notation, or one address. Its address has no bits behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNetwork {
    /// It is neither an address nor an address, a slash and a length that the family has.
    #[error("it is neither an address nor one with a prefix length")]
    Form,
    /// The address has bits behind the prefix, so that something else may have been meant.
    #[error("the address has bits behind the prefix length, the network is {0}")]
    Bits(Network),
}

/// The peers that are believed, in a PROXY protocol header or in the fields that say who is behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(Vec<Network>);

impl Trusted {
    /// Who is in one of these networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Trusted(networks)
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this peer is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    /// Whether an address lies in this network.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// The network of this address and prefix length, without the bits behind it.
    fn around(address: IpAddr, prefix: u8) -> Network {
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        match address.to_canonical() {
            canonical @ IpAddr::V4(_) if address.is_ipv6() && prefix >= MAPPED_PREFIX => {
                Network { address: canonical, prefix: prefix - MAPPED_PREFIX }
            }
            _ => Network { address, prefix },
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork::Form)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or(NoNetwork::Form)?
            }
            Some(_) => return Err(NoNetwork::Form),
        };
        let network = Network::around(address, prefix);
        let is_whole = network.address.to_canonical() == address.to_canonical();
        if is_whole { Ok(network) } else { Err(NoNetwork::Bits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The address as it is shown and compared: an IPv4 one written as IPv6 is the IPv4 one, and there is no scope.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What stands for a peer where peers are counted: an IPv4 address alone, of an IPv6 address the /64 that it is in.
pub fn peer_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - PEER_PREFIX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1/32", "::ffff:192.0.2.1", "::ffff:192.0.2.0"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::/0", "::1", "::ffff:192.0.2.1"),
            ("::1", "::1", "127.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("::ffff:0:0/96", "1.2.3.4", "::1"),
        ] {
            let trusted = Trusted::new(vec![network.parse().unwrap()]);
            assert!(trusted.contains(ip(inside)), "{inside} in {network}");
            assert!(!trusted.contains(ip(outside)), "{outside} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/8/8", "a", "[::1]"]
        {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork::Form), "{text}");
        }
        for (text, meant) in
            [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/64", "2001:db8::/64"), ("1.1.1.1/0", "0.0.0.0/0")]
        {
            let refused = text.parse::<Network>().unwrap_err();
            assert!(refused.to_string().ends_with(&format!("the network is {meant}")), "{refused}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_is_compared() {
        for (text, shown) in
            [("::1", "::1/128"), ("10.0.0.0/8", "10.0.0.0/8"), ("::ffff:1.2.3.4", "1.2.3.4/32")]
        {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn peers_are_counted_by_address_or_by_their_64_bits() {
        for (address, key) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ] {
            assert_eq!(peer_key(ip(address)), ip(key), "{address}");
        }
    }
}
