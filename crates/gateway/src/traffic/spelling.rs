//! Numbers that WhatsApp writes in two ways.

use portcullis_msisdn::Msisdn;

/// The other way in which WhatsApp writes a number, if there is one.
///
/// Mexican mobile numbers had a 1 after the country code until 2019, and Brazilian ones got a 9 after the area code from 2012 on:
/// WhatsApp ids of older accounts keep the one and lack the other, and an id may come back another than the number that was
/// sent to. A block of one must hold for the other, as both are the same person's.
pub(super) fn other_spelling(number: Msisdn) -> Option<Msisdn> {
    let digits = number.digits().to_string();
    let other = match (digits.split_at_checked(2)?, digits.len()) {
        // Mexico: 52, maybe 1, and ten digits.
        (("52", rest), 12) => format!("521{rest}"),
        (("52", rest), 13) if rest.starts_with('1') => format!("52{}", &rest[1..]),
        // Brazil: 55, an area code of two digits, maybe 9, and eight digits that begin with 6 to 9 where they are mobile.
        (("55", rest), 12) if rest.as_bytes()[2] >= b'6' => format!("55{}9{}", &rest[..2], &rest[2..]),
        (("55", rest), 13) if rest.as_bytes()[2] == b'9' && rest.as_bytes()[3] >= b'6' => {
            format!("55{}{}", &rest[..2], &rest[3..])
        }
        _ => return None,
    };
    Msisdn::parse(&other).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mexican_and_brazilian_numbers_have_two_spellings() {
        let other = |text: &str| {
            other_spelling(Msisdn::parse(text).unwrap()).map(|number| number.digits().to_string())
        };
        for (one, another) in [("525512345678", "5215512345678"), ("551187654321", "5511987654321")] {
            assert_eq!(other(one).as_deref(), Some(another));
            assert_eq!(other(another).as_deref(), Some(one));
        }
        // A Brazilian landline has one.
        for single in ["551132345678", "46732001122", "16505551234", "5511932345678"] {
            assert_eq!(other(single), None, "{single}");
        }
    }
}
