//! Routes for managing tenants and senders.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use crate::{admin, tokens};
use portcullis_api::settings as typed;
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::http::openapi::{Auth, Content, Header, Operation, QueryParameter};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

const CONFIRMATION: &[QueryParameter] = &[QueryParameter {
    name: "confirm",
    description: "The tenant's name, repeated as a confirmation",
    schema: || json!({"type": "string"}),
    required: true,
}];

/// What a change of settings asks for.
const CONDITION: &[Header] = &[Header {
    name: "If-Match",
    description: "The `ETag` of the settings that may be changed, as a request has read them: if they are others by now, nothing is changed",
    kind: "string",
}];

/// What is told with settings.
const VERSION: &[Header] =
    &[Header { name: "ETag", description: "The version of the settings, for `If-Match`", kind: "string" }];

const KEPT: &str = "The settings survive restarts. Tokens are stored as digests. Existing entries are kept. Secrets that are left out, or \
    `(set)`, stay what they are: `access_token`, `events`, its `secret`, and `tokens`, of senders as well. `null` removes one. \
    A tenant of the configuration file can't be changed this way.";

const PATCH: &str = "A JSON merge patch (RFC 7396): a setting that is named is changed, `null` resets it to its default or removes it, and lists \
    are replaced. What comes out is checked as a whole, and nothing is changed if it is invalid.";

pub(super) fn all() -> Vec<Route> {
    of_settings().into_iter().chain(of_tokens()).collect()
}

fn of_settings() -> Vec<Route> {
    let route = |method, path: &str, handler, operation| Route {
        method,
        path: format!("{PREFIX}/admin/tenants{path}"),
        handler,
        operation: Operation { tag: "admin", ..operation },
    };
    let settings = || {
        json!({
            "plugin": "exact",
            "tokens": ["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
            "default_region": "SE",
            "senders": [{ "id": "support", "number": "46700000001" }],
        })
    };
    let tenant = || {
        json!({
            "id": "acme",
            "managed_by": "api",
            "settings": {
                "id": "acme", "plugin": "exact", "on_failure": "closed", "plugin_options": {}, "clear_numbers": false,
                "tokens": ["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
                "default_region": "SE", "memory_limit_bytes": 1_073_741_824,
                "senders": [{ "id": "support", "number": "46700000001" }],
            },
        })
    };
    let sender = || {
        json!({
            "id": "support", "tenant": "acme", "managed_by": "api",
            "settings": { "id": "support", "number": "46700000001", "access_token": "(set)" },
        })
    };
    let put_answers = || {
        vec![
            (200, "An existing one was replaced", Content::new::<api::TenantAnswer>([("tenant", tenant())])),
            (201, "A new one was created", Content::new::<api::TenantAnswer>([("tenant", tenant())])),
        ]
    };
    let removed = |name: &str| {
        vec![(
            200,
            "It was removed",
            Content::new::<api::RemovedAnswer>([("removed", json!({ "removed": name }))]),
        )]
    };
    vec![
        route(
            Method::GET,
            "",
            logged(MethodFilter::GET, admin::list),
            Operation {
                summary: "List tenants",
                answers: vec![(
                    200,
                    "All tenants",
                    Content::new::<api::TenantsAnswer>([("tenants", json!({ "tenants": [tenant()] }))]),
                )],
                ..operation("list_tenants", Auth::Admin)
            },
        ),
        route(
            Method::GET,
            "/{tenant}",
            logged(MethodFilter::GET, admin::get),
            Operation {
                summary: "Read a tenant's settings",
                answers: vec![(200, "The tenant", Content::new::<api::TenantAnswer>([("tenant", tenant())]))],
                tells: VERSION,
                errors: &[ErrorCode::UnknownTenant],
                ..operation("get_tenant", Auth::Admin)
            },
        ),
        route(
            Method::PUT,
            "/{tenant}",
            logged(MethodFilter::PUT, admin::put),
            Operation {
                summary: "Add or replace a tenant",
                description: KEPT,
                asks: CONDITION,
                tells: VERSION,
                body: Some(Content::new::<typed::Tenant>([("tenant", settings())])),
                answers: put_answers(),
                errors: &[ErrorCode::Conflict, ErrorCode::PreconditionFailed, ErrorCode::StorageFull],
                ..operation("put_tenant", Auth::Admin)
            },
        ),
        route(
            Method::PATCH,
            "/{tenant}",
            logged(MethodFilter::PATCH, admin::patch),
            Operation {
                summary: "Change some settings of a tenant",
                description: PATCH,
                asks: CONDITION,
                tells: VERSION,
                body: Some(patch_of(json!({ "on_failure": "open", "default_region": null }))),
                answers: vec![(
                    200,
                    "It was changed",
                    Content::new::<api::TenantAnswer>([("tenant", tenant())]),
                )],
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::Conflict,
                    ErrorCode::PreconditionFailed,
                    ErrorCode::StorageFull,
                ],
                ..operation("patch_tenant", Auth::Admin)
            },
        ),
        route(
            Method::DELETE,
            "/{tenant}",
            logged(MethodFilter::DELETE, admin::remove),
            Operation {
                summary: "Delete a tenant and its data",
                description: "Deletes the tenant's entries and its key, so that copies of its data become unreadable.",
                query: CONFIRMATION,
                asks: CONDITION,
                answers: removed("acme"),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::Conflict, ErrorCode::PreconditionFailed],
                ..operation("forget_tenant", Auth::Admin)
            },
        ),
        route(
            Method::GET,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::GET, admin::get_sender),
            Operation {
                summary: "Read a sender's settings",
                answers: vec![(200, "The sender", Content::new::<api::SenderAnswer>([("sender", sender())]))],
                tells: VERSION,
                errors: &[ErrorCode::UnknownTenant, ErrorCode::UnknownSender],
                ..operation("get_sender", Auth::Admin)
            },
        ),
        route(
            Method::PUT,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::PUT, admin::put_sender),
            Operation {
                summary: "Add or replace a sender",
                description: "Secrets that are left out, or `(set)`, stay what they are: `access_token` and `tokens`. `null` removes one. The `ETag` \
                is that of the sender's settings.",
                asks: CONDITION,
                tells: VERSION,
                body: Some(Content::new::<typed::Sender>([("sender", json!({ "number": "46700000001" }))])),
                answers: put_answers(),
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::Conflict,
                    ErrorCode::PreconditionFailed,
                    ErrorCode::StorageFull,
                ],
                ..operation("put_sender", Auth::Admin)
            },
        ),
        route(
            Method::PATCH,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::PATCH, admin::patch_sender),
            Operation {
                summary: "Change some settings of a sender",
                description: PATCH,
                asks: CONDITION,
                tells: VERSION,
                body: Some(patch_of(json!({ "active": false, "callback_url": null }))),
                answers: vec![(
                    200,
                    "It was changed",
                    Content::new::<api::TenantAnswer>([("tenant", tenant())]),
                )],
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::UnknownSender,
                    ErrorCode::Conflict,
                    ErrorCode::PreconditionFailed,
                    ErrorCode::StorageFull,
                ],
                ..operation("patch_sender", Auth::Admin)
            },
        ),
        route(
            Method::DELETE,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::DELETE, admin::remove_sender),
            Operation {
                summary: "Remove a sender",
                description: "Its entries are kept in the ledger, and are in force again if the sender is added again.",
                asks: CONDITION,
                answers: removed("support"),
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::UnknownSender,
                    ErrorCode::Conflict,
                    ErrorCode::PreconditionFailed,
                    ErrorCode::StorageFull,
                ],
                ..operation("remove_sender", Auth::Admin)
            },
        ),
    ]
}

/// The body of a merge patch.
fn patch_of(example: Value) -> Content {
    Content::new::<serde_json::Map<String, Value>>([("some", example)]).or("application/merge-patch+json")
}

/// The routes of tokens: of tenants, and of senders.
fn of_tokens() -> Vec<Route> {
    let of = |path: &str, noun: &str, name: &str, more: &'static [ErrorCode]| {
        let route = |method, rest: &str, handler, operation| Route {
            method,
            path: format!("{PREFIX}/admin/tenants{path}/tokens{rest}"),
            handler,
            operation: Operation { tag: "admin", errors: more, ..operation },
        };
        let new = json!({
            "token": "pct_5c0e…", "name": name, "scopes": ["check", "block"], "expires": "2099-01-31T00:00:00.000Z",
        });
        let mut rotated = new.clone();
        rotated["replaced"] = json!({
            "name": "token-ba7816", "scopes": ["check", "block", "read"], "expires": "2026-02-03T05:05:06.789Z", "expired": false,
        });
        let mut requests = vec![(
            "new",
            json!({ "name": name, "scopes": ["check", "block"], "expires": "2099-01-31T00:00:00Z" }),
        )];
        if noun == "tenant" {
            let rotation = json!({ "name": "crm-2", "replaces": "token-ba7816", "overlap_seconds": 3600 });
            requests.push(("rotation", rotation));
        }
        vec![
            route(
                Method::GET,
                "",
                logged(MethodFilter::GET, tokens::list),
                Operation {
                    summary: "List tokens, without what is secret",
                    answers: vec![(
                        200,
                        "The tokens",
                        Content::new::<api::TokensAnswer>([(
                            "tokens",
                            json!({ "tokens": [{ "name": name, "scopes": ["check", "block"], "expired": false }] }),
                        )]),
                    )],
                    ..operation(format!("list_tokens_of_{noun}"), Auth::Admin)
                },
            ),
            route(
                Method::POST,
                "",
                logged(MethodFilter::POST, tokens::add),
                Operation {
                    summary: "Make a token",
                    description: "The response has the token, which is shown this once: the gateway keeps its digest. With `replaces`, the token \
                    of that name expires after `overlap_seconds`.",
                    body: Some(Content::new::<api::NewTokenRequest>(requests)),
                    answers: vec![(
                        201,
                        "The token",
                        Content::new::<api::NewTokenAnswer>([("new", new), ("rotated", rotated)]),
                    )],
                    ..operation(format!("add_token_of_{noun}"), Auth::Admin)
                },
            ),
            route(
                Method::DELETE,
                "/{token}",
                logged(MethodFilter::DELETE, tokens::remove),
                Operation {
                    summary: "Remove a token",
                    description: "It is unknown from the next request on.",
                    answers: vec![(
                        200,
                        "It was removed",
                        Content::new::<api::RemovedAnswer>([("removed", json!({ "removed": name }))]),
                    )],
                    ..operation(format!("remove_token_of_{noun}"), Auth::Admin)
                },
            ),
        ]
    };
    let of_tenants = of("/{tenant}", "tenant", "crm", OF_TENANT);
    let of_senders = of("/{tenant}/senders/{sender}", "sender", "desk", OF_SENDER);
    of_tenants.into_iter().chain(of_senders).collect()
}

const OF_TENANT: &[ErrorCode] =
    &[ErrorCode::UnknownTenant, ErrorCode::TokenNotFound, ErrorCode::Conflict, ErrorCode::StorageFull];

const OF_SENDER: &[ErrorCode] = &[
    ErrorCode::UnknownTenant,
    ErrorCode::UnknownSender,
    ErrorCode::TokenNotFound,
    ErrorCode::Conflict,
    ErrorCode::StorageFull,
];
