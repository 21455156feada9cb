//! The routes of the native API, with their handlers and their descriptions in the OpenAPI document.

mod admin;
mod fleet;
mod keys;
mod plugins;

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use crate::{check, entries, health, history, metrics, status, write};
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::AppState;
use portcullis_edge::http::openapi::{Auth, Content, Header, Operation, QueryParameter};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

const METRICS_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "lists",
    description: "Which lists have metrics of their own: those in trouble, a thousand at most, or all",
    schema: || json!({"type": "string", "enum": ["troubled", "all"], "default": "troubled"}),
    required: false,
}];

/// All routes except that of the OpenAPI document.
pub(super) fn all() -> Vec<Route> {
    let lists = [("sender", "/senders/{sender}", "sender"), ("tenant", "/tenant", "tenant_wide")];
    lists
        .into_iter()
        .flat_map(|(tag, path, noun)| of_list(tag, path, noun))
        .chain([tenant_status()])
        .chain(admin::all())
        .chain(fleet::all())
        .chain(keys::all())
        .chain(plugins::all())
        .chain(of_health())
        .collect()
}

/// The route of the OpenAPI document.
pub(super) fn of_document<H, T>(handler: H) -> Route
where
    H: Handler<T, Arc<AppState>, Future: Unpin>,
    T: 'static,
{
    Route {
        method: Method::GET,
        path: format!("{PREFIX}/openapi.json"),
        handler: logged(MethodFilter::GET, handler),
        operation: Operation {
            summary: "Get this OpenAPI document",
            tag: "gateway",
            answers: vec![(200, "The document", Content::new::<Value>([]))],
            ..operation("get_openapi", Auth::Nobody)
        },
    }
}

const PAGE_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "after",
        description: "The `next` of the previous page. Omit for the first page",
        schema: || json!({"type": "string"}),
        required: false,
    },
    QueryParameter {
        name: "limit",
        description: "The maximum number of entries to return",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}),
        required: false,
    },
    QueryParameter {
        name: "status",
        description: "Which entries to return",
        schema: || json!({"type": "string", "enum": ["active", "inactive", "all"], "default": "active"}),
        required: false,
    },
];

/// What a check asks for.
const SINCE: &[Header] = &[Header {
    name: api::POSITION,
    description: "The positions of writes that the check is to see, as their responses have them, from any gateway of the fleet: at most 8, \
        separated by commas. If this gateway does not have the writes within 200 ms, the ledger answers",
    kind: "string",
}];

/// What a check tells.
const STALENESS: &[Header] = &[Header {
    name: api::STALENESS,
    description: "How long ago this gateway last knew what the others of its fleet had written, in milliseconds, if that is longer than its \
        `fleet.stale_after`",
    kind: "integer",
}];

/// What a write tells.
const POSITION: &[Header] = &[Header {
    name: api::POSITION,
    description: "Where the list is after the write, for checks of any gateway of the fleet that are to see it. Not after a dry run",
    kind: "string",
}];

const REMOVAL_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "direction",
        description: "The direction to unblock. Omit for both",
        schema: || json!({"type": "string", "enum": ["inbound", "outbound"]}),
        required: false,
    },
    QueryParameter {
        name: "hold",
        description: "Which hold to lift: the business's (`operator`), one of the person's (`opt_out`, `marketing`), or `all`",
        schema: || json!({"type": "string", "enum": ["operator", "opt_out", "marketing", "all"], "default": "operator"}),
        required: false,
    },
    QueryParameter {
        name: "requested",
        description: "When the person asked for it, if that was earlier than now",
        schema: || json!({"type": "string", "format": "date-time"}),
        required: false,
    },
];

const TRAIL_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "before",
        description: "The `older` of the previous part. Omit for the newest changes",
        schema: || json!({"type": "integer", "minimum": 0}),
        required: false,
    },
    QueryParameter {
        name: "limit",
        description: "The approximate number of changes to return",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        required: false,
    },
];

fn example_trail() -> Value {
    let holds = json!([{ "kind": "opt_out", "directions": ["inbound", "outbound"] }]);
    json!({
        "records": [{
            "sequence": 6101,
            "at": "2026-02-03T04:05:06.789Z",
            "entry": "e_8h2kq0m5zr",
            "number": "+46732001122",
            "outcome": "added",
            "hold": "opt_out",
            "actor": example_actor(),
            "source": "opt_out",
            "reason": "wrote STOP",
            "before": { "directions": [], "holds": [] },
            "after": { "directions": ["inbound", "outbound"], "holds": holds },
        }],
        "older": 6101,
    })
}

fn example_actor() -> Value {
    json!({ "name": "token-3f9a1c", "address": "192.0.2.7", "interface": "native" })
}

fn example_entry() -> Value {
    json!({
        "id": "e_8h2kq0m5zr",
        "number": "+46732001122",
        "directions": ["inbound", "outbound"],
        "status": "active",
        "source": "opt_out",
        "reason": "wrote STOP",
        "actor": "token-3f9a1c",
        "holds": [{
            "kind": "opt_out",
            "directions": ["inbound", "outbound"],
            "source": "opt_out",
            "reason": "wrote STOP",
            "made_by": example_actor(),
            "since": "2026-02-03T04:05:06.789Z",
        }],
        "created": "2026-02-03T04:05:06.789Z",
        "updated": "2026-02-03T04:05:06.789Z",
    })
}

fn example_list_status(sender: Option<&str>) -> Value {
    let mut status = json!({
        "count": 6035,
        "sequence": 6101,
        "plugin": { "name": "exact", "version": "0.1.0" },
        "state": "serving",
        "memory_bytes": 1_245_184,
        "code_bytes": 204_800,
    });
    if let Some(sender) = sender {
        status["id"] = sender.into();
    }
    status
}

/// The routes of one list.
fn of_list(tag: &'static str, path: &str, noun: &str) -> Vec<Route> {
    let base = format!("{PREFIX}{path}");
    let route = |method, path: &str, handler, operation| Route {
        method,
        path: format!("{base}{path}"),
        handler,
        operation: Operation { tag, ..operation },
    };
    let id = |verb: &str| format!("{verb}_{noun}");
    let written = |outcome: &str| {
        json!({
            "results": [{ "number": "+46732001122", "outcome": outcome }],
            "changed": 1, "unchanged": 0, "invalid": [], "sequence": 6102, "dry_run": false,
        })
    };
    vec![
        route(
            Method::POST,
            "/check",
            logged(MethodFilter::POST, check::check),
            Operation {
                summary: "Check numbers",
                description: "Returns whether messages may pass. A sender's check consults the sender's list and the tenant-wide \
                list, and either can block. With `number`, the response is a verdict. With `numbers`, it lists the blocked ones; \
                an invalid number fails the whole request. \
                What the lists let pass is then for the tenant's rules to decide, if there are any: `channel`, `purpose` and \
                `segments` are for them, and with `at` they say what they would at another time. A check counts no message.",
                body: Some(Content::new::<api::CheckRequest<'_>>([
                    ("one", json!({ "number": "+46732001122", "direction": "inbound" })),
                    (
                        "many",
                        json!({ "numbers": ["+46732001122", "46 73-200 22 44"], "direction": "outbound" }),
                    ),
                ])),
                answers: vec![(
                    200,
                    "The verdict, or the blocked numbers",
                    Content::new::<CheckAnswers<'_>>([
                        (
                            "allowed",
                            json!({ "verdict": "allow", "direction": "inbound", "source": "plugin" }),
                        ),
                        (
                            "blocked",
                            json!({ "verdict": "block", "direction": "inbound", "list": "sender", "source": "plugin", "blocked": true }),
                        ),
                        (
                            "later",
                            json!({
                                "verdict": "later", "direction": "outbound", "source": "plugin", "blocked": true, "rule": "policy",
                                "reason": "quiet-hours", "until": "2026-02-04T07:00:00.000Z",
                            }),
                        ),
                        (
                            "many",
                            json!({ "blocked": ["46 73-200 22 44"], "checked": 2, "direction": "outbound", "source": "plugin" }),
                        ),
                    ]),
                )],
                asks: SINCE,
                tells: STALENESS,
                errors: &[ErrorCode::InvalidNumber, ErrorCode::TooManyNumbers, ErrorCode::PositionLost],
                ..operation(id("check"), Auth::Tenant)
            },
        ),
        route(
            Method::POST,
            "/entries",
            logged(MethodFilter::POST, write::block),
            Operation {
                summary: "Block numbers",
                description: "Blocking a number that is already blocked is not an error: its outcome is `already`, or `updated` if its \
                reason, hold or expiry changed.",
                body: Some(Content::new::<api::BlockRequest<'_>>([
                    ("one", json!({ "number": "+46732001122", "reason": "wrote STOP", "source": "opt_out" })),
                    (
                        "many",
                        json!({ "numbers": ["+46732001122", "+46732002244"], "directions": ["outbound"], "brief": true }),
                    ),
                    (
                        "entries",
                        json!({
                            "entries": [
                                { "number": "+46732001122", "directions": ["inbound"] },
                                { "number": "+46732002244", "expires": "2099-12-31T23:59:59Z" },
                            ],
                            "on_invalid": "skip",
                        }),
                    ),
                ])),
                answers: vec![(
                    200,
                    "The outcome for each number",
                    Content::new::<api::WriteAnswer>([("one", written("added"))]),
                )],
                tells: POSITION,
                errors: &[
                    ErrorCode::InvalidNumber,
                    ErrorCode::TooManyNumbers,
                    ErrorCode::OutcomeUnknown,
                    ErrorCode::StorageFull,
                ],
                ..operation(id("block"), Auth::Tenant)
            },
        ),
        route(
            Method::DELETE,
            "/entries",
            logged(MethodFilter::DELETE, write::unblock),
            Operation {
                summary: "Unblock numbers",
                description: "Unblocking a number that is not blocked is not an error, and changes nothing. If only a hold of \
                another kind blocks the number, it stays blocked, and its outcome is `held`.",
                body: Some(Content::new::<api::UnblockRequest<'_>>([
                    ("one", json!({ "number": "+46732001122" })),
                    (
                        "many",
                        json!({ "numbers": ["+46732001122", "+46732002244"], "directions": ["outbound"] }),
                    ),
                ])),
                answers: vec![(
                    200,
                    "The outcome for each number",
                    Content::new::<api::WriteAnswer>([("one", written("removed"))]),
                )],
                tells: POSITION,
                errors: &[
                    ErrorCode::InvalidNumber,
                    ErrorCode::TooManyNumbers,
                    ErrorCode::OutcomeUnknown,
                    ErrorCode::StorageFull,
                ],
                ..operation(id("unblock"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/entries",
            logged(MethodFilter::GET, entries::page),
            Operation {
                summary: "List entries",
                description: "The order is stable but arbitrary. Entries that exist throughout are neither skipped nor repeated \
                between pages, whatever else changes.",
                query: PAGE_QUERY,
                answers: vec![(
                    200,
                    "A page of entries",
                    Content::new::<api::PageAnswer>([(
                        "page",
                        json!({ "entries": [example_entry()], "next": "e_8h2kq0m5zr" }),
                    )]),
                )],
                ..operation(id("list"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/entries/{entry}",
            logged(MethodFilter::GET, entries::get),
            Operation {
                summary: "Read an entry",
                description: "Inactive entries are returned as well.",
                answers: vec![(
                    200,
                    "The entry",
                    Content::new::<api::EntryAnswer>([("entry", example_entry())]),
                )],
                errors: &[ErrorCode::InvalidNumber, ErrorCode::EntryNotFound],
                ..operation(id("get_entry_of"), Auth::Tenant)
            },
        ),
        route(
            Method::DELETE,
            "/entries/{entry}",
            logged(MethodFilter::DELETE, entries::remove),
            Operation {
                summary: "Unblock an entry",
                query: REMOVAL_QUERY,
                answers: vec![(
                    200,
                    "The outcome",
                    Content::new::<api::RemovalAnswer>([(
                        "removed",
                        json!({ "outcome": "removed", "directions": [], "sequence": 6103 }),
                    )]),
                )],
                tells: POSITION,
                errors: &[
                    ErrorCode::InvalidNumber,
                    ErrorCode::EntryNotFound,
                    ErrorCode::Held,
                    ErrorCode::OutcomeUnknown,
                    ErrorCode::StorageFull,
                ],
                ..operation(id("unblock_entry_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/entries/{entry}/history",
            logged(MethodFilter::GET, history::entry),
            Operation {
                summary: "Read the history of an entry",
                description: "Changes are returned newest first, each with its actor and with what was blocked before and after.",
                query: TRAIL_QUERY,
                answers: vec![(
                    200,
                    "A part of the history",
                    Content::new::<api::TrailAnswer>([("part", example_trail())]),
                )],
                errors: &[ErrorCode::InvalidNumber, ErrorCode::EntryNotFound],
                ..operation(id("get_history_of_entry_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/history",
            logged(MethodFilter::GET, history::list),
            Operation {
                summary: "Read the history of the list",
                description: "Changes are returned newest first, each with its actor and with what was blocked before and after.",
                query: TRAIL_QUERY,
                answers: vec![(
                    200,
                    "A part of the history",
                    Content::new::<api::TrailAnswer>([("part", example_trail())]),
                )],
                ..operation(id("get_history_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/status",
            logged(MethodFilter::GET, status::list),
            Operation {
                summary: "Read the status of the list",
                answers: vec![(
                    200,
                    "The status",
                    Content::new::<api::ListStatus>([(
                        "status",
                        example_list_status((tag == "sender").then_some("support")),
                    )]),
                )],
                ..operation(id("status_of"), Auth::Tenant)
            },
        ),
    ]
}

/// The response to a check: a verdict on one number, or the blocked ones of many.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum CheckAnswers<'a> {
    One(api::CheckAnswer),
    Many(api::CheckManyAnswer<'a>),
}

fn tenant_status() -> Route {
    Route {
        method: Method::GET,
        path: format!("{PREFIX}/status"),
        handler: logged(MethodFilter::GET, status::tenant),
        operation: Operation {
            summary: "Read the status of all lists",
            description: "Needs a token of the tenant: a sender's token reads the status of its own list.",
            tag: "tenant",
            errors: &[ErrorCode::SenderNotAllowed],
            answers: vec![(
                200,
                "The status of each list",
                Content::new::<api::TenantStatus>([(
                    "status",
                    json!({
                        "tenant": "acme",
                        "senders": [example_list_status(Some("support"))],
                        "tenant_wide": example_list_status(None),
                    }),
                )]),
            )],
            ..operation("status", Auth::Tenant)
        },
    }
}

fn of_health() -> Vec<Route> {
    let route = |path: &str, handler, operation| Route {
        method: Method::GET,
        path: path.to_owned(),
        handler,
        operation: Operation { tag: "gateway", ..operation },
    };
    let is = |status: &str| Content::new::<api::HealthAnswer>([("health", json!({ "status": status }))]);
    vec![
        route(
            "/healthz",
            logged(MethodFilter::GET, health::alive),
            Operation {
                summary: "Check whether the process is alive",
                answers: vec![(200, "The process is alive", is("ok"))],
                ..operation("alive", Auth::Nobody)
            },
        ),
        route(
            "/readyz",
            logged(MethodFilter::GET, health::ready),
            Operation {
                summary: "Check whether the gateway is ready",
                description: "With the status `degraded`, requests are answered, but some lists or rules are out of service, nothing can be written, a file is lost, or the gateway does not know what others have written lately.",
                answers: vec![
                    (
                        200,
                        "Ready, or degraded",
                        Content::new::<api::HealthAnswer>([
                            ("ready", json!({ "status": "ready" })),
                            (
                                "degraded",
                                json!({
                                    "status": "degraded",
                                    "degraded": { "lists": 12, "lists_out": 1, "rules_out": 0, "user_ids_out": 0, "ledger": "ok", "master_key": "ok" },
                                }),
                            ),
                        ]),
                    ),
                    (
                        503,
                        "Starting, or about to stop; degraded, if `server.ready_when_degraded` is false; stale, if `fleet.when_stale` is `unready`",
                        is("starting"),
                    ),
                ],
                ..operation("ready", Auth::Nobody)
            },
        ),
        route(
            "/metrics",
            logged(MethodFilter::GET, metrics::metrics),
            Operation {
                summary: "Read the metrics",
                description: "OpenMetrics 1.0 text if the client asks for it, as Prometheus does, and Prometheus's text otherwise; compressed if the client accepts gzip. Requires the administrator's token, because labels name tenants and senders.",
                query: METRICS_QUERY,
                answers: vec![(
                    200,
                    "The metrics",
                    Content::other(metrics::MEDIA_TYPE, []).or(metrics::TEXT),
                )],
                errors: &[ErrorCode::InvalidRequest],
                ..operation("get_metrics", Auth::Admin)
            },
        ),
    ]
}
