//! SHA-256 digests in hexadecimal.

/// Parses 64 hexadecimal digits, in either case, into 32 bytes. Returns `None` for any other text.
pub fn digest(hex: &str) -> Option<[u8; 32]> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let mut digest = [0; 32];
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        for &digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(digit).to_digit(16)?).ok()?;
        }
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_digits_are_read_and_nothing_else() {
        let digits = "00ff".repeat(16);
        assert_eq!(digest(&digits).map(|bytes| bytes[..4].to_vec()), Some(vec![0, 255, 0, 255]));
        assert_eq!(digest(&digits.to_uppercase()), digest(&digits));
        for wrong in ["", "00", &digits[1..], &format!("{digits}00"), &digits.replacen('f', "g", 1)] {
            assert_eq!(digest(wrong), None, "{wrong}");
        }
    }
}
