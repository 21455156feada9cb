//! The administrators' tokens.

use jiff::Timestamp;
use portcullis_api::settings::Secret;
use portcullis_api::{Token, TokenScope};

use crate::digest::TokenDigest;
use crate::mistake::{Mistake, Step};
use crate::scopes::{Bearer, Scopes};
use crate::token::{TokenConfig, too_many};

/// The administrators' tokens: `[server] admin_token` and `admin_tokens`. The default has none: nobody is an administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminTokens(Vec<TokenConfig>);

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no administrator's.
    Unknown,
    /// It has expired.
    Expired {
        /// The name that it is shown with.
        name: String,
    },
    /// It may not be used for this.
    OutOfScope {
        /// The name that it is shown with.
        name: String,
    },
}

impl AdminTokens {
    /// Validates `admin_token` and `admin_tokens`.
    ///
    /// # Errors
    /// All mistakes in them, with their places from `[server]` on.
    pub fn check(one: Option<&Secret>, more: &[Token]) -> Result<Self, Vec<Mistake>> {
        const LIST: Step = Step::Key("admin_tokens");
        let mut tokens: Vec<TokenConfig> = Vec::with_capacity(more.len() + 1);
        let mut mistakes = Vec::new();
        match one.map(|secret| TokenDigest::parse(&secret.0)) {
            None => {}
            Some(Ok(digest)) => tokens.push(TokenConfig::plain(digest)),
            Some(Err(error)) => {
                let what = format!("{error}; create one with `portcullis token new`");
                mistakes.push(Mistake::of("admin_token", what));
            }
        }
        mistakes.extend(too_many(more.len()).map(|what| Mistake::of_whole(what).at(&[LIST])));
        for (index, typed) in more.iter().enumerate() {
            let place = [LIST, Step::Index(index)];
            let token = match TokenConfig::check(typed, Bearer::Administrator) {
                Ok(token) => token,
                Err(of_token) => {
                    mistakes.extend(of_token.into_iter().map(|mistake| mistake.at(&place)));
                    continue;
                }
            };
            if tokens.iter().any(|other| other.digest == token.digest) {
                let what = "this token is an administrator's already; give each its own";
                mistakes.push(Mistake::of_whole(what).conflict().at(&place));
            }
            if token.name.is_some() && tokens.iter().any(|other| other.name == token.name) {
                let what = "another administrator's token has this name already; give each a name of its own";
                mistakes.push(Mistake::of("name", what).conflict().at(&place));
            }
            tokens.push(token);
        }
        if mistakes.is_empty() { Ok(AdminTokens(tokens)) } else { Err(mistakes) }
    }

    /// The digests of all tokens.
    pub fn digests(&self) -> impl Iterator<Item = TokenDigest> {
        self.0.iter().map(|token| token.digest)
    }

    /// Whether an administrator's token may be used for this: [`Read`](TokenScope::Read) or [`Admin`](TokenScope::Admin). Compares it with
    /// all of them, each in constant time.
    ///
    /// # Errors
    /// If the token is no administrator's, has expired, or lacks the scope.
    pub fn authenticate(&self, token: &TokenDigest, scope: TokenScope) -> Result<(), Refused> {
        let mut found = None;
        for known in &self.0 {
            if known.digest == *token {
                found = Some(known);
            }
        }
        let known = found.ok_or(Refused::Unknown)?;
        if known.has_expired(Timestamp::now()) {
            return Err(Refused::Expired { name: known.shown_name() });
        }
        let scopes = known.scopes.unwrap_or(Scopes::ADMIN);
        match scopes.has(scope) || scopes.has(TokenScope::Admin) {
            true => Ok(()),
            false => Err(Refused::OutOfScope { name: known.shown_name() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(one: Option<&str>, more: &str) -> Result<AdminTokens, Vec<Vec<Step>>> {
        let one = one.map(|text| Secret(text.to_owned()));
        let more: Vec<Token> = serde_json::from_str(more).unwrap();
        AdminTokens::check(one.as_ref(), &more)
            .map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.place).collect())
    }

    #[test]
    fn administrators_do_what_their_tokens_say() {
        let tokens = tokens(
            Some("one"),
            r#"["other", {"name": "graphs", "token": "reads", "scopes": ["read"]},
                {"name": "old", "token": "ended", "expires": "2020-01-01T00:00:00Z"}]"#,
        )
        .unwrap();
        let may = |token: &str, scope| tokens.authenticate(&TokenDigest::of(token.as_bytes()), scope);
        for token in ["one", "other"] {
            assert_eq!((may(token, TokenScope::Read), may(token, TokenScope::Admin)), (Ok(()), Ok(())));
        }
        assert_eq!(may("reads", TokenScope::Read), Ok(()));
        assert_eq!(may("reads", TokenScope::Admin), Err(Refused::OutOfScope { name: "graphs".into() }));
        assert_eq!(may("ended", TokenScope::Read), Err(Refused::Expired { name: "old".into() }));
        assert_eq!(may("", TokenScope::Read), Err(Refused::Unknown));
        let nobody = AdminTokens::default();
        assert_eq!(nobody.authenticate(&TokenDigest::of(b""), TokenScope::Read), Err(Refused::Unknown));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let at = |index| vec![Step::Key("admin_tokens"), Step::Index(index)];
        assert_eq!(tokens(Some(""), r#"[""]"#), Err(vec![vec![Step::Key("admin_token")], at(0)]));
        assert_eq!(tokens(Some("one"), r#"["one"]"#), Err(vec![at(0)]));
        let named = r#"[{"name": "a", "token": "1"}, {"name": "a", "token": "2"}]"#;
        let name = [at(1), vec![Step::Key("name")]].concat();
        assert_eq!(tokens(None, named), Err(vec![name]));
    }
}
