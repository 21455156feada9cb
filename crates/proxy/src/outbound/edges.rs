//! The edges of the Graph API that accept modifying requests.
//!
//! An unknown edge may send a message, now or in a later version of the API. So it accepts only GET and HEAD, unless the operator
//! declares it harmless (`meta.allowed_edges`).
//!
//! The source of each row: **Y** is Meta's OpenAPI document of the Business Messaging API v23.0 of 2025-11-21
//! (<https://github.com/facebook/openapi>, `business-messaging-api_v23.0.yaml`). Others are pages of Meta's, relative to
//! `https://developers.facebook.com/documentation/business-messaging/whatsapp/`, as of March 2026.

use axum::http::Method;

use super::path::{GraphPath, Node, SIGNUPS};
use crate::allowed_edge::{AllowedEdge, NodeKind, reaches_people};

/// An edge that reaches people, whose recipients are in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendingEdge {
    /// `messages`. Also marks messages as read and shows typing indicators.
    Messages,
    /// `marketing_messages`: templates, all of which count as marketing.
    MarketingMessages,
    /// `calls`: starts, answers and ends calls.
    Calls,
}

impl SendingEdge {
    pub(super) const ALL: [SendingEdge; 3] =
        [SendingEdge::Messages, SendingEdge::MarketingMessages, SendingEdge::Calls];

    pub(super) const fn name(self) -> &'static str {
        match self {
            SendingEdge::Messages => "messages",
            SendingEdge::MarketingMessages => "marketing_messages",
            SendingEdge::Calls => "calls",
        }
    }

    /// Returns the sending edge of a path, if it is one.
    pub(super) fn of(path: &GraphPath) -> Option<Self> {
        let [edge] = path.edges() else { return None };
        SendingEdge::ALL.into_iter().find(|known| known.name() == edge)
    }
}

/// What the configuration says about the node of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is the phone number of a sender.
    PhoneNumber,
    /// It is the account of a sender.
    Account,
    /// Nothing. It may still be a phone number or an account that isn't configured.
    No,
}

/// A row of the table: the methods that an edge of a kind of node accepts.
struct Row {
    on: NodeKind,
    /// The segments after the node. `{}` matches any segment.
    edge: &'static [&'static str],
    methods: &'static [Method],
    /// Where the edge is documented.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and for the test that compares the page")
    )]
    source: &'static str,
}

const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
const POST_DELETE: &[Method] = &[Method::POST, Method::DELETE];

const fn row(
    on: NodeKind,
    edge: &'static [&'static str],
    methods: &'static [Method],
    source: &'static str,
) -> Row {
    Row { on, edge, methods, source }
}

use NodeKind::{Account as WABA, Any as ID, PhoneNumber as PNID};

/// The table of edges. `docs/passing.md` has the same one, and a test compares them.
static ROWS: &[Row] = &[
    // Phone numbers.
    row(PNID, &[], POST, "Y; display-names; webhooks/override"),
    row(PNID, &["business_compliance_info"], POST, "Y"),
    row(PNID, &["conversational_automation"], POST, "Y"),
    row(PNID, &["deregister"], POST, "Y"),
    row(PNID, &["groups"], POST, "Y"),
    row(PNID, &["media"], POST, "Y"),
    row(PNID, &["message_qrdls"], POST, "Y"),
    row(PNID, &["message_qrdls", "{}"], DELETE, "Y"),
    row(PNID, &["official_business_account"], POST, "Y"),
    row(PNID, &["register"], POST, "Y"),
    row(PNID, &["request_code"], POST, "Y"),
    row(PNID, &["settings"], POST, "Y"),
    row(PNID, &["smb_app_data"], POST, "embedded-signup/onboarding-business-app-users"),
    row(PNID, &["username"], POST_DELETE, "business-scoped-user-ids"),
    row(PNID, &["verify_code"], POST, "Y"),
    row(PNID, &["whatsapp_business_encryption"], POST, "Y"),
    row(PNID, &["whatsapp_business_profile"], POST, "Y"),
    row(PNID, &["whatsapp_commerce_settings"], POST, "Y"),
    // Accounts.
    row(WABA, &[], POST, "Y"),
    row(WABA, &["assigned_users"], POST_DELETE, "Y"),
    row(WABA, &["flows"], POST, "Y"),
    row(WABA, &["generate_payment_configuration_oauth_link"], POST, "payments/payments-in/onboarding-apis"),
    row(WABA, &["message_templates"], POST_DELETE, "Y"),
    row(WABA, &["migrate_flows"], POST, "Y"),
    row(WABA, &["migrate_message_templates"], POST, "templates/template-migration"),
    row(WABA, &["migration_intent"], POST, "reference/whatsapp-business-account/migration-intent-api"),
    row(WABA, &["obo_mobility_intent"], POST, "Y"),
    row(WABA, &["payment_configuration"], POST_DELETE, "payments/payments-in/onboarding-apis"),
    row(WABA, &["payment_configuration", "{}"], POST, "payments/payments-in/onboarding-apis"),
    row(WABA, &["phone_numbers"], POST, "Y"),
    row(WABA, &["set_obo_mobility_intent"], POST, "Y"),
    row(WABA, &["set_solution_migration_intent"], POST, "Y"),
    row(WABA, &["signups"], POST, "in-app-signup"),
    row(WABA, &["subscribed_apps"], POST_DELETE, "Y"),
    row(WABA, &["template_groups"], POST, "changelog"),
    row(WABA, &["upsert_message_templates"], POST, "templates/authentication-templates/bulk-management"),
    row(WABA, &["welcome_message_sequences"], POST_DELETE, "ctwa/welcome-message-sequences"),
    // Media, templates, flows, groups, pre-verified numbers, profiles: an id doesn't say which of these it belongs to.
    row(ID, &[], POST_DELETE, "Y: Flow-ID, Media-ID, TEMPLATE_ID, group_id and more"),
    row(ID, &["assets"], POST, "Y: Flow-ID"),
    row(ID, &["deprecate"], POST, "Y: Flow-ID"),
    row(ID, &["publish"], POST, "Y: Flow-ID"),
    row(ID, &["unpause"], POST, "templates/template-pausing: of a template"),
    row(ID, &["invite_link"], POST_DELETE, "Y: group_id"),
    row(ID, &["join_requests"], POST_DELETE, "Y: group_id"),
    // POST would add people to a group, and the group's id doesn't say against which sender's list to check them. It is in Y,
    // although groups/reference of 2025-11-14 says that people can't be added this way.
    row(ID, &["participants"], DELETE, "Y: group_id"),
    row(ID, &["request_code"], POST, "Y: Pre-Verified-Phone-Number-ID"),
    row(ID, &["verify_code"], POST, "Y: Pre-Verified-Phone-Number-ID"),
    // Apps, businesses, solutions, credit lines, data sets.
    row(ID, &["accept"], POST, "Y: Solution-ID"),
    row(ID, &["accept_deactivation_request"], POST, "Y: Solution-ID"),
    row(ID, &["add_phone_numbers"], POST, "Y: Business-ID"),
    row(ID, &["events"], POST, "embedded-signup/automatic-events-api: of a data set"),
    row(ID, &["onboard_partners_to_mm_lite"], POST, "Y: Business-ID"),
    row(ID, &["reject"], POST, "Y: Solution-ID"),
    row(ID, &["reject_deactivation_request"], POST, "Y: Solution-ID"),
    row(
        ID,
        &["self_certify_whatsapp_business"],
        POST,
        "solution-providers/partner-led-business-verification",
    ),
    row(ID, &["send_deactivation_request"], POST, "Y: Solution-ID"),
    row(ID, &["share_preverified_numbers"], POST, "Y: Business-ID"),
    row(
        ID,
        &["subscriptions"],
        POST_DELETE,
        "https://developers.facebook.com/docs/graph-api/reference/app/subscriptions",
    ),
    row(ID, &["system_user_access_tokens"], POST, "embedded-signup/app-only-install: of a business"),
    row(ID, &["uploads"], POST, "https://developers.facebook.com/docs/graph-api/guides/upload: of an app"),
    row(ID, &["whatsapp_business_accounts"], POST, "reference/business/whatsapp-business-accounts-api"),
    row(ID, &["whatsapp_business_solution"], POST, "Y: Application-ID"),
    row(ID, &["whatsapp_credit_attach"], POST, "solution-providers/share-and-revoke-credit-lines"),
    row(ID, &["whatsapp_credit_sharing"], POST, "solution-providers/share-and-revoke-credit-lines"),
    row(
        ID,
        &["whatsapp_credit_sharing_and_attach"],
        POST,
        "solution-providers/share-and-revoke-credit-lines",
    ),
];

/// Whether a modifying request with this method and path may be forwarded.
pub(super) fn may_change(method: &Method, path: &GraphPath, known: Known, allowed: &[AllowedEdge]) -> bool {
    let edges = path.edges();
    if *path.node() == Node::Word(SIGNUPS) {
        return *method == Method::POST && edges.len() == 1;
    }
    let may_be = |kind: NodeKind| match (path.node(), known) {
        (Node::Id(_), Known::PhoneNumber) => kind == NodeKind::PhoneNumber,
        (Node::Id(_), Known::Account) => kind == NodeKind::Account,
        // It may be a phone number or an account that isn't configured.
        (Node::Id(_), Known::No) => true,
        (Node::Group(_) | Node::AdAccount(_), _) => kind == NodeKind::Any,
        (Node::Upload(_) | Node::Word(_), _) => false,
    };
    let is_edge = |pattern: &[&str]| {
        pattern.len() == edges.len()
            && pattern.iter().zip(edges).all(|(pattern, edge)| *pattern == "{}" || pattern == edge)
    };
    // A later segment that is named like a sending edge might be mistaken for one.
    if edges.iter().skip(1).any(|name| reaches_people(name)) {
        return false;
    }
    ROWS.iter().any(|row| may_be(row.on) && is_edge(row.edge) && row.methods.contains(method))
        || allowed.iter().any(|allowed| may_be(allowed.on) && allowed.edges == edges)
}

/// Returns the path without its ids, in the form of the table and of `meta.allowed_edges`: `{id}/schedules`.
pub(super) fn shape(path: &GraphPath, known: Known) -> String {
    let node = match (path.node(), known) {
        (Node::Id(_), Known::PhoneNumber) => NodeKind::PhoneNumber.name(),
        (Node::Id(_), Known::Account) => NodeKind::Account.name(),
        (Node::Id(_) | Node::Group(_) | Node::AdAccount(_), _) => NodeKind::Any.name(),
        (Node::Upload(_), _) => "upload:{session}",
        (Node::Word(word), _) => word,
    };
    // Segments after the first edge may be names or phone numbers, which must not appear in errors.
    let edges = path.edges().iter().enumerate();
    let is_id = |edge: &str| edge.bytes().all(|byte| byte.is_ascii_digit());
    let edges = edges.map(|(index, edge)| if index == 0 && !is_id(edge) { edge } else { "{name}" });
    std::iter::once(node).chain(edges).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::*;

    #[test]
    fn the_page_has_the_same_table() {
        let (_, page) = include_str!("../../../../docs/passing.md").split_once("## Edges").unwrap();
        let mut lines: Vec<String> = Vec::new();
        for row in ROWS {
            let edge: Vec<_> = row.edge.iter().map(|edge| edge.replace("{}", "{name}")).collect();
            let path =
                std::iter::once(row.on.name()).chain(edge.iter().map(String::as_str)).collect::<Vec<_>>();
            let methods: Vec<_> = row.methods.iter().map(Method::as_str).collect();
            lines.push(format!("| `{}` | {} | {} |", path.join("/"), methods.join(", "), row.source));
        }
        let of_page: Vec<_> = page.lines().filter(|line| line.starts_with("| `{")).collect();
        assert_eq!(of_page, lines);
    }

    fn may(method: Method, path: &str, known: Known, allowed: &[&str]) -> bool {
        let allowed: Vec<AllowedEdge> = allowed.iter().map(|text| text.parse().unwrap()).collect();
        may_change(&method, &GraphPath::parse(path, Rules::ALL).unwrap(), known, &allowed)
    }

    #[test]
    fn edges_are_of_their_kind_of_node() {
        assert!(may(Method::POST, "/v25.0/1/media", Known::PhoneNumber, &[]));
        assert!(!may(Method::POST, "/v25.0/1/media", Known::Account, &[]));
        assert!(may(Method::POST, "/v25.0/1/media", Known::No, &[]), "a number that isn't configured yet");
        assert!(!may(Method::DELETE, "/v25.0/1/media", Known::PhoneNumber, &[]));
        assert!(!may(Method::PUT, "/v25.0/1/media", Known::PhoneNumber, &[]));
        assert!(may(Method::DELETE, "/1/message_qrdls/4O4YGZ", Known::PhoneNumber, &[]));
        assert!(may(Method::DELETE, "/1", Known::No, &[]));
        assert!(!may(Method::DELETE, "/1", Known::PhoneNumber, &[]));
        assert!(!may(Method::POST, "/me", Known::No, &[]));
        assert!(may(Method::POST, "/signups/1", Known::No, &[]));
        assert!(!may(Method::POST, "/signups", Known::No, &[]));
        assert!(may(Method::POST, "/Y2FwaV9ncm91cDo/invite_link", Known::No, &[]));
    }

    #[test]
    fn what_reaches_somebody_is_never_in_the_table() {
        for edge in
            ["messages", "marketing_messages", "messages_encrypted", "calls", "block_users", "schedules"]
        {
            for known in [Known::PhoneNumber, Known::Account, Known::No] {
                assert!(!may(Method::POST, &format!("/v25.0/1/{edge}"), known, &[]), "{edge}");
            }
        }
        assert!(!may(Method::POST, "/Y2FwaV9ncm91cDo/participants", Known::No, &[]));
        assert!(!may(Method::POST, "/1/message_qrdls/Messages", Known::PhoneNumber, &[]));
    }

    #[test]
    fn the_operator_may_allow_an_edge() {
        let allowed = ["{waba-id}/schedules"];
        assert!(may(Method::POST, "/v25.0/1/schedules", Known::Account, &allowed));
        assert!(may(Method::PUT, "/1/schedules", Known::No, &allowed));
        assert!(!may(Method::POST, "/v25.0/1/schedules", Known::PhoneNumber, &allowed));
    }

    #[test]
    fn a_shape_shows_no_ids() {
        let shape = |path: &str, known| shape(&GraphPath::parse(path, Rules::ALL).unwrap(), known);
        assert_eq!(shape("/v25.0/16505551234/schedules", Known::Account), "{waba-id}/schedules");
        assert_eq!(shape("/16505551234/a/16505551234", Known::No), "{id}/a/{name}");
        assert_eq!(shape("/me/messages", Known::No), "me/messages");
    }
}
