#![doc = include_str!("../README.md")]
//!
//! # Layout
//!
//! The upper bits of a subject choose a *shard*. A shard has 6,500 to 13,500 members, dense enough for a [`roaring`]
//! bitmap of the next 16 bits, the *slot*, in its bitset form. A single bit of it rules out more than four in five
//! non-members. For the others, the members themselves are stored next to the bitmap: in 2,048 *buckets*, numbered by
//! the upper 11 bits of the slot, with the remaining bits of each member packed in whole bytes, in ascending order. So
//! the set is exact and ordered.
//!
//! Growth is linear hashing on the upper bits: an insertion splits at most one shard, and a removal merges at most two.
//! So no change costs more than the work for one shard, however large the set is.
//!
//! Exactness does not depend on a uniform distribution. Crowded subjects are stored exactly, too; but members beyond
//! the 15 that fit into a bucket go to a tree, which lookups in that bucket must then search.
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
