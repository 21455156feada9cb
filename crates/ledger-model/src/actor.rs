//! Authors of changes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The author of a change: the name of a credential (or of a part of the gateway), and optionally the network address
/// and the interface that the change came from.
///
/// A name is 1 to 128 printable ASCII characters. It is stored in clear and shown in logs, so it must be chosen by an
/// operator and never come from a request. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    name: Arc<str>,
    address: Option<IpAddr>,
    interface: Option<Arc<str>>,
}

/// Separates the parts of a stored actor. It is not printable, so no part contains it.
const SEPARATOR: char = '\u{1f}';

impl Actor {
    /// The maximum length of a name and of an interface's name, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Creates an actor without an address or interface.
    ///
    /// # Errors
    /// If the name is empty, longer than [`Actor::MAX_LENGTH`], or contains a character outside U+0020 to U+007E.
    pub fn new(name: &str) -> Result<Self, ActorError> {
        check(name)?;
        Ok(Actor { name: name.into(), address: None, interface: None })
    }

    /// Sets the network address.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Self {
        Actor { address: Some(address.to_canonical()), ..self }
    }

    /// Sets the interface.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), for the interface's name.
    pub fn through(self, interface: &str) -> Result<Self, ActorError> {
        check(interface)?;
        Ok(Actor { interface: Some(interface.into()), ..self })
    }

    /// The actor that lifts expired holds: `expiry`.
    pub fn expiry() -> Self {
        Actor { name: "expiry".into(), address: None, interface: None }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The network address.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The interface's name.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// The address and the interface as they are stored.
    pub fn stored_parts(&self) -> (String, &str) {
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        (address, self.interface.as_deref().unwrap_or_default())
    }

    /// Parses the name, the address and the interface, joined by U+001F, the unit separator.
    pub fn from_stored(text: &str) -> Option<Self> {
        let mut parts = text.split(SEPARATOR);
        let actor = Actor::new(parts.next()?).ok()?;
        let actor = match parts.next()? {
            "" => actor,
            address => actor.at(address.parse().ok()?),
        };
        match parts.next()? {
            "" => Some(actor),
            interface => actor.through(interface).ok(),
        }
    }
}

fn check(name: &str) -> Result<(), ActorError> {
    if name.is_empty() {
        return Err(ActorError::Empty);
    }
    if name.len() > Actor::MAX_LENGTH {
        return Err(ActorError::TooLong);
    }
    match name.bytes().position(|byte| !matches!(byte, b' '..=b'~')) {
        Some(position) => Err(ActorError::NotPrintable { position }),
        None => Ok(()),
    }
}

/// The name.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " through {interface}")?;
        }
        Ok(())
    }
}

/// Why text is not a valid actor name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// It is empty.
    #[error("the actor's name is empty")]
    Empty,
    /// It is longer than [`Actor::MAX_LENGTH`].
    #[error("the actor's name has more than {} characters", Actor::MAX_LENGTH)]
    TooLong,
    /// It contains a character that is not printable ASCII.
    #[error("byte {position} of the actor's name is not printable ASCII")]
    NotPrintable {
        /// The byte offset, from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_printable() {
        assert_eq!(Actor::new("acme crm/2").map(|a| a.to_string()), Ok("acme crm/2".into()));
        assert_eq!(Actor::new(""), Err(ActorError::Empty));
        assert_eq!(Actor::new(&"a".repeat(129)), Err(ActorError::TooLong));
        assert_eq!(Actor::new("a\nb"), Err(ActorError::NotPrintable { position: 1 }));
        assert_eq!(Actor::new("né"), Err(ActorError::NotPrintable { position: 1 }));
        assert_eq!(Actor::expiry().through("a\u{1f}"), Err(ActorError::NotPrintable { position: 1 }));
    }

    #[test]
    fn the_expiry_actor_has_a_valid_name() {
        assert_eq!(Actor::new(Actor::expiry().as_str()), Ok(Actor::expiry()));
    }

    #[test]
    fn a_stored_actor_round_trips() {
        let name = Actor::new("crm").unwrap();
        let there = name.clone().at("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(there.address(), Some("192.0.2.7".parse().unwrap()));
        for actor in
            [name.clone(), there.clone(), there.through("sinch").unwrap(), name.through("x").unwrap()]
        {
            let (address, interface) = actor.stored_parts();
            let stored = format!("{actor}{SEPARATOR}{address}{SEPARATOR}{interface}");
            assert_eq!(Actor::from_stored(&stored), Some(actor));
        }
        for damaged in ["", "crm", "crm\u{1f}", "crm\u{1f}here\u{1f}", "\u{1f}\u{1f}"] {
            assert_eq!(Actor::from_stored(damaged), None);
        }
    }
}
