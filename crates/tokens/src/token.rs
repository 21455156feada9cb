//! Validated bearer tokens.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use portcullis_api::settings::{MASK, Secret};
use portcullis_api::{NamedToken, Token, TokenAnswer};
use portcullis_keys::{NameError, SenderId};

use crate::digest::TokenDigest;
use crate::mistake::Mistake;
use crate::scopes::{Bearer, Scopes};

/// The most tokens of a tenant, of a sender, and of administrators.
pub const MAX_TOKENS: usize = 256;

/// The name of a token: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenName(SenderId);

impl TokenName {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TokenName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // The same characters as in the names of senders.
        text.parse().map(TokenName)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A validated bearer token. [`Token`] has it as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// The token's digest.
    pub digest: TokenDigest,
    /// Its name; `None` if it has none.
    pub name: Option<TokenName>,
    /// What it may be used for; `None` for everything that its bearer does.
    pub scopes: Option<Scopes>,
    /// When it expires; `None` for never.
    pub expires: Option<Timestamp>,
}

impl TokenConfig {
    /// A token without a name, scopes and expiry.
    pub fn plain(digest: TokenDigest) -> Self {
        TokenConfig { digest, name: None, scopes: None, expires: None }
    }

    /// Its name in logs and the audit trail, which is made of the digest if it has none.
    pub fn shown_name(&self) -> String {
        self.name.as_ref().map_or_else(|| self.digest.name(), ToString::to_string)
    }

    /// Whether it has expired.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The token as it would be written, with its digest.
    pub fn to_typed(&self) -> Token {
        let token = Secret(self.digest.to_string());
        match &self.name {
            None => Token::Plain(token),
            Some(name) => Token::Named(NamedToken {
                name: name.to_string(),
                token,
                scopes: self.scopes.map(Scopes::list),
                expires: self.expires.map(|expires| expires.to_string()),
            }),
        }
    }

    /// The token as it is shown, without its digest.
    pub fn shown(&self, now: Timestamp) -> TokenAnswer {
        TokenAnswer {
            name: self.shown_name(),
            scopes: self.scopes.unwrap_or(Scopes::CLIENT).list(),
            expires: self.expires.map(|expires| format!("{expires:.3}")),
            expired: self.has_expired(now),
        }
    }

    /// Validates a token.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn check(typed: &Token, bearer: Bearer) -> Result<Self, Vec<Mistake>> {
        let named = match typed {
            Token::Plain(Secret(text)) => {
                let digest = digest(text).map_err(|what| vec![Mistake::of_whole(what)])?;
                return Ok(TokenConfig::plain(digest));
            }
            Token::Named(named) => named,
        };
        let mut mistakes = Vec::new();
        let digest = digest(&named.token.0).map_err(|what| mistakes.push(Mistake::of("token", what))).ok();
        let name = named.name.parse::<TokenName>();
        if let Err(error) = &name {
            mistakes.push(Mistake::of("name", format!("{error}; give the token a name such as crm")));
        }
        if is_made_of_a_digest(&named.name) && digest.is_some_and(|digest| digest.name() != named.name) {
            let what = "this is the form of the names of tokens that have none; choose another one";
            mistakes.push(Mistake::of("name", what));
        }
        if let Some(what) = named.scopes.as_deref().and_then(|scopes| bearer.problem(scopes)) {
            mistakes.push(Mistake::of("scopes", what));
        }
        let expires = named.expires.as_ref().map(|text| text.parse::<Timestamp>());
        if let Some(Err(_)) = expires {
            let what = "not a time in RFC 3339; write it like 2027-01-31T00:00:00Z";
            mistakes.push(Mistake::of("expires", what));
        }
        match (digest, name) {
            (Some(digest), Ok(name)) if mistakes.is_empty() => Ok(TokenConfig {
                digest,
                name: Some(name),
                scopes: named.scopes.as_deref().map(Scopes::of),
                expires: expires.and_then(Result::ok),
            }),
            _ => Err(mistakes),
        }
    }
}

fn digest(text: &str) -> Result<TokenDigest, String> {
    if text == MASK {
        return Err(
            "this is a placeholder for a token that is not shown, and no such token is set; write the token, or its digest"
                .to_owned(),
        );
    }
    TokenDigest::parse(text).map_err(|error| format!("{error}; `portcullis token new` prints a good one"))
}

/// Whether a name has the form of [`TokenDigest::name`].
fn is_made_of_a_digest(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix("token-").is_some_and(|digits| digits.len() == 6 && digits.bytes().all(is_digit))
}

/// What is wrong with a list of so many tokens, if anything is.
pub fn too_many(count: usize) -> Option<String> {
    let what =
        || format!("{count} tokens, and {MAX_TOKENS} are the most; take out those that nobody uses any more");
    (count > MAX_TOKENS).then(what)
}

#[cfg(test)]
mod tests {
    use portcullis_api::TokenScope;

    use super::*;
    use crate::mistake::Step;

    /// The token, or the field of its first mistake and what is wrong.
    fn check(json: &str, bearer: Bearer) -> Result<TokenConfig, (&'static str, String)> {
        let typed: Token = serde_json::from_str(json).unwrap();
        TokenConfig::check(&typed, bearer).map_err(|mut mistakes| {
            let Mistake { place, what, .. } = mistakes.remove(0);
            let field = match place[..] {
                [Step::Key(field)] => field,
                _ => "",
            };
            (field, what)
        })
    }

    #[test]
    fn a_token_means_the_same_when_it_is_read_again() {
        for json in [
            r#""acme-secret""#,
            r#"{"name": "crm", "token": "acme-secret"}"#,
            r#"{"name": "crm", "token": "acme-secret", "scopes": ["read", "check", "read"], "expires": "2027-01-31T01:00:00.5+01:00"}"#,
        ] {
            let token = check(json, Bearer::Client).unwrap();
            let again = serde_json::to_string(&token.to_typed()).unwrap();
            assert!(!again.contains("acme-secret"));
            assert_eq!(check(&again, Bearer::Client), Ok(token));
        }
    }

    #[test]
    fn scopes_are_those_of_the_bearer() {
        let with = |scopes: &str| format!(r#"{{"name": "a", "token": "b", "scopes": {scopes}}}"#);
        let reader = check(&with(r#"["read"]"#), Bearer::Administrator).unwrap().scopes.unwrap();
        assert!(reader.has(TokenScope::Read) && !reader.has(TokenScope::Admin));
        for (scopes, bearer, expected) in [
            (r#"["admin"]"#, Bearer::Client, "server.admin_tokens"),
            (r#"["admin", "check"]"#, Bearer::Administrator, "no client's"),
            ("[]", Bearer::Client, "for nothing"),
        ] {
            let (field, what) = check(&with(scopes), bearer).unwrap_err();
            assert!(field == "scopes" && what.contains(expected), "{what}");
        }
        assert!(!Scopes::CLIENT.has(TokenScope::Admin) && Scopes::ADMIN.list() == [TokenScope::Admin]);
    }

    #[test]
    fn names_and_times_are_what_they_seem() {
        let digest = TokenDigest::of(b"b").name();
        let own = format!(r#"{{"name": "{digest}", "token": "b"}}"#);
        assert_eq!(check(&own, Bearer::Client).unwrap().shown_name(), digest);
        for (json, expected) in [
            (r#"{"name": "token-abcdef", "token": "b"}"#, "name"),
            (r#"{"name": "CRM", "token": "b"}"#, "name"),
            (r#"{"name": "", "token": "b"}"#, "name"),
            (r#"{"name": "a", "token": "b", "expires": "tomorrow"}"#, "expires"),
            (r#"{"name": "a", "token": "(set)"}"#, "token"),
            (r#""(set)""#, ""),
        ] {
            assert_eq!(check(json, Bearer::Client).unwrap_err().0, expected, "{json}");
        }
    }

    #[test]
    fn a_token_has_expired_at_the_time_that_it_names() {
        let token =
            check(r#"{"name": "a", "token": "b", "expires": "2027-01-31T00:00:00Z"}"#, Bearer::Client)
                .unwrap();
        let at = |time: &str| token.has_expired(time.parse().unwrap());
        assert!(!at("2027-01-30T23:59:59.999Z") && at("2027-01-31T00:00:00Z"));
    }

    #[test]
    fn lists_of_tokens_are_bounded() {
        assert_eq!(too_many(MAX_TOKENS), None);
        assert!(too_many(MAX_TOKENS + 1).unwrap().starts_with("257 tokens"));
    }
}
