//! All routes of the native API, with their handlers and what the OpenAPI document says of them.

mod admin;
mod plugins;

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Value, json};

use super::openapi::{Auth, Content, Operation, QueryParameter};
use super::request_log::Logged;
use super::{check, entries, front::Front, health, history, metrics, route, status, write};

/// One route: a method of a path.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) handler: MethodRouter<Arc<Front>>,
    pub(super) operation: Operation,
}

/// What all paths but those of health begin with.
const PREFIX: &str = "/portcullis/v1";

/// All routes but that of the document itself.
pub(super) fn all() -> Vec<Route> {
    let lists = [("sender", "/senders/{sender}", "sender"), ("tenant", "/tenant", "tenant_wide")];
    lists
        .into_iter()
        .flat_map(|(tag, path, noun)| of_list(tag, path, noun))
        .chain([tenant_status(), of_messages()])
        .chain(admin::all())
        .chain(plugins::all())
        .chain(of_health())
        .collect()
}

/// Each request of each route is logged.
fn logged<H, T>(method: MethodFilter, handler: H) -> MethodRouter<Arc<Front>>
where
    H: Handler<T, Arc<Front>, Future: Unpin>,
    T: 'static,
{
    on(method, Logged(handler))
}

/// The route of the document.
pub(super) fn of_document<H, T>(handler: H) -> Route
where
    H: Handler<T, Arc<Front>, Future: Unpin>,
    T: 'static,
{
    Route {
        method: Method::GET,
        path: format!("{PREFIX}/openapi.json"),
        handler: logged(MethodFilter::GET, handler),
        operation: Operation {
            summary: "This document",
            tag: "gateway",
            answers: vec![(200, "The document", Content::new::<Value>([]))],
            ..operation("get_openapi", Auth::Nobody)
        },
    }
}

fn operation(id: impl Into<String>, auth: Auth) -> Operation {
    Operation {
        id: id.into(),
        summary: "",
        description: "",
        tag: "",
        auth,
        query: &[],
        body: None,
        answers: Vec::new(),
        errors: &[],
    }
}

const PAGE_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "after",
        description: "The `next` of the page before. Left out for the first page",
        schema: r#"{"type": "string"}"#,
        required: false,
    },
    QueryParameter {
        name: "limit",
        description: "The most entries to answer",
        schema: r#"{"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}"#,
        required: false,
    },
    QueryParameter {
        name: "status",
        description: "Which entries to answer",
        schema: r#"{"type": "string", "enum": ["active", "inactive", "all"], "default": "active"}"#,
        required: false,
    },
];

const REMOVAL_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "direction",
        description: "The one direction to unblock. Left out for both",
        schema: r#"{"type": "string", "enum": ["inbound", "outbound"]}"#,
        required: false,
    },
    QueryParameter {
        name: "hold",
        description: "Which hold to lift: the business's own, the person's own, or all",
        schema: r#"{"type": "string", "enum": ["operator", "opt_out", "marketing", "all"], "default": "operator"}"#,
        required: false,
    },
];

const TRAIL_QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "before",
        description: "The `older` of the part before. Left out for the newest changes",
        schema: r#"{"type": "integer", "minimum": 0}"#,
        required: false,
    },
    QueryParameter {
        name: "limit",
        description: "About how many changes to answer",
        schema: r#"{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}"#,
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
                summary: "Ask whether messages may pass",
                description: "A sender's check asks its own list and the tenant-wide one; either blocks. With `number` the \
                answer is a verdict; with `numbers` it is those that are blocked, and one number that can't be read refuses all.",
                body: Some(Content::new::<check::CheckRequest<'_>>([
                    ("one", json!({ "number": "+46732001122", "direction": "inbound" })),
                    (
                        "many",
                        json!({ "numbers": ["+46732001122", "46 73-200 22 44"], "direction": "outbound" }),
                    ),
                ])),
                answers: vec![(
                    200,
                    "The verdict, or the numbers that are blocked",
                    Content::new::<CheckAnswers<'_>>([
                        (
                            "allowed",
                            json!({ "verdict": "allow", "direction": "inbound", "source": "plugin" }),
                        ),
                        (
                            "blocked",
                            json!({ "verdict": "block", "direction": "inbound", "list": "sender", "source": "plugin" }),
                        ),
                        (
                            "many",
                            json!({ "blocked": ["46 73-200 22 44"], "checked": 2, "direction": "outbound", "source": "plugin" }),
                        ),
                    ]),
                )],
                errors: &["invalid_number", "too_many_numbers"],
                ..operation(id("check"), Auth::Tenant)
            },
        ),
        route(
            Method::POST,
            "/entries",
            logged(MethodFilter::POST, write::block),
            Operation {
                summary: "Block numbers",
                description: "Blocking what is blocked already changes nothing, and is no error.",
                body: Some(Content::new::<write::BlockRequest<'_>>([
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
                    "What became of each number",
                    Content::new::<write::WriteAnswer>([("one", written("added"))]),
                )],
                errors: &["invalid_number", "too_many_numbers", "storage_full"],
                ..operation(id("block"), Auth::Tenant)
            },
        ),
        route(
            Method::DELETE,
            "/entries",
            logged(MethodFilter::DELETE, write::unblock),
            Operation {
                summary: "Unblock numbers",
                description: "Unblocking what is not blocked changes nothing, and is no error. Neither is it for a number that \
                another hold blocks than the one to be lifted: its outcome is `held`.",
                body: Some(Content::new::<write::UnblockRequest<'_>>([
                    ("one", json!({ "number": "+46732001122" })),
                    (
                        "many",
                        json!({ "numbers": ["+46732001122", "+46732002244"], "directions": ["outbound"] }),
                    ),
                ])),
                answers: vec![(
                    200,
                    "What became of each number",
                    Content::new::<write::WriteAnswer>([("one", written("removed"))]),
                )],
                errors: &["invalid_number", "too_many_numbers", "storage_full"],
                ..operation(id("unblock"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/entries",
            logged(MethodFilter::GET, entries::page),
            Operation {
                summary: "List entries",
                description: "In an order that is stable, and means nothing. Entries that stay are neither skipped nor repeated \
                from page to page, whatever else changes.",
                query: PAGE_QUERY,
                answers: vec![(
                    200,
                    "A page",
                    Content::new::<entries::PageAnswer>([(
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
                description: "Also one that is inactive.",
                answers: vec![(
                    200,
                    "The entry",
                    Content::new::<entries::EntryAnswer>([("entry", example_entry())]),
                )],
                errors: &["invalid_number", "entry_not_found"],
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
                    "What became of it",
                    Content::new::<entries::RemovalAnswer>([(
                        "removed",
                        json!({ "outcome": "removed", "directions": [], "sequence": 6103 }),
                    )]),
                )],
                errors: &["invalid_number", "entry_not_found", "held", "storage_full"],
                ..operation(id("unblock_entry_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/entries/{entry}/history",
            logged(MethodFilter::GET, history::entry),
            Operation {
                summary: "See what was done to an entry",
                description: "The newest change first, each with who made it, and what was blocked before and after.",
                query: TRAIL_QUERY,
                answers: vec![(
                    200,
                    "Its changes",
                    Content::new::<history::TrailAnswer>([("part", example_trail())]),
                )],
                errors: &["invalid_number", "entry_not_found"],
                ..operation(id("get_history_of_entry_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/history",
            logged(MethodFilter::GET, history::list),
            Operation {
                summary: "See what was done to the list",
                description: "The newest change first, each with who made it, and what was blocked before and after.",
                query: TRAIL_QUERY,
                answers: vec![(
                    200,
                    "Its changes",
                    Content::new::<history::TrailAnswer>([("part", example_trail())]),
                )],
                ..operation(id("get_history_of"), Auth::Tenant)
            },
        ),
        route(
            Method::GET,
            "/status",
            logged(MethodFilter::GET, status::list),
            Operation {
                summary: "See how the list is",
                answers: vec![(
                    200,
                    "How it is",
                    Content::new::<status::ListStatus>([(
                        "status",
                        example_list_status((tag == "sender").then_some("support")),
                    )]),
                )],
                ..operation(id("status_of"), Auth::Tenant)
            },
        ),
    ]
}

/// A verdict, or many.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum CheckAnswers<'a> {
    One(check::CheckAnswer),
    Many(check::CheckManyAnswer<'a>),
}

fn tenant_status() -> Route {
    Route {
        method: Method::GET,
        path: format!("{PREFIX}/status"),
        handler: logged(MethodFilter::GET, status::tenant),
        operation: Operation {
            summary: "See how all lists are",
            tag: "tenant",
            answers: vec![(
                200,
                "How they are",
                Content::new::<status::TenantStatus>([(
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

fn of_messages() -> Route {
    Route {
        method: Method::POST,
        path: format!("{PREFIX}/route"),
        handler: logged(MethodFilter::POST, route::route),
        operation: Operation {
            summary: "Send a message on",
            description: "Unless it is blocked. The answer is that of the tenant's next hop, as it is; where there is none, that \
            the message may pass.",
            tag: "tenant",
            body: Some(Content::new::<route::RouteSchema>([(
                "one",
                json!({ "sender": "support", "recipient": "+46732009988", "direction": "outbound", "body": "Hello" }),
            )])),
            answers: vec![(
                200,
                "The next hop's answer, of whatever kind; or that the message may pass",
                Content::new::<route::RouteAnswer>([("allowed", json!({ "verdict": "allow" }))]),
            )],
            errors: &[
                "blocked",
                "invalid_number",
                "next_hop_failed",
                "next_hop_late",
                "sender_not_allowed",
                "unknown_sender",
            ],
            ..operation("route_message", Auth::Tenant)
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
    let is = |status: &str| Content::new::<health::HealthAnswer>([("health", json!({ "status": status }))]);
    vec![
        route(
            "/healthz",
            logged(MethodFilter::GET, health::alive),
            Operation {
                summary: "Ask whether the process is alive",
                answers: vec![(200, "It is", is("ok"))],
                ..operation("alive", Auth::Nobody)
            },
        ),
        route(
            "/readyz",
            logged(MethodFilter::GET, health::ready),
            Operation {
                summary: "Ask whether requests are answered",
                answers: vec![(200, "They are", is("ready")), (503, "Not yet, or no more", is("starting"))],
                ..operation("ready", Auth::Nobody)
            },
        ),
        route(
            "/metrics",
            logged(MethodFilter::GET, metrics::metrics),
            Operation {
                summary: "Read what the gateway counts",
                description: "In the text format of OpenMetrics 1.0, for Prometheus. With the administrator's token, as tenants and                 senders are named.",
                answers: vec![(200, "The metrics", Content::other(metrics::MEDIA_TYPE, []))],
                ..operation("get_metrics", Auth::Admin)
            },
        ),
    ]
}
