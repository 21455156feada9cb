//! Routes for uploading plugins and replacing those of tenants.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use crate::{meters, plugin, plugins, recording};
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::http::openapi::{Auth, Content, Operation, QueryParameter};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

const VERSION: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const BEFORE: &str = "sha256:307c609f87da43c3d563428a4f7efdf9857f4871fd10465732c4ab11a985a08c";

const METERS_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "most",
    description: "How many counts of each meter to return",
    schema: || json!({"type": "integer", "minimum": 0, "maximum": 1000, "default": 20}),
    required: false,
}];

const RECORDING_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "from",
    description: "The `next` of the page before; omit it to begin a recording",
    schema: || json!({"type": "integer", "minimum": 0}),
    required: false,
}];

fn setup(version: &str) -> Value {
    json!({ "plugin": "exact", "version": version, "own_version": "0.1.0", "pinned": false, "options": {} })
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

fn example_rules() -> Value {
    json!([{
        "plugin": "policy", "version": VERSION, "own_version": "0.1.0", "pinned": false,
        "options": { "caps": [{ "per_day": 2 }] }, "reasons": ["quiet-hours", "cap-day"],
        "strangers_stopped_share": 0.03,
        "meters": 2, "instances": 1, "faults": 0, "slow": false, "memory_bytes": 196_608,
        "shadow": {
            "running": true, "seconds": 3600, "compared": 2104, "skipped": 0, "stopped": 63,
            "stopped_share": 0.029_943, "stopped_by_serving": 0, "disagreements": 63, "reasons": { "quiet-hours": 63 },
        },
    }])
}

pub(super) fn all() -> Vec<Route> {
    let route = |method, path: &str, handler, operation| Route {
        method,
        path: format!("{PREFIX}/admin{path}"),
        handler,
        operation: Operation { tag: "admin", ..operation },
    };
    let with_rules = || {
        let mut status = example_status();
        status["rules"] = example_rules();
        status
    };
    let status = || {
        let untouched = json!({
            "tenant": "acme", "summary": "exact 0.1.0 (ba7816bf8f01) serves", "stage": "resting", "queued": false,
            "serving": setup(VERSION), "memory_bytes": 0, "memory_limit_bytes": 1_073_741_824, "lists": [],
        });
        vec![(
            200,
            "The status of the tenant's plugin",
            Content::new::<api::PluginStatus>([
                ("exchanged", example_status()),
                ("untouched", untouched),
                ("with_rules", with_rules()),
            ]),
        )]
    };
    let status_of_rules = || {
        let content = Content::new::<api::PluginStatus>([("with_rules", with_rules())]);
        vec![(200, "The status of the tenant's plugin and rules", content)]
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
                `GET /portcullis/v1/admin/tenants/{tenant}/plugin` tells the outcome. The header `Portcullis-Signature` has the signature: \
                the content of the `.minisig` file in Base64. It is required if `plugins.trusted_keys` is set. The body is declared as `application/wasm` or \
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
            Method::GET,
            "/tenants/{tenant}/meters",
            logged(MethodFilter::GET, meters::show),
            Operation {
                summary: "Read what a tenant's rules count",
                description: "Most digits of numbers are masked. Without rules there are no meters.",
                query: METERS_QUERY,
                answers: vec![(
                    200,
                    "The meters, with their highest counts",
                    Content::new::<api::MetersAnswer>([(
                        "meters",
                        json!({
                            "tenant": "acme", "memory_bytes": 1_310_720, "memory_limit_bytes": 67_108_864, "counters": 8211,
                            "uncounted": 0, "unmerged": 0,
                            "meters": [{
                                "rules": ["policy"], "scope": "country", "unit": "messages", "window_seconds": 3600,
                                "directions": ["outbound"], "channels": ["sms"], "purposes": ["authentication"],
                                "highest": [{ "of": "SE", "count": 118 }],
                            }],
                        }),
                    )]),
                )],
                errors: &[ErrorCode::UnknownTenant],
                ..operation("get_tenant_meters", Auth::Admin)
            },
        ),
        route(
            Method::GET,
            "/tenants/{tenant}/messages",
            logged(MethodFilter::GET, recording::read),
            Operation {
                summary: "Record the messages that a tenant's rules are asked about",
                description: "Begins a recording without `from`, and goes on for as long as pages are read, each with the `next` of \
                the one before, within half a minute. 16,384 messages wait to be read. They have no numbers, but pseudonyms under the \
                tenant's key. `portcullis plugin record` writes them, and `portcullis plugin replay` shows what other rules would have \
                stopped of them.",
                query: RECORDING_QUERY,
                answers: vec![(
                    200,
                    "Some messages",
                    Content::new::<api::RecordingAnswer>([(
                        "messages",
                        json!({
                            "messages": [{
                                "at": "2026-02-03T04:05:06.789Z", "direction": "outbound", "channel": "sms", "purpose": "marketing",
                                "segments": 1, "subject": 81_985_529_216_486_u64, "person": 81_985_529_216_486_u64, "country": "SE",
                                "offsets": [60, 60], "sender": "support", "sent": true, "verdict": "later", "rule": "policy",
                                "reason": "quiet-hours",
                            }],
                            "next": 1_770_091_506_789_001_u64, "skipped": 0,
                        }),
                    )]),
                )],
                errors: &[ErrorCode::UnknownTenant, ErrorCode::UnknownRule],
                ..operation("record_tenant_messages", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/rules/{plugin}",
            logged(MethodFilter::POST, plugin::exchange_rule),
            Operation {
                summary: "Replace the version or the options of a tenant's rule",
                description: "Loads another version or other options of a rules plugin, or the newest version if the object is empty. \
                What was counted for it stays; a meter that it did not read before begins at zero. Responds when the new version decides about all messages (or its shadow run has \
                started), or has been refused. No message waits for it.",
                body: Some(Content::new::<api::RuleExchangeRequest>([
                    ("newest", json!({})),
                    (
                        "shadow",
                        json!({ "options": { "quiet_hours": [{ "from": "20:00", "to": "08:00" }] }, "shadow": { "seconds": 3600 } }),
                    ),
                ])),
                answers: status_of_rules(),
                errors: &[ErrorCode::UnknownTenant, ErrorCode::UnknownRule, ErrorCode::PluginRefused],
                ..operation("exchange_tenant_rule", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/rules/{plugin}/promote",
            logged(MethodFilter::POST, plugin::promote_rule),
            Operation {
                summary: "End a shadow run of a rule and let the new version decide",
                answers: status_of_rules(),
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::UnknownRule,
                    ErrorCode::NothingToDo,
                    ErrorCode::PluginRefused,
                ],
                ..operation("promote_tenant_rule", Auth::Admin)
            },
        ),
        route(
            Method::POST,
            "/tenants/{tenant}/rules/{plugin}/rollback",
            logged(MethodFilter::POST, plugin::roll_back_rule),
            Operation {
                summary: "Return to the previous version of a rule",
                description: "Ends a shadow run if one is in progress. Otherwise, and so after a run that ended by itself, the version and \
                options that served before the last exchange decide again, as `last` says, and the tenant stays with them until a newer \
                version arrives or the rule is exchanged.",
                answers: status_of_rules(),
                errors: &[
                    ErrorCode::UnknownTenant,
                    ErrorCode::UnknownRule,
                    ErrorCode::NothingToDo,
                    ErrorCode::PluginRefused,
                ],
                ..operation("roll_back_tenant_rule", Auth::Admin)
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
