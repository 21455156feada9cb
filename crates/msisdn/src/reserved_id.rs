//! Identities that are not phone numbers.

use crate::msisdn::Msisdn;
use crate::subject::Subject;

/// The index of an identity without a phone number, such as Meta's business-scoped user id.
///
/// Numbers are below 10^15 and subjects have 50 bits, which leaves 2^50 - 10^15 values (about 1.26 * 10^14). The owner
/// of the identities' names assigns the indices, and [`Permutation::reserved`](crate::Permutation::reserved) maps them
/// to subjects that no number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservedId(u64);

impl ReservedId {
    /// The largest index, 2^50 - 10^15 - 1.
    pub const MAX: ReservedId = ReservedId(Subject::MAX.get() - Msisdn::BOUND);

    /// Creates an id. Returns `None` if `index` is above [`ReservedId::MAX`].
    pub const fn new(index: u64) -> Option<Self> {
        if index <= Self::MAX.0 { Some(ReservedId(index)) } else { None }
    }

    /// The index, from 0.
    pub const fn index(self) -> u64 {
        self.0
    }

    /// The value to permute, from 10^15.
    pub(crate) const fn value(self) -> u64 {
        Msisdn::BOUND + self.0
    }

    /// The inverse of [`value`](Self::value); `None` for values below 10^15.
    pub(crate) const fn from_value(value: u64) -> Option<Self> {
        match value.checked_sub(Msisdn::BOUND) {
            Some(index) => Self::new(index),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_the_range_above_the_numbers() {
        assert_eq!(ReservedId::MAX.index(), (1 << 50) - 10_u64.pow(15) - 1);
        assert_eq!(ReservedId::new(ReservedId::MAX.index()), Some(ReservedId::MAX));
        assert_eq!(ReservedId::new(ReservedId::MAX.index() + 1), None);
        assert_eq!(ReservedId::new(u64::MAX), None);
        assert_eq!(ReservedId::new(0).map(ReservedId::value), Some(10_u64.pow(15)));
        assert_eq!(ReservedId::MAX.value(), Subject::MAX.get());
        assert_eq!(ReservedId::from_value(10_u64.pow(15) - 1), None);
    }
}
