//! The subjects under which one person may be listed.

use core::ops::Deref;

use crate::msisdn::Msisdn;
use crate::permutation::{Permutation, Revealed};
use crate::subject::Subject;
use crate::variants::MAX_VARIANTS;

/// The subjects of one person: one per [variant](Msisdn::variants) of the person's number, or the single subject of an
/// identity without a number.
///
/// The first is the one that the value was created from. A check queries all of them; a write changes the person's
/// existing entry, whichever subject it has. Dereferences to a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    subjects: [Subject; MAX_VARIANTS],
    count: usize,
}

impl Person {
    fn alone(subject: Subject) -> Self {
        Person { subjects: [subject; MAX_VARIANTS], count: 1 }
    }

    /// The subject that the value was created from.
    pub fn first(&self) -> Subject {
        self.subjects[0]
    }

    /// A subject that identifies the person, independent of the variant that the value was created from.
    pub fn key(&self) -> Subject {
        self.iter().copied().min().unwrap_or(self.subjects[0])
    }
}

impl Deref for Person {
    type Target = [Subject];

    fn deref(&self) -> &[Subject] {
        &self.subjects[..self.count]
    }
}

impl Permutation {
    /// The subjects of the person with this number. Applies the permutation once per variant; most numbers have one.
    #[inline]
    pub fn person(&self, number: Msisdn) -> Person {
        let mut person = Person::alone(self.subject(number));
        for variant in number.other_variants() {
            person.subjects[person.count] = self.subject(variant);
            person.count += 1;
        }
        person
    }

    /// The subjects of the person known as `subject`. Applies the permutation once more than [`person`](Self::person).
    pub fn person_of(&self, subject: Subject) -> Person {
        match self.reveal(subject) {
            Revealed::Number(number) => self.person(number),
            Revealed::Reserved(_) | Revealed::Neither => Person::alone(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msisdn::tests::any_number;
    use crate::permutation::PermutationKey;
    use crate::reserved_id::ReservedId;

    fn permutation() -> Permutation {
        Permutation::new(PermutationKey::from_bytes([7; 16]))
    }

    #[test]
    fn a_person_has_a_subject_for_each_variant() {
        let permutation = permutation();
        let [one, other] = [5_215_512_345_678_u64, 525_512_345_678].map(|n| Msisdn::try_from(n).unwrap());
        let person = permutation.person(one);
        assert_eq!(*person, [permutation.subject(one), permutation.subject(other)]);
        assert_eq!(person.first(), permutation.subject(one));
        assert_eq!(person.key(), permutation.person(other).key());
        let reserved = permutation.reserved(ReservedId::new(7).unwrap());
        assert_eq!(*permutation.person_of(reserved), [reserved]);
    }

    proptest! {
        #[test]
        fn the_same_person_is_found_from_each_subject(number in any_number()) {
            let permutation = permutation();
            let person = permutation.person(number);
            for &subject in person.iter() {
                let again = permutation.person_of(subject);
                prop_assert_eq!(again.first(), subject);
                prop_assert_eq!(again.key(), person.key());
                prop_assert_eq!(again.len(), person.len());
            }
        }
    }
}
