//! The address that a request comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::HeaderMap;

/// The peer of a request's connection. The server inserts it as an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The peer of a TCP connection.
    Ip(IpAddr),
    /// A process of this machine, through a Unix socket. It counts as [`LOCAL`].
    Unix,
}

/// The address that a client of a Unix socket is recorded with.
pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The proxies that are believed about the address of their client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// By address.
    pub addresses: Vec<IpAddr>,
    /// Whether all clients of Unix sockets are.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether this peer is one of them.
    pub fn contains(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.addresses.contains(&address.to_canonical()),
            Peer::Unix => self.unix,
        }
    }
}

impl Peer {
    /// The address, as it is recorded and counted.
    pub fn address(self) -> IpAddr {
        match self {
            Peer::Ip(address) => address.to_canonical(),
            Peer::Unix => LOCAL,
        }
    }
}

/// The header in which proxies name their client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the address that a request comes from: its peer's, or, if the peer is a trusted proxy, the last one in
/// `X-Forwarded-For`. Only the last address was added by the proxy itself; the client may have forged the others. An
/// unreadable address is ignored.
pub fn address(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    if !trusted.contains(peer) {
        return peer.address();
    }
    let named = headers.get_all(FORWARDED_FOR).iter().next_back();
    let last = named.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
    let named = last.and_then(|last| last.trim().parse::<IpAddr>().ok());
    named.map_or_else(|| peer.address(), |address| address.to_canonical())
}

/// Returns the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address, all of which one subscriber has.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let of = |text: &str| TrustedProxies { addresses: vec![ip(text)], unix: false };
        let nobody = TrustedProxies::default();
        let proxy = Peer::Ip(ip("::ffff:10.0.0.5"));
        let mut headers = HeaderMap::new();
        assert_eq!(address(proxy, &headers, &of("10.0.0.5")), ip("10.0.0.5"));
        headers.append(FORWARDED_FOR, "203.0.113.1".parse().unwrap());
        headers.append(FORWARDED_FOR, "203.0.113.2, 192.0.2.7".parse().unwrap());
        assert_eq!(address(proxy, &headers, &of("10.0.0.5")), ip("192.0.2.7"));
        assert_eq!(address(proxy, &headers, &nobody), ip("10.0.0.5"));
        assert_eq!(address(Peer::Ip(ip("10.0.0.6")), &headers, &of("10.0.0.5")), ip("10.0.0.6"));
        // Clients of a Unix socket are not those of the address that they are recorded with.
        assert_eq!(address(Peer::Unix, &headers, &of("127.0.0.1")), LOCAL);
        let unix = TrustedProxies { addresses: Vec::new(), unix: true };
        assert_eq!(address(Peer::Unix, &headers, &unix), ip("192.0.2.7"));
        headers.insert(FORWARDED_FOR, "unknown".parse().unwrap());
        assert_eq!(address(proxy, &headers, &of("10.0.0.5")), ip("10.0.0.5"));
    }

    #[test]
    fn one_subscriber_has_one_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
