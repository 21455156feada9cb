//! Paths of the Graph API: `[/vMAJOR.MINOR]/NODE[/EDGE…]`, in one spelling.
//!
//! It is unknown how an upstream interprets dots, `;`, repeated slashes, percent-encodings and upper case, and its interpretation
//! must not differ from what is checked here. So a path that can be read in two ways is rejected, as are characters with a
//! meaning to some parsers, and the path sent upstream is written again from what was read.

use std::fmt;

use super::rules::{Rule, Rules};

/// Maximum length of a path in bytes: several times that of the longest one that Meta documents.
const MAX_PATH: usize = 1024;
/// Maximum number of segments after the node: one more than Meta documents (`message_qrdls/{code}`).
const MAX_EDGES: usize = 3;
/// Maximum number of digits of an id: those of a 64-bit integer.
const MAX_ID: usize = 20;
/// Maximum length of an edge's name.
const MAX_EDGE: usize = 64;
/// Maximum length of a segment after the edge.
const MAX_NAME: usize = 128;
const UPLOAD: &str = "upload:";
const AD_ACCOUNT: &str = "act_";
/// Nodes with a fixed name: <https://developers.facebook.com/docs/graph-api/overview> (`me`, `app`), and Meta's pages on access
/// tokens (`oauth/access_token`, `debug_token`), templates and signups (below
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/>: templates/template-library, in-app-signup).
const WORDS: [&str; 6] = ["me", "app", "oauth", "debug_token", "message_template_library", SIGNUPS];
/// The node of signups, followed by the id of one.
pub(super) const SIGNUPS: &str = "signups";

/// A path of the Graph API. [`Display`](fmt::Display) writes it in the spelling that is sent upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GraphPath {
    /// The version, such as `v25.0`.
    version: Option<String>,
    node: Node,
    /// The segments after the node: the edge and what follows, such as `message_qrdls` and `4O4YGZEG3RIVE1`.
    edges: Vec<String>,
}

/// The node of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A numeric id: of a phone number, an account, a medium, a template, and more. The id doesn't say which.
    Id(String),
    /// `act_` and a number.
    AdAccount(String),
    /// A group's id.
    Group(String),
    /// A resumable upload: `upload:` and the session.
    Upload(String),
    /// One of the fixed names.
    Word(&'static str),
}

/// Why a path is rejected. `position` is that of the segment, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error("the path has more than {} bytes: no path of the Graph API has", MAX_PATH)]
    TooLong,
    #[error("the path names nothing: write it like /v25.0/ID/EDGE")]
    NoNode,
    #[error(
        "segment {position} of the path is empty, '.' or '..': write the path with single slashes, and none behind an edge"
    )]
    NoSegment { position: usize },
    #[error(
        "segment {position} of the path has {character:?}: write it plainly, with letters, digits and '_', and nothing \
         percent-encoded"
    )]
    Character { position: usize, character: char },
    #[error(
        "the path has a version that isn't written like v25.0, or not once and in front: write it like /v25.0/ID/EDGE"
    )]
    Version,
    #[error("the id in the path begins with 0: write it as Meta gave it")]
    LeadingZero,
    #[error(
        "segment {position} of the path is no id, no group's id, no upload session and none of the words that may stand \
         there: write what the path is about as Meta gave it"
    )]
    Node { position: usize },
    #[error(
        "segment {position} of the path is no name of an edge: edges have lower-case letters, digits and '_', at most 64"
    )]
    Edge { position: usize },
    #[error("the path has more than {} segments after the id: no path of the Graph API has", MAX_EDGES)]
    TooDeep,
}

impl GraphPath {
    /// Parses the raw path of a request.
    pub(super) fn parse(path: &str, rules: Rules) -> Result<Self, PathError> {
        if path.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        let mut segments: Vec<&str> = path.strip_prefix('/').ok_or(PathError::NoNode)?.split('/').collect();
        let before = usize::from(segments.first().is_some_and(|first| is_version(first)));
        if rules.hold(Rule::PathGrammar) {
            // Meta's samples and some clients (pywa) write a slash after a node without an edge. It is not forwarded.
            if matches!(segments[before..], [node, ""] if !node.is_empty()) {
                segments.pop();
            }
            check_characters(&segments)?;
        }
        let (version, rest) = segments.split_at(before);
        let version = version.first().map(|&version| version.to_owned());
        let [node, edges @ ..] = rest else { return Err(PathError::NoNode) };
        if !rules.hold(Rule::PathGrammar) {
            let edges = edges.iter().map(|&edge| edge.to_owned()).collect();
            return Ok(GraphPath { version, node: Node::Id((*node).to_owned()), edges });
        }
        let node = Node::parse(node, before + 1)?;
        if edges.len() > MAX_EDGES {
            return Err(PathError::TooDeep);
        }
        for (index, edge) in edges.iter().enumerate() {
            if looks_like_a_version(edge) {
                return Err(PathError::Version);
            }
            let is_plain = match (index, &node) {
                (0, Node::Word(SIGNUPS)) => is_id(edge),
                (0, _) => is_edge(edge),
                _ => is_name(edge),
            };
            if !is_plain {
                return Err(PathError::Edge { position: before + 2 + index });
            }
        }
        Ok(GraphPath { version, node, edges: edges.iter().map(|&edge| edge.to_owned()).collect() })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The segments after the node.
    pub(super) fn edges(&self) -> &[String] {
        &self.edges
    }
}

/// Rejects empty and dot segments, and characters that some parser might treat specially.
fn check_characters(segments: &[&str]) -> Result<(), PathError> {
    if segments == [""] {
        return Err(PathError::NoNode);
    }
    for (index, segment) in segments.iter().enumerate() {
        let position = index + 1;
        if segment.is_empty() || segment.bytes().all(|byte| byte == b'.') {
            return Err(PathError::NoSegment { position });
        }
        // '.' occurs in versions, ':' and '=' in upload sessions, '=' and '-' in groups' ids.
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | ':' | '.');
        if let Some(character) = segment.chars().find(|character| !is_plain(character)) {
            return Err(PathError::Character { position, character });
        }
    }
    Ok(())
}

impl Node {
    fn parse(text: &str, position: usize) -> Result<Self, PathError> {
        if let Some(word) = WORDS.iter().find(|word| **word == text) {
            return Ok(Node::Word(word));
        }
        if let Some(session) = text.strip_prefix(UPLOAD) {
            let is_session = !session.is_empty() && session.bytes().all(is_of_base64);
            return if is_session {
                Ok(Node::Upload(text.to_owned()))
            } else {
                Err(PathError::Node { position })
            };
        }
        let (id, node): (_, fn(String) -> Node) = match text.strip_prefix(AD_ACCOUNT) {
            Some(id) => (id, Node::AdAccount),
            None => (text, Node::Id),
        };
        if is_id(id) {
            // An upstream that parses ids as integers would read a different spelling of another id.
            return if id.starts_with('0') { Err(PathError::LeadingZero) } else { Ok(node(text.to_owned())) };
        }
        if is_group_id(text) {
            return Ok(Node::Group(text.to_owned()));
        }
        Err(if looks_like_a_version(text) { PathError::Version } else { PathError::Node { position } })
    }

    /// Returns the node as written in the path.
    pub(super) fn text(&self) -> &str {
        match self {
            Node::Id(text) | Node::AdAccount(text) | Node::Group(text) | Node::Upload(text) => text,
            Node::Word(word) => word,
        }
    }
}

/// Whether a segment is a version such as `v25.0`, without leading zeros.
fn is_version(text: &str) -> bool {
    let is_number = |text: &str, most: usize| {
        (1..=most).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'))
    };
    let numbers = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    numbers.is_some_and(|(major, minor)| is_number(major, 3) && is_number(minor, 2))
}

fn looks_like_a_version(text: &str) -> bool {
    text.strip_prefix(['v', 'V'])
        .is_some_and(|rest| rest.starts_with(|character: char| character.is_ascii_digit()))
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_edge(text: &str) -> bool {
    let is_of_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MAX_EDGE
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_of_edge)
}

/// Whether a segment may follow an edge, such as the code of a QR code or the name of a payment configuration.
fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.len() <= MAX_NAME && text.bytes().all(is_of_name)
}

fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=')
}

/// Whether a text can be a group's id and can't be read as a phone number by any parser.
///
/// Meta's samples are base64 with a common beginning, such as `Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD`
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/groups/reference>, 2025-11-14), but Meta doesn't
/// guarantee that beginning. So the text must look like base64, with letters of both cases and digits, and must not contain seven
/// digits in a row, which would be enough for a phone number.
pub(super) fn is_group_id(text: &str) -> bool {
    const LENGTHS: std::ops::RangeInclusive<usize> = 12..=256;
    const ENOUGH_FOR_A_NUMBER: usize = 7;
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    LENGTHS.contains(&text.len())
        && text.bytes().all(is_of_base64)
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() < ENOUGH_FOR_A_NUMBER)
}

impl fmt::Display for GraphPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = &self.version {
            write!(f, "/{version}")?;
        }
        write!(f, "/{}", self.node.text())?;
        self.edges.iter().try_for_each(|edge| write!(f, "/{edge}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(path: &str) -> Result<GraphPath, PathError> {
        GraphPath::parse(path, Rules::ALL)
    }

    #[test]
    fn meta_s_own_paths_are_read_and_written_again() {
        for path in [
            "/v25.0/106540352242922/messages",
            "/106540352242922/messages",
            "/v25.0/106540352242922",
            "/v24.0/106540352242922/message_qrdls/4O4YGZEG3RIVE1",
            "/v15.0/102290129340398/payment_configuration/test-payment-configuration",
            "/v20.0/me/application_details",
            "/v24.0/debug_token",
            "/v21.0/oauth/access_token",
            "/v24.0/Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD/invite_link",
            "/v25.0/upload:MTphdHRhY2htZW50OjlkMmJiZxUwLWV6MDUtNDIwMy05yTA3LWQ4ZDPmZGFkNTM0NT8=",
            "/v19.0/act_120229306178900226/insights",
            "/v25.0/message_template_library",
            "/v25.0/signups/1234567890123456",
        ] {
            assert_eq!(parse(path).map(|path| path.to_string()).as_deref(), Ok(path));
        }
        for (path, written) in [("/v25.0/106540352242922/", "/v25.0/106540352242922"), ("/1/", "/1")] {
            assert_eq!(parse(path).map(|path| path.to_string()).as_deref(), Ok(written));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_a_path() {
        use PathError as E;
        let character = |position, character| E::Character { position, character };
        for (path, error) in [
            ("/", E::NoNode),
            ("/v25.0", E::NoNode),
            ("/v25.0/", E::NoSegment { position: 2 }),
            ("/v25.0//", E::NoSegment { position: 2 }),
            ("/v25.0/1//", E::NoSegment { position: 3 }),
            ("/1//", E::NoSegment { position: 2 }),
            ("/1/messages/", E::NoSegment { position: 3 }),
            ("//v25.0/1/messages", E::NoSegment { position: 1 }),
            ("/v25.0/1//messages", E::NoSegment { position: 3 }),
            ("/v25.0/1/messages/", E::NoSegment { position: 4 }),
            ("/v25.0/1/./messages", E::NoSegment { position: 3 }),
            ("/v25.0/1/messages/x/..", E::NoSegment { position: 5 }),
            ("/v25.0/1/messages/...", E::NoSegment { position: 4 }),
            ("/v25.0/1/messages/%2e", character(4, '%')),
            ("/v25.0/1/%6dessages", character(3, '%')),
            ("/v25.0/1/%256dessages", character(3, '%')),
            ("/v25.0/1/messages%3fx", character(3, '%')),
            ("/v25.0/1/messages;x=1", character(3, ';')),
            ("/v25.0/1/messages\\x", character(3, '\\')),
            ("/v25.0/1/messages+", character(3, '+')),
            ("/v25.0/1/m\u{435}ssages", character(3, '\u{435}')),
            ("/v25.0/1/messages.json", E::Edge { position: 3 }),
            ("/v25.0/1/Messages", E::Edge { position: 3 }),
            ("/v25.0/1/-messages", E::Edge { position: 3 }),
            ("/v25.0/1/2", E::Edge { position: 3 }),
            ("/v25.0/signups/messages", E::Edge { position: 3 }),
            ("/v25.0/1/a/b/c/d", E::TooDeep),
            ("/v20.0/v20.0/1/messages", E::Version),
            ("/V20.0/1/messages", E::Version),
            ("/v20/1/messages", E::Version),
            ("/v020.0/1/messages", E::Version),
            ("/1/v20.0/messages", E::Version),
            ("/v20.0/01/messages", E::LeadingZero),
            ("/v20.0/act_01/insights", E::LeadingZero),
            ("/v20.0/123456789012345678901", E::Node { position: 2 }),
            ("/v20.0/ME", E::Node { position: 2 }),
            ("/marketing_messages", E::Node { position: 1 }),
            ("/v20.0/upload:", E::Node { position: 2 }),
            ("/v20.0/upload:a:b", E::Node { position: 2 }),
        ] {
            assert_eq!(parse(path), Err(error), "{path}");
        }
        assert_eq!(parse(&format!("/{}", "1/".repeat(600))), Err(E::TooLong));
    }

    #[test]
    fn groups_ids_are_told_from_numbers() {
        assert!(is_group_id("Y2FwaV9ncm91cDo"));
        assert!(is_group_id("Y2FwaV9ncm91cDoxOTUwNTU1MDA3OToxMjAzNjMzOTQzMjAdOTY0MTUZD"));
        for other in [
            "16505551234",
            "+16505551234",
            "1-650-FLOWERS",
            "marketing_messages",
            "Whatsapp16505551234",
            "Y2FwaV9ncm91cDo+",
            "Y2Fwa",
            "120363404694233820",
        ] {
            assert!(!is_group_id(other), "{other}");
        }
    }

    proptest! {
        /// Parsing the path that is sent upstream gives the same result.
        #[test]
        fn what_is_written_reads_the_same(path in "(/(v[0-9]{1,2}\\.[0-9]|[a-zA-Z0-9_.:%=-]{0,12})){0,5}") {
            if let Ok(read) = parse(&path) {
                prop_assert_eq!(read.to_string(), path.trim_end_matches('/'));
                prop_assert_eq!(parse(&read.to_string()), Ok(read));
            }
        }

        #[test]
        fn no_path_panics(path in "\\PC{0,60}") {
            let _ = parse(&path);
        }
    }
}
