//! People of whom nothing is known, to try rules on.

use std::hash::{BuildHasher, RandomState};

use portcullis_host::rules::{Needs, Person};
use portcullis_msisdn::{Msisdn, Permutation};

use crate::chain::person_of;

/// What mobile numbers of large countries on all continents begin with, and how many digits follow.
const MOBILE: [(u64, u32); 24] = [
    (1212, 7),
    (1415, 7),
    (1647, 7),
    (2010, 8),
    (2348, 9),
    (2547, 8),
    (277, 8),
    (336, 8),
    (346, 8),
    (393, 9),
    (447, 9),
    (4670, 7),
    (4915, 9),
    (5255, 8),
    (5511, 9),
    (573, 9),
    (614, 8),
    (628, 9),
    (639, 9),
    (8190, 8),
    (8613, 9),
    (905, 9),
    (919, 9),
    (9715, 8),
];
/// How many of each.
const OF_EACH: u64 = 8;

/// People at random, as rules with these needs are told of them, with mobile numbers of large countries. `time` is in milliseconds since 1970.
pub fn strangers(permutation: &Permutation, needs: Needs, time: u64) -> Vec<Person> {
    let random = RandomState::new();
    let numbers = MOBILE.iter().flat_map(|&(prefix, digits)| {
        let random = &random;
        (0..OF_EACH).filter_map(move |n| {
            let size = 10_u64.pow(digits);
            Msisdn::try_from(prefix * size + random.hash_one((prefix, n)) % size).ok()
        })
    });
    numbers.map(|number| person_of(permutation.person(number).first(), Some(number), needs, time).0).collect()
}
