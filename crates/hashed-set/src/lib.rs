#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! The upper bits of a subject choose a *shard*. A shard holds 6,500 to 13,500 members, dense
//! enough that the next 16 bits, its *slot*, stand in a [`roaring`] bitmap's bitset form: more than
//! four strangers in five are told by one bit of it. For the rest, the members themselves stand
//! beside it: cut into 2,048 *buckets* by the upper 11 bits of the slot, with what is left of each
//! packed in whole bytes, in ascending order. So the set is exact, and is walked in order.
//!
//! Growth is linear hashing on the upper bits: an insert splits at most one shard, a removal merges
//! at most two, so that no change of the set costs more than one shard's work, however large it is.
//!
//! Exactness does not lean on the spread. Subjects that crowd are kept as faithfully; but where a
//! bucket would have more than 31, the surplus stands in a tree, into which each check then looks.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod buckets;
mod builder;
mod depth;
mod directed_set;
mod entries;
mod hashed_set;
mod level;
mod loader;
mod members;
mod page;
mod saved;
mod shard;
#[cfg(test)]
mod testing;
mod varint;

pub use directed_set::DirectedSet;
pub use hashed_set::HashedSet;
pub use loader::{LoadError, Loader, Progress};
pub use members::Members;
pub use saved::{MIN_PART_BYTES, Part, SaveCursor};
