//! A number as everything behind the edge knows it.

use core::fmt;

/// What a number becomes under its tenant's keyed [`Permutation`](crate::Permutation): a value
/// below 2^50 that, without the key, tells nothing about the number.
///
/// Plugins, the ledger, saved states and change feeds know numbers only in this form. Subjects are
/// uniformly distributed, and two different numbers of a tenant never share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(u64);

impl Subject {
    /// How many bits a subject has.
    pub const BITS: u32 = 50;
    /// The smallest subject.
    pub const MIN: Subject = Subject(0);
    /// The largest subject, 2^50 - 1.
    pub const MAX: Subject = Subject((1 << Self::BITS) - 1);

    /// `None` where `value` is 2^50 or more.
    pub const fn new(value: u64) -> Option<Self> {
        if value >> Self::BITS == 0 { Some(Subject(value)) } else { None }
    }

    /// The result of a permutation of the values below 2^50.
    #[inline]
    pub(crate) fn from_permuted(value: u64) -> Self {
        debug_assert!(value <= Self::MAX.0, "a permutation of 50 bits gives 50 bits");
        Subject(value)
    }

    /// The value, below 2^50.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The subject after this one, or `None` after [`Subject::MAX`].
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

/// A subject is a pseudonym, not a secret, but it links log lines to rows: so logs show only its
/// upper 16 bits, enough to tell two apart in one incident.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:04x}…)", self.0 >> (Self::BITS - 16))
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_subject_has_fifty_bits() {
        assert_eq!(Subject::new((1 << 50) - 1), Some(Subject::MAX));
        assert_eq!(Subject::new(1 << 50), None);
        assert_eq!(Subject::new(u64::MAX), None);
        assert_eq!(Subject::MIN.next(), Subject::new(1));
        assert_eq!(Subject::MAX.next(), None);
    }

    #[test]
    fn debug_shows_the_upper_sixteen_bits() {
        assert_eq!(format!("{:?}", Subject(0x2_5989_87f1_4102)), "Subject(9662…)");
        assert_eq!(format!("{:?}", Subject::MIN), "Subject(0000…)");
    }
}
