//! Whether connections are accepted, and by whom.

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    /// They are accepted.
    Open,
    /// Another process accepts them. Those that there are go on, but take no new requests over HTTP/2.
    HandedOver,
    /// None is accepted. Those that are idle are closed, and the others after their request.
    Closed,
}
