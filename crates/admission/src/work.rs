//! The kinds of work.

/// The kinds of work, each with threads of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Finding out about people whom a request names, for as long as that takes a few milliseconds at most.
    Lookup,
    /// Reading a long body, or many numbers: tens of milliseconds of processor time. Done with low priority, because a client that
    /// sends one such request after another would otherwise take the processors.
    Batch,
    /// Reading lists, history or status, which may take seconds of processor time. Done with low priority.
    Read,
    /// Changing entries.
    Write,
    /// Changing entries by a long body, which takes tens of milliseconds to read before it is written. Such a write has a turn among
    /// its like until it has [read](crate::Reading::end) the body, so that few are read at once, and many are written together.
    BulkWrite,
}
