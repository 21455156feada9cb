//! The OpenAPI document, generated from the same table as the router.
#![forbid(unsafe_code)]

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use portcullis_api::{ErrorBody, ErrorCode};

/// What the document says about a route.
pub struct Operation {
    /// The `operationId`, unique in the document.
    pub id: String,
    /// What the operation does, in a few words.
    pub summary: &'static str,
    /// More than the summary says, in sentences. May be empty.
    pub description: &'static str,
    /// The tag that groups the operation: `sender`, `tenant`, `admin` or `gateway`.
    pub tag: &'static str,
    /// The token that the operation requires.
    pub auth: Auth,
    /// The query parameters. Those of the path are derived from it.
    pub query: &'static [QueryParameter],
    /// The headers of the request that mean something to this operation.
    pub asks: &'static [Header],
    /// The headers of successful responses.
    pub tells: &'static [Header],
    /// The request body.
    pub body: Option<Content>,
    /// The successful responses: status, description and body.
    pub answers: Vec<(u16, &'static str, Content)>,
    /// Error codes in addition to those that follow from the path, the token and the body.
    pub errors: &'static [ErrorCode],
}

/// The token that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// None.
    Nobody,
    /// A token of a tenant or sender.
    Tenant,
    /// The administrator's token.
    Admin,
}

/// A query parameter.
#[derive(Debug)]
pub struct QueryParameter {
    /// The name.
    pub name: &'static str,
    /// The description.
    pub description: &'static str,
    /// Creates the JSON schema.
    pub schema: fn() -> Value,
    /// Whether the parameter is required.
    pub required: bool,
}

/// A header, which is always optional.
#[derive(Debug)]
pub struct Header {
    /// The name.
    pub name: &'static str,
    /// The description.
    pub description: &'static str,
    /// The JSON type.
    pub kind: &'static str,
}

/// The media type, schema and named examples of a body.
pub struct Content {
    media_type: &'static str,
    /// Another media type of the same content.
    also: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> Value,
    examples: Vec<(&'static str, Value)>,
}

impl Content {
    /// Creates a JSON body with the schema of `T`.
    pub fn new<T: JsonSchema>(examples: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Content {
            media_type: "application/json",
            also: None,
            schema: |schemas| schemas.subschema_for::<T>().to_value(),
            examples: examples.into_iter().collect(),
        }
    }

    /// Creates a body of another media type, without a schema.
    pub fn other(
        media_type: &'static str,
        examples: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        Content { media_type, also: None, schema: |_| json!({}), examples: examples.into_iter().collect() }
    }

    /// The same body, which may also have this media type.
    #[must_use]
    pub fn or(self, media_type: &'static str) -> Self {
        Content { also: Some(media_type), ..self }
    }

    fn document(&self, schemas: &mut SchemaGenerator) -> Value {
        let examples: Map<String, Value> = self
            .examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
            .collect();
        let schema = (self.schema)(schemas);
        let of = |media_type: &str| {
            (media_type.to_owned(), json!({ "schema": schema.clone(), "examples": examples.clone() }))
        };
        [Some(self.media_type), self.also].into_iter().flatten().map(of).collect()
    }
}

/// Generates the document of these routes: method, path and operation.
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
            "description": "Checks whether a message may pass, and manages the blacklists that decide it. \
                When a block or unblock is answered, it is on disk and applies to the next check.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "sender", "description": "A sender's own blacklist" },
            { "name": "tenant", "description": "The blacklist that applies to all senders of a tenant" },
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

/// The error response of paths and methods that are not in the document.
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
            let mut response = json!({ "description": description, "content": content.document(schemas) });
            if !self.tells.is_empty() {
                let of = |header: &Header| {
                    let schema = json!({ "type": header.kind });
                    (header.name.to_owned(), json!({ "description": header.description, "schema": schema }))
                };
                response["headers"] = Value::Object(self.tells.iter().map(of).collect());
            }
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
            | ErrorCode::TokenExpired
            | ErrorCode::ScopeNotAllowed
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
            ErrorCode::TooManyRequests => self.auth != Auth::Nobody,
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
                "token" => "The token's name, as the list of tokens has it",
                "plugin" => "The plugin's name: 1 to 64 characters of a-z, 0-9, `-` and `_`",
                _ => "The entry's id, which starts with `e_`, or its number, with the plus percent-encoded (%2B)",
            };
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": { "type": "string" },
                "example": match name { "sender" => "support", "tenant" => "acme", "plugin" => "exact", "token" => "crm", _ => "+46732001122" },
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
        let in_head = self.asks.iter().map(|header| {
            json!({
                "name": header.name,
                "in": "header",
                "required": false,
                "description": header.description,
                "schema": { "type": header.kind },
            })
        });
        in_path.chain(in_query).chain(in_head).collect()
    }
}
