//! The body of a POST.

use portcullis_edge::vendor::text::Text;
use serde::Deserialize;

/// The body of a POST. Unknown fields are ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    #[serde(default)]
    pub(super) sender_id: Option<Text>,
    #[serde(default)]
    pub(super) phone: Option<Text>,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) auth_token: Option<Text>,
    #[serde(default, rename = "auth_token")]
    pub(super) auth_token_snake: Option<Text>,
    #[serde(default)]
    pub(super) token: Option<Text>,
}
