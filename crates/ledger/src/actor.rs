//! Who wrote an entry.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Who made a change: the name of the credential (or of the part of the gateway), 1 to 128 printable ASCII characters;
/// and, where they are known, the address it came from and the interface it came through.
///
/// Stored in clear and shown in logs, so the name must be one that an operator gave, never text that
/// comes with a request. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    name: Arc<str>,
    address: Option<IpAddr>,
    interface: Option<Arc<str>>,
}

/// Between the parts of an actor as it is stored. No part has it, as it is not printable.
const SEPARATOR: char = '\u{1f}';

impl Actor {
    /// The most characters of a name, and of an interface's name.
    pub const MAX_LENGTH: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// Where it is empty, longer than [`Actor::MAX_LENGTH`], or has a character outside of
    /// U+0020 to U+007E.
    pub fn new(name: &str) -> Result<Self, ActorError> {
        check(name)?;
        Ok(Actor { name: name.into(), address: None, interface: None })
    }

    /// The same one, at this address.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Self {
        Actor { address: Some(address.to_canonical()), ..self }
    }

    /// The same one, through the interface of this name.
    ///
    /// # Errors
    /// As for a name.
    pub fn through(self, interface: &str) -> Result<Self, ActorError> {
        check(interface)?;
        Ok(Actor { interface: Some(interface.into()), ..self })
    }

    /// Who deactivates entries whose time is over: `expiry`.
    pub fn expiry() -> Self {
        Actor { name: "expiry".into(), address: None, interface: None }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Where it was.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What it came through.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// What stands for the address and for the interface on disk.
    pub(crate) fn place(&self) -> (String, &str) {
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        (address, self.interface.as_deref().unwrap_or_default())
    }

    /// Reads the three parts as the queries join them: see [`SEPARATOR`].
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
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

/// Why a text is no actor's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// Nothing given.
    #[error("the actor's name is empty")]
    Empty,
    /// More than [`Actor::MAX_LENGTH`] characters.
    #[error("the actor's name has more than {} characters", Actor::MAX_LENGTH)]
    TooLong,
    /// A character that is not printable ASCII.
    #[error("byte {position} of the actor's name is not printable ASCII")]
    NotPrintable {
        /// Where, counted in bytes from 0.
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
    fn the_gateways_own_name_is_a_name() {
        assert_eq!(Actor::new(Actor::expiry().as_str()), Ok(Actor::expiry()));
    }

    #[test]
    fn an_actor_is_read_as_it_was_stored() {
        let name = Actor::new("crm").unwrap();
        let there = name.clone().at("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(there.address(), Some("192.0.2.7".parse().unwrap()));
        for actor in
            [name.clone(), there.clone(), there.through("sinch").unwrap(), name.through("x").unwrap()]
        {
            let (address, interface) = actor.place();
            let stored = format!("{actor}{SEPARATOR}{address}{SEPARATOR}{interface}");
            assert_eq!(Actor::from_stored(&stored), Some(actor));
        }
        for damaged in ["", "crm", "crm\u{1f}", "crm\u{1f}here\u{1f}", "\u{1f}\u{1f}"] {
            assert_eq!(Actor::from_stored(damaged), None);
        }
    }
}
