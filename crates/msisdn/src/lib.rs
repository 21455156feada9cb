//! E.164 numbers, and the keyed permutation that hides them.
//!
//! At the edge a text becomes an [`Msisdn`], or an error that says why not. Under the tenant's
//! [`Permutation`] the number becomes a [`Subject`]; plugins, ledger and saved states know it only
//! as that. Who has the permutation turns it back.
//!
//! ```
//! use portcullis_msisdn::{Msisdn, Permutation, PermutationKey, Revealed};
//!
//! let permutation = Permutation::new(PermutationKey::from_bytes(*b"16 random bytes."));
//! let number = Msisdn::parse("+46 73-200 11 22")?;
//! let subject = permutation.subject(number);
//!
//! assert_eq!(permutation.reveal(subject), Revealed::Number(number));
//! assert_eq!(format!("{number:?}"), "Msisdn(+46*******22)");
//! assert_eq!(number.e164().to_string(), "+46732001122");
//! # Ok::<(), portcullis_msisdn::ParseError>(())
//! ```
//!
//! No `std`, no allocation.
#![no_std]
// One module casts slices, and says why that is sound.
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
mod spelling;
mod subject;

pub use direction::{Direction, Directions, UnknownDirection};
pub use msisdn::{Fit, Msisdn, ParseError};
pub use permutation::{Permutation, PermutationKey, Revealed};
pub use person::Person;
pub use reserved_id::ReservedId;
pub use subject::Subject;
