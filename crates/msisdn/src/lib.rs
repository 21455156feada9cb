#![doc = include_str!("../README.md")]
#![no_std]
// Only `subject` contains unsafe code, to cast slices in place.
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

mod country_code;
mod direction;
mod feistel;
mod msisdn;
mod permutation;
mod person;
mod plan;
mod reserved_id;
mod siphash;
mod subject;
mod variants;

pub use direction::{Direction, Directions, UnknownDirection};
pub use msisdn::{Fit, Msisdn, ParseError};
pub use permutation::{Permutation, PermutationKey, Revealed};
pub use person::Person;
pub use reserved_id::ReservedId;
pub use subject::Subject;
