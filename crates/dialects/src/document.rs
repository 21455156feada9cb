//! OpenAPI documents of the dialects, at `/portcullis/v1/dialects/{dialect}/openapi.json`.
//!
//! They are written by hand, because the shapes are the vendors' and don't change.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};

use super::ninety_nine::Operation;
use super::{kaleyra, meta, sinch, users, whats91};
use portcullis_api::settings::Dialect;
use portcullis_edge::AppState;
use portcullis_edge::http::answer;
use portcullis_edge::http::request_log::Logged;
use portcullis_edge::settings::Dialects;

pub(super) fn router(settings: &Dialects) -> Router<Arc<AppState>> {
    let mut router = Router::new();
    for dialect in Dialect::ALL {
        let answer = answer::shared(&document(dialect, settings));
        let handler = move || std::future::ready(answer());
        let path = format!("/portcullis/v1/dialects/{}/openapi.json", dialect.as_str());
        router = router.route(&path, on(MethodFilter::GET, Logged(handler)));
    }
    router
}

fn document(dialect: Dialect, settings: &Dialects) -> Value {
    let (title, security, paths, schemas) = match dialect {
        Dialect::Sinch => sinch(),
        Dialect::NinetyNine => ninety_nine(settings),
        Dialect::Whats91 => whats91(settings),
        Dialect::Kaleyra => kaleyra(settings),
        Dialect::Meta => meta(),
    };
    let needed: Vec<Value> = security
        .as_object()
        .into_iter()
        .flat_map(|schemes| schemes.keys())
        .map(|name| json!({ name: [] }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": "A vendor's block API, as implemented by the gateway.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": "/" }],
        "security": needed,
        "paths": paths,
        "components": { "securitySchemes": security, "schemas": schemas },
    })
}

/// The title, security schemes, paths and schemas of a document.
type Parts = (&'static str, Value, Value, Value);

/// Builds the responses of an operation: its own, and those of errors, which share one schema.
fn responses(own: &[(u16, Value)], errors: &[u16], error: &str) -> Value {
    let mut all = Map::new();
    for status in errors {
        let content = json!({ "application/json": { "schema": reference(error) } });
        all.insert(status.to_string(), json!({ "description": "Error", "content": content }));
    }
    for (status, schema) in own {
        let content = json!({ "application/json": { "schema": schema } });
        all.insert(status.to_string(), json!({ "description": "Response", "content": content }));
    }
    Value::Object(all)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn in_path(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn in_query(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "schema": schema })
}

fn body(schema: Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn bearer() -> Value {
    json!({ "type": "http", "scheme": "bearer" })
}

fn sinch() -> Parts {
    let parameters = json!([in_path("bot", text())]);
    let numbers = |most: Option<usize>| {
        let mut numbers = json!({ "type": "array", "items": text() });
        if let Some(most) = most {
            numbers["minItems"] = 1.into();
            numbers["maxItems"] = most.into();
        }
        object(&["numbers"], json!({ "numbers": numbers }))
    };
    let errors = [400, 401, 403, 413, 429, 500, 503];
    let write = |id: &str| {
        let mut responses = responses(&[], &errors, "Error");
        responses["200"] = json!({ "description": "Response with an empty body" });
        json!({
            "operationId": id,
            "parameters": parameters,
            "requestBody": body(numbers(Some(sinch::MOST))),
            "responses": responses,
        })
    };
    let page = json!({ "type": "integer", "format": "int32", "minimum": 0, "default": 0 });
    let page = json!({ "name": "page", "in": "query", "allowEmptyValue": true, "schema": page });
    let list = json!({
        "operationId": "getBlacklist",
        "parameters": [in_path("bot", text()), page],
        "responses": responses(&[(200, numbers(None))], &errors, "Error"),
    });
    let paths = json!({ sinch::PATH: {
        "get": list, "post": write("addToBlacklist"), "delete": write("removeFromBlacklist"),
    } });
    let error = object(
        &["message", "reason", "details"],
        json!({ "message": text(), "reason": text(), "details": text() }),
    );
    ("Sinch's WhatsApp blacklist", json!({ "bearer": bearer() }), paths, json!({ "Error": error }))
}

fn ninety_nine(settings: &Dialects) -> Parts {
    let settings = &settings.ninety_nine;
    let mut paths = Map::new();
    for (operation, name) in
        [(Operation::Block, "block"), (Operation::Unblock, "unblock"), (Operation::List, "list")]
    {
        let mut properties = json!({ "apiKey": text(), "from": text() });
        let mut required = vec!["apiKey", "from"];
        if operation != Operation::List {
            properties["whatsapp"] = text();
            required.push("whatsapp");
        }
        let mut statuses = vec![401, 403, 413, 429, 500, 503];
        statuses.push(settings.fail_status);
        for (index, path) in operation.paths(settings).iter().enumerate() {
            let post = json!({
                "operationId": format!("{name}{index}"),
                "requestBody": body(object(&required, properties.clone())),
                "responses": responses(&[(200, reference("Answer"))], &statuses, "Answer"),
                "security": [],
            });
            paths.insert(path.clone(), json!({ "post": post }));
        }
    }
    let answer = object(
        &["status", "reason"],
        json!({
            "status": { "type": "string", "enum": ["OK", "FAIL"] },
            "from": text(),
            "whatsapp": text(),
            "numbers": { "type": "array", "items": text() },
            "reason": { "type": "integer" },
        }),
    );
    ("99 Digital's black list", json!({}), Value::Object(paths), json!({ "Answer": answer }))
}

fn whats91(settings: &Dialects) -> Parts {
    let nullable = || json!({ "type": ["string", "null"] });
    let errors = [400, 401, 403, 404, 413, 415, 429, 500, 503];
    let enveloped = |data: Value| {
        object(
            &["success", "message", "data", "metadata"],
            json!({
                "success": { "const": true }, "message": text(), "data": data, "metadata": reference("Metadata"),
            }),
        )
    };
    let one = enveloped(object(&["blacklistEntry"], json!({ "blacklistEntry": reference("Entry") })));
    let sender = in_query("senderId", text());
    let uid = in_path("uid", text());
    let add = object(
        &["phone"],
        json!({ "senderId": text(), "phone": text(), "reason": text(), "source": text() }),
    );
    let update = object(
        &[],
        json!({
            "senderId": text(), "reason": text(),
            "status": { "type": "string", "enum": ["ACTIVE", "INACTIVE"] },
        }),
    );
    let positive = |default: usize, most: Option<usize>| {
        let mut schema = json!({ "type": "integer", "minimum": 1, "default": default });
        if let Some(most) = most {
            schema["maximum"] = most.into();
        }
        schema
    };
    let status = json!({ "type": "string", "enum": ["ACTIVE", "INACTIVE", "ALL"], "default": "ACTIVE" });
    let entries = || json!({ "type": "array", "items": reference("Entry") });
    let page = object(
        &["senderId", "phoneNumberId", "wabaId", "blacklistEntries", "items", "pagination"],
        json!({
            "senderId": nullable(), "phoneNumberId": nullable(), "wabaId": nullable(),
            "blacklistEntries": entries(), "items": entries(),
            "pagination": object(&["page", "limit", "count", "hasMore"], json!({
                "page": { "type": "integer" }, "limit": { "type": "integer" },
                "count": { "type": "integer" }, "hasMore": { "type": "boolean" },
            })),
        }),
    );
    let operation = |id: &str, parameters: Value, answer: Value, given: Option<Value>| {
        let mut operation = json!({
            "operationId": id,
            "parameters": parameters,
            "responses": responses(&[(200, answer)], &errors, "Error"),
        });
        if let Some(given) = given {
            operation["requestBody"] = body(given);
        }
        operation
    };
    let list = json!([
        sender,
        in_query("status", status),
        in_query("search", text()),
        in_query("page", positive(1, Some(1_000_000))),
        in_query("limit", positive(50, Some(settings.whats91_max_limit))),
    ]);
    let paths = json!({
        whats91::PATH: {
            "get": operation("listBlacklist", list, enveloped(page), None),
            "post": operation("addToBlacklist", json!([]), one.clone(), Some(add)),
        },
        whats91::ENTRY_PATH: {
            "get": operation("getBlacklistEntry", json!([uid, sender]), one.clone(), None),
            "post": operation("updateBlacklistEntry", json!([uid]), one.clone(), Some(update)),
            "delete": operation("removeFromBlacklist", json!([uid, sender]), one, None),
        },
    });
    let entry = object(
        &["blacklistUid", "status"],
        json!({
            "blacklistUid": text(), "uid": text(), "phoneNumberId": nullable(), "senderPhoneNumber": nullable(),
            "normalizedPhone": text(), "displayPhone": text(), "source": text(), "reason": nullable(),
            "status": { "type": "string", "enum": ["ACTIVE", "INACTIVE"] },
            "createdAt": text(), "updatedAt": text(), "deactivatedAt": nullable(),
        }),
    );
    let schemas = json!({
        "Entry": entry,
        "Metadata": object(&["apiVersion", "requestId"], json!({ "apiVersion": text(), "requestId": text() })),
        "Error": object(&["success", "message", "error_code", "metadata"], json!({
            "success": { "const": false }, "message": text(), "error_code": text(),
            "metadata": reference("Metadata"),
        })),
    });
    ("Whats91's message blacklist", json!({ "bearer": bearer() }), paths, schemas)
}

/// The request body of Kaleyra's and Meta's operations.
fn users_body(with_ids: bool) -> Value {
    let mut properties = json!({ "user": text() });
    if with_ids {
        properties["user_id"] = text();
    }
    object(
        &["messaging_product", "block_users"],
        json!({
            "messaging_product": { "const": "whatsapp" },
            "block_users": {
                "type": "array", "minItems": 1, "maxItems": users::MOST, "items": object(&[], properties),
            },
        }),
    )
}

/// Schemas of the results of these operations.
fn users_schemas() -> Value {
    let person = json!({ "input": text(), "wa_id": text(), "user_id": text() });
    let mut failed = person.clone();
    failed["errors"] = json!({ "type": "array", "items": object(&["message", "code", "error_data"], json!({
        "message": text(), "code": { "type": "integer" },
        "error_data": object(&["details"], json!({ "details": text() })),
    })) });
    let list = |item: &str| json!({ "type": "array", "items": reference(item) });
    json!({
        "Person": object(&["input"], person),
        "Failed": object(&["input", "errors"], failed),
        "Results": object(&["messaging_product", "block_users"], json!({
            "messaging_product": { "const": "whatsapp" },
            "block_users": object(&[], json!({
                "added_users": list("Person"), "removed_users": list("Person"), "failed_users": list("Failed"),
            })),
        })),
    })
}

fn paging_parameters() -> [Value; 3] {
    [
        in_query("limit", json!({ "type": "integer", "minimum": 1 })),
        in_query("after", text()),
        in_query("before", text()),
    ]
}

fn paging() -> Value {
    object(
        &["cursors"],
        json!({
            "cursors": object(&["before", "after"], json!({ "before": text(), "after": text() })),
            "next": text(), "previous": text(),
        }),
    )
}

fn kaleyra(settings: &Dialects) -> Parts {
    let errors = [400, 401, 403, 404, 413, 429, 500, 503];
    let parameters = [
        in_path("version", json!({ "type": "string", "enum": ["v1", "v2"] })),
        in_path("sid", text()),
        in_path("phone", text()),
    ];
    let answer = |data: Value| {
        object(
            &["code", "message", "data"],
            json!({ "code": text(), "message": text(), "data": data, "paging": paging() }),
        )
    };
    let partial = object(
        &["code", "message", "data", "error"],
        json!({
            "code": text(), "message": text(), "error": { "type": "object" },
            "data": { "anyOf": [reference("Results"), { "type": "object" }] },
        }),
    );
    let write = |id: &str| {
        json!({
            "operationId": id,
            "parameters": parameters,
            "requestBody": body(users_body(false)),
            "responses": responses(
                &[(settings.kaleyra_partial_status, partial.clone()), (200, answer(reference("Results")))],
                &errors,
                "Error",
            ),
        })
    };
    let listed = object(
        &["messaging_product", "wa_id"],
        json!({ "messaging_product": { "const": "whatsapp" }, "wa_id": text() }),
    );
    let list = json!({
        "operationId": "listBlockedUsers",
        "parameters": parameters.iter().cloned().chain(paging_parameters()).collect::<Vec<_>>(),
        "responses": responses(&[(200, answer(json!({ "type": "array", "items": listed })))], &errors, "Error"),
    });
    let paths = json!({ kaleyra::PATH: {
        "get": list, "post": write("blockUsers"), "delete": write("unblockUsers"),
    } });
    let mut schemas = users_schemas();
    schemas["Error"] = object(
        &["code", "message", "data", "error"],
        json!({ "code": text(), "message": text(), "data": {}, "error": { "type": "object" } }),
    );
    let security = json!({ "key": { "type": "apiKey", "in": "header", "name": "api-key" } });
    ("Kaleyra's blocked users", security, paths, schemas)
}

fn meta() -> Parts {
    let errors = [400, 401, 403, 404, 413, 429, 500, 503];
    let id = in_path("id", text());
    let version = in_path("version", json!({ "type": "string", "pattern": "^v[0-9]{1,3}\\.[0-9]{1,3}$" }));
    let operations = |suffix: &str, parameters: &[Value]| {
        let failed = json!({ "anyOf": [reference("Partial"), reference("Error")] });
        let write = |verb: &str| {
            json!({
                "operationId": format!("{verb}{suffix}"),
                "parameters": parameters,
                "requestBody": body(users_body(true)),
                "responses": responses(&[(400, failed.clone()), (200, reference("Results"))], &errors, "Error"),
            })
        };
        let listed = object(
            &["messaging_product", "input"],
            json!({
                "messaging_product": { "const": "whatsapp" }, "wa_id": text(), "user_id": text(), "input": text(),
            }),
        );
        let page =
            object(&["data"], json!({ "data": { "type": "array", "items": listed }, "paging": paging() }));
        let list = json!({
            "operationId": format!("getBlockedUsers{suffix}"),
            "parameters": parameters.iter().cloned().chain(paging_parameters()).collect::<Vec<_>>(),
            "responses": responses(&[(200, page)], &errors, "Error"),
        });
        json!({ "get": list, "post": write("blockUsers"), "delete": write("unblockUsers") })
    };
    let paths = json!({
        meta::PATH: operations("", &[version, id.clone()]),
        meta::PATH_WITHOUT_VERSION: operations("WithoutVersion", &[id]),
    });
    let error = object(
        &["message", "type", "code", "fbtrace_id"],
        json!({
            "message": text(), "type": text(), "code": { "type": "integer" },
            "error_subcode": { "type": "integer" }, "error_data": { "type": "object" }, "fbtrace_id": text(),
        }),
    );
    let mut schemas = users_schemas();
    schemas["Partial"] = json!({ "allOf": [reference("Results"), reference("Error")] });
    schemas["Error"] = object(&["error"], json!({ "error": error }));
    ("Meta's block users", json!({ "bearer": bearer() }), paths, schemas)
}
