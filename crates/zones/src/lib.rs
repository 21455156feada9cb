#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod country;
mod offsets;
mod place;
mod table;

pub use country::Country;
pub use offsets::Offsets;
pub use place::Place;
