//! Places of numbers, compared with libphonenumber and with clocks on the wall.

use portcullis_msisdn::Msisdn;
use portcullis_zones::{Country, Offsets, Place};
use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber};

fn place(number: &str) -> Place {
    Place::of(number.parse().unwrap())
}

fn offsets(number: &str, time: &str) -> (i16, i16) {
    let time: jiff::Timestamp = time.parse().unwrap();
    let Offsets { least, greatest } = place(number).offsets(time.as_millisecond().cast_unsigned());
    (least, greatest)
}

fn country(number: &str) -> Option<String> {
    place(number).country().map(|country| country.to_string())
}

#[test]
fn a_number_belongs_to_a_country() {
    for (number, expected) in [
        ("+46732001122", Some("SE")),
        ("+12125550123", Some("US")),
        ("+14165550123", Some("CA")),
        ("+18765550123", Some("JM")),
        ("+79161234567", Some("RU")),
        ("+77011234567", Some("KZ")),
        ("+447781234567", Some("GG")),
        ("+447911234567", Some("GB")),
        ("+3906698123456", Some("VA")),
        ("+881612345678", None),
        ("+80012345678", None),
    ] {
        assert_eq!(country(number).as_deref(), expected, "{number}");
    }
    assert_eq!(Country::from_letters("us").unwrap().code(), 0x5553);
    assert_eq!(Place::UNKNOWN.country(), None);
}

#[test]
fn clocks_change_in_their_own_time() {
    // Sweden on 25 October 2026, at 01:00 UTC.
    assert_eq!(offsets("+46732001122", "2026-10-25T00:59:59Z"), (120, 120));
    assert_eq!(offsets("+46732001122", "2026-10-25T01:00:00Z"), (60, 60));
    // New York on 1 November 2026, at 06:00 UTC.
    assert_eq!(offsets("+12125550123", "2026-11-01T05:59:59Z"), (-240, -240));
    assert_eq!(offsets("+12125550123", "2026-11-01T06:00:00Z"), (-300, -300));
    // Arizona never; South Dakota is partly on Central and partly on Mountain time.
    assert_eq!(offsets("+16025550123", "2026-07-01T00:00:00Z"), (-420, -420));
    assert_eq!(offsets("+16055550123", "2026-07-01T00:00:00Z"), (-360, -300));
    assert_eq!(offsets("+9779851234567", "2026-07-01T00:00:00Z"), (345, 345));
    assert_eq!(offsets("+46732001122", "2037-07-01T00:00:00Z"), (120, 120));
    assert_eq!(offsets("+46732001122", "2199-07-01T00:00:00Z"), (120, 120));
}

#[test]
fn a_number_that_tells_nothing_may_be_anywhere() {
    let unknown = (Offsets::UNKNOWN.least, Offsets::UNKNOWN.greatest);
    assert_eq!(offsets("+881612345678", "2026-07-01T00:00:00Z"), unknown);
    assert_eq!(Place::UNKNOWN.offsets(0), Offsets::UNKNOWN);
    assert_eq!(Place::UNKNOWN.offsets(u64::MAX), Offsets::UNKNOWN);
    assert_eq!(place("+46732001122").offsets(u64::MAX), Offsets::UNKNOWN);
    // A mobile number of a country with several zones may be in any of them.
    assert_eq!(offsets("+61412345678", "2026-07-01T00:00:00Z"), (390, 630));
    // A fixed line tells more.
    assert_eq!(offsets("+61891234567", "2026-07-01T00:00:00Z"), (480, 570));
}

fn any_number() -> impl Strategy<Value = Msisdn> {
    let shared = prop::sample::select(vec![
        "1", "7", "44", "39", "47", "61", "212", "262", "290", "358", "590", "599",
    ]);
    prop_oneof![
        (shared, "[0-9]{7,11}").prop_map(|(code, rest)| format!("+{code}{rest}")),
        "[1-9][0-9]{8,13}".prop_map(|digits| format!("+{digits}")),
    ]
    .prop_filter_map("not a number", |text| text.parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_local_rejects: 1_000_000, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    /// Of numbers that are valid by libphonenumber, the region is the one that it tells. Its answer for numbers of a plan that regions
    /// share changes with its releases, and the table is of one.
    #[test]
    fn countries_are_libphonenumber_s(number in any_number()) {
        let parsed = number.e164().to_string().parse::<PhoneNumber>();
        prop_assume!(parsed.as_ref().is_ok_and(|parsed| PHONE_NUMBER_UTIL.is_valid_number(parsed)));
        let parsed = parsed.unwrap();
        // It may take a 1 after +1 for the digit before numbers of the same country, and leave it out.
        let national = parsed.get_national_significant_number();
        prop_assume!(number.get().to_string().ends_with(&national));
        prop_assume!(number.get().to_string().len() == national.len() + parsed.country_code.to_string().len());
        // In North America no exchange begins with 0 or 1, although a pattern of one country allows it after 800.
        prop_assume!(parsed.country_code != 1 || national.as_bytes().get(3) >= Some(&b'2'));
        let region = PHONE_NUMBER_UTIL.get_region_for_number(&parsed);
        let region = region.map(|region| region.to_string()).filter(|region| region != "001");
        prop_assert_eq!(Place::of(number).country().map(|country| country.to_string()), region, "{}", number.e164());
    }

    /// The range is one of real clocks, and an hour later it has moved by an hour at most.
    #[test]
    fn offsets_are_those_of_real_clocks(number in any_number(), seconds in 1_000_000_000..3_000_000_000_u64) {
        let place = Place::of(number);
        let now = place.offsets(seconds * 1000);
        prop_assert!(now.least <= now.greatest);
        prop_assert!(now.least >= Offsets::UNKNOWN.least && now.greatest <= Offsets::UNKNOWN.greatest, "{now:?}");
        prop_assert_eq!((now.least % 15, now.greatest % 15), (0, 0));
    }
}
