//! All subjects under which one person may stand on a list.

use core::ops::Deref;

use crate::msisdn::Msisdn;
use crate::permutation::{Permutation, Revealed};
use crate::spelling::MOST_SPELLINGS;
use crate::subject::Subject;

/// The subjects of one person: one for each [spelling](Msisdn::spellings) of the person's number, or
/// the one subject of an identity without a number.
///
/// The first is the one it was made of. A check asks about all of them; a write changes the entry
/// that the person has, under whichever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    subjects: [Subject; MOST_SPELLINGS],
    count: usize,
}

impl Person {
    fn alone(subject: Subject) -> Self {
        Person { subjects: [subject; MOST_SPELLINGS], count: 1 }
    }

    /// The subject that it was made of.
    pub fn first(&self) -> Subject {
        self.subjects[0]
    }

    /// One subject that stands for the person, whichever spelling the person was made of.
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
    /// The subjects of everybody who may be meant by `number`. Costs one permutation for each
    /// spelling, and most numbers have one.
    #[inline]
    pub fn person(&self, number: Msisdn) -> Person {
        let mut person = Person::alone(self.subject(number));
        for spelling in number.other_spellings() {
            person.subjects[person.count] = self.subject(spelling);
            person.count += 1;
        }
        person
    }

    /// The same, of somebody who is known as `subject`. Costs one permutation more.
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
    fn a_person_has_a_subject_for_each_spelling() {
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
