//! The address that a request comes from.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;

/// The address of the peer of a request's connection. The server inserts it as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The header in which proxies name their client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the address that a request comes from: its peer's, or, if the peer is a trusted proxy, the last one in
/// `X-Forwarded-For`. Only the last address was added by the proxy itself; the client may have forged the others. An
/// unreadable address is ignored.
pub fn address(peer: Peer, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.0.to_canonical();
    if !trusted.contains(&peer) {
        return peer;
    }
    let named = headers.get_all(FORWARDED_FOR).iter().next_back();
    let last = named.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
    last.and_then(|last| last.trim().parse::<IpAddr>().ok()).map_or(peer, |address| address.to_canonical())
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
        let proxy = Peer(ip("::ffff:10.0.0.5"));
        let mut headers = HeaderMap::new();
        assert_eq!(address(proxy, &headers, &[ip("10.0.0.5")]), ip("10.0.0.5"));
        headers.append(FORWARDED_FOR, "203.0.113.1".parse().unwrap());
        headers.append(FORWARDED_FOR, "203.0.113.2, 192.0.2.7".parse().unwrap());
        assert_eq!(address(proxy, &headers, &[ip("10.0.0.5")]), ip("192.0.2.7"));
        assert_eq!(address(proxy, &headers, &[]), ip("10.0.0.5"));
        assert_eq!(address(Peer(ip("10.0.0.6")), &headers, &[ip("10.0.0.5")]), ip("10.0.0.6"));
        headers.insert(FORWARDED_FOR, "unknown".parse().unwrap());
        assert_eq!(address(proxy, &headers, &[ip("10.0.0.5")]), ip("10.0.0.5"));
    }

    #[test]
    fn one_subscriber_has_one_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
