//! Errors: one body for all of them, and every code there is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorObject,
}

/// What went wrong.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct ErrorObject {
    /// For programs: stable, in snake_case. One of [`ErrorCode`]'s; a client must accept others.
    pub code: String,
    /// For people: what was wrong with what, and what to do about it.
    pub message: String,
    /// Each thing that was wrong, where there can be several. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Detail {
    /// The index of the number or entry in the request, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong with it. Never contains the number.
    pub reason: String,
}

/// Declares the codes, so that each has its status and its meaning in one place.
macro_rules! codes {
    ($($variant:ident, $code:literal, $status:literal, $meaning:literal;)+) => {
        /// The code of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),+];

            /// As it stands in an answer.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code),+ }
            }

            /// The HTTP status of an answer with this code.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status),+ }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    InvalidJson, "invalid_json", 400, "The body is not JSON.";
    InvalidRequest, "invalid_request", 400, "A field or parameter is missing, unknown, or invalid.";
    InvalidNumber, "invalid_number", 400, "A number can't be read. `details` lists all of them, by index.";
    InvalidPlugin, "invalid_plugin", 400, "The component is not a plugin, or its name is invalid. The message says why.";
    TooManyNumbers, "too_many_numbers", 400, "More than 10,000 numbers in one request.";
    MissingToken, "missing_token", 401, "No token was sent.";
    InvalidToken, "invalid_token", 401, "The token is unknown.";
    SenderNotAllowed, "sender_not_allowed", 403, "The token is valid for another sender only.";
    Blocked, "blocked", 403, "The message is blocked and was not forwarded.";
    NotFound, "not_found", 404, "There is nothing at this path.";
    UnknownSender, "unknown_sender", 404, "The tenant has no sender of this name.";
    UnknownTenant, "unknown_tenant", 404, "There is no tenant of this name.";
    EntryNotFound, "entry_not_found", 404, "The list has no such entry.";
    MethodNotAllowed, "method_not_allowed", 405, "This path does not accept this method. `Allow` lists those it accepts.";
    Conflict, "conflict", 409, "The name, token or number is in use elsewhere, or the tenant is set up in the configuration file.";
    Held, "held", 409, "The number stays blocked by a hold of another kind.";
    NothingToDo, "nothing_to_do", 409, "There is no shadow run to promote, or nothing to roll back to.";
    PluginRefused, "plugin_refused", 409, "The new plugin does not serve; the previous one still does. The message says why.";
    BodyTooLarge, "body_too_large", 413, "The body exceeds the gateway's limit.";
    UnsupportedMediaType, "unsupported_media_type", 415, "The body is not declared as the type that this path accepts.";
    TooManyRequests, "too_many_requests", 429, "The token's rate limit is exceeded. `Retry-After` says when to retry.";
    Internal, "internal", 500, "A defect of the gateway.";
    NextHopFailed, "next_hop_failed", 502, "The next hop can't be reached.";
    Unavailable, "unavailable", 503, "The gateway is starting, shutting down, or overloaded, or its disk fails. `Retry-After` says when to retry.";
    NextHopLate, "next_hop_late", 504, "The next hop did not answer in time.";
    StorageFull, "storage_full", 507, "The disk is full. Nothing was written.";
}
