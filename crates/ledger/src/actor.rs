//! Who wrote an entry.

use std::fmt;
use std::sync::Arc;

/// The name of the credential (or of the part of the gateway) that made a change: 1 to 128
/// printable ASCII characters.
///
/// Stored in clear and shown in logs, so it must be a name that an operator gave, never text that
/// comes with a request. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor(Arc<str>);

impl Actor {
    /// The most characters of a name.
    pub const MAX_LENGTH: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// Where it is empty, longer than [`Actor::MAX_LENGTH`], or has a character outside of
    /// U+0020 to U+007E.
    pub fn new(name: &str) -> Result<Self, ActorError> {
        if name.is_empty() {
            return Err(ActorError::Empty);
        }
        if name.len() > Self::MAX_LENGTH {
            return Err(ActorError::TooLong);
        }
        match name.bytes().position(|byte| !matches!(byte, b' '..=b'~')) {
            Some(position) => Err(ActorError::NotPrintable { position }),
            None => Ok(Actor(name.into())),
        }
    }

    /// Who deactivates entries whose time is over: `expiry`.
    pub fn expiry() -> Self {
        Actor("expiry".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
    }

    #[test]
    fn the_gateways_own_name_is_a_name() {
        assert_eq!(Actor::new(Actor::expiry().as_str()), Ok(Actor::expiry()));
    }
}
