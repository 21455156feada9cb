//! A sender's part of a tenant's turns.

use crate::queues::Queues;

/// The part of a tenant's turns that the tokens of one sender get: half, so that one sender's client leaves the others theirs.
pub struct Share(pub(crate) Queues);

impl Default for Share {
    fn default() -> Self {
        Share(Queues::half())
    }
}
