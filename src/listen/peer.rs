//! Where a request came from: the connection, who a PROXY header says is behind it, and who the fields of a request say is
//! behind that, each believed only where the one before is trusted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;

use super::forwarded::{self, Account};
use super::network::{Trusted, canonical};
use super::proxy_protocol::Source;
use crate::http1::Interim;

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address, as far as it is known: for logs, limits and caveats. Port 0 where no port was said.
    pub address: SocketAddr,
    /// The address that the connection comes from.
    pub connected: SocketAddr,
    /// The index of the listener.
    pub listener: usize,
    /// Whether it came over TLS.
    pub secure: bool,
    /// Takes interim responses to this request.
    pub interim: Interim,
    /// What trusted proxies said of the request; nothing where it comes from none.
    pub account: Option<Arc<Account>>,
    /// Whether `address` is the client's.
    is_known: bool,
    /// Who else is believed, where the peer itself is.
    trusted: Option<Arc<Trusted>>,
}

impl Peer {
    /// Who connected to a listener that trusts these.
    pub fn new(connected: SocketAddr, listener: usize, trusted: Option<&Arc<Trusted>>) -> Self {
        let connected = canonical(connected);
        Peer {
            address: connected,
            connected,
            listener,
            secure: false,
            interim: Interim::wanted(),
            account: None,
            is_known: true,
            trusted: trusted.filter(|trusted| trusted.contains(connected.ip())).cloned(),
        }
    }

    /// The client's address; nothing where a trusted proxy does not know it, or hides it.
    pub fn client(&self) -> Option<IpAddr> {
        let is_known = self.account.as_ref().map_or(self.is_known, |account| account.is_known);
        is_known.then_some(self.address.ip())
    }

    /// The same connection with a request of these fields. Only those of a trusted peer are looked at.
    pub fn of_request(&self, headers: &HeaderMap) -> Peer {
        let mut peer = self.clone();
        if let Some(trusted) = &self.trusted {
            let account = forwarded::read(headers, self.address, trusted);
            peer.address = account.client;
            peer.account = Some(Arc::new(account));
        }
        peer
    }

    /// Whether this peer is believed.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// Whether a PROXY header has named a client that is no trusted proxy itself.
    pub(super) fn is_named(&self) -> bool {
        self.trusted.is_none() && self.address != self.connected
    }

    /// The same connection, over TLS or not.
    pub(super) fn over_tls(self, secure: bool) -> Peer {
        Peer { secure, ..self }
    }

    /// The same connection after a PROXY header. Who is not named cannot be believed to be a proxy either.
    pub(super) fn behind(self, source: Source) -> Peer {
        match source {
            Source::Address(address) => {
                let trusted = self.trusted.filter(|trusted| trusted.contains(address.ip()));
                Peer { address, trusted, ..self }
            }
            Source::Proxy => Peer { trusted: None, ..self },
            Source::Unknown => Peer { trusted: None, is_known: false, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Arc<Trusted> {
        Arc::new(Trusted::new(vec!["10.0.0.0/8".parse().unwrap()]))
    }

    /// The address of a request with `X-Forwarded-For: 192.0.2.7, 10.0.0.9`, and whether it is the client's.
    fn seen(peer: Peer) -> (String, bool) {
        let mut headers = HeaderMap::new();
        headers.insert(forwarded::X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.7, 10.0.0.9"));
        let peer = peer.of_request(&headers);
        (peer.address.to_string(), peer.client().is_some())
    }

    #[test]
    fn fields_are_believed_of_trusted_peers_only() {
        let trusted = trusted();
        let from = |text, trusted: Option<&Arc<Trusted>>| seen(Peer::new(address(text), 0, trusted));
        assert_eq!(from("10.0.0.1:5", Some(&trusted)), ("192.0.2.7:0".to_owned(), true));
        assert_eq!(from("[::ffff:10.0.0.1]:5", Some(&trusted)), ("192.0.2.7:0".to_owned(), true));
        assert_eq!(from("198.51.100.1:5", Some(&trusted)), ("198.51.100.1:5".to_owned(), true));
        assert_eq!(from("10.0.0.1:5", None), ("10.0.0.1:5".to_owned(), true));
    }

    #[test]
    fn behind_a_proxy_header_who_is_named_must_be_trusted_too() {
        let behind = |source| seen(Peer::new(address("10.0.0.1:5"), 0, Some(&trusted())).behind(source));
        assert_eq!(behind(Source::Address(address("10.0.0.2:7"))), ("192.0.2.7:0".to_owned(), true));
        assert_eq!(behind(Source::Address(address("198.51.100.1:7"))), ("198.51.100.1:7".to_owned(), true));
        assert_eq!(behind(Source::Proxy), ("10.0.0.1:5".to_owned(), true));
        assert_eq!(behind(Source::Unknown), ("10.0.0.1:5".to_owned(), false));
    }
}
