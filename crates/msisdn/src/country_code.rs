//! The assigned E.164 country codes, and where a number's country code ends.
//!
//! The source is the ITU's "List of Recommendation ITU-T E.164 assigned country codes" (Annex to Operational Bulletin
//! No. 1114, 15 December 2016), without codes that are no longer in use. Accepted are the codes of countries and
//! geographic areas, of global services (800, 808, 878, 979), and of networks (870 Inmarsat, 881 satellite, 882 and 883
//! international networks): people can send and receive messages under any of them.
//!
//! Rejected are spare and reserved codes, and codes without numbers: 388 (European Telephony Numbering Space), 871 to
//! 874 (Inmarsat's former ocean regions), 888 (disaster relief), 991 (the trial of a correspondence service) and 997
//! (reserved for Kazakhstan, whose numbers are under 7). Input that begins with one of these is almost always a
//! national number without its country code. Blocking it would block nobody.

/// The assigned codes, in ascending order within each of the ITU's numbering zones.
#[rustfmt::skip]
const ASSIGNED: &[u16] = &[
    // Zone 1: the North American Numbering Plan. Its countries differ in their area codes only.
    1,
    // Zone 2: Africa, and some islands of the Atlantic and the Indian Ocean.
    20, 27,
    211, 212, 213, 216, 218,
    220, 221, 222, 223, 224, 225, 226, 227, 228, 229,
    230, 231, 232, 233, 234, 235, 236, 237, 238, 239,
    240, 241, 242, 243, 244, 245, 246, 247, 248, 249,
    250, 251, 252, 253, 254, 255, 256, 257, 258,
    260, 261, 262, 263, 264, 265, 266, 267, 268, 269,
    290, 291, 297, 298, 299,
    // Zones 3 and 4: Europe. 379 is assigned to the Vatican, which also uses 39.
    30, 31, 32, 33, 34, 36, 39,
    350, 351, 352, 353, 354, 355, 356, 357, 358, 359,
    370, 371, 372, 373, 374, 375, 376, 377, 378, 379,
    380, 381, 382, 383, 385, 386, 387, 389,
    40, 41, 43, 44, 45, 46, 47, 48, 49,
    420, 421, 423,
    // Zone 5: the Americas outside of zone 1.
    51, 52, 53, 54, 55, 56, 57, 58,
    500, 501, 502, 503, 504, 505, 506, 507, 508, 509,
    590, 591, 592, 593, 594, 595, 596, 597, 598, 599,
    // Zone 6: South-East Asia and Oceania.
    60, 61, 62, 63, 64, 65, 66,
    670, 672, 673, 674, 675, 676, 677, 678, 679,
    680, 681, 682, 683, 685, 686, 687, 688, 689,
    690, 691, 692,
    // Zone 7: Russia and Kazakhstan.
    7,
    // Zone 8: East Asia, global services, and networks that belong to no country.
    81, 82, 84, 86,
    800, 808,
    850, 852, 853, 855, 856,
    870, 878,
    880, 881, 882, 883, 886,
    // Zone 9: West and Central Asia, and the international premium rate service (979).
    90, 91, 92, 93, 94, 95, 98,
    960, 961, 962, 963, 964, 965, 966, 967, 968,
    970, 971, 972, 973, 974, 975, 976, 977, 979,
    992, 993, 994, 995, 996, 998,
];

/// The length of the country code for each three leading digits; 0 if there is none.
///
/// Fails to compile if one code is a prefix of another.
static LENGTHS: [u8; 1000] = lengths(ASSIGNED);

const fn lengths(codes: &[u16]) -> [u8; 1000] {
    let mut lengths = [0; 1000];
    let mut i = 0;
    while i < codes.len() {
        let code = codes[i] as usize;
        let (length, span) = match code {
            1..=9 => (1, 100),
            10..=99 => (2, 10),
            100..=999 => (3, 1),
            _ => panic!("a country code has one to three digits"),
        };
        let mut prefix = code * span;
        while prefix < (code + 1) * span {
            assert!(lengths[prefix] == 0, "country codes are prefix-free");
            lengths[prefix] = length;
            prefix += 1;
        }
        i += 1;
    }
    lengths
}

/// The number of leading digits of `number` that form an assigned country code: 1, 2 or 3. `None` if there is none, or
/// if `number` is zero.
pub(crate) fn length(number: u64) -> Option<u32> {
    let digits = number.checked_ilog10()? + 1;
    // A number of one or two digits is padded with zeros. The final check rejects a code that would include them.
    let prefix = match digits {
        1 | 2 => number * 10_u64.pow(3 - digits),
        _ => number / 10_u64.pow(digits - 3),
    };
    let length = u32::from(*LENGTHS.get(usize::try_from(prefix).ok()?)?);
    (1..=digits).contains(&length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_a_prefix_of_another() {
        for &code in ASSIGNED {
            let mut begins = u64::from(code) / 10;
            while begins > 0 {
                assert!(!ASSIGNED.iter().any(|&other| u64::from(other) == begins), "{begins} begins {code}");
                begins /= 10;
            }
        }
    }

    #[test]
    fn every_prefix_has_the_code_in_the_list() {
        for prefix in 1..1000_u64 {
            let digits = prefix.ilog10() + 1;
            let mut fitting = (1..=digits).filter(|&length| {
                let begins = prefix / 10_u64.pow(digits - length);
                ASSIGNED.iter().any(|&code| u64::from(code) == begins)
            });
            assert_eq!(length(prefix), fitting.next(), "{prefix}");
            assert_eq!(fitting.next(), None, "{prefix} has two codes");
        }
    }

    #[test]
    fn a_code_is_found_whatever_digits_follow() {
        for &code in ASSIGNED {
            let digits = u32::from(code).ilog10() + 1;
            for following in 0..=15 - digits {
                let scale = 10_u64.pow(following);
                assert_eq!(length(u64::from(code) * scale), Some(digits), "{code}");
                assert_eq!(length((u64::from(code) + 1) * scale - 1), Some(digits), "{code}");
            }
        }
    }

    #[test]
    fn spare_reserved_and_unused_codes_are_rejected() {
        for prefix in [
            0, 2, 3, 35, 21, 210, 259, 28, 292, 384, 388, 422, 5, 671, 684, 693, 801, 83, 851, 871, 875, 879,
            884, 888, 89, 969, 978, 990, 991, 997, 999,
        ] {
            assert_eq!(length(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn networks_and_global_services_have_codes() {
        for code in [800, 808, 870, 878, 881, 882, 883, 979] {
            assert_eq!(length(code), Some(3), "{code}");
        }
    }
}
