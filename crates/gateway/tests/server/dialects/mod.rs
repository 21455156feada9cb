//! The vendors' block APIs: the samples of their documents, and what they have in common.

mod clients;
mod conformance;
mod kaleyra;
mod meta;
mod ninety_nine;
mod pairs;
mod sinch;
mod walks;
mod whats91;

use serde_json::{Value, json};
use ureq::http::Request;

use super::support::{ACME, Answer, Gateway, SERVER};

/// A token of one sender.
pub(crate) const BOUND: &str = "acme-support-secret";

/// A tenant with a sender that has an id for every vendor and a second sender, and another tenant.
pub(crate) const VENDORS: &str = r#"
[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "IN"
sid = "HXAP16ACME"

[[tenants.senders]]
id = "support"
number = "916268662275"
bot_id = "acmebot"
phone_number_id = "1234567890"
waba_id = "9876543210"
tokens = ["acme-support-secret"]

[[tenants.senders]]
id = "israel"
number = "972771234567"
bot_id = "israelbot"
phone_number_id = "106540352242922"

[[tenants.senders]]
id = "asleep"
number = "919407000009"
bot_id = "asleepbot"
phone_number_id = "106540352242929"
active = false

[[tenants]]
id = "globex"
tokens = ["globex-secret"]
sid = "HXGLOBEX"

[[tenants.senders]]
id = "support"
number = "46700000002"
bot_id = "globexbot"
phone_number_id = "106540352242930"
"#;

pub(crate) fn vendors() -> Gateway {
    Gateway::with(&format!("{SERVER}{VENDORS}"))
}

/// Starts a gateway with additional settings of acme and of all dialects.
pub(crate) fn vendors_with(of_acme: &str, of_all: &str) -> Gateway {
    let tenants =
        VENDORS.replacen("sid = \"HXAP16ACME\"\n", &format!("sid = \"HXAP16ACME\"\n{of_acme}\n"), 1);
    Gateway::with(&format!("{SERVER}{of_all}\n{tenants}"))
}

/// A request of a vendor's client.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<Value>,
}

impl Asked<'_> {
    pub(crate) fn of(self, gateway: &Gateway) -> Answer {
        let mut request =
            Request::builder().method(self.method).uri(format!("{}{}", gateway.url(), self.path));
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = self.body.map(|body| body.to_string()).unwrap_or_default();
        gateway.send(request.body(body).unwrap())
    }
}

/// The path of acme's sender `support` in each dialect.
pub(crate) const SINCH: &str = "/whatsapp/v1/acmebot/provision/blacklist";
pub(crate) const WHATS91: &str = "/api/v2/message-blacklist";
pub(crate) const KALEYRA: &str = "/v2/HXAP16ACME/whatsapp/+916268662275/block_users";
pub(crate) const META: &str = "/v25.0/1234567890/block_users";
pub(crate) const NUMBER: &str = "916268662275";

pub(crate) fn bearer(gateway: &Gateway, method: &str, path: &str, body: Option<Value>) -> Answer {
    gateway.call(method, path, ACME, body.map(|body| body.to_string()))
}

pub(crate) fn kaleyra(gateway: &Gateway, method: &str, query: &str, body: Option<Value>) -> Answer {
    let path = format!("{KALEYRA}{query}");
    Asked { method, path: &path, headers: &[("api-key", ACME)], body }.of(gateway)
}

pub(crate) fn ninety_nine(gateway: &Gateway, operation: &str, number: Option<&str>) -> Answer {
    let mut body = json!({ "apiKey": ACME, "from": NUMBER });
    if let Some(number) = number {
        body["whatsapp"] = number.into();
    }
    let path = format!("/whatsapp/v2/{operation}");
    Asked { method: "POST", path: &path, headers: &[], body: Some(body) }.of(gateway)
}

pub(crate) fn users(numbers: &[&str]) -> Value {
    let users: Vec<Value> = numbers.iter().map(|number| json!({ "user": number })).collect();
    json!({ "messaging_product": "whatsapp", "block_users": users })
}

/// Whether messages pass: inbound, outbound.
pub(crate) fn passes(gateway: &Gateway, number: &str) -> (bool, bool) {
    let passes = |direction| gateway.verdict_of("support", number, direction) == "allow";
    (passes("inbound"), passes("outbound"))
}

/// The sorted numbers of a list, without plus.
pub(crate) fn sorted<'a>(numbers: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let mut sorted: Vec<String> = numbers
        .into_iter()
        .map(|number| number.as_str().unwrap().trim_start_matches('+').to_owned())
        .collect();
    sorted.sort();
    sorted
}

/// Blocks numbers from 46732000000 on through the native API, in both directions.
pub(crate) fn block_many(gateway: &Gateway, numbers: std::ops::Range<u64>) {
    let numbers: Vec<String> = numbers.map(nth).collect();
    for part in numbers.chunks(10_000) {
        gateway.post("/senders/support/entries", json!({ "numbers": part, "brief": true })).ok();
    }
}

/// The number with this index.
pub(crate) fn nth(index: u64) -> String {
    format!("{}", 46_732_000_000 + index)
}
