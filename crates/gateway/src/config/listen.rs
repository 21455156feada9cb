//! The addresses that the gateway listens on: `[server] listen` and `admin_listen`.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis_edge::settings::{FieldPath, Problem};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// The most addresses of a setting.
const MOST: usize = 16;
/// The longest name of a socket that is passed, as systemd has it.
const LONGEST_NAME: usize = 255;

const HOW: &str = "write an IP address and a port, such as 127.0.0.1:8480 or [::1]:8480, or https://127.0.0.1:8443, unix:PATH, fd:NAME or \
                   https+fd:NAME";

/// One address, or a list of them, as typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    texts: Vec<String>,
    is_list: bool,
}

impl JsonSchema for Addresses {
    fn schema_name() -> Cow<'static, str> {
        "Addresses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MOST }],
        })
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses { texts: vec![text.to_owned()], is_list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Addresses, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(Addresses { texts, is_list: true })
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) socket: SocketName,
    /// Whether clients speak TLS there.
    pub(crate) is_tls: bool,
}

/// Which socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketName {
    Tcp(SocketAddr),
    /// A Unix socket with this path.
    Unix(PathBuf),
    /// The sockets that are passed to the gateway at its start under this name.
    Passed(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.socket, self.is_tls) {
            (SocketName::Tcp(address), true) => write!(f, "https://{address}"),
            (SocketName::Tcp(address), false) => write!(f, "http://{address}"),
            (SocketName::Unix(path), _) => write!(f, "unix:{}", path.display()),
            (SocketName::Passed(name), true) => write!(f, "https+fd:{name}"),
            (SocketName::Passed(name), false) => write!(f, "fd:{name}"),
        }
    }
}

impl Endpoint {
    /// Reads an address. Paths are relative to `folder`.
    fn parse(text: &str, folder: &Path) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let socket = SocketName::Unix(folder.join(path));
            return (!path.is_empty()).then_some(Endpoint { socket, is_tls: false });
        }
        for (prefix, is_tls) in [("https+fd:", true), ("fd:", false)] {
            if let Some(name) = text.strip_prefix(prefix) {
                let socket = SocketName::Passed(name.to_owned());
                return is_name(name).then_some(Endpoint { socket, is_tls });
            }
        }
        let (address, is_tls) = match text.strip_prefix("https://") {
            Some(address) => (address, true),
            None => (text.strip_prefix("http://").unwrap_or(text), false),
        };
        address.parse().ok().map(|address| Endpoint { socket: SocketName::Tcp(address), is_tls })
    }
}

/// Whether systemd would take this for the name of a socket.
fn is_name(name: &str) -> bool {
    let is_printable = |c: char| (c.is_ascii_graphic() || c == ' ') && c != ':';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_printable)
}

/// Checks the addresses of the setting at `place`. Relative paths are relative to `folder`.
pub(super) fn check(
    typed: &Addresses,
    folder: &Path,
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> Vec<Endpoint> {
    if typed.texts.is_empty() || typed.texts.len() > MOST {
        problems.push(Problem::new(place.clone(), format!("must have 1 to {MOST} addresses; {HOW}")));
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(typed.texts.len().min(MOST));
    for (index, text) in typed.texts.iter().take(MOST).enumerate() {
        let place = if typed.is_list { place.index(index) } else { place.clone() };
        match Endpoint::parse(text, folder) {
            Some(endpoint) if endpoints.iter().any(|other| is_same(other, &endpoint)) => {
                problems
                    .push(Problem::new(place, "is an address of this list already; remove one of the two"));
            }
            Some(endpoint) => endpoints.push(endpoint),
            None => problems.push(Problem::new(place, format!("is not an address to listen on; {HOW}"))),
        }
    }
    endpoints
}

/// Whether two addresses are of one socket. With the port 0, each is of its own.
pub(super) fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    let is_any_port = matches!(one.socket, SocketName::Tcp(address) if address.port() == 0);
    one.socket == other.socket && !is_any_port
}

/// Reads the mode of a file in octal digits, such as `0660`.
pub(super) fn mode(text: &str) -> Option<u32> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok()?;
    (is_octal && mode <= 0o777 && mode & 0o600 == 0o600).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_one_of_four_ways() {
        let folder = Path::new("/etc/portcullis");
        for (text, shown) in [
            ("127.0.0.1:8480", "http://127.0.0.1:8480"),
            ("http://[::1]:8480", "http://[::1]:8480"),
            ("https://0.0.0.0:8443", "https://0.0.0.0:8443"),
            ("unix:/run/portcullis/portcullis.sock", "unix:/run/portcullis/portcullis.sock"),
            ("unix:portcullis.sock", "unix:/etc/portcullis/portcullis.sock"),
            ("fd:portcullis.socket", "fd:portcullis.socket"),
            ("https+fd:public", "https+fd:public"),
        ] {
            assert_eq!(Endpoint::parse(text, folder).unwrap().to_string(), shown);
        }
        for text in ["", "8480", "localhost:8480", "unix:", "fd:", "fd:a:b", "https://", "ftp://127.0.0.1:21"]
        {
            assert_eq!(Endpoint::parse(text, folder), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_listed_once_unless_its_port_is_chosen_by_the_system() {
        let checked = |texts: &[&str]| {
            let texts = texts.iter().map(|&text| text.to_owned()).collect();
            let mut problems = Vec::new();
            let place = FieldPath::default().key("listen");
            let endpoints = check(&Addresses { texts, is_list: true }, Path::new(""), &place, &mut problems);
            (endpoints.len(), problems.len())
        };
        assert_eq!(checked(&["127.0.0.1:0", "127.0.0.1:0"]), (2, 0));
        assert_eq!(checked(&["127.0.0.1:1", "https://127.0.0.1:1"]), (1, 1), "the same port");
        assert_eq!(checked(&["unix:a", "unix:a"]), (1, 1));
        assert_eq!(checked(&[]), (0, 1));
    }

    #[test]
    fn a_mode_lets_at_least_its_owner_in() {
        assert_eq!((mode("0660"), mode("600"), mode("0666")), (Some(0o660), Some(0o600), Some(0o666)));
        for text in ["", "66", "0860", "0066", "1777", "+660"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }
}
