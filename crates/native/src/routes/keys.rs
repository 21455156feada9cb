//! The routes of the master key.

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::json;

use crate::keys;
use portcullis_api::{self as api, ErrorCode};
use portcullis_edge::http::openapi::{Auth, Content, Operation};
use portcullis_edge::http::route::{PREFIX, Route, logged, operation};

pub(super) fn all() -> Vec<Route> {
    let status = json!({
        "fingerprint": "5f0c1d2e3a4b5c6d", "rotated": "2026-02-03T04:05:06.000Z", "others": [],
    });
    let rotated = json!({ "from": "00112233445566aa", "to": "5f0c1d2e3a4b5c6d" });
    vec![
        Route {
            method: Method::GET,
            path: format!("{PREFIX}/admin/keys/master"),
            handler: logged(MethodFilter::GET, keys::master),
            operation: Operation {
                summary: "Tell which master key is in use",
                description: "By its fingerprint: the key itself is never shown.",
                tag: "admin",
                answers: vec![(200, "The key", Content::new::<api::MasterKeyAnswer>([("key", status)]))],
                errors: &[ErrorCode::KeyNotRotated],
                ..operation("get_master_key", Auth::Admin)
            },
        },
        Route {
            method: Method::POST,
            path: format!("{PREFIX}/admin/keys/master/rotate"),
            handler: logged(MethodFilter::POST, keys::rotate),
            operation: Operation {
                summary: "Rotate the master key",
                description: "Encrypts all tenants' keys under the next master key in one transaction, while messages are checked. The \
                next key is the last one in the key's file, or a new one, which is stored there first; or the last one that the key \
                command prints. In a fleet, all gateways need both keys before.",
                tag: "admin",
                answers: vec![(
                    200,
                    "It was rotated",
                    Content::new::<api::RotatedAnswer>([("rotated", rotated)]),
                )],
                errors: &[ErrorCode::KeyNotRotated],
                ..operation("rotate_master_key", Auth::Admin)
            },
        },
    ]
}
