//! Numbers as people and vendors write them.

use proptest::prelude::*;
use rlibphonenumber::PhoneNumberType;

use super::*;

const WITHOUT_REGION: NumberReader = NumberReader { default_region: None };

fn reader(region: &str) -> NumberReader {
    NumberReader { default_region: Some(region.parse().unwrap()) }
}

fn read(region: &str, text: &str) -> Result<u64, NumberError> {
    reader(region).read(text).map(Msisdn::get)
}

fn number(value: u64) -> Msisdn {
    Msisdn::try_from(value).unwrap()
}

#[test]
fn without_a_region_numbers_are_international() {
    assert_eq!(WITHOUT_REGION.read("46732001122").map(Msisdn::get), Ok(46732001122));
    assert_eq!(WITHOUT_REGION.read("073-200 11 22"), Err(ParseError::NationalForm.into()));
}

#[test]
fn a_national_number_is_read_as_of_the_region() {
    assert_eq!(read("SE", "073-200 11 22"), Ok(46732001122));
    assert_eq!(read("SE", "(073) 200 11 22"), Ok(46732001122));
    assert_eq!(read("SE", "732001122"), Ok(46732001122), "a spreadsheet takes the 0 away");
    assert_eq!(read("IN", "98765 43210"), Ok(919876543210));
    assert_eq!(read("US", "(202) 555-0173"), Ok(12025550173));
    assert_eq!(read("IT", "06 6988 1234"), Ok(390669881234), "Italy keeps the 0");
}

#[test]
fn what_is_left_without_a_prefix_is_read_as_it_is() {
    // The metadata takes the rest for valid with the zero before it, and not without.
    for text in ["+37508104090000", "+375 0 8104 090000", "+3758104090000"] {
        assert_eq!(WITHOUT_REGION.read(text), Err(ParseError::TrunkPrefix.into()), "{text}");
    }
}

#[test]
fn a_number_with_its_country_code_needs_no_plus() {
    for text in ["46732001122", "+46732001122", "0046732001122", "(+46) 732001122", "00 46 73 200 11 22"] {
        assert_eq!(read("SE", text), Ok(46732001122), "{text}");
        assert_eq!(read("IL", text), Ok(46732001122), "{text}");
    }
    // After the prefix for calls abroad.
    assert_eq!(read("US", "011 46 732001122"), Ok(46732001122));
    assert_eq!(read("AU", "0011 46 732001122"), Ok(46732001122));
    // The plus decides, even if the digits after it are a national number.
    assert_eq!(read("US", "+2025550173"), Ok(2025550173));
}

#[test]
fn two_valid_readings_are_refused_and_both_are_named_masked() {
    // Fayetteville in Arkansas, and a mobile phone in Norway.
    let error = read("US", "479 234 5678").unwrap_err();
    assert_eq!(
        error,
        NumberError::Ambiguous { national: number(14_792_345_678), international: number(4_792_345_678) }
    );
    assert_eq!(
        error.to_string(),
        "the number can be read as the national +1********78 and as the international +47******78: write it with + \
         and its country code"
    );
    assert!(matches!(read("DE", "491701234567"), Err(NumberError::Ambiguous { .. })));
}

#[test]
fn vendors_digits_are_international() {
    for line in 0..90 {
        let digits = format!("49170{:07}", 1_234_567 + line * 7_919);
        let read = reader("DE").read_vendor_s(&digits).map(|number| number.digits().to_string());
        assert_eq!(read, Ok(digits));
    }
    assert_eq!(reader("US").read_vendor_s("4792345678").map(Msisdn::get), Ok(4_792_345_678));
    assert_eq!(reader("SE").read_vendor_s("073-200 11 22").map(Msisdn::get), Ok(46_732_001_122));
    assert_eq!(reader("SE").read_vendor_s("732001122").map(Msisdn::get), Ok(46_732_001_122));
    assert_eq!(WITHOUT_REGION.read_vendor_s("073-200 11 22"), Err(ParseError::NationalForm.into()));
}

#[test]
fn a_recipient_without_a_plus_has_each_reading_that_the_upstream_may_take() {
    let swedish = Some(number(46_700_000_001));
    let readings = |text| {
        WITHOUT_REGION.readings(text, swedish).map(|all| all.into_iter().map(Msisdn::get).collect::<Vec<_>>())
    };
    for text in ["732001122", "73-200 11 22", "0732001122"] {
        assert!(readings(text).unwrap().contains(&46_732_001_122), "{text}");
    }
    assert!(readings("46732001122").unwrap().contains(&46_732_001_122));
    assert_eq!(readings("+46732001122"), Ok(vec![46_732_001_122]));
    let indian = Some(number(919_876_543_210));
    let all = WITHOUT_REGION.readings("(631) 555-1234", indian).unwrap();
    assert!(all.contains(&number(916_315_551_234)), "{all:?}");
    assert_eq!(readings("732001122.0"), Err(ParseError::Point.into()));
    assert_eq!(readings("732001122/123"), Err(ParseError::Extension.into()), "behind the own code");
    assert_eq!(readings("nonsense"), Err(ParseError::Letter.into()));
    assert_eq!(readings("1"), Err(ParseError::TooShort.into()));
}

/// Refused with a plus because of a superfluous prefix. All but the last are valid without it.
const PREFIX_TOO_MANY: [&str; 8] = [
    "47041234567",
    "84 0168 234 5678",
    "55 011 87654322",
    "225 0 07123459",
    "340612345678",
    "45020123456",
    "102025550173",
    "7 8 100 000-00-00",
];

#[test]
fn digits_that_are_refused_with_a_plus_are_no_recipient_behind_any_country_code() {
    for text in PREFIX_TOO_MANY {
        assert_eq!(international(&format!("+{text}")), Err(ParseError::TrunkPrefix), "{text}");
        for business in [46_700_000_001, 15_550_783_881, 919_876_543_210] {
            let read = WITHOUT_REGION.readings(text, Some(number(business)));
            assert_eq!(read, Err(ParseError::TrunkPrefix.into()), "{business} {text}");
        }
    }
    // For a German business it may be a number of Geestland in Germany, or the Norwegian one.
    let german = Some(number(491_700_000_001));
    let both = vec![number(4_741_234_567), number(4_947_041_234_567)];
    assert_eq!(WITHOUT_REGION.readings("47041234567", german), Ok(both));
    // New ranges stay readable.
    let new = number(46_100_000_000_001);
    let read = WITHOUT_REGION.readings("46100000000001", Some(number(15_550_783_881)));
    assert!(read.unwrap().contains(&new));
}

#[test]
fn a_recipient_is_read_behind_what_its_business_dials_to_call_abroad() {
    for (text, business, meant) in [
        ("81079123456789", 79_000_000_001, 79_123_456_789),
        ("8 10 46 73 200 11 22", 79_000_000_001, 46_732_001_122),
        ("011 46 732001122", 15_550_783_881, 46_732_001_122),
        ("89123456789", 79_000_000_001, 79_123_456_789),
    ] {
        let read = WITHOUT_REGION.readings(text, Some(number(business)));
        assert!(read.is_ok_and(|all| all.contains(&number(meant))), "{text}");
    }
}

#[test]
fn a_national_reading_does_not_win_over_one_with_a_zero_too_many() {
    let german = reader("DE");
    let error =
        NumberError::Ambiguous { national: number(4_947_041_234_567), international: number(4_741_234_567) };
    assert_eq!(german.read("47041234567"), Err(error));
    assert_eq!(german.read_vendor_s("47041234567"), Err(error));
    // Los Angeles and Dessau: nothing in the Netherlands or Spain.
    assert_eq!(read("US", "(310) 555-1234"), Ok(13_105_551_234));
    assert_eq!(read("DE", "340 2041234"), Ok(493_402_041_234));
}

#[test]
fn without_the_business_s_number_a_recipient_has_a_valid_reading_or_is_refused() {
    let readings = |reader: NumberReader, text| {
        reader.readings(text, None).map(|all| all.into_iter().map(Msisdn::get).collect::<Vec<_>>())
    };
    for text in [
        "732001122",
        "73-200 11 22",
        "0732001122",
        "4155550123",
        "(631) 555-1234",
        "98765 43210",
        "44 (0)7911 123457",
    ] {
        assert_eq!(readings(WITHOUT_REGION, text), Err(RecipientError::CountryUnknown), "{text}");
        // The tenant's default region does not say in which country the sender is.
        if !text.contains("73") {
            assert_eq!(readings(reader("SE"), text), Err(RecipientError::CountryUnknown), "{text}");
        }
    }
    for (text, number) in [
        ("46732001122", 46_732_001_122),
        ("0046 73-200 11 22", 46_732_001_122),
        ("12025550173", 12_025_550_173),
        // WhatsApp's spellings, and old spellings in plans that grew.
        ("5215512345678", 5_215_512_345_678),
        ("551187654321", 551_187_654_321),
        ("22507123456", 22_507_123_456),
        // The plus says that the number is complete.
        ("+46100000000001", 46_100_000_000_001),
    ] {
        assert_eq!(readings(WITHOUT_REGION, text), Ok(vec![number]), "{text}");
        assert_eq!(readings(reader("SE"), text), Ok(vec![number]), "{text}");
    }
    assert_eq!(readings(reader("SE"), "732001122"), Ok(vec![46_732_001_122]));
    assert!(RecipientError::CountryUnknown.to_string().contains("write + and the country code"));
}

#[test]
fn an_extension_or_a_fraction_is_no_part_of_a_number() {
    for text in [
        "46732001122/123",
        "46732001122.125",
        "+46732001122/123",
        "+46 73-200 11 22/123",
        "0046732001122.1250",
        "+46.73.200.11.22.125",
        "+46 (0)73 200 11 22 / 123",
        "+46732001122-123",
        "+46732001122 (123)",
        "+1 (202) 555-0173/456",
        "+1.202.555.0173.4567",
        "+49 30 123456/789",
        "5215512345678/123",
    ] {
        assert_eq!(international(text), Err(ParseError::Extension), "{text}");
        for region in ["SE", "US", "DE"] {
            assert_eq!(read(region, text), Err(ParseError::Extension.into()), "{region} {text}");
            let vendor = reader(region).read_vendor_s(text);
            assert_eq!(vendor, Err(ParseError::Extension.into()), "{region} {text}");
            for business in [None, Some(number(46_700_000_001))] {
                let read = reader(region).readings(text, business);
                assert_eq!(read, Err(ParseError::Extension.into()), "{region} {text}");
            }
        }
    }
    for text in ["073-200 11 22/123", "0732001122.125", "732001122/123"] {
        assert_eq!(read("SE", text), Err(ParseError::Extension.into()), "{text}");
    }
    for text in
        ["46732001122;ext=5", "46732001122x123", "46732001122#123", "46732001122 ext. 5", "46732001122,5"]
    {
        for region in ["SE", "US"] {
            let read = read(region, text);
            assert!(
                matches!(
                    read,
                    Err(NumberError::Unreadable(ParseError::Letter | ParseError::UnexpectedCharacter(_)))
                ),
                "{region} {text}"
            );
        }
    }
}

#[test]
fn dots_slashes_and_hyphens_separate_groups_of_a_number() {
    for (region, text, digits) in [
        ("DE", "+49 170/1234567", 491_701_234_567_u64),
        ("DE", "0170/1234567", 491_701_234_567),
        ("DE", "0170-1234567", 491_701_234_567),
        ("DE", "030/12345678", 493_012_345_678),
        ("DE", "+49.30.1234.5678", 493_012_345_678),
        ("DE", "02151 / 123456", 492_151_123_456),
        ("AT", "+43 1/5331234", 4_315_331_234),
        ("AT", "0664/1234567", 436_641_234_567),
        ("AT", "02236/123456", 432_236_123_456),
        ("SE", "073.200.11.22", 46_732_001_122),
        ("SE", "+46.732001122", 46_732_001_122),
        ("SE", "+46 8/123 456 78", 46_812_345_678),
        ("US", "202.555.0173", 12_025_550_173),
        ("US", "+1.202.555.0173", 12_025_550_173),
        ("US", "202-555.0173", 12_025_550_173),
        ("GB", "+44 20 7946-0958", 442_079_460_958),
        ("GB", "020 7946.0958", 442_079_460_958),
        ("BR", "+55 11 98765.4321", 5_511_987_654_321),
        ("IN", "+91 98765-43210", 919_876_543_210),
        ("CN", "+86 138-1234-5678", 8_613_812_345_678),
        ("FR", "01.23.45.67.89", 33_123_456_789),
        ("LU", "+352 26.12.34.56", 35_226_123_456),
        ("CH", "+41.44.668.18.00", 41_446_681_800),
        ("UY", "+598 2123.4567", 59_821_234_567),
        ("CI", "+225 07-07-12-34-56", 2_250_707_123_456),
    ] {
        assert_eq!(read(region, text), Ok(digits), "{region} {text}");
    }
}

#[test]
fn what_is_too_short_is_too_short_however_it_is_dialled() {
    for text in ["+1 310 4220", "001 310 4220", "0 01-3104-220"] {
        for reader in [WITHOUT_REGION, reader("SE"), reader("US")] {
            let refused = Err(NumberError::Unreadable(ParseError::TooShort));
            assert_eq!(reader.read(text), refused, "{text}");
            assert_eq!(reader.read_vendor_s(text), refused, "{text}");
        }
    }
}

#[test]
fn prefixes_that_are_dialled_inside_a_country_only_are_dropped() {
    for (text, digits) in [
        ("+44 07911 123457", 447_911_123_457_u64),
        ("0044 07911 123457", 447_911_123_457),
        ("+49 0170 1234568", 491_701_234_568),
        ("+46 (0)73 200 11 22", 46_732_001_122),
        ("46 (0) 73 200 11 22", 46_732_001_122),
        ("+7 8 912 345-67-89", 79_123_456_789),
        ("+36 06 20 123 4567", 36_201_234_567),
        ("+375 8 029 491-19-11", 375_294_911_911),
        ("+370 8 612 34567", 37_061_234_567),
        ("+52 044 55 1234 5678", 525_512_345_678),
        ("+52 01 55 1234 5678", 525_512_345_678),
        ("+54 11 15 2345 6789", 5_491_123_456_789),
        ("+54 9 11 15 2345 6789", 5_491_123_456_789),
        ("+54 9 11 15-2345-6789", 5_491_123_456_789),
        ("+54 0 11 15 2345 6789", 5_491_123_456_789),
        ("+54 9 351 15 234 5678", 5_493_512_345_678),
        ("+52 1 01 55 1234 5678", 525_512_345_678),
        ("+55 0 15 11 3876 5432", 551_138_765_432),
        ("+380 8 044 123 4567", 380_441_234_567),
        ("+976 01 9911 2233", 97_699_112_233),
        ("+996 8 312 123456", 996_312_123_456),
        ("+57 0 321 1234567", 573_211_234_567),
        ("+1 1 (202) 555-0173", 12_025_550_173),
        // These zeros are part of the number.
        ("+39 06 698 12345", 390_669_812_345),
        ("+39 (0)6 698 12345", 390_669_812_345),
        ("+39 0 06 698 12345", 390_669_812_345),
        ("+225 0 01 23 45 67 89", 2_250_123_456_789),
        ("+378 0549 886377", 3_780_549_886_377),
        ("+225 01 23 45 67 89", 2_250_123_456_789),
        ("+229 01 95 12 34 56", 2_290_195_123_456),
        ("+242 06 123 4567", 242_061_234_567),
        ("+241 06 03 12 34", 24_106_031_234),
        // WhatsApp's and other old spellings stay as they are written.
        ("+52 1 55 1234 5678", 5_215_512_345_678),
        ("+225 07 12 34 56", 22_507_123_456),
    ] {
        assert_eq!(international(text).map(Msisdn::get), Ok(digits), "{text}");
        assert_eq!(read("SE", text), Ok(digits), "{text}");
    }
    for text in ["+46 099", "+34 0 612 345 678", "+44 0 123"] {
        assert!(matches!(international(text), Err(ParseError::TrunkPrefix | ParseError::TooShort)), "{text}");
    }
}

#[test]
fn what_no_plan_knows_is_international_if_it_can_be() {
    assert_eq!(read("SE", "99912"), Err(ParseError::UnassignedCountryCode.into()));
    assert_eq!(read("SE", "46100000000001"), Ok(46100000000001));
    assert_eq!(read("SE", "0"), Err(ParseError::NationalForm.into()));
}

#[test]
fn what_is_too_short_or_a_fraction_is_no_number_in_any_region() {
    for region in ["SE", "US", "DE", "IT"] {
        for text in ["44", "0043", "1", "12", "+1"] {
            assert_eq!(read(region, text), Err(ParseError::TooShort.into()), "{region} {text}");
        }
        for text in ["46732001122.0", "0732001122.0", "732001122.00", "4673200112.5"] {
            assert_eq!(read(region, text), Err(ParseError::Point.into()), "{region} {text}");
        }
    }
}

#[test]
fn letters_and_extensions_are_refused_although_the_plans_would_take_them() {
    assert_eq!(read("US", "1-800-FLOWERS"), Err(ParseError::Letter.into()));
    assert_eq!(read("US", "202 555 0173 ext. 5"), Err(ParseError::Letter.into()));
    assert_eq!(read("US", "202 555 0173;5"), Err(ParseError::UnexpectedCharacter(';').into()));
}

#[test]
fn regions_are_two_capital_letters_with_a_plan() {
    for code in ["se", "SWE", "", "001", "XX", "S1", "é"] {
        assert_eq!(code.parse::<Region>(), Err(UnknownRegion), "{code}");
    }
    assert_eq!("SE".parse::<Region>().unwrap().to_string(), "SE");
}

/// libphonenumber's examples of a fixed line and a mobile phone in each country.
fn examples() -> Vec<(rlibphonenumber::Region, Msisdn)> {
    let kinds = [PhoneNumberType::FixedLine, PhoneNumberType::Mobile];
    let regions = PHONE_NUMBER_UTIL.get_supported_regions();
    let example = |region, kind| PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind).ok();
    regions
        .flat_map(|region| kinds.map(|kind| (region, kind)))
        .filter_map(|(region, kind)| Some((region, in_full(&example(region, kind)?)?)))
        .collect()
}

#[test]
fn the_plans_of_the_number_type_know_what_the_metadata_knows() {
    let examples = examples();
    assert!(examples.len() > 450, "{}", examples.len());
    for (region, example) in examples {
        assert_eq!(example.fit(), Fit::Known, "{region}: {example:?}");
        assert_eq!(Msisdn::parse(&example.e164().to_string()), Ok(example), "{region}");
    }
    for code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
        for count in 2..=15 - code.to_string().len() {
            let Ok(number) = Msisdn::try_from(format!("{code}{}", "2".repeat(count)).parse::<u64>().unwrap())
            else {
                continue;
            };
            let Ok(parsed) = PHONE_NUMBER_UTIL.parse(number.e164().to_string(), None) else { continue };
            if in_full(&parsed) != Some(number) {
                continue;
            }
            let is_possible = matches!(
                PHONE_NUMBER_UTIL.is_possible_number_with_reason(&parsed),
                Ok(rlibphonenumber::NumberLengthType::IsPossible)
            );
            assert!(!is_possible || number.fit() == Fit::Known, "{number:?}");
        }
    }
}

#[test]
fn every_country_s_examples_are_read_with_and_without_a_zero_that_does_not_belong() {
    let mut dropped = 0;
    for (region, example) in examples() {
        let text = example.e164().to_string();
        assert_eq!(international(&text), Ok(example), "{region}");
        let code = example.country_code().to_string();
        let national = &text[1 + code.len()..];
        let with_zero = Msisdn::try_from(format!("{code}0{national}").parse::<u64>().unwrap_or(0)).ok();
        for form in [
            format!("+{code} 0{national}"),
            format!("+{code} (0) {national}"),
            format!("00{code}0{national}"),
        ] {
            match international(&form) {
                // The zero is dropped, or it makes another valid number, or the text is refused.
                Ok(read) if read == example => dropped += 1,
                Ok(read) => {
                    assert_eq!(Some(read), with_zero, "{region} {form}");
                    assert!(is_valid(read), "{region} {form}");
                }
                Err(error) => assert_eq!(error, ParseError::TrunkPrefix, "{region} {form}"),
            }
        }
    }
    assert!(dropped > 3 * 200, "{dropped}");
}

/// Prefixes other than 0 that are or were dialled inside a country, with carriers' codes.
const DIALLED_INSIDE: &[(u16, &[&str])] = &[
    (1, &["1"]),
    (7, &["8"]),
    (36, &["06"]),
    (52, &["01", "02", "044", "045", "1 01", "1 044", "1 045"]),
    (54, &["0", "9 0", "0 9", "9"]),
    (55, &["0 15", "0 21", "0 31", "0 41"]),
    (56, &["09"]),
    (57, &["03", "05", "07", "09"]),
    (370, &["8"]),
    (371, &["8"]),
    (372, &["8"]),
    (373, &["8", "8 0"]),
    (374, &["8", "8 0"]),
    (375, &["8", "8 0"]),
    (380, &["8", "8 0"]),
    (976, &["01", "02"]),
    (992, &["8"]),
    (993, &["8"]),
    (994, &["8", "8 0"]),
    (995, &["8", "8 0"]),
    (996, &["8", "8 0"]),
    (998, &["8", "8 0"]),
];

#[test]
fn a_prefix_that_is_dialled_inside_makes_no_other_number() {
    let mut dropped = 0;
    for (region, example) in examples() {
        let code = example.country_code();
        let national = example.digits().to_string()[code.to_string().len()..].to_owned();
        let others = DIALLED_INSIDE.iter().filter(|(of, _)| *of == code).flat_map(|(_, prefixes)| *prefixes);
        for prefix in others.copied().chain(["0"]) {
            match international(&format!("+{code} {prefix} {national}")) {
                Ok(read) if is_same(read, example) => dropped += 1,
                // It is another valid number.
                Ok(read) => assert!(is_known(read), "{region} {prefix}: {read:?}"),
                Err(error) => assert!(
                    matches!(error, ParseError::TrunkPrefix | ParseError::TooManyDigits),
                    "{region} {prefix}: {error}"
                ),
            }
        }
    }
    assert!(dropped > 350, "{dropped}");
}

#[test]
fn a_prefix_before_what_is_no_number_is_refused() {
    for text in [
        "+7 8 100 000-00-00",
        "+36 06 00 000 0000",
        "+370 8 000 00000",
        "+375 8 000 000-00-00",
        "+52 044 00 0000 0000",
        "+54 9 299 15 000 0000",
        "+54 0 9 299 15 000 0000",
    ] {
        let read = international(text);
        assert!(matches!(read, Err(ParseError::TrunkPrefix | ParseError::TooManyDigits)), "{text}: {read:?}");
    }
}

#[test]
fn every_country_s_examples_end_where_an_extension_or_a_fraction_begins() {
    for (region, example) in examples() {
        let text = example.e164().to_string();
        for tail in ["/5", "/12", "/123", " / 1234", ".0", ".5", ".00", ".125", ".1250", ".000"] {
            for text in [format!("{text}{tail}"), format!("{}{tail}", &text[1..])] {
                match international(&text) {
                    // With few digits, it may be a group.
                    Ok(read) => {
                        assert!(example.get() < 10_u64.pow(7) && is_known(read), "{region} {tail}");
                    }
                    Err(ParseError::Point | ParseError::Extension | ParseError::TooManyDigits) => {}
                    Err(error) => panic!("{region} {tail}: {error}"),
                }
            }
        }
        for tail in ["-123", " - 1234", " (123)"] {
            let read = international(&format!("{text}{tail}"));
            assert!(
                example.get() < 10_u64.pow(7) || !read.is_ok_and(|read| !is_known(read)),
                "{region} {tail}"
            );
        }
    }
}

#[test]
fn every_country_s_examples_are_read_in_groups_or_refused() {
    let (mut read, mut refused) = (0, 0);
    for (region, example) in examples() {
        let text = example.e164().to_string();
        for separator in [".", "/", " / ", "-", ") "] {
            for at in 3..text.len() - 1 {
                let form = format!("{}{separator}{}", &text[..at], &text[at..]);
                match international(&form) {
                    Ok(number) => {
                        assert_eq!(number, example, "{region} {form}");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(read > 4 * refused, "{read} {refused}");
}

proptest! {
    /// The region never changes a number that has its country code and a plus.
    #[test]
    fn the_plus_form_of_what_was_read_reads_the_same(text in "[0-9+() -]{0,20}") {
        for region in ["SE", "US", "IT", "AU"] {
            if let Ok(number) = reader(region).read(&text) {
                prop_assert_eq!(reader(region).read(&number.e164().to_string()), Ok(number));
            }
        }
    }

    /// All ways of reading agree on a number that has its country code and a plus.
    #[test]
    fn a_plus_leaves_one_reading(digits in 10_u64.pow(7)..10_u64.pow(14)) {
        let text = format!("+{digits}");
        let read = WITHOUT_REGION.read(&text).ok();
        for region in ["SE", "US", "IT", "DE"] {
            let reader = reader(region);
            prop_assert_eq!(reader.read(&text).ok(), read);
            prop_assert_eq!(reader.read_vendor_s(&text).ok(), read);
            prop_assert_eq!(reader.readings(&text, Some(number(46_700_000_001))).ok(), read.map(|one| vec![one]));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,70}") {
        let _ = reader("US").read(&text);
        let _ = reader("US").readings(&text, Some(number(46_700_000_001)));
    }
}
