//! Tokens that replace others.

use jiff::{SignedDuration, Timestamp};
use portcullis_api::settings::Secret;
use portcullis_api::{NamedToken, NewTokenRequest, Token};

use crate::digest::TokenDigest;
use crate::mistake::Mistake;
use crate::scopes::{Bearer, Scopes};
use crate::token::TokenConfig;

/// How long a token that is replaced stays valid if the request does not say, in seconds.
const DEFAULT_OVERLAP: u64 = 3600;
/// The longest time that a token that is replaced stays valid, in seconds: 30 days.
const LONGEST_OVERLAP: u64 = 30 * 24 * 3600;

/// What was changed of a list of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The new token.
    pub added: TokenConfig,
    /// The token that it replaces, as it is now. It is gone if it has expired.
    pub replaced: Option<TokenConfig>,
}

/// Why a list of tokens is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The list has no token of this name.
    #[error("there is no token of this name")]
    Unknown,
    /// The request is wrong.
    #[error("the request for a token is invalid")]
    Wrong(Vec<Mistake>),
}

/// Adds a client's token to a list. The token that it replaces, if it does, expires after the overlap, or is removed at once if that is 0.
/// Whether the new name is unique is not checked.
///
/// # Errors
/// If the request is wrong, or the replaced token is not there. The list may be changed then.
pub fn rotate(
    tokens: &mut Vec<TokenConfig>,
    request: &NewTokenRequest,
    digest: TokenDigest,
    now: Timestamp,
) -> Result<Rotation, RotationError> {
    let overlap = overlap(request)?;
    let index = request.replaces.as_deref().map(|name| position(tokens, name)).transpose()?;
    let inherited = index.and_then(|index| tokens.get(index)).and_then(|token| token.scopes);
    let typed = Token::Named(NamedToken {
        name: request.name.clone(),
        token: Secret(digest.to_string()),
        scopes: request.scopes.clone().or_else(|| inherited.map(Scopes::list)),
        expires: request.expires.clone(),
    });
    let added = TokenConfig::check(&typed, Bearer::Client).map_err(RotationError::Wrong)?;
    let replaced = match index {
        None => None,
        Some(index) => Some(replace(tokens, index, overlap, now)?),
    };
    tokens.push(added.clone());
    Ok(Rotation { added, replaced })
}

/// Removes the token that is [shown](TokenConfig::shown_name) with this name.
///
/// # Errors
/// If there is none, or there are two.
pub fn remove(tokens: &mut Vec<TokenConfig>, name: &str) -> Result<(), RotationError> {
    tokens.remove(position(tokens, name)?);
    Ok(())
}

fn wrong(field: &'static str, what: impl Into<String>) -> RotationError {
    RotationError::Wrong(vec![Mistake::of(field, what)])
}

fn position(tokens: &[TokenConfig], name: &str) -> Result<usize, RotationError> {
    let mut found = tokens.iter().enumerate().filter(|(_, token)| token.shown_name() == name);
    let (index, _) = found.next().ok_or(RotationError::Unknown)?;
    if found.next().is_some() {
        return Err(wrong(
            "name",
            "two tokens without a name have the same first digits; name them in the tenant's settings",
        ));
    }
    Ok(index)
}

fn overlap(request: &NewTokenRequest) -> Result<SignedDuration, RotationError> {
    if request.replaces.is_none() && request.overlap_seconds.is_some() {
        return Err(wrong("overlap_seconds", "no token is replaced; name it in replaces, or leave this out"));
    }
    let seconds = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
    match i64::try_from(seconds) {
        Ok(signed) if seconds <= LONGEST_OVERLAP => Ok(SignedDuration::from_secs(signed)),
        _ => Err(wrong(
            "overlap_seconds",
            "not between 0 and 2592000 (30 days); leave it out for 3600 (an hour)",
        )),
    }
}

/// Lets a token expire after the overlap, or earlier if it would. Removes it if that is now.
fn replace(
    tokens: &mut Vec<TokenConfig>,
    index: usize,
    overlap: SignedDuration,
    now: Timestamp,
) -> Result<TokenConfig, RotationError> {
    let end = now.saturating_add(overlap).unwrap_or(Timestamp::MAX);
    let token = tokens.get_mut(index).ok_or(RotationError::Unknown)?;
    token.expires = Some(token.expires.map_or(end, |expires| expires.min(end)));
    if token.name.is_none() {
        // Only tokens with a name expire.
        token.name = token.shown_name().parse().ok();
    }
    let replaced = token.clone();
    if replaced.has_expired(now) {
        tokens.remove(index);
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use portcullis_api::TokenScope;
    use serde_json::{Value, json};

    use super::*;

    fn plain(token: &str) -> TokenConfig {
        TokenConfig::plain(TokenDigest::of(token.as_bytes()))
    }

    fn rotated(tokens: &mut Vec<TokenConfig>, request: Value) -> Result<Rotation, RotationError> {
        let request: NewTokenRequest = serde_json::from_value(request).unwrap();
        let digest = TokenDigest::of(request.name.as_bytes());
        rotate(tokens, &request, digest, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn at(time: &str) -> Option<Timestamp> {
        Some(time.parse().unwrap())
    }

    #[test]
    fn a_replaced_token_expires_after_the_overlap_and_not_later_than_before() {
        let mut tokens = vec![plain("a"), plain("b")];
        let name = tokens[0].shown_name();
        let Rotation { added, replaced } =
            rotated(&mut tokens, json!({ "name": "crm", "replaces": name })).unwrap();
        let replaced = replaced.unwrap();
        assert_eq!(tokens, [replaced.clone(), plain("b"), added]);
        assert_eq!((replaced.shown_name(), replaced.expires), (name.clone(), at("2026-01-01T01:00:00Z")));
        // It can be written, because it has a name now.
        assert!(serde_json::to_string(&replaced.to_typed()).unwrap().contains("2026-01-01T01:00:00Z"));
        let longer = json!({ "name": "crm-2", "replaces": name, "overlap_seconds": 7200 });
        let again = rotated(&mut tokens, longer).unwrap().replaced.unwrap();
        assert_eq!(again.expires, at("2026-01-01T01:00:00Z"));
        let at_once = json!({ "name": "crm-3", "replaces": name, "overlap_seconds": 0 });
        rotated(&mut tokens, at_once).unwrap();
        assert_eq!(tokens.len(), 4);
        assert_eq!(remove(&mut tokens, &name), Err(RotationError::Unknown));
        assert_eq!(remove(&mut tokens, "crm-2"), Ok(()));
        assert_eq!(tokens.len(), 3);
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told() {
        for request in [
            json!({ "name": "a", "replaces": "b", "overlap_seconds": 2_592_001 }),
            json!({ "name": "a", "replaces": "b", "overlap_seconds": u64::MAX }),
            json!({ "name": "a", "overlap_seconds": 1 }),
            json!({ "name": "A" }),
            json!({ "name": "a", "scopes": [] }),
        ] {
            let refused = rotated(&mut vec![plain("b")], request.clone());
            assert!(matches!(refused, Err(RotationError::Wrong(_))), "{request}");
        }
        let unknown = rotated(&mut vec![plain("b")], json!({ "name": "a", "replaces": "b" }));
        assert_eq!(unknown, Err(RotationError::Unknown));
    }

    #[test]
    fn scopes_are_those_of_the_replaced_token_unless_the_request_has_some() {
        let read = Scopes::of(&[TokenScope::Read]);
        let mut tokens = Vec::new();
        rotated(&mut tokens, json!({ "name": "a", "scopes": ["read"] })).unwrap();
        let next = rotated(&mut tokens, json!({ "name": "b", "replaces": "a" })).unwrap();
        assert_eq!(next.added.scopes, Some(read));
        let other = json!({ "name": "c", "replaces": "b", "scopes": ["check"] });
        assert_eq!(rotated(&mut tokens, other).unwrap().added.scopes, Some(Scopes::of(&[TokenScope::Check])));
    }
}
