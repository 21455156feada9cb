//! Errors: the body that all of them share, and their codes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of every error response.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorObject,
}

/// What went wrong.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ErrorObject {
    /// The code, for programs: stable, in snake_case. Clients must accept codes that they don't know.
    pub code: String,
    /// The message, for people: what is wrong, and what to do about it.
    pub message: String,
    /// All mistakes, if there can be several. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// A mistake in a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Detail {
    /// The index of the number or entry in the request, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The name of the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong. Never contains the number.
    pub reason: String,
}

/// Declares the error codes. Each line is a variant, its name in JSON, its HTTP status and its meaning.
macro_rules! codes {
    ($($variant:ident, $code:literal, $status:literal, $meaning:literal;)+) => {
        /// An error code of the native API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),+];

            /// The code in a response, in snake_case.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code),+ }
            }

            /// The HTTP status of a response with this code.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status),+ }
            }

            /// What the code means, in one or two sentences, for the OpenAPI document.
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    InvalidJson, "invalid_json", 400, "The body is not JSON.";
    InvalidRequest, "invalid_request", 400, "A field or parameter is missing, unknown, or invalid.";
    InvalidNumber, "invalid_number", 400, "A number can't be read. `details` lists such numbers, by index, up to a thousand.";
    InvalidPlugin, "invalid_plugin", 400, "The component is not a plugin, or not of the kind that its name is used for, or its name is invalid. The message says why.";
    TooManyNumbers, "too_many_numbers", 400, "More than 10,000 numbers in one request.";
    MissingToken, "missing_token", 401, "No token was sent.";
    InvalidToken, "invalid_token", 401, "The token is unknown.";
    TokenExpired, "token_expired", 401, "The token has expired.";
    ScopeNotAllowed, "scope_not_allowed", 403, "The token may not be used for this: its scopes are others.";
    SenderNotAllowed, "sender_not_allowed", 403, "The token is valid for another sender only.";
    Blocked, "blocked", 403, "The message is blocked and was not forwarded.";
    NotFound, "not_found", 404, "There is nothing at this path.";
    UnknownSender, "unknown_sender", 404, "The tenant has no sender of this name.";
    UnknownTenant, "unknown_tenant", 404, "There is no tenant of this name.";
    UnknownRule, "unknown_rule", 404, "The tenant has no rules plugin of this name.";
    TokenNotFound, "token_not_found", 404, "There is no token of this name.";
    EntryNotFound, "entry_not_found", 404, "The list has no such entry.";
    MethodNotAllowed, "method_not_allowed", 405, "This path does not accept this method. `Allow` lists those it accepts.";
    Conflict, "conflict", 409, "The name, token or number is in use elsewhere, or the tenant is set up in the configuration file.";
    PositionLost, "position_lost", 409, "The ledger has lost what was written up to the position that the check asks for. Repeat the write.";
    Held, "held", 409, "The number stays blocked by a hold of another kind.";
    NothingToDo, "nothing_to_do", 409, "There is no shadow run to promote, or nothing to roll back to.";
    KeyNotRotated, "key_not_rotated", 409, "The master key was not rotated, or is not known to this gateway. The message says why, and what to do.";
    PluginRefused, "plugin_refused", 409, "The new plugin does not serve; the previous one still does. The message says why.";
    PreconditionFailed, "precondition_failed", 412, "The settings are others by now than those that `If-Match` names.";
    BodyTooLarge, "body_too_large", 413, "The body exceeds the gateway's limit.";
    UnsupportedMediaType, "unsupported_media_type", 415, "The body is not declared as the type that this path accepts.";
    Postponed, "postponed", 429, "A rule of the tenant says that the message may not go now, and it was not forwarded. `Retry-After` says when to ask again.";
    TooManyRequests, "too_many_requests", 429, "The token's rate limit is exceeded. `Retry-After` says when to retry.";
    Internal, "internal", 500, "A defect of the gateway.";
    NextHopFailed, "next_hop_failed", 502, "The next hop can't be reached.";
    Unavailable, "unavailable", 503, "The gateway is starting, shutting down, or overloaded, or its disk or database fails. `Retry-After` says when to retry.";
    OutcomeUnknown, "outcome_unknown", 503, "The ledger's database did not say in time whether the write is stored, or the gateway can't read it back, or not all gateways of the fleet have it although the tenant's `acknowledge` asks for that. Repeat the request: writing it twice changes nothing.";
    NextHopLate, "next_hop_late", 504, "The next hop did not answer in time.";
    StorageFull, "storage_full", 507, "The disk is full. Nothing was written.";
}
