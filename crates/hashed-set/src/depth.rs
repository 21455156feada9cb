//! Where a subject stands inside a shard.

use core::ops::RangeInclusive;

use portcullis_msisdn::Subject;

/// Bits of a subject that a shard's bitmap tells apart: what one roaring container holds.
const SLOT_BITS: u32 = 16;
/// Bits of a slot that are the bucket's number; the other five are stored with the member.
const BUCKET_BITS: u32 = 11;
/// Buckets of one shard.
pub(crate) const BUCKETS: usize = 1 << BUCKET_BITS;
/// The bytes of a shard's slots, one bit each.
pub(crate) const SLOT_BYTES: usize = (1 << SLOT_BITS) / 8;

/// How many upper bits the members of a shard have in common. At most [`Depth::MAX`].
///
/// Below them come the slot (16 bits, of which the upper 11 number the bucket) and below the bucket
/// the *rest*, which is what a bucket stores of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Depth(u32);

impl Depth {
    /// 2^20 shards hold 14 billion members.
    pub(crate) const MAX: u32 = 20;

    pub(crate) const fn new(bits: u32) -> Self {
        debug_assert!(bits <= Self::MAX, "a depth beyond the largest");
        Depth(bits)
    }

    /// Bits of a subject below its bucket: 19 to 39.
    const fn rest_bits(self) -> u32 {
        Subject::BITS - BUCKET_BITS - self.0
    }

    /// Bytes in which a rest is stored: 3, 4 or 5.
    pub(crate) const fn width(self) -> usize {
        self.rest_bits().div_ceil(8) as usize
    }

    /// The number of the shard among the 2^depth of this depth.
    #[expect(clippy::cast_possible_truncation, reason = "at most 20 bits remain")]
    pub(crate) const fn shard(self, subject: u64) -> usize {
        (subject >> (Subject::BITS - self.0)) as usize
    }

    /// The smallest subject of the given shard of this depth.
    pub(crate) const fn first(self, shard: usize) -> u64 {
        (shard as u64) << (Subject::BITS - self.0)
    }

    /// The largest subject of the shard that `subject` is in.
    pub(crate) const fn shard_last(self, subject: u64) -> u64 {
        subject | ((1 << (Subject::BITS - self.0)) - 1)
    }

    /// The subject's bit in the shard's bitmap.
    pub(crate) const fn slot(self, subject: u64) -> u16 {
        (subject >> (Subject::BITS - SLOT_BITS - self.0) & 0xFFFF) as u16
    }

    /// The number of the subject's bucket in its shard, below [`BUCKETS`].
    pub(crate) const fn bucket(self, subject: u64) -> usize {
        (self.slot(subject) >> (SLOT_BITS - BUCKET_BITS)) as usize
    }

    /// What a bucket stores of the subject.
    pub(crate) const fn rest(self, subject: u64) -> u64 {
        subject & ((1 << self.rest_bits()) - 1)
    }

    /// The smallest subject of a bucket of the shard that begins with `shard_first`.
    pub(crate) const fn bucket_first(self, shard_first: u64, bucket: usize) -> u64 {
        shard_first | (bucket as u64) << self.rest_bits()
    }

    /// All subjects of the bucket that `subject` is in.
    pub(crate) const fn bucket_range(self, subject: u64) -> RangeInclusive<u64> {
        around(subject, self.rest_bits())
    }

    /// All subjects of the slot that `subject` is in.
    pub(crate) const fn slot_range(self, subject: u64) -> RangeInclusive<u64> {
        around(subject, Subject::BITS - SLOT_BITS - self.0)
    }

    /// Whether two rests of one bucket have the same slot.
    pub(crate) const fn same_slot(self, one: u64, other: u64) -> bool {
        (one ^ other) >> (self.rest_bits() - (SLOT_BITS - BUCKET_BITS)) == 0
    }
}

/// All values that differ from this one in nothing but so many lower bits.
const fn around(value: u64, bits: u32) -> RangeInclusive<u64> {
    let below = (1 << bits) - 1;
    value & !below..=value | below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_its_shard_its_bucket_and_its_rest() {
        let subject = 0x2_A5C3_9B1F_70E4;
        for bits in 0..=Depth::MAX {
            let depth = Depth::new(bits);
            let shard_first = depth.first(depth.shard(subject));
            let bucket_first = depth.bucket_first(shard_first, depth.bucket(subject));
            assert_eq!(bucket_first | depth.rest(subject), subject);
            assert!(depth.rest(subject) < 1 << (8 * depth.width()));
            assert!((shard_first..=depth.shard_last(subject)).contains(&subject));
            assert_eq!(*depth.bucket_range(subject).start(), bucket_first);
            let (slot, bucket) = (depth.slot_range(subject), depth.bucket_range(subject));
            assert!(bucket.contains(slot.start()) && bucket.contains(slot.end()));
            for edge in [slot.start(), slot.end()] {
                assert_eq!(depth.slot(*edge), depth.slot(subject));
            }
            for beyond in [slot.start().wrapping_sub(1), slot.end() + 1] {
                assert_ne!(depth.slot(beyond), depth.slot(subject));
            }
        }
    }
}
