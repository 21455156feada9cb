//! The exact set of hashed numbers: about five bytes a number, and one bit read for most checks.
//!
//! What is held are [`Subject`](portcullis_msisdn::Subject)s, 50-bit values that are spread evenly
//! because a keyed permutation made them. [`DirectedSet`] keeps, with each, the directions it
//! covers, and is what a blacklist is made of; [`HashedSet`] is the plain set under it.
//!
//! ```
//! use portcullis_hashed_set::{DirectedSet, Loader, SaveCursor};
//! use portcullis_msisdn::{Direction, Directions, Subject};
//!
//! let subject = Subject::new(0x2_a5c3_9b1f_70e4).unwrap();
//! let mut set = DirectedSet::new();
//! assert_eq!(set.insert(subject, Directions::OUTBOUND), Directions::NONE);
//! assert!(set.contains(subject, Direction::Outbound));
//! assert!(!set.contains(subject, Direction::Inbound));
//! assert_eq!(set.page(None, 100), [(subject, Directions::OUTBOUND)]);
//!
//! let mut loader = Loader::new();
//! let mut cursor = Some(SaveCursor::START);
//! while let Some(at) = cursor {
//!     let part = set.save_part(at, 1 << 20);
//!     loader.load(&part.bytes)?;
//!     cursor = part.next;
//! }
//! assert_eq!(loader.finish()?.directions(subject), Directions::OUTBOUND);
//! # Ok::<(), portcullis_hashed_set::LoadError>(())
//! ```
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
