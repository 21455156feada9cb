//! The position of a subject within a shard.

use core::ops::RangeInclusive;

use portcullis_msisdn::Subject;

/// The number of bits that index a shard's bitmap: those of one roaring container.
const SLOT_BITS: u32 = 16;
/// The number of bits of a slot that number the bucket. The other five are stored with the member.
const BUCKET_BITS: u32 = 11;
/// The number of buckets in a shard.
pub(crate) const BUCKETS: usize = 1 << BUCKET_BITS;
/// The size of a shard's bitmap in bytes, at one bit per slot.
pub(crate) const SLOT_BYTES: usize = (1 << SLOT_BITS) / 8;

/// The number of upper bits that the members of a shard have in common. At most [`Depth::MAX`].
///
/// The next 16 bits are the slot, of which the upper 11 number the bucket. The bits below the bucket are the *rest*,
/// which is stored for each member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Depth(u32);

impl Depth {
    /// 2^20 shards, which hold 14 billion members.
    pub(crate) const MAX: u32 = 20;

    pub(crate) const fn new(bits: u32) -> Self {
        debug_assert!(bits <= Self::MAX, "a depth above the maximum");
        Depth(bits)
    }

    /// The number of bits below the bucket: 19 to 39.
    const fn rest_bits(self) -> u32 {
        Subject::BITS - BUCKET_BITS - self.0
    }

    /// The size of a stored rest in bytes: 3, 4 or 5.
    pub(crate) const fn width(self) -> usize {
        self.rest_bits().div_ceil(8) as usize
    }

    /// The index of the subject's shard among the 2^depth shards of this depth.
    #[expect(clippy::cast_possible_truncation, reason = "at most 20 bits remain")]
    pub(crate) const fn shard(self, subject: u64) -> usize {
        (subject >> (Subject::BITS - self.0)) as usize
    }

    /// The smallest subject of a shard of this depth.
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

    /// The index of the subject's bucket in its shard, below [`BUCKETS`].
    pub(crate) const fn bucket(self, subject: u64) -> usize {
        (self.slot(subject) >> (SLOT_BITS - BUCKET_BITS)) as usize
    }

    /// The rest of the subject, which is stored in its bucket.
    pub(crate) const fn rest(self, subject: u64) -> u64 {
        subject & ((1 << self.rest_bits()) - 1)
    }

    /// The smallest subject of a bucket, in the shard that begins with `shard_first`.
    pub(crate) const fn bucket_first(self, shard_first: u64, bucket: usize) -> u64 {
        shard_first | (bucket as u64) << self.rest_bits()
    }

    /// The range of subjects in the same bucket.
    pub(crate) const fn bucket_range(self, subject: u64) -> RangeInclusive<u64> {
        around(subject, self.rest_bits())
    }

    /// The range of subjects in the same slot.
    pub(crate) const fn slot_range(self, subject: u64) -> RangeInclusive<u64> {
        around(subject, Subject::BITS - SLOT_BITS - self.0)
    }

    /// Whether two rests in the same bucket have the same slot.
    pub(crate) const fn same_slot(self, one: u64, other: u64) -> bool {
        (one ^ other) >> (self.rest_bits() - (SLOT_BITS - BUCKET_BITS)) == 0
    }
}

/// The range of values that differ only in the `bits` lowest bits.
const fn around(value: u64, bits: u32) -> RangeInclusive<u64> {
    let below = (1 << bits) - 1;
    value & !below..=value | below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_consists_of_its_shard_bucket_and_rest() {
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
