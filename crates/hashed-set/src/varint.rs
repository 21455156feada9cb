//! Minimal LEB128 for values below 2^56, without a branch per byte.

/// The maximum length of an encoded value in bytes.
pub(crate) const MAX_BYTES: usize = 8;

/// Each byte's continuation bit.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Encodes a value below 2^56. Returns the bytes, and how many of them count: 1 to 8.
#[inline]
pub(crate) fn encode(value: u64) -> ([u8; MAX_BYTES], usize) {
    debug_assert!(value >> 56 == 0);
    let len = (64 - (value | 1).leading_zeros()).div_ceil(7);
    // Split into halves repeatedly: 56 bits become 28 + 28, then 14 each, then 7.
    let value = value & 0x0FFF_FFFF | (value & 0x00FF_FFFF_F000_0000) << 4;
    let value = value & 0x0000_3FFF_0000_3FFF | (value & 0x0FFF_C000_0FFF_C000) << 2;
    let value = value & 0x007F_007F_007F_007F | (value & 0x3F80_3F80_3F80_3F80) << 1;
    let continued = CONTINUES & ((1 << (8 * (len - 1))) - 1);
    ((value | continued).to_le_bytes(), len as usize)
}

/// Decodes the value at the start of `bytes`, and returns it with its length in bytes. Returns `None` if the eighth
/// byte continues, or if the encoding is longer than necessary. Fill bytes beyond the end of the input with `0x80`, so
/// that a truncated value is rejected.
#[inline]
pub(crate) fn decode(bytes: [u8; MAX_BYTES]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(bytes);
    let ends = !word & CONTINUES;
    if ends == 0 {
        return None;
    }
    let last = ends.trailing_zeros() / 8;
    let value = word & (u64::MAX >> (56 - 8 * last)) & !CONTINUES;
    if last > 0 && value >> (8 * last) == 0 {
        return None;
    }
    let value = value & 0x007F_007F_007F_007F | (value & 0x7F00_7F00_7F00_7F00) >> 1;
    let value = value & 0x0000_3FFF_0000_3FFF | (value & 0x3FFF_0000_3FFF_0000) >> 2;
    let value = value & 0x0FFF_FFFF | (value & 0x0FFF_FFFF_0000_0000) >> 4;
    Some((value, last as usize + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn leb128(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push((value & 0x7F) as u8);
        bytes
    }

    proptest! {
        #[test]
        fn it_encodes_leb128(value in 0u64..1 << 56, bits in 0u32..56, after: u64) {
            let value = value >> bits;
            let (bytes, len) = encode(value);
            prop_assert_eq!(&bytes[..len], leb128(value));
            let mut input = after.to_le_bytes();
            input[..len].copy_from_slice(&bytes[..len]);
            prop_assert_eq!(decode(input), Some((value, len)));
        }

        #[test]
        fn only_minimal_encodings_are_decoded(input: [u8; 8]) {
            if let Some((value, len)) = decode(input) {
                prop_assert_eq!(leb128(value), &input[..len]);
            }
        }
    }

    #[test]
    fn overlong_or_unterminated_values_are_rejected() {
        assert_eq!(decode([0x80; 8]), None);
        assert_eq!(decode([0x81, 0x00, 1, 1, 1, 1, 1, 1]), None);
        assert_eq!(decode([0xFF, 0x80, 0x00, 1, 1, 1, 1, 1]), None);
        assert_eq!(decode([0x00, 0x80, 1, 1, 1, 1, 1, 1]), Some((0, 1)));
        assert_eq!(decode([0xFF; 8]), None);
        assert_eq!(decode([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), Some(((1 << 56) - 1, 8)));
    }
}
