//! Numbers, as people and systems write them.

use portcullis_edge::identity as identities;
use portcullis_msisdn::Msisdn;
use portcullis_numbers::{NumberReader, is_same};

use crate::support::choice;

/// What is read as a number reads the same however it is written.
pub fn msisdn(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = Msisdn::parse(text);
    if text.len() < Msisdn::MAX_TEXT {
        assert_eq!(Msisdn::parse(&format!("{text} ")), read, "a space at the end means nothing");
        assert_eq!(Msisdn::parse(&format!("({text}")), read, "nor does a separator in front");
    }
    let Ok(number) = read else { return };
    let digits = number.digits().to_string();
    assert_eq!(number.get().to_string(), digits);
    assert_eq!(Msisdn::try_from(number.get()), Ok(number));
    assert_eq!(Msisdn::parse(&digits), Ok(number));
    assert_eq!(Msisdn::parse(&number.e164().to_string()), Ok(number));
    if !digits.starts_with("11") {
        assert_eq!(Msisdn::parse(&format!("00{digits}")), Ok(number));
    }
    let spread: String = digits.chars().flat_map(|digit| [digit, '-']).collect();
    assert_eq!(Msisdn::parse(&format!("+{spread}")), Ok(number));
    assert!(digits.starts_with(&number.country_code().to_string()));
    assert!(!format!("{number:?}").contains(&digits) || digits.len() < 4, "its debug form is masked");
    assert!(number.variants().any(|variant| variant == number), "a number is a spelling of itself");
    for variant in number.variants() {
        assert!(variant.variants().any(|other| other == number), "{} is {}", number.e164(), variant.e164());
    }
}

/// Where national numbers are read as of: plans with and without trunk prefixes, with numbers of several lengths, and with numbers
/// that begin with 0.
const REGIONS: [Option<&str>; 14] = [
    None,
    Some("SE"),
    Some("US"),
    Some("IT"),
    Some("AR"),
    Some("MX"),
    Some("RU"),
    Some("BR"),
    Some("CI"),
    Some("DE"),
    Some("IN"),
    Some("SG"),
    Some("AU"),
    Some("HU"),
];

fn reader(choice: u8) -> NumberReader {
    let region = REGIONS[usize::from(choice) % REGIONS.len()];
    NumberReader { default_region: region.map(|code| code.parse().expect("a region")) }
}

/// What is read with or without a region reads the same again in E.164, and is among what the recipient of a message may be.
pub fn number(data: &[u8]) {
    let (choice, data) = choice(data);
    let Ok(text) = str::from_utf8(data) else { return };
    let reader = reader(choice);
    for read in [reader.read(text), reader.read_vendor_s(text)] {
        let Ok(number) = read else { continue };
        let e164 = number.e164().to_string();
        assert_eq!(reader.read(&e164), Ok(number), "{e164} is read as it was written");
        assert_eq!(reader.read_vendor_s(&e164), Ok(number), "{e164} is read as it was written");
    }
    for business in [None, Msisdn::parse("+46732000000").ok(), Msisdn::parse("+12025550100").ok()] {
        let Ok(readings) = reader.readings(text, business) else { continue };
        assert!(!readings.is_empty() && readings.is_sorted());
        for read in [reader.read(text), reader.read_vendor_s(text)] {
            let Ok(number) = read else { continue };
            assert!(readings.iter().any(|reading| is_same(*reading, number)), "{} is missing", number.e164());
        }
    }
}

/// Whom a text means, the text of it means, too.
pub fn identity(data: &[u8]) {
    let (choice, data) = choice(data);
    let Ok(text) = str::from_utf8(data) else { return };
    let reader = reader(choice);
    for read in [identities::read(text, reader), identities::read_vendor_s(text, reader)] {
        let Ok(identity) = read else { continue };
        assert_eq!(identity.number().is_some(), !text.starts_with("user:"));
        assert_eq!(identities::read(&identity.text(), reader).as_ref(), Ok(&identity));
        assert_eq!(identities::read_vendor_s(&identity.text(), reader).as_ref(), Ok(&identity));
    }
}
