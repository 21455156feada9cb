//! What a sender's own token reaches of the Graph API, below the phone number of that sender.
//!
//! It is an allow list. The upstream gets the tenant's access token, which reaches much more: the account, and of a phone number its
//! registration, its verification and where its messages and calls go. A client that may send as one sender must not take the
//! sender's number out from behind the gateway (`webhook_configuration` of the number itself, SIP servers in `settings`), where
//! nobody would hear an opt-out.

use axum::http::Method;

use crate::allowed_edge::{AllowedEdge, NodeKind};

/// The segments after the phone number, and the methods. `{}` matches any segment.
type Row = (&'static [&'static str], &'static [Method]);

const GET: &[Method] = &[Method::GET, Method::HEAD];
const GET_POST: &[Method] = &[Method::GET, Method::HEAD, Method::POST];
const GET_DELETE: &[Method] = &[Method::GET, Method::HEAD, Method::DELETE];

/// Whether each of these may be changed at all is up to [`edges`](super::edges).
static ROWS: &[Row] = &[
    (&[], GET),
    (&["call_permissions"], GET),
    (&["calls"], GET_POST),
    (&["conversational_automation"], GET_POST),
    (&["groups"], GET_POST),
    (&["marketing_messages"], GET_POST),
    (&["media"], GET_POST),
    (&["message_qrdls"], GET_POST),
    (&["message_qrdls", "{}"], GET_DELETE),
    (&["messages"], GET_POST),
    (&["whatsapp_business_profile"], GET_POST),
    (&["whatsapp_commerce_settings"], GET_POST),
];

/// Whether a sender's token reaches this edge of the sender's own phone number. `allowed` are the edges that the operator has
/// declared harmless.
pub(super) fn reaches(method: &Method, edges: &[String], allowed: &[AllowedEdge]) -> bool {
    let is_edge = |pattern: &[&str]| {
        pattern.len() == edges.len()
            && pattern.iter().zip(edges).all(|(pattern, edge)| *pattern == "{}" || pattern == edge)
    };
    ROWS.iter().any(|(edge, methods)| is_edge(edge) && methods.contains(method))
        || allowed.iter().any(|allowed| allowed.on == NodeKind::PhoneNumber && allowed.edges == edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(method: Method, edges: &str, allowed: &[&str]) -> bool {
        let edges: Vec<String> =
            edges.split('/').filter(|edge| !edge.is_empty()).map(str::to_owned).collect();
        let allowed: Vec<AllowedEdge> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        reaches(&method, &edges, &allowed)
    }

    #[test]
    fn a_sender_sends_and_reads_and_stays_where_it_is() {
        for (method, edges) in [
            (Method::POST, "messages"),
            (Method::POST, "media"),
            (Method::GET, ""),
            (Method::HEAD, ""),
            (Method::GET, "whatsapp_business_profile"),
            (Method::DELETE, "message_qrdls/4O4YGZ"),
        ] {
            assert!(may(method.clone(), edges, &[]), "{method} {edges}");
        }
        for (method, edges) in [
            (Method::POST, ""),
            (Method::DELETE, ""),
            (Method::POST, "settings"),
            (Method::GET, "settings"),
            (Method::POST, "register"),
            (Method::POST, "deregister"),
            (Method::POST, "request_code"),
            (Method::POST, "subscribed_apps"),
            (Method::GET, "subscribed_apps"),
            (Method::POST, "username"),
            (Method::POST, "messages/x"),
        ] {
            assert!(!may(method.clone(), edges, &[]), "{method} {edges}");
        }
        assert!(may(Method::POST, "settings", &["{phone-number-id}/settings"]));
        assert!(!may(Method::POST, "settings", &["{waba-id}/settings", "{id}/settings"]));
    }

    #[test]
    fn the_page_lists_what_a_sender_s_token_reaches() {
        let page = include_str!("../../../../docs/passing.md");
        let (_, rows) = page.split_once("| of its phone number | methods |").unwrap();
        let rows: Vec<&str> = rows.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
        let expected: Vec<String> = ROWS
            .iter()
            .map(|(edge, methods)| {
                let path: String =
                    edge.iter().map(|edge| format!("/{}", edge.replace("{}", "{name}"))).collect();
                let methods: Vec<_> =
                    methods.iter().filter(|method| *method != Method::HEAD).map(Method::as_str).collect();
                format!("| `{{phone-number-id}}{path}` | {} |", methods.join(", "))
            })
            .collect();
        assert_eq!(rows, expected);
    }
}
