//! Routes for managing tenants and senders.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::json;

use crate::admin;
use portcullis_api::settings as typed;
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::http::openapi::{Auth, Content, Operation, QueryParameter};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

const CONFIRMATION: &[QueryParameter] = &[QueryParameter {
    name: "confirm",
    description: "The tenant's name, repeated as a confirmation",
    schema: || json!({"type": "string"}),
    required: true,
}];

pub(super) fn all() -> Vec<Route> {
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
                description: "The settings survive restarts. Tokens are stored as digests. Existing entries are kept. \
                A tenant of the configuration file can't be changed this way.",
                body: Some(Content::new::<typed::Tenant>([("tenant", settings())])),
                answers: put_answers(),
                errors: &[ErrorCode::Conflict, ErrorCode::StorageFull],
                ..operation("put_tenant", Auth::Admin)
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
                answers: removed("acme"),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::Conflict],
                ..operation("forget_tenant", Auth::Admin)
            },
        ),
        route(
            Method::PUT,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::PUT, admin::put_sender),
            Operation {
                summary: "Add or replace a sender",
                body: Some(Content::new::<typed::Sender>([("sender", json!({ "number": "46700000001" }))])),
                answers: put_answers(),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::Conflict, ErrorCode::StorageFull],
                ..operation("put_sender", Auth::Admin)
            },
        ),
        route(
            Method::DELETE,
            "/{tenant}/senders/{sender}",
            logged(MethodFilter::DELETE, admin::remove_sender),
            Operation {
                summary: "Remove a sender",
                description: "Its entries are kept in the ledger, and are in force again if the sender is added again.",
                answers: removed("support"),
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::UnknownSender,
                    ErrorCode::Conflict,
                    ErrorCode::StorageFull,
                ],
                ..operation("remove_sender", Auth::Admin)
            },
        ),
    ]
}
