//! Routes for uploading plugins and replacing those of tenants.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use crate::{plugin, plugins};
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::http::openapi::{Auth, Content, Operation};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

const VERSION: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const BEFORE: &str = "sha256:307c609f87da43c3d563428a4f7efdf9857f4871fd10465732c4ab11a985a08c";

fn setup(version: &str) -> Value {
    json!({ "plugin": "exact", "version": version, "own_version": "0.1.0", "pinned": false })
}

fn example_status() -> Value {
    json!({
        "tenant": "acme",
        "summary": "exact 0.1.0 (ba7816bf8f01) serves",
        "stage": "watching",
        "queued": false,
        "serving": setup(VERSION),
        "before": setup(BEFORE),
        "last": {
            "to": "exact 0.1.0 (ba7816bf8f01)",
            "began": "2026-02-03T04:05:06.789Z",
            "outcome": "served",
            "stages": [{ "stage": "preparing", "micros": 412 }, { "stage": "filling", "micros": 8211 }],
        },
        "memory_bytes": 1_245_184,
        "memory_limit_bytes": 1_073_741_824,
        "lists": [{
            "list": "support", "serving": true, "slow": false, "resting": false, "generation": 2, "replicas": 1, "memory_bytes": 1_245_184,
            "breaker": "closed", "recoveries": 0,
        }],
    })
}

pub(super) fn all() -> Vec<Route> {
    let route = |method, path: &str, handler, operation| Route {
        method,
        path: format!("{PREFIX}/admin{path}"),
        handler,
        operation: Operation { tag: "admin", ..operation },
    };
    let status = || {
        let untouched = json!({
            "tenant": "acme", "summary": "exact 0.1.0 (ba7816bf8f01) serves", "stage": "resting", "queued": false,
            "serving": setup(VERSION), "memory_bytes": 0, "memory_limit_bytes": 1_073_741_824, "lists": [],
        });
        vec![(
            200,
            "The status of the tenant's plugin",
            Content::new::<api::PluginStatus>([("exchanged", example_status()), ("untouched", untouched)]),
        )]
    };
    vec![
        route(
            Method::GET,
            "/plugins",
            logged(MethodFilter::GET, plugins::list),
            Operation {
                summary: "List plugins and their versions",
                answers: vec![(
                    200,
                    "All plugins",
                    Content::new::<api::PluginsAnswer>([(
                        "plugins",
                        json!({
                            "plugins": [{
                                "plugin": "exact",
                                "versions": [{ "version": VERSION, "own_version": "0.1.0", "bytes": 71_234, "newest": true }],
                                "tenants": ["acme"],
                            }],
                        }),
                    )]),
                )],
                ..operation("list_plugins", Auth::Admin)
            },
        ),
        route(
            Method::PUT,
            "/plugins/{plugin}",
            logged(MethodFilter::PUT, plugins::put),
            Operation {
                summary: "Upload a plugin or a new version of one",
                description: "The component is validated and compiled, and then stored under this name in the plugin folder. Each \
                tenant that uses the plugin, and is not pinned to a version, is offered the new version while messages flow. The \
                response does not wait for that, and `tenants` counts tenants that may yet refuse the version: \
                `GET /portcullis/v1/admin/tenants/{tenant}/plugin` tells the outcome. The body is declared as `application/wasm` or \
                `application/octet-stream`.",
                body: Some(Content::other("application/wasm", [])),
                answers: vec![(
                    200,
                    "The plugin was stored",
                    Content::new::<api::PluginPutAnswer>([(
                        "put",
                        json!({ "plugin": "exact", "version": VERSION, "own_version": "0.1.0", "bytes": 71_234, "tenants": 1 }),
                    )]),
                )],
                errors: &[
                    ErrorCode::InvalidPlugin,
                    ErrorCode::Conflict,
                    ErrorCode::StorageFull,
                    ErrorCode::InvalidRequest,
                ],
                ..operation("put_plugin", Auth::Admin)
            },
        ),
        route(
            Method::DELETE,
            "/plugins/{plugin}/versions/{version}",
            logged(MethodFilter::DELETE, plugins::remove),
            Operation {
                summary: "Remove an old version of a plugin",
                description: "The version is its digest, or at least the first 8 digits of it. The newest version, and one that a \
                tenant uses or is pinned to, are kept.",
                answers: vec![(
                    200,
                    "The version was removed",
                    Content::new::<api::PluginRemovedAnswer>([(
                        "removed",
                        json!({ "plugin": "exact", "version": BEFORE }),
                    )]),
                )],
                errors: &[ErrorCode::NotFound, ErrorCode::Conflict],
                ..operation("remove_plugin_version", Auth::Admin)
            },
        ),
        route(
            Method::GET,
            "/tenants/{tenant}/plugin",
            logged(MethodFilter::GET, plugin::status),
            Operation {
                summary: "Read the status of a tenant's plugin",
                answers: status(),
                errors: &[ErrorCode::UnknownTenant],
                ..operation("get_tenant_plugin", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/plugin",
            logged(MethodFilter::POST, plugin::exchange),
            Operation {
                summary: "Replace a tenant's plugin",
                description: "Loads another plugin, version or options, or the newest version if the object is empty. Responds when \
                the new plugin serves all of the tenant's lists (or its shadow run has started), or has been refused for all of \
                them. No message waits for it.",
                body: Some(Content::new::<api::ExchangeRequest>([("newest", json!({}))])),
                answers: status(),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::PluginRefused],
                ..operation("exchange_tenant_plugin", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/plugin/promote",
            logged(MethodFilter::POST, plugin::promote),
            Operation {
                summary: "End a shadow run and let the new plugin serve",
                answers: status(),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::NothingToDo, ErrorCode::PluginRefused],
                ..operation("promote_tenant_plugin", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/plugin/rollback",
            logged(MethodFilter::POST, plugin::rollback),
            Operation {
                summary: "Return to the previous plugin",
                description: "Immediate while the previous plugin is kept ready (see plugins.watch_seconds), and a reload after that. \
                Cancels a reload or shadow run in progress. The tenant then stays with the previous version until a newer one \
                arrives or its plugin is reloaded.",
                answers: status(),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::NothingToDo, ErrorCode::PluginRefused],
                ..operation("roll_back_tenant_plugin", Auth::Admin)
            },
        ),
    ]
}
