//! A number as everything behind the edge knows it.

use core::fmt;

/// What a number becomes under its tenant's keyed [`Permutation`](crate::Permutation): a value
/// below 2^50 that, without the key, tells nothing about the number.
///
/// Plugins, the ledger, saved states and change feeds know numbers only in this form. Subjects are
/// uniformly distributed, and two different numbers of a tenant never share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
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

    /// The values as subjects, in place. `None` where one of them is 2^50 or more.
    ///
    /// Batches of checks cross from host to plugin as plain integers, and a copy would be a tenth of what a check in
    /// a batch costs. Reads each value once.
    #[allow(unsafe_code, reason = "a cast in place, to a type of the same layout")]
    pub fn from_values(values: &[u64]) -> Option<&[Subject]> {
        let (eights, rest) = values.as_chunks::<8>();
        let eights =
            eights.iter().fold(0, |all, [a, b, c, d, e, f, g, h]| all | a | b | c | d | e | f | g | h);
        let all = rest.iter().fold(eights, |all, value| all | value);
        if all >> Self::BITS != 0 {
            return None;
        }
        // SAFETY: `Subject` is a transparent wrapper of `u64`, so a slice of either has the layout of the other, and the
        // result borrows the argument. That every value is below 2^50 was seen just above.
        Some(unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) })
    }

    /// The subjects' values, in place: what [`from_values`](Self::from_values) takes.
    #[allow(unsafe_code, reason = "a cast in place, to a type of the same layout")]
    pub const fn values(subjects: &[Subject]) -> &[u64] {
        // SAFETY: `Subject` is a transparent wrapper of `u64`, so a slice of either has the layout of the other, every
        // subject is a valid `u64`, and the result borrows the argument.
        unsafe { core::slice::from_raw_parts(subjects.as_ptr().cast(), subjects.len()) }
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

    #[test]
    fn values_are_subjects_in_place_unless_one_is_too_large() {
        for length in [0, 1, 7, 8, 9, 16, 1023] {
            let mut values = [Subject::MAX.get(); 1024];
            let values = &mut values[..length];
            let subjects = Subject::from_values(values).expect("all are below 2^50");
            assert_eq!(subjects.len(), length);
            assert!(subjects.iter().all(|&subject| subject == Subject::MAX));
            assert_eq!(Subject::values(subjects), values);
            for wrong in 0..length {
                let right = core::mem::replace(&mut values[wrong], 1 << Subject::BITS);
                assert_eq!(Subject::from_values(values), None);
                values[wrong] = right;
            }
        }
    }
}
