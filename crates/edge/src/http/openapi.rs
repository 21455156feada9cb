//! The OpenAPI document, written from the same table as the router.

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use portcullis_api::{ErrorBody, ErrorCode};

/// What the document says of a route.
pub struct Operation {
    pub id: String,
    pub summary: &'static str,
    /// In addition to the summary.
    pub description: &'static str,
    pub tag: &'static str,
    pub auth: Auth,
    pub query: &'static [QueryParameter],
    pub body: Option<Content>,
    /// Status, what it means, and the body.
    pub answers: Vec<(u16, &'static str, Content)>,
    /// Codes of errors besides those that follow from the rest of this.
    pub errors: &'static [ErrorCode],
}

/// Whose token a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Nobody,
    Tenant,
    Admin,
}

/// A parameter of the query.
#[derive(Debug)]
pub struct QueryParameter {
    pub name: &'static str,
    pub description: &'static str,
    /// Makes its JSON schema.
    pub schema: fn() -> Value,
    pub required: bool,
}

/// A body, and examples of it by name.
pub struct Content {
    media_type: &'static str,
    schema: fn(&mut SchemaGenerator) -> Value,
    examples: Vec<(&'static str, Value)>,
}

impl Content {
    pub fn new<T: JsonSchema>(examples: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Content {
            media_type: "application/json",
            schema: |schemas| schemas.subschema_for::<T>().to_value(),
            examples: examples.into_iter().collect(),
        }
    }

    /// What is not JSON. A schema would say nothing of it.
    pub fn other(
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

/// The document of these routes.
pub fn document<'a>(routes: impl IntoIterator<Item = (&'a Method, &'a str, &'a Operation)>) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let error = schemas.subschema_for::<ErrorBody>().to_value();
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
            "responses": {
                "NotFound": of_any_path(ErrorCode::NotFound, &error),
                "MethodNotAllowed": of_any_path(ErrorCode::MethodNotAllowed, &error),
            },
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "tenant": { "type": "http", "scheme": "bearer", "description": "One of the tenant's tokens" },
                "admin": { "type": "http", "scheme": "bearer", "description": "The administrator's token" },
            },
        },
    })
}

/// What paths and methods answer that are not in the document.
fn of_any_path(code: ErrorCode, error: &Value) -> Value {
    let examples = json!({ code.as_str(): example(code) });
    json!({
        "description": format!("`{}`: {}", code.as_str(), code.meaning()),
        "content": { "application/json": { "schema": error, "examples": examples } },
    })
}

fn example(code: ErrorCode) -> Value {
    json!({ "value": { "error": { "code": code.as_str(), "message": code.meaning() } } })
}

impl Operation {
    fn document(&self, path: &str, error: &Value, schemas: &mut SchemaGenerator) -> Value {
        let mut responses = Map::new();
        for (status, description, content) in &self.answers {
            let response = json!({ "description": description, "content": content.document(schemas) });
            responses.insert(status.to_string(), response);
        }
        for &code in ErrorCode::ALL.iter().filter(|code| self.may_answer(path, **code)) {
            let response = responses.entry(code.status().to_string()).or_insert_with(|| {
                json!({
                    "description": "",
                    "content": { "application/json": { "schema": error, "examples": {} } },
                })
            });
            let text = response["description"].as_str().unwrap_or_default();
            let separator = if text.is_empty() { "" } else { " " };
            response["description"] =
                format!("{text}{separator}`{}`: {}", code.as_str(), code.meaning()).into();
            response["content"]["application/json"]["examples"][code.as_str()] = example(code);
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

    fn may_answer(&self, path: &str, code: ErrorCode) -> bool {
        let by_shape = match code {
            ErrorCode::NotFound => path.contains('{'),
            ErrorCode::MissingToken
            | ErrorCode::InvalidToken
            | ErrorCode::Unavailable
            | ErrorCode::Internal => self.auth != Auth::Nobody,
            ErrorCode::BodyTooLarge | ErrorCode::UnsupportedMediaType => self.body.is_some(),
            ErrorCode::InvalidJson => {
                self.body.as_ref().is_some_and(|body| body.media_type == "application/json")
            }
            ErrorCode::InvalidRequest => {
                self.body.is_some()
                    || !self.query.is_empty()
                    || self.auth == Auth::Admin && path.contains("{tenant}")
            }
            ErrorCode::TooManyRequests => self.auth == Auth::Tenant,
            ErrorCode::SenderNotAllowed => {
                self.auth == Auth::Tenant && (path.contains("{sender}") || path.contains("/tenant/"))
            }
            ErrorCode::UnknownSender => self.auth == Auth::Tenant && path.contains("{sender}"),
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
                "schema": (parameter.schema)(),
            })
        });
        in_path.chain(in_query).collect()
    }
}
