//! The keyed permutation that maps phone numbers to subjects.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::feistel;
use crate::msisdn::Msisdn;
use crate::reserved_id::ReservedId;
use crate::siphash;
use crate::subject::Subject;

/// See "Why six rounds" in the documentation of [`Permutation`].
const ROUNDS: u64 = 6;

/// The secret key of one tenant's permutation: 128 bits, either random, or derived from a master secret under its own
/// label.
///
/// Overwritten in memory when dropped, as is each clone. `Debug` does not show it.
#[derive(Clone)]
pub struct PermutationKey(siphash::Key);

impl PermutationKey {
    /// Creates a key from sixteen bytes. The caller's copy is not overwritten.
    pub fn from_bytes(mut bytes: [u8; 16]) -> Self {
        let mut words = [0; 2];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        bytes.zeroize();
        PermutationKey(words)
    }
}

impl Drop for PermutationKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for PermutationKey {}

impl fmt::Debug for PermutationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PermutationKey(…)")
    }
}

/// Maps a tenant's phone numbers to subjects, and back.
///
/// A keyed permutation of the values below 2^50: a balanced Feistel network on 25 + 25 bits with six rounds. Its round
/// function is SipHash-1-3, under the key, of the round number and a half. Because it is a permutation it acts as a
/// hash without collisions: two numbers never share a subject. Either direction takes about 45 ns. The network runs in
/// constant time: its branches and memory accesses don't depend on the number or the key.
///
/// # What it protects
///
/// An attacker with subjects (from a plugin's memory, a saved state, the database or a cursor) but not the key learns
/// how many numbers there are, not which. Tenants with different keys have unrelated subjects, so their lists can't be
/// compared.
///
/// # What it does not protect
///
/// * **The key reveals everything**: subjects can be mapped back to numbers at once. A one-way hash under the same key
///   would be no stronger, because all numbers of a country can be tried in minutes. Store the key apart from the
///   subjects. Losing the key loses the numbers, which is also how to erase a tenant's data.
/// * **It is deterministic**: a number has the same subject for the lifetime of the key. Two copies of a list show how
///   many entries were added and removed, and which subjects.
/// * **Counts are visible.**
/// * **Unlimited checks allow enumeration**: a caller can find the members by trying all numbers, without the key.
///   Rate-limit checks.
/// * **It does not authenticate**: every 50-bit value is a possible subject, and a subject created under another key
///   usually reveals *some* number (see [`Revealed::Neither`]). Use authenticated encryption for data that must not be
///   modified or mixed up.
///
/// # Why six rounds
///
/// Luby and Rackoff's proof for four rounds holds for up to about 2^12.5 values under one key, which is fewer than a
/// list has. Patarin ("Generic attacks on Feistel schemes", Asiacrypt 2001) distinguishes four rounds from random with
/// about 2^12.5 chosen values and five with about 2^25. Six rounds are the fewest for which he knows no attack on the
/// permutation of one key that needs less than the whole code book.
///
/// # What it is not
///
/// It is a custom construction from standard components, not a standard, and SipHash-1-3 is the fast member of its
/// family. If certified cryptography is required, NIST's FF1 (SP 800-38G) has the same structure with AES and ten
/// rounds. It takes about 80 times as long.
#[derive(Clone)]
pub struct Permutation {
    key: PermutationKey,
}

impl Permutation {
    /// Creates the permutation for `key`. Free of cost: there is no key schedule.
    pub fn new(key: PermutationKey) -> Self {
        Permutation { key }
    }

    /// The subject of a phone number.
    pub fn subject(&self, number: Msisdn) -> Subject {
        self.permute_value(number.get())
    }

    /// The subject of an identity without a phone number.
    pub fn reserved(&self, id: ReservedId) -> Subject {
        self.permute_value(id.value())
    }

    /// What `subject` stands for. The inverse of [`subject`](Self::subject) and [`reserved`](Self::reserved).
    pub fn reveal(&self, subject: Subject) -> Revealed {
        let value = feistel::invert::<ROUNDS>(&self.key.0, subject.get());
        match ReservedId::from_value(value) {
            Some(id) => Revealed::Reserved(id),
            None => Msisdn::try_from(value).map_or(Revealed::Neither, Revealed::Number),
        }
    }

    /// Applies the permutation to a subject, for example to create an id that clients may see. Under a key used for
    /// nothing else, the result reveals nothing about the subject. The mapping is one to one.
    pub fn permute(&self, subject: Subject) -> Subject {
        self.permute_value(subject.get())
    }

    /// The inverse of [`permute`](Self::permute). Defined for every value.
    pub fn invert(&self, permuted: Subject) -> Subject {
        Subject::from_permuted(feistel::invert::<ROUNDS>(&self.key.0, permuted.get()))
    }

    #[inline]
    fn permute_value(&self, value: u64) -> Subject {
        Subject::from_permuted(feistel::permute::<ROUNDS>(&self.key.0, value))
    }
}

impl fmt::Debug for Permutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permutation(…)")
    }
}

/// The result of [`Permutation::reveal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revealed {
    /// A phone number.
    Number(Msisdn),
    /// An identity without a phone number.
    Reserved(ReservedId),
    /// A value that is no number: this permutation did not create the subject.
    ///
    /// A subject created under another key has this result one time in eleven; otherwise it appears to be a number or a
    /// reserved identity. This is enough to detect that a whole list was read with the wrong key, but not to check a
    /// single subject.
    Neither,
}

#[cfg(test)]
mod tests {
    use std::format;

    use proptest::prelude::*;

    use super::*;
    use crate::msisdn::tests::any_number;

    fn permutation(key: [u8; 16]) -> Permutation {
        Permutation::new(PermutationKey::from_bytes(key))
    }

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// Stored lists and states contain such values. Changing any of them would orphan that data.
    #[test]
    fn subjects_are_stable() {
        for (key, value, subject) in [
            ([0; 16], 0, 0x3_8b9e_de2c_a378),
            ([0; 16], 46_732_001_122, 0x3_4547_1296_da5b),
            ([0; 16], (1 << 50) - 1, 0x0_552e_6669_9ccd),
            (KEY, 0, 0x3_bcd5_d25f_9c81),
            (KEY, 1, 0x1_d217_6ff1_ceaa),
            (KEY, 46_732_001_122, 0x2_5989_87f1_4102),
            (KEY, 14_155_550_123, 0x0_eaab_87f2_5481),
            (KEY, 999_999_999_999_999, 0x3_14ff_4034_6303),
            (KEY, 1_000_000_000_000_000, 0x3_37db_c257_3d04),
            (*b"0123456789abcdef", 46_732_001_122, 0x2_38b9_9f65_8715),
            ([255; 16], 46_732_001_122, 0x0_5940_8038_4a86),
            ([255; 16], (1 << 50) - 1, 0x3_f428_c5de_0093),
        ] {
            assert_eq!(permutation(key).permute_value(value).get(), subject, "{value}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_reveals_neither() {
        let permutation = permutation(KEY);
        for value in [0, 888_000_000_000, 999_999_999_999_999] {
            assert_eq!(permutation.reveal(permutation.permute_value(value)), Revealed::Neither);
        }
    }

    #[test]
    fn another_key_reveals_neither_one_time_in_eleven() {
        let (made, read) = (permutation(KEY), permutation([7; 16]));
        let neither = (46_732_000_000..46_732_006_000)
            .filter_map(|number| Msisdn::try_from(number).ok())
            .filter(|&number| read.reveal(made.subject(number)) == Revealed::Neither)
            .count();
        assert!((450..630).contains(&neither), "{neither} of 6000");
    }

    #[test]
    fn debug_output_hides_the_key() {
        let key = PermutationKey::from_bytes(KEY);
        assert_eq!(format!("{key:?}"), "PermutationKey(…)");
        assert_eq!(format!("{:?}", Permutation::new(key)), "Permutation(…)");
    }

    #[test]
    fn a_key_is_overwritten_when_dropped() {
        fn overwritten_on_drop<T: ZeroizeOnDrop>() -> bool {
            core::mem::needs_drop::<T>()
        }
        assert!(overwritten_on_drop::<PermutationKey>());
    }

    fn any_reserved() -> impl Strategy<Value = ReservedId> {
        (0..=ReservedId::MAX.index()).prop_filter_map("too large", ReservedId::new)
    }

    proptest! {
        #[test]
        fn a_number_is_revealed_as_itself(key: [u8; 16], number in any_number()) {
            let permutation = permutation(key);
            let subject = permutation.subject(number);
            prop_assert!(subject <= Subject::MAX);
            prop_assert_eq!(permutation.reveal(subject), Revealed::Number(number));
        }

        #[test]
        fn invert_is_the_inverse_of_permute(key: [u8; 16], value in 0..=Subject::MAX.get()) {
            let (permutation, subject) = (permutation(key), Subject::new(value).expect("below 2^50"));
            prop_assert_eq!(permutation.invert(permutation.permute(subject)), subject);
            prop_assert_eq!(permutation.permute(permutation.invert(subject)), subject);
        }

        #[test]
        fn a_reserved_id_is_revealed_as_itself(key: [u8; 16], id in any_reserved()) {
            let permutation = permutation(key);
            let subject = permutation.reserved(id);
            prop_assert!(subject <= Subject::MAX);
            prop_assert_eq!(permutation.reveal(subject), Revealed::Reserved(id));
        }

        #[test]
        fn every_subject_has_a_single_preimage(key: [u8; 16], value in 0..=Subject::MAX.get()) {
            let permutation = permutation(key);
            let subject = Subject::new(value).unwrap();
            match permutation.reveal(subject) {
                Revealed::Number(number) => prop_assert_eq!(permutation.subject(number), subject),
                Revealed::Reserved(id) => prop_assert_eq!(permutation.reserved(id), subject),
                Revealed::Neither => {}
            }
        }

        #[test]
        fn similar_numbers_and_reserved_ids_have_distinct_subjects(
            key: [u8; 16], number in any_number(), id in any_reserved()
        ) {
            let permutation = permutation(key);
            let subject = permutation.subject(number);
            prop_assert_ne!(permutation.reserved(id), subject);
            for bit in 0..Subject::BITS {
                prop_assert_ne!(permutation.permute_value(number.get() ^ 1 << bit), subject);
            }
        }
    }
}
