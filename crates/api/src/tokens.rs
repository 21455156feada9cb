//! Tokens: as they are configured, and the requests and answers of `…/tokens`.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::settings::Secret;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TokenScope {
    /// To check numbers, and to send messages: `/check`, `/route`, and what is forwarded to the Cloud API.
    Check,
    /// To block and unblock.
    Block,
    /// To read lists, entries, histories and the status. Of an administrator: settings and metrics.
    Read,
    /// To administer the gateway, which includes reading settings and metrics. Only of an administrator.
    Admin,
}

impl TokenScope {
    /// All scopes.
    pub const ALL: [TokenScope; 4] =
        [TokenScope::Check, TokenScope::Block, TokenScope::Read, TokenScope::Admin];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenScope::Check => "check",
            TokenScope::Block => "block",
            TokenScope::Read => "read",
            TokenScope::Admin => "admin",
        }
    }
}

/// A bearer token: the token by itself, which has no name, does not expire, and may be used for everything that a client does; or a
/// table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Token {
    /// In clear, or as `sha256:` and the 64 hexadecimal digits of the SHA-256 digest.
    Plain(Secret),
    /// With a name.
    Named(NamedToken),
}

/// A bearer token with a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedToken {
    /// The name, which the history and the log show: 1 to 64 characters of a-z, 0-9, '.', '_' and '-', unique within the tenant.
    pub name: String,
    /// The token: in clear, or as `sha256:` and the 64 hexadecimal digits of the SHA-256 digest.
    pub token: Secret,
    /// What the token may be used for. Omit for everything that a client does: `check`, `block` and `read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<TokenScope>>,
    /// When the token expires, in RFC 3339. Omit for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Token;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table with name and token")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Token, E> {
                Ok(Token::Plain(Secret(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Token, A::Error> {
                NamedToken::deserialize(MapAccessDeserializer::new(table)).map(Token::Named)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

/// A token, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct TokenAnswer {
    /// The name: that of the settings, or `token-` and the first six digits of the token's digest.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// When it expires, or expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Whether it has expired.
    pub expired: bool,
}

/// The tokens of a tenant or of a sender.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TokensAnswer {
    /// The tokens, in the order of the settings.
    pub tokens: Vec<TokenAnswer>,
}

/// A new token.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenRequest {
    /// The new token's name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-', unique within the tenant.
    pub name: String,
    /// What the token may be used for. Omit for what the replaced token may be used for; or, if none is replaced, `check`, `block` and
    /// `read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<TokenScope>>,
    /// When the token expires, in RFC 3339. Omit for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The name of the token that this one replaces. It expires once `overlap_seconds` have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// For how long the replaced token stays valid, in seconds: 0 to 2,592,000 (30 days). Default: 3,600 (an hour).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 2_592_000))]
    pub overlap_seconds: Option<u64>,
}

/// A new token. It is shown this once: the gateway keeps a digest of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct NewTokenAnswer {
    /// The token, for the client.
    pub token: Secret,
    /// The name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The token that it replaces, with the time at which that expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<TokenAnswer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Token, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_a_text_or_a_table_and_is_written_as_it_was_read() {
        for json in [
            r#""acme-secret""#,
            r#"{"name":"crm","token":"acme-secret"}"#,
            r#"{"name":"crm","token":"acme-secret","scopes":["check","read"],"expires":"2027-01-31T00:00:00Z"}"#,
        ] {
            let token = read(json).unwrap();
            assert_eq!(serde_json::to_string(&token).unwrap(), json);
            assert!(!format!("{token:?}").contains("acme"));
        }
    }

    #[test]
    fn what_is_neither_is_told_without_its_value() {
        for (json, what) in [
            ("46732001122", "expected a string or a table"),
            (r#"{"token": "x"}"#, "missing field `name`"),
            (r#"{"name": "crm"}"#, "missing field `token`"),
            (r#"{"name": "crm", "token": "x", "scope": []}"#, "unknown field `scope`"),
            (r#"{"name": "crm", "token": "x", "scopes": ["write"]}"#, "unknown variant"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
