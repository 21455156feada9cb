//! Following a ledger that several gateways write to.

use crate::changes::Seq;

/// The id of a list in its ledger. It is not used again, even after the list's tenant is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(
    /// The row's id.
    pub i64,
);

/// A random number that is new with each commit that changes a list.
///
/// A sequence number says how far a list was read. If commits are lost, as at a failover to a standby that did not have them yet, later
/// changes get the same sequence numbers again. The mark tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark(
    /// The number; 0 for a list that never changed.
    pub u64,
);

/// How far a gateway has followed a shared ledger. The default is the ledger's beginning.
#[derive(Clone, Debug, Default)]
pub struct FeedPosition {
    /// What the store needs to continue; `None` at the beginning.
    pub token: Option<String>,
    /// Whether the last call returned all lists, because it could not continue from where the position was. Commits may have been
    /// lost meanwhile.
    pub restarted: bool,
    /// Which run of which database server the last call asked.
    pub server: ServerRun,
}

/// A run of a database server: from its start to its end. All gateways that are connected to the server know it by the same number, and a
/// standby that takes over has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerRun(
    /// The number; 0 for a ledger that is not shared, unless it was restored from a backup.
    pub u64,
);

impl ServerRun {
    /// With what the id of a ledger in a file begins that was restored from a backup. The rest is random.
    pub const RESTORED: [u8; 8] = *b"restored";

    /// That of a ledger in a file with this id. A restored one gives numbers to changes that other changes had before, so its positions
    /// are not comparable with earlier ones.
    pub fn of_file(ledger: [u8; 16]) -> Self {
        match ledger.as_chunks().0 {
            [Self::RESTORED, line] => ServerRun(u64::from_be_bytes(*line)),
            _ => ServerRun::default(),
        }
    }
}

/// A list that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedList {
    /// The list.
    pub list: ListId,
    /// The latest change.
    pub sequence: Seq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restored_ledger_in_a_file_has_a_run_of_its_own() {
        let line = [0, 0, 0, 0, 0, 0, 1, 2];
        let id = |first: [u8; 8]| std::array::from_fn(|at| [first, line].as_flattened()[at]);
        assert_eq!(ServerRun::of_file(id(ServerRun::RESTORED)), ServerRun(258));
        assert_eq!(ServerRun::of_file(id(*b"Restored")), ServerRun::default());
        assert_eq!(ServerRun::of_file([0; 16]), ServerRun::default());
    }
}
