//! What tokens may be used for.

use portcullis_api::TokenScope;

/// A set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything that a client does: `check`, `block` and `read`.
    pub const CLIENT: Scopes = Scopes(0b0111);
    /// Everything that an administrator does: `admin`, which includes `read`.
    pub const ADMIN: Scopes = Scopes(0b1000);

    const fn bit(scope: TokenScope) -> u8 {
        match scope {
            TokenScope::Check => 0b0001,
            TokenScope::Block => 0b0010,
            TokenScope::Read => 0b0100,
            TokenScope::Admin => 0b1000,
        }
    }

    /// The scopes in a list.
    pub fn of(scopes: &[TokenScope]) -> Self {
        Scopes(scopes.iter().fold(0, |set, scope| set | Self::bit(*scope)))
    }

    /// Whether the scope is among these.
    pub const fn has(self, scope: TokenScope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// The scopes, in the order of [`TokenScope::ALL`].
    pub fn list(self) -> Vec<TokenScope> {
        TokenScope::ALL.into_iter().filter(|scope| self.has(*scope)).collect()
    }
}

/// Whose tokens are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A tenant's or sender's client.
    Client,
    /// An administrator.
    Administrator,
}

impl Bearer {
    /// What a token may be used for that names no scopes.
    pub const fn all(self) -> Scopes {
        match self {
            Bearer::Client => Scopes::CLIENT,
            Bearer::Administrator => Scopes::ADMIN,
        }
    }

    /// What is wrong with a list of scopes, if anything is.
    pub(crate) fn problem(self, scopes: &[TokenScope]) -> Option<&'static str> {
        let has = |scope| scopes.contains(&scope);
        match self {
            _ if scopes.is_empty() => Some(
                "a token without a scope could be used for nothing; name scopes, or leave this out for all of them",
            ),
            Bearer::Client if has(TokenScope::Admin) => Some(
                "only the tokens in server.admin_tokens administer the gateway, and a tenant's settings; use check, block or read",
            ),
            Bearer::Administrator if has(TokenScope::Check) || has(TokenScope::Block) => Some(
                "an administrator's token is no client's, and belongs to no tenant; use admin or read, or make it a tenant's token",
            ),
            _ => None,
        }
    }
}
