//! Where a list is after a write, for checks that are to see it through any gateway.

use portcullis_keys::{SealError, TenantKeys};

use crate::changes::Seq;
use crate::shared::{ListId, ServerRun};

/// Where a list is after a write: a gateway whose plugin has come that far has seen the write.
///
/// Clients keep it sealed under the tenant's key, so nobody can make one, and it says nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Where it was written. Sequence numbers are comparable within the run of a server: afterwards, commits may be lost.
    pub server: ServerRun,
    /// The list.
    pub list: ListId,
    /// The change.
    pub sequence: Seq,
}

/// Bound to the seal, so that a later form can't be taken for this one.
const CONTEXT: &[u8] = b"portcullis position 1";

impl Position {
    /// Seals the position: 64 bytes.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn seal(self, keys: &TenantKeys) -> Result<Vec<u8>, SealError> {
        let parts = [self.server.0, self.list.0.cast_unsigned(), self.sequence.get()];
        keys.position_seal().seal(CONTEXT, parts.map(u64::to_be_bytes).as_flattened())
    }

    /// Reads what [`seal`](Self::seal) returned. `None` if it is another tenant's, or of another ledger, or none at all: these can't be told
    /// apart.
    pub fn open(sealed: &[u8], keys: &TenantKeys) -> Option<Self> {
        let parts = keys.position_seal().open(CONTEXT, sealed).ok()?;
        let (parts, []) = parts.as_chunks::<8>() else { return None };
        let [server, list, sequence] = <[[u8; 8]; 3]>::try_from(parts).ok()?.map(u64::from_be_bytes);
        let (server, list) = (ServerRun(server), ListId(list.cast_signed()));
        Some(Position { server, list, sequence: Seq::new(sequence) })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_keys::TenantSecret;

    use super::*;

    #[test]
    fn a_position_can_be_read_by_its_tenant_only() {
        let [one, other] = [(); 2].map(|()| TenantKeys::new(TenantSecret::random().unwrap()));
        let position = Position { server: ServerRun(u64::MAX), list: ListId(7), sequence: Seq::new(8) };
        let sealed = position.seal(&one).unwrap();
        assert_eq!(sealed.len(), 64);
        assert_eq!(Position::open(&sealed, &one), Some(position));
        assert_eq!(Position::open(&sealed, &other), None);
        for length in 0..sealed.len() {
            assert_eq!(Position::open(&sealed[..length], &one), None);
        }
    }
}
