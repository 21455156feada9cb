//! Subjects: the pseudonyms of phone numbers.

use core::fmt;

/// The pseudonym of a phone number under its tenant's keyed [`Permutation`](crate::Permutation): a value below 2^50
/// that reveals nothing about the number without the key.
///
/// Plugins, the ledger, saved states and change feeds see only subjects. Subjects are uniformly distributed, and two
/// numbers of a tenant never share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Subject(u64);

impl Subject {
    /// The number of bits in a subject.
    pub const BITS: u32 = 50;
    /// The smallest subject.
    pub const MIN: Subject = Subject(0);
    /// The largest subject, 2^50 - 1.
    pub const MAX: Subject = Subject((1 << Self::BITS) - 1);

    /// Creates a subject. Returns `None` if `value` is 2^50 or more.
    pub const fn new(value: u64) -> Option<Self> {
        if value >> Self::BITS == 0 { Some(Subject(value)) } else { None }
    }

    /// Creates a subject from a permuted value, which is below 2^50.
    #[inline]
    pub(crate) fn from_permuted(value: u64) -> Self {
        debug_assert!(value <= Self::MAX.0, "the permutation maps 50 bits to 50 bits");
        Subject(value)
    }

    /// The value, below 2^50.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Casts integers to subjects in place. Returns `None` if any of them is 2^50 or more.
    ///
    /// Batches of checks cross from the host to plugins as plain integers, and copying them would add a tenth to the
    /// cost of a check. Reads each value once.
    #[allow(unsafe_code, reason = "casts a slice in place, to a type with the same layout")]
    pub fn from_values(values: &[u64]) -> Option<&[Subject]> {
        let (eights, rest) = values.as_chunks::<8>();
        let eights =
            eights.iter().fold(0, |all, [a, b, c, d, e, f, g, h]| all | a | b | c | d | e | f | g | h);
        let all = rest.iter().fold(eights, |all, value| all | value);
        if all >> Self::BITS != 0 {
            return None;
        }
        // SAFETY: `Subject` is a transparent wrapper of `u64`, so slices of both have the same layout, and the result
        // borrows the argument. The check above ensures that every value is below 2^50.
        Some(unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) })
    }

    /// Casts subjects to integers in place. The inverse of [`from_values`](Self::from_values).
    #[allow(unsafe_code, reason = "casts a slice in place, to a type with the same layout")]
    pub const fn values(subjects: &[Subject]) -> &[u64] {
        // SAFETY: `Subject` is a transparent wrapper of `u64`, so slices of both have the same layout, every subject is
        // a valid `u64`, and the result borrows the argument.
        unsafe { core::slice::from_raw_parts(subjects.as_ptr().cast(), subjects.len()) }
    }

    /// The next subject; `None` after [`Subject::MAX`].
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

/// Shows only the upper 16 bits, enough to distinguish subjects within an incident. A subject is a pseudonym, not a
/// secret, but the full value would link log lines to database rows.
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
    fn values_are_cast_in_place_unless_one_is_too_large() {
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
