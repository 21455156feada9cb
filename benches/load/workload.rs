//! The requests of a run.

use bytes::Bytes;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::{Method, Request};
use portcullis_benches::numbers;
use sha2::Sha256;

use crate::Options;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Check one number through the native API
    Check,
    /// Check many numbers at once
    Batch,
    /// Block and unblock one number in turn
    Write,
    /// Read a page of the list through Meta's API
    MetaList,
    /// Send a message through Meta's Cloud API
    Messages,
    /// Deliver a webhook with one message
    Webhook,
    /// Send a message through the generic route
    Route,
    /// A mix: 90 % checks, 5 % batches, 4 % messages, 1 % writes
    Mixed,
    /// GET the path in --path
    Get,
}

pub(crate) struct Workload {
    options: Options,
    host: String,
}

impl Workload {
    pub(crate) fn of(options: &Options) -> Self {
        let host = options.url.authority().map(ToString::to_string).unwrap_or_default();
        Workload { options: options.clone(), host }
    }

    pub(crate) fn request(&self, nth: u64) -> Request<Full<Bytes>> {
        self.of_kind(self.options.workload, nth)
    }

    fn of_kind(&self, kind: Kind, nth: u64) -> Request<Full<Bytes>> {
        let Options { sender, phone_id, batch, .. } = &self.options;
        let list = format!("/portcullis/v1/senders/{sender}");
        let number = self.number(nth);
        match kind {
            Kind::Check => {
                let body = format!(r#"{{"number":"{number}","direction":"outbound"}}"#);
                self.post(&format!("{list}/check"), body)
            }
            Kind::Batch => {
                let numbers: Vec<String> =
                    (0..*batch).map(|n| format!("\"{}\"", self.number(nth * batch + n))).collect();
                let body = format!(r#"{{"numbers":[{}],"direction":"outbound"}}"#, numbers.join(","));
                self.post(&format!("{list}/check"), body)
            }
            Kind::Write => {
                let body = format!(r#"{{"number":"{}","brief":true}}"#, self.number(nth / 2));
                let mut request = self.post(&format!("{list}/entries"), body);
                if nth % 2 == 1 {
                    *request.method_mut() = Method::DELETE;
                }
                request
            }
            Kind::MetaList => self.get(&format!("/v25.0/{phone_id}/block_users")),
            Kind::Messages => {
                let body = format!(
                    r#"{{"messaging_product":"whatsapp","to":"+{number}","type":"text","text":{{"body":"Hello"}}}}"#
                );
                self.post(&format!("/v25.0/{phone_id}/messages"), body)
            }
            Kind::Webhook => {
                let body = format!(
                    r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"phone_number_id":"{phone_id}"}},"contacts":[{{"wa_id":"{number}"}}],"messages":[{{"from":"{number}","id":"wamid.{nth}","timestamp":"1749416383","type":"text","text":{{"body":"Hello"}}}}]}}}}]}}]}}"#
                );
                let signature = self.signed(&body);
                let mut request = self.post("/webhooks/meta", body);
                if let Ok(signature) = signature.parse() {
                    request.headers_mut().insert("x-hub-signature-256", signature);
                }
                request
            }
            Kind::Route => {
                let body = format!(
                    r#"{{"sender":"{sender}","recipient":"+{number}","direction":"outbound","body":"Hello"}}"#
                );
                self.post("/portcullis/v1/route", body)
            }
            Kind::Mixed => {
                let kind = match nth % 100 {
                    0..90 => Kind::Check,
                    90..95 => Kind::Batch,
                    95..99 => Kind::Route,
                    _ => Kind::Write,
                };
                self.of_kind(kind, nth)
            }
            Kind::Get => self.get(&self.options.path.replace("{number}", &number.to_string())),
        }
    }

    fn number(&self, nth: u64) -> u64 {
        numbers::asked(nth, self.options.numbers)
    }

    fn signed(&self, body: &str) -> String {
        #[expect(clippy::expect_used, reason = "HMAC accepts keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.options.app_secret.as_bytes())
            .expect("HMAC accepts keys of any length");
        mac.update(body.as_bytes());
        let digest = mac.finalize().into_bytes();
        format!("sha256={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    fn get(&self, path: &str) -> Request<Full<Bytes>> {
        self.built(Method::GET, path, Bytes::new())
    }

    fn post(&self, path: &str, body: String) -> Request<Full<Bytes>> {
        self.built(Method::POST, path, body.into())
    }

    fn built(&self, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let has_body = !body.is_empty();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        if let Ok(path) = path.parse() {
            *request.uri_mut() = path;
        }
        let token = format!("Bearer {}", self.options.token);
        let headers = [("host", self.host.as_str()), ("authorization", &token)];
        let kind = has_body.then_some(("content-type", "application/json"));
        for (name, value) in headers.into_iter().chain(kind) {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }
}
