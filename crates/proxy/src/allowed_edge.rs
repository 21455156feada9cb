//! Graph API edges that an operator has declared harmless (`meta.allowed_edges`).

use std::str::FromStr;

use serde::Deserialize;

/// The kinds of Graph API nodes that the gateway can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A phone number of a business: `{phone-number-id}`.
    PhoneNumber,
    /// A WhatsApp Business account: `{waba-id}`.
    Account,
    /// Any other node with an id: `{id}`.
    Any,
}

impl NodeKind {
    const ALL: [NodeKind; 3] = [NodeKind::PhoneNumber, NodeKind::Account, NodeKind::Any];

    /// The placeholder used in settings and error messages.
    pub const fn name(self) -> &'static str {
        match self {
            NodeKind::PhoneNumber => "{phone-number-id}",
            NodeKind::Account => "{waba-id}",
            NodeKind::Any => "{id}",
        }
    }
}

/// An edge that accepts modifying requests in addition to the built-in ones, written as `{phone-number-id}/some_edge`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedEdge {
    /// The kind of node that the edge belongs to.
    pub on: NodeKind,
    /// The path segments after the node: one or two.
    pub edges: Vec<String>,
}

/// Edges that can't be allowed because they reach people, change who is blocked, or carry other requests.
const NEVER: [&str; 7] =
    ["messages", "marketing_messages", "messages_encrypted", "calls", "participants", "block_users", "batch"];

/// Whether a path segment is an edge that can't be allowed, ignoring case.
pub fn reaches_people(segment: &str) -> bool {
    NEVER.iter().any(|never| never.eq_ignore_ascii_case(segment))
}

/// Why a string isn't a valid [`AllowedEdge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedEdgeError {
    /// It is not written as one.
    #[error(
        "not an edge: write it as {{phone-number-id}}/some_edge, {{waba-id}}/some_edge or {{id}}/some_edge, in lower-case \
         letters, digits and '_'"
    )]
    Form,
    /// Its requests reach people.
    #[error("{0} reaches people and can't be allowed: its requests are always checked or rejected")]
    Sends(&'static str),
}

impl FromStr for AllowedEdge {
    type Err = AllowedEdgeError;

    fn from_str(text: &str) -> Result<Self, AllowedEdgeError> {
        let (node, edges) = text.split_once('/').ok_or(AllowedEdgeError::Form)?;
        let on = NodeKind::ALL.into_iter().find(|kind| kind.name() == node).ok_or(AllowedEdgeError::Form)?;
        let edges: Vec<String> = edges.split('/').map(str::to_owned).collect();
        if edges.len() > 2 || !edges.iter().all(|edge| is_edge(edge)) {
            return Err(AllowedEdgeError::Form);
        }
        match NEVER.into_iter().find(|never| edges.iter().any(|edge| edge == never)) {
            Some(never) => Err(AllowedEdgeError::Sends(never)),
            None => Ok(AllowedEdge { on, edges }),
        }
    }
}

impl TryFrom<String> for AllowedEdge {
    type Error = AllowedEdgeError;

    fn try_from(text: String) -> Result<Self, AllowedEdgeError> {
        text.parse()
    }
}

fn is_edge(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_allowed_by_kind_and_name() {
        let read = |text: &str| text.parse::<AllowedEdge>();
        let schedules = AllowedEdge { on: NodeKind::Account, edges: vec!["schedules".to_owned()] };
        assert_eq!(read("{waba-id}/schedules"), Ok(schedules));
        assert_eq!(read("{id}/a/b2").map(|allowed| allowed.edges.len()), Ok(2));
        for text in [
            "schedules",
            "{waba}/schedules",
            "{id}/",
            "{id}",
            "{id}/A",
            "{id}/a/b/c",
            "{id}/../a",
            "{id}/*",
            "",
        ] {
            assert_eq!(read(text), Err(AllowedEdgeError::Form), "{text}");
        }
    }

    #[test]
    fn what_reaches_people_can_not_be_allowed() {
        for never in NEVER {
            let text = format!("{{phone-number-id}}/{never}");
            assert_eq!(text.parse::<AllowedEdge>(), Err(AllowedEdgeError::Sends(never)));
            assert!(format!("{{id}}/x/{never}").parse::<AllowedEdge>().is_err());
        }
    }
}
