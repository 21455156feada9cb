//! The route of the gateways that share a ledger.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::json;

use crate::fleet;
use portcullis_api as api;
use portcullis_edge::http::openapi::{Auth, Content, Operation};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

pub(super) fn all() -> Vec<Route> {
    let example = json!({
        "shared": true,
        "nodes": [{
            "node": "eu-1", "answering": true, "live": true, "program": "0.1.0", "started": "2026-02-03T04:05:06.789Z",
            "silent_ms": 310, "staleness_ms": 12,
        }],
        "leases": [{ "lease": "events", "node": "eu-1" }],
        "differences": [{ "setting": "tenants.acme.opt_out", "nodes": ["eu-2"] }],
    });
    vec![Route {
        method: Method::GET,
        path: format!("{PREFIX}/admin/fleet"),
        handler: logged(MethodFilter::GET, fleet::get),
        operation: Operation {
            summary: "List the gateways that share the ledger",
            description: "Each says every second that it is live. Differences are those between the configuration file of the \
            gateway that answers and those of the others that are live.",
            tag: "admin",
            answers: vec![(200, "The gateways", Content::new::<api::FleetAnswer>([("fleet", example)]))],
            ..operation("get_fleet", Auth::Admin)
        },
    }]
}
