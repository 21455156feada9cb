//! Messages forwarded by the gateway.

mod clients;
mod events;
mod gate;
mod generic;
mod load;
mod meta;
mod odd;
mod opting_out;
mod outbound;
mod partition;
mod rotation;
pub(crate) mod stand;
mod storm;
mod tls;
mod webhooks;
mod wishes;

use serde_json::json;

use super::support::{Answer, Gateway, SERVER};
pub(crate) use meta::{
    APP_SECRET, PHONE_ID, entry, ids, payload, signed, signed_with, text, text_at, webhook,
};
use stand::Stand;

pub(crate) const OTHER_ID: &str = "106540352242999";

/// Two tenants behind an upstream, each with a callback.
pub(crate) fn config(upstream: &str, callback: &str, other_callback: &str) -> String {
    format!(
        r#"{SERVER}
[meta]
upstream = "{upstream}"
app_secret = "{APP_SECRET}"
verify_token = "verify-secret"

[traffic]
callback_timeout_seconds = 1
upstream_timeout_seconds = 1

[[tenants]]
id = "acme"
tokens = ["acme-secret"]
opt_out = {{ marketing_templates = ["promo_*", "sale"] }}

[[tenants.senders]]
id = "support"
number = "15550783881"
phone_number_id = "{PHONE_ID}"
waba_id = "102290129340398"
callback_url = "{callback}/in?x=1"

[[tenants]]
id = "globex"
tokens = ["globex-secret"]

[[tenants.senders]]
id = "support"
number = "15550783999"
phone_number_id = "{OTHER_ID}"
waba_id = "102290129340399"
callback_url = "{other_callback}/globex"
"#
    )
}

/// A gateway between an upstream and callbacks that accept everything.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Stand,
    pub(crate) callback: Stand,
    pub(crate) other: Stand,
}

impl Scene {
    pub(crate) fn new(upstream: Stand, callback: Stand, other: Stand) -> Self {
        Self::with(upstream, callback, other, |config| config)
    }

    pub(crate) fn with(
        upstream: Stand,
        callback: Stand,
        other: Stand,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let config = change(config(&upstream.url(), &callback.url(), &other.url()));
        Scene { gateway: Gateway::with(&config), upstream, callback, other }
    }

    pub(crate) fn good() -> Self {
        Self::new(Stand::good(), Stand::good(), Stand::good())
    }

    /// Sends a webhook with Meta's signature.
    pub(crate) fn webhook(&self, body: &str) -> Answer {
        webhook(&self.gateway, body, &signed(body.as_bytes()))
    }

    /// Sends a message to this number.
    pub(crate) fn send(&self, to: &str) -> Answer {
        let body = json!({
            "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "Hello" },
        });
        self.gateway.call(
            "POST",
            &format!("/v25.0/{PHONE_ID}/messages"),
            "acme-secret",
            Some(body.to_string()),
        )
    }
}
