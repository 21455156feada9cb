//! What answers while a plugin can't.

/// The policy that answers checks while a tenant's plugin can't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Allow every message.
    Open,
    /// Block every message.
    #[default]
    Closed,
    /// Fall back to the entries in the ledger: exact, slower, and without the plugin's own rules.
    Ledger,
}
