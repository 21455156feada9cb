//! The keyed permutation between numbers and subjects.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::feistel;
use crate::msisdn::Msisdn;
use crate::reserved_id::ReservedId;
use crate::siphash;
use crate::subject::Subject;

/// See "Why six rounds" at [`Permutation`].
const ROUNDS: u64 = 6;

/// The secret under which one tenant's numbers become subjects: 128 bits, drawn at random or
/// derived from a master secret under a label of its own.
///
/// Overwritten in memory when dropped, as is each clone. `Debug` does not show it.
#[derive(Clone)]
pub struct PermutationKey(siphash::Key);

impl PermutationKey {
    /// Takes over the sixteen bytes. The caller's copy stays where it is: overwrite that as well.
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

/// What makes subjects of a tenant's numbers, and numbers of its subjects.
///
/// A keyed permutation of the values below 2^50: a balanced Feistel network on 25 + 25 bits with
/// six rounds, whose round function is SipHash-1-3 of the round's number and the half, under the
/// key. As a permutation it is a hash without collisions: no stranger ever shares a member's
/// subject. About 45 ns either way; the network runs in constant time: no branch or memory access
/// in it depends on the number or the key.
///
/// # What it protects
///
/// Whoever holds subjects (a plugin's memory, a saved state, the database, a cursor) and not the
/// key learns how many there are, not which numbers. Tenants with different keys have unrelated
/// subjects, so their lists can't be compared.
///
/// # What it does not protect
///
/// * **The key reveals all**: with it subjects turn back into numbers at once. A one-way hash under
///   the same key would hold out no longer, as all numbers of a country are tried in minutes. Keep
///   the key away from the subjects; losing it loses the numbers, which is also how to erase a
///   tenant's data.
/// * **It is deterministic**: one number has one subject for as long as the key lasts. Two copies
///   of a list show how many entries came and went, and which subjects did.
/// * **Counts stay visible.**
/// * **Who may ask freely may enumerate**: a caller with unlimited checks finds the members by
///   trying all numbers, without any key. Limit their rate.
/// * **It authenticates nothing**: any 50-bit value passes for a subject, and one made under
///   another key mostly reveals *some* number (see [`Revealed::Neither`]). Seal what must not
///   be changed or mixed up.
///
/// # Why six rounds
///
/// Luby and Rackoff's proof for four rounds covers up to about 2^12.5 values under one key, which
/// is fewer than a list has. Patarin ("Generic attacks on Feistel schemes", Asiacrypt 2001) tells
/// four rounds from random with some 2^12.5 chosen values and five with some 2^25; six are the
/// fewest for which he knows no attack on one key's permutation that needs less than the whole code
/// book.
///
/// # What it is not
///
/// A home-made composition of standard parts, not a standard, and SipHash-1-3 is the fast member of
/// its family. Where certified cryptography is demanded, NIST's FF1 (SP 800-38G) has the same
/// shape, with AES and ten rounds, and takes some 80 times as long.
#[derive(Clone)]
pub struct Permutation {
    key: PermutationKey,
}

impl Permutation {
    /// The permutation under `key`. Free: there is no key schedule.
    pub fn new(key: PermutationKey) -> Self {
        Permutation { key }
    }

    /// The number's subject.
    pub fn subject(&self, number: Msisdn) -> Subject {
        self.permute(number.get())
    }

    /// The subject of an identity that is no number.
    pub fn reserved(&self, id: ReservedId) -> Subject {
        self.permute(id.value())
    }

    /// What `subject` stands for.
    pub fn reveal(&self, subject: Subject) -> Revealed {
        let value = feistel::invert::<ROUNDS>(&self.key.0, subject.get());
        match ReservedId::from_value(value) {
            Some(id) => Revealed::Reserved(id),
            None => Msisdn::try_from(value).map_or(Revealed::Neither, Revealed::Number),
        }
    }

    /// Another 50-bit name for a subject, such as an id that clients may see: under a key of its
    /// own it tells nothing about the subject. No two subjects share one.
    pub fn rename(&self, subject: Subject) -> Subject {
        self.permute(subject.get())
    }

    /// The subject that [`rename`](Self::rename) gave this name. Every name has one.
    pub fn rename_back(&self, name: Subject) -> Subject {
        Subject::from_permuted(feistel::invert::<ROUNDS>(&self.key.0, name.get()))
    }

    #[inline]
    fn permute(&self, value: u64) -> Subject {
        Subject::from_permuted(feistel::permute::<ROUNDS>(&self.key.0, value))
    }
}

impl fmt::Debug for Permutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permutation(…)")
    }
}

/// What a subject turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revealed {
    /// A telephone number.
    Number(Msisdn),
    /// An identity that is not a number.
    Reserved(ReservedId),
    /// A value that no number has: this permutation never made the subject.
    ///
    /// A subject from under another key comes out like this one time in eleven; the other ten it
    /// passes for a number or a reserved identity. Good for noticing that a whole list was read
    /// with the wrong key, not for checking one subject.
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

    /// Stored lists and states hold such values: a change to any of them orphans that data.
    #[test]
    fn subjects_stay_what_they_are() {
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
            assert_eq!(permutation(key).permute(value).get(), subject, "{value}");
        }
    }

    #[test]
    fn a_value_that_no_number_has_reveals_neither() {
        let permutation = permutation(KEY);
        for value in [0, 888_000_000_000, 999_999_999_999_999] {
            assert_eq!(permutation.reveal(permutation.permute(value)), Revealed::Neither);
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
    fn neither_key_nor_permutation_shows_its_secret() {
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
        fn a_name_leads_back_to_its_subject(key: [u8; 16], value in 0..=Subject::MAX.get()) {
            let (permutation, subject) = (permutation(key), Subject::new(value).expect("below 2^50"));
            prop_assert_eq!(permutation.rename_back(permutation.rename(subject)), subject);
            prop_assert_eq!(permutation.rename(permutation.rename_back(subject)), subject);
        }

        #[test]
        fn a_reserved_id_is_revealed_as_itself(key: [u8; 16], id in any_reserved()) {
            let permutation = permutation(key);
            let subject = permutation.reserved(id);
            prop_assert!(subject <= Subject::MAX);
            prop_assert_eq!(permutation.reveal(subject), Revealed::Reserved(id));
        }

        #[test]
        fn every_subject_is_made_of_one_value_only(key: [u8; 16], value in 0..=Subject::MAX.get()) {
            let permutation = permutation(key);
            let subject = Subject::new(value).unwrap();
            match permutation.reveal(subject) {
                Revealed::Number(number) => prop_assert_eq!(permutation.subject(number), subject),
                Revealed::Reserved(id) => prop_assert_eq!(permutation.reserved(id), subject),
                Revealed::Neither => {}
            }
        }

        #[test]
        fn neighbours_and_reserved_ids_have_subjects_of_their_own(
            key: [u8; 16], number in any_number(), id in any_reserved()
        ) {
            let permutation = permutation(key);
            let subject = permutation.subject(number);
            prop_assert_ne!(permutation.reserved(id), subject);
            for bit in 0..Subject::BITS {
                prop_assert_ne!(permutation.permute(number.get() ^ 1 << bit), subject);
            }
        }
    }
}
