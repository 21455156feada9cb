//! The OpenAPI document, written from the same table as the router.

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::error::ErrorBody;

/// What the document says of a route.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) summary: &'static str,
    /// In addition to the summary.
    pub(super) description: &'static str,
    pub(super) tag: &'static str,
    pub(super) auth: Auth,
    pub(super) query: &'static [QueryParameter],
    pub(super) body: Option<Content>,
    /// Status, what it means, and the body.
    pub(super) answers: Vec<(u16, &'static str, Content)>,
    /// Codes of errors besides those that the rest of this tells.
    pub(super) errors: &'static [&'static str],
}

/// Whose token a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Auth {
    Nobody,
    Tenant,
    Admin,
}

/// A parameter of the query.
#[derive(Debug)]
pub(super) struct QueryParameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// A JSON text.
    pub(super) schema: &'static str,
    pub(super) required: bool,
}

/// A body, and examples of it by name.
pub(super) struct Content {
    media_type: &'static str,
    schema: fn(&mut SchemaGenerator) -> Value,
    examples: Vec<(&'static str, Value)>,
}

impl Content {
    pub(super) fn new<T: JsonSchema>(examples: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Content {
            media_type: "application/json",
            schema: |schemas| schemas.subschema_for::<T>().to_value(),
            examples: examples.into_iter().collect(),
        }
    }

    /// What is not JSON. A schema would say nothing of it.
    pub(super) fn other(
        media_type: &'static str,
        examples: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        Content { media_type, schema: |_| json!({}), examples: examples.into_iter().collect() }
    }

    fn document(&self, schemas: &mut SchemaGenerator) -> Value {
        let examples: Map<String, Value> = self
            .examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
            .collect();
        json!({ self.media_type: { "schema": (self.schema)(schemas), "examples": examples } })
    }
}

/// Code, status, what it means.
const ERRORS: &[(&str, u16, &str)] = &[
    ("missing_token", 401, "No token was sent."),
    ("invalid_token", 401, "The token is not known."),
    ("sender_not_allowed", 403, "The token is good for another sender only."),
    ("unknown_sender", 404, "The tenant has no sender of this name."),
    ("unknown_tenant", 404, "There is no tenant of this name."),
    ("entry_not_found", 404, "The list has no such entry."),
    (
        "conflict",
        409,
        "Something else has this name, token or number already, or the configuration file has the tenant.",
    ),
    ("blocked", 403, "The message is blocked, and was not sent on."),
    ("next_hop_failed", 502, "The next hop can't be reached."),
    ("next_hop_late", 504, "The next hop did not answer in time."),
    ("held", 409, "The number stays blocked by a hold of another kind."),
    (
        "too_many_requests",
        429,
        "The token asks more often than it may. `Retry-After` says when to ask again.",
    ),
    (
        "plugin_refused",
        409,
        "The new plugin does not serve: what served before goes on. The message says why.",
    ),
    ("nothing_to_do", 409, "There is no shadow run to promote, or nothing to go back to."),
    ("invalid_plugin", 400, "The component is not a plugin, or its name is none. The message says why."),
    ("invalid_json", 400, "The body is not JSON."),
    ("invalid_request", 400, "A field or parameter is missing, unknown, or not as it must be."),
    ("invalid_number", 400, "A number can't be read. `details` lists all that can't, by index."),
    ("too_many_numbers", 400, "More than 10,000 numbers at once."),
    ("body_too_large", 413, "The body is larger than the gateway takes."),
    ("unsupported_media_type", 415, "The body is not declared as what it has to be."),
    ("internal", 500, "A defect of the gateway."),
    (
        "unavailable",
        503,
        "The gateway is starting or shutting down, or its disk fails. `Retry-After` says when to ask again.",
    ),
    ("storage_full", 507, "The disk is full. Nothing was written."),
];

/// The document of these routes.
pub(super) fn document<'a>(routes: impl IntoIterator<Item = (&'a Method, &'a str, &'a Operation)>) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let error = schemas.subschema_for::<ErrorBody<'_>>().to_value();
    let mut paths = Map::new();
    for (method, path, operation) in routes {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method.as_str().to_lowercase()] = operation.document(path, &error, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "summary": "Blacklists for message senders",
            "description": "Answers whether a message may pass, and keeps the blacklists that this depends on. \
                A block or unblock is on disk, and seen by the next check, when it is answered.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "sender", "description": "A sender's own blacklist" },
            { "name": "tenant", "description": "The blacklist that holds for all senders of a tenant" },
            { "name": "admin", "description": "Tenants and senders, for the gateway's administrator" },
            { "name": "gateway", "description": "The gateway itself" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "tenant": { "type": "http", "scheme": "bearer", "description": "One of the tenant's tokens" },
                "admin": { "type": "http", "scheme": "bearer", "description": "The administrator's token" },
            },
        },
    })
}

impl Operation {
    fn document(&self, path: &str, error: &Value, schemas: &mut SchemaGenerator) -> Value {
        let mut responses = Map::new();
        for (status, description, content) in &self.answers {
            let response = json!({ "description": description, "content": content.document(schemas) });
            responses.insert(status.to_string(), response);
        }
        for (code, status, description) in ERRORS.iter().filter(|(code, ..)| self.may_answer(path, code)) {
            let response = responses.entry(status.to_string()).or_insert_with(|| {
                json!({
                    "description": "",
                    "content": { "application/json": { "schema": error, "examples": {} } },
                })
            });
            let text = response["description"].as_str().unwrap_or_default();
            let separator = if text.is_empty() { "" } else { " " };
            response["description"] = format!("{text}{separator}`{code}`: {description}").into();
            response["content"]["application/json"]["examples"][*code] =
                json!({ "value": { "error": { "code": code, "message": description } } });
        }
        let mut document = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag],
            "parameters": self.parameters(path),
            "responses": responses,
            "security": match self.auth {
                Auth::Nobody => json!([]),
                Auth::Tenant => json!([{ "tenant": [] }]),
                Auth::Admin => json!([{ "admin": [] }]),
            },
        });
        if !self.description.is_empty() {
            document["description"] = self.description.into();
        }
        if let Some(body) = &self.body {
            document["requestBody"] = json!({ "required": true, "content": body.document(schemas) });
        }
        document
    }

    fn may_answer(&self, path: &str, code: &str) -> bool {
        let by_shape = match code {
            "missing_token" | "invalid_token" | "unavailable" | "internal" => self.auth != Auth::Nobody,
            "body_too_large" | "unsupported_media_type" => self.body.is_some(),
            "invalid_json" => self.body.as_ref().is_some_and(|body| body.media_type == "application/json"),
            "invalid_request" => {
                self.body.is_some()
                    || !self.query.is_empty()
                    || self.auth == Auth::Admin && path.contains("{tenant}")
            }
            "too_many_requests" => self.auth == Auth::Tenant,
            "sender_not_allowed" => {
                self.auth == Auth::Tenant && (path.contains("{sender}") || path.contains("/tenant/"))
            }
            "unknown_sender" => self.auth == Auth::Tenant && path.contains("{sender}"),
            _ => false,
        };
        by_shape || self.errors.contains(&code)
    }

    fn parameters(&self, path: &str) -> Value {
        let in_path = path.split(['{', '}']).skip(1).step_by(2).map(|name| {
            let description = match name {
                "sender" => "The sender's name",
                "tenant" => "The tenant's name",
                "plugin" => "The plugin's name: 1 to 64 of a-z, 0-9, `-` and `_`",
                _ => "The entry's id, which begins with `e_`, or its number, with the plus percent-encoded (%2B)",
            };
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": { "type": "string" },
                "example": match name { "sender" => "support", "tenant" => "acme", "plugin" => "exact", _ => "+46732001122" },
            })
        });
        let in_query = self.query.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.description,
                "schema": serde_json::from_str::<Value>(parameter.schema).unwrap_or_default(),
            })
        });
        in_path.chain(in_query).collect()
    }
}
