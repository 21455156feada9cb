//! How a ledger's files are lost.

/// How a file was lost while the ledger was open. Its text says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// Nothing is at its path.
    #[error(
        "removed while the ledger was open: nothing is written any more; don't stop the gateway yet, because it still has the \
         file open: copy it back from /proc/PID/fd/N, then restart"
    )]
    Removed,
    /// Another file is at its path.
    #[error(
        "replaced while the ledger was open: nothing is written any more; don't stop the gateway yet, because it still has the \
         file open: copy it back from /proc/PID/fd/N, then restart"
    )]
    Replaced,
    /// Somebody cut it off, or wrote something else into it.
    #[error(
        "overwritten while the ledger was open: nothing is written any more; stop the gateway, restore the latest backup, remove \
         the log (-wal), and start once with --restored"
    )]
    Overwritten,
}
