//! Variants: different numbers that reach the same person.
//!
//! [`Msisdn::variants`] is the only source of this knowledge; every check and write uses it. A plan is included only if
//! the mapping is one to one and an old number is nobody else's today, because otherwise strangers would be blocked.
//! Not included:
//!
//! * Viet Nam's landlines (2015 to 2017) and Burkina Faso's numbers (2014): the old numbers are mobile numbers today.
//! * Kosovo's numbers under 381, 386 and 377: some of those are Slovenian or Monegasque today.
//! * Palestine's numbers under 970 and 972: no regulator says that both reach one subscriber.
//! * Landlines in the Philippines, Zimbabwe and Kiribati: the new prefix can't be derived from the old number.
//!
//! "OB" is the ITU's Operational Bulletin, in which administrations announce changes.

use core::iter;

use crate::msisdn::Msisdn;

/// The most variants of a number.
pub(crate) const MAX_VARIANTS: usize = 3;

impl Msisdn {
    /// All forms in which this number is written, itself first. Most numbers have only one.
    ///
    /// The variants of a number all have the same variants.
    ///
    /// ```
    /// use portcullis_msisdn::Msisdn;
    ///
    /// let mexican = Msisdn::parse("+52 1 55 1234 5678")?;
    /// let all: Vec<u64> = mexican.variants().map(Msisdn::get).collect();
    /// assert_eq!(all, [5215512345678, 525512345678]);
    /// # Ok::<(), portcullis_msisdn::ParseError>(())
    /// ```
    pub fn variants(self) -> impl Iterator<Item = Msisdn> {
        iter::once(self).chain(self.other_variants())
    }

    #[inline]
    pub(crate) fn other_variants(self) -> impl Iterator<Item = Msisdn> {
        let all = match plan_of(self.country_code()) {
            None => [None; MAX_VARIANTS],
            Some(plan) => all(self, plan),
        };
        all.into_iter().flatten().filter(move |&other| other != self)
    }
}

/// A numbering plan whose numbers have variants.
enum Plan {
    Mexico,
    Argentina,
    Brazil,
    /// Its numbers were renumbered.
    Renumbered(&'static [Renumbered]),
}

fn plan_of(code: u16) -> Option<&'static Plan> {
    Some(match code {
        52 => &Plan::Mexico,
        54 => &Plan::Argentina,
        55 => &Plan::Brazil,
        57 => &Plan::Renumbered(COLOMBIA),
        84 => &Plan::Renumbered(VIET_NAM),
        220 => &Plan::Renumbered(GAMBIA),
        225 => &Plan::Renumbered(IVORY_COAST),
        229 => &Plan::Renumbered(BENIN),
        230 => &Plan::Renumbered(MAURITIUS),
        234 => &Plan::Renumbered(NIGERIA),
        237 => &Plan::Renumbered(CAMEROON),
        241 => &Plan::Renumbered(GABON),
        245 => &Plan::Renumbered(GUINEA_BISSAU),
        247 => &Plan::Renumbered(ASCENSION),
        689 => &Plan::Renumbered(FRENCH_POLYNESIA),
        _ => return None,
    })
}

/// The current form of the number, and its other forms, past and present.
fn all(number: Msisdn, plan: &Plan) -> [Option<Msisdn>; MAX_VARIANTS] {
    let (value, count) = number.national();
    let national = Digits { value, count };
    let variants = match plan {
        Plan::Mexico => mexico(national),
        Plan::Argentina => argentina(national),
        Plan::Brazil => brazil(national),
        Plan::Renumbered(groups) => renumbered(national, groups),
    };
    let code = u64::from(number.country_code());
    variants.map(|digits| {
        let digits = digits?;
        Msisdn::try_from(code * 10_u64.pow(digits.count) + digits.value).ok()
    })
}

type Variants = [Option<Digits>; MAX_VARIANTS];
const NONE: Variants = [None; MAX_VARIANTS];

/// A sequence of digits, which may begin with 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digits {
    value: u64,
    count: u32,
}

const EMPTY: Digits = Digits { value: 0, count: 0 };

impl Digits {
    const fn of(text: &str) -> Self {
        let text = text.as_bytes();
        let mut digits = EMPTY;
        while (digits.count as usize) < text.len() {
            let digit = text[digits.count as usize] - b'0';
            digits = Digits { value: digits.value * 10 + digit as u64, count: digits.count + 1 };
        }
        digits
    }

    /// The digit at `index`, from 0.
    const fn at(self, index: u32) -> u64 {
        self.value / 10_u64.pow(self.count - 1 - index) % 10
    }

    /// Splits off the first `count` digits.
    const fn split(self, count: u32) -> (Digits, Digits) {
        let rest = self.count - count;
        let scale = 10_u64.pow(rest);
        (Digits { value: self.value / scale, count }, Digits { value: self.value % scale, count: rest })
    }

    const fn then(self, rest: Digits) -> Self {
        Digits { value: self.value * 10_u64.pow(rest.count) + rest.value, count: self.count + rest.count }
    }

    fn begins_with(self, lead: Digits) -> bool {
        self.count >= lead.count && self.split(lead.count).0 == lead
    }
}

/// `52`, for mobile numbers also `52 1`, and ten digits. The 1 was dropped in 2019 (OB 1151 of 1 July 2018, OB 1297 of
/// 1 August 2024), but WhatsApp still uses it. No current number has eleven digits.
fn mexico(national: Digits) -> Variants {
    const LEADING_ONE: Digits = Digits::of("1");
    let today = match national.count {
        10 => national,
        11 if national.begins_with(LEADING_ONE) => national.split(1).1,
        _ => return NONE,
    };
    if today.at(0) < 2 {
        return NONE;
    }
    [Some(today), Some(LEADING_ONE.then(today)), None]
}

/// `55`, a two-digit area code, a 9 for mobile numbers, and eight digits of which the first is 6 to 9.
///
/// The 9 was added from 2012 to 2016 (OB 1091 of 1 January 2016); the WhatsApp ids of older accounts lack it. Eight
/// digits that begin with 2 to 5 are a landline, which never has a 9. Those that begin with 7 were partly trunked
/// radio, which did not get a 9 either: that network was shut down on 31 March 2018, so such a number is a mobile
/// number today.
fn brazil(national: Digits) -> Variants {
    const NINE: Digits = Digits::of("9");
    let (area, local) = match national.count {
        10 | 11 => national.split(2),
        _ => return NONE,
    };
    let eight = match local.count {
        8 => local,
        _ if local.begins_with(NINE) => local.split(1).1,
        _ => return NONE,
    };
    if eight.at(0) < 6 {
        return NONE;
    }
    [Some(area.then(NINE).then(eight)), Some(area.then(eight)), None]
}

/// `54`, a 9 for mobile numbers, and ten digits: an area code and a subscriber number.
///
/// Number blocks are assigned to one service, fixed or mobile, so the forms with and without the 9 belong to the same
/// subscriber (in ENACOM's list of 13 March 2025 no blocks overlap).
fn argentina(national: Digits) -> Variants {
    const NINE: Digits = Digits::of("9");
    let ten = match national.count {
        10 => national,
        11 if national.begins_with(NINE) => national.split(1).1,
        _ => return NONE,
    };
    if ten.at(0) == 0 {
        return NONE;
    }
    [Some(NINE.then(ten)), Some(ten), None]
}

/// Whether the digits after 54 contain the 15 that is dialled inside Argentina: between the area code and a mobile
/// subscriber number, instead of the leading 9.
///
/// Area codes are 11, and others of three or four digits. No subscriber number begins with 0 or 1, so a 15 can be at
/// only one position.
pub(crate) fn has_argentinas_fifteen((value, count): (u64, u32)) -> bool {
    let national = Digits { value, count };
    count == 12
        && (2..=4).any(|area| {
            (area == 2) == national.begins_with(Digits::of("11"))
                && national.split(area).1.begins_with(Digits::of("15"))
        })
}

/// A group of numbers that got new first digits, while accounts still exist under the old ones.
struct Renumbered {
    /// The count of digits of the old numbers.
    count: u32,
    /// The count of leading digits that were dropped.
    dropped: u32,
    /// The digits that replaced them.
    added: Digits,
    /// The leading digits of the old numbers.
    leads: &'static [Digits],
}

const fn renumbering(count: u32, dropped: u32, added: &str, leads: &'static [Digits]) -> Renumbered {
    Renumbered { count, dropped, added: Digits::of(added), leads }
}

impl Renumbered {
    fn is_old(&self, national: Digits) -> bool {
        national.count == self.count && self.leads.iter().any(|&lead| national.begins_with(lead))
    }

    fn renew(&self, old: Digits) -> Digits {
        self.added.then(old.split(self.dropped).1)
    }

    /// The old number that became `new`.
    fn old_of(&self, new: Digits) -> Option<Digits> {
        let count = self.added.count + self.count - self.dropped;
        if new.count != count || !new.begins_with(self.added) {
            return None;
        }
        let rest = new.split(self.added.count).1;
        let mut leads = self.leads.iter();
        leads.find_map(|lead| {
            let old = lead.split(self.dropped).0.then(rest);
            old.begins_with(*lead).then_some(old)
        })
    }
}

fn renumbered(national: Digits, groups: &[Renumbered]) -> Variants {
    let old = groups.iter().find(|group| group.is_old(national));
    let today = old.map_or(national, |group| group.renew(national));
    let mut olds = groups.iter().filter_map(|group| group.old_of(today));
    [Some(today), olds.next(), olds.next()]
}

macro_rules! leads {
    ($($lead:literal)*) => { &[$(Digits::of($lead)),*] };
}

/// Landlines, since 1 September 2021 (OB 1187 of 1 January 2020; CRC). 4 is left out because old mobile ranges also
/// begin with it.
const COLOMBIA: &[Renumbered] = &[renumbering(8, 0, "60", leads!("1" "2" "5" "6" "7" "8"))];

/// Mobile numbers, since 15 September 2018 (OB 1150 of 15 June 2018): eleven digits with the 0 became ten.
const VIET_NAM: &[Renumbered] = &[
    renumbering(10, 3, "70", leads!("120")),
    renumbering(10, 3, "79", leads!("121")),
    renumbering(10, 3, "77", leads!("122")),
    renumbering(10, 3, "83", leads!("123")),
    renumbering(10, 3, "84", leads!("124")),
    renumbering(10, 3, "85", leads!("125")),
    renumbering(10, 3, "76", leads!("126")),
    renumbering(10, 3, "81", leads!("127")),
    renumbering(10, 3, "78", leads!("128")),
    renumbering(10, 3, "82", leads!("129")),
    renumbering(10, 3, "32", leads!("162")),
    renumbering(10, 3, "33", leads!("163")),
    renumbering(10, 3, "34", leads!("164")),
    renumbering(10, 3, "35", leads!("165")),
    renumbering(10, 3, "36", leads!("166")),
    renumbering(10, 3, "37", leads!("167")),
    renumbering(10, 3, "38", leads!("168")),
    renumbering(10, 3, "39", leads!("169")),
    renumbering(10, 3, "56", leads!("186")),
    renumbering(10, 3, "58", leads!("188")),
    renumbering(10, 3, "59", leads!("199")),
];

/// Mobile numbers, since 4 September 2026, by operator; the old ones work until 30 November 2026 (PURA, according to
/// validator.js #2870 of 28 August 2026 and libphonenumber's new ranges).
const GAMBIA: &[Renumbered] = &[
    renumbering(7, 0, "83", leads!("3" "50" "51" "52" "53" "58" "59")),
    renumbering(7, 0, "86", leads!("6")),
    renumbering(7, 0, "87", leads!("2" "7" "40" "41")),
];

/// All numbers, since 31 January 2021, by operator (ARTCI's table in OB 1201 of 1 August 2020). Old numbers that are
/// not in the table have no new form.
const IVORY_COAST: &[Renumbered] = &[
    renumbering(
        8,
        0,
        "01",
        leads!("01" "02" "03" "40" "41" "42" "43" "50" "51" "52" "53" "70" "71" "72" "73"),
    ),
    renumbering(
        8,
        0,
        "05",
        leads!("04" "05" "06" "44" "45" "46" "54" "55" "56" "64" "65" "66" "74" "75" "76" "84" "85" "86" "94" "95" "96"),
    ),
    renumbering(
        8,
        0,
        "07",
        leads!("07" "08" "09" "47" "48" "49" "57" "58" "59" "67" "68" "69" "77" "78" "79" "87" "88" "89" "97" "98"),
    ),
    renumbering(8, 0, "21", leads!("208" "218" "228" "238")),
    renumbering(8, 0, "25", leads!("200" "210" "220" "230" "240" "300" "310" "320" "330" "340" "350" "360")),
    renumbering(
        8,
        0,
        "27",
        leads!("202" "203" "212" "213" "215" "217" "224" "225" "234" "235" "243" "244" "245" "306" "316" "319" "327" "337" "347" "357" "367"),
    ),
];

/// Mobile and fixed numbers, since 30 November 2024 (ARCEP's notice in OB 1292 of 15 May 2024). The old service numbers
/// 8… were not migrated.
const BENIN: &[Renumbered] = &[renumbering(8, 0, "01", leads!("2" "4" "5" "6" "9"))];

/// Mobile numbers, since 1 September 2013 (OB 1024, OB 1035), except those whose seven digits are a fixed number today.
const MAURITIUS: &[Renumbered] = &[renumbering(
    7,
    0,
    "5",
    leads!("25" "29" "423" "429" "44" "472" "473" "474" "475" "476" "477" "478" "479" "70" "71" "72" "73" "74" "75" "76" "77" "78" "79" "82" "85" "86" "871" "875" "876" "877" "878" "90" "91" "92" "93" "94" "95" "96" "97" "98"),
)];

/// Landlines, since 10 July 2023; the old ones worked until 1 January 2024 (OB 1280 of 15 November 2023).
const NIGERIA: &[Renumbered] = &[renumbering(
    8,
    0,
    "20",
    leads!("1" "2" "30" "31" "33" "34" "35" "36" "37" "38" "39" "41" "42" "43" "44" "45" "46" "47" "48" "50" "51" "52" "53" "54" "55" "56" "57" "58" "59" "60" "62" "64" "65" "66" "68" "69" "71" "72" "73" "74" "75" "76" "77" "79" "82" "83" "84" "85" "86" "87" "88" "89" "9"),
)];

/// Mobile numbers, since 21 November 2014 (OB 1063 of 1 November 2014).
const CAMEROON: &[Renumbered] = &[renumbering(8, 0, "6", leads!("5" "6" "7" "9"))];

/// All numbers, since 15 November 2019; the old ones worked until 6 April 2024 (OB 1174 of 15 June 2019, OB 1176, OB
/// 1288). Old numbers had a 0 even from abroad; mobile numbers also worked without it.
const GABON: &[Renumbered] = &[
    renumbering(8, 2, "11", leads!("01")),
    renumbering(8, 2, "62", leads!("02")),
    renumbering(8, 2, "74", leads!("04")),
    renumbering(8, 2, "65", leads!("05")),
    renumbering(8, 2, "66", leads!("06")),
    renumbering(8, 2, "77", leads!("07")),
    renumbering(7, 1, "62", leads!("2")),
    renumbering(7, 1, "74", leads!("4")),
    renumbering(7, 1, "65", leads!("5")),
    renumbering(7, 1, "66", leads!("6")),
    renumbering(7, 1, "77", leads!("7")),
];

/// All numbers, since 1 November 2015 (OB 1085 of 1 October 2015).
const GUINEA_BISSAU: &[Renumbered] = &[
    renumbering(7, 0, "44", leads!("3")),
    renumbering(7, 0, "95", leads!("5")),
    renumbering(7, 0, "96", leads!("6" "91" "92")),
    renumbering(7, 0, "97", leads!("7")),
];

/// All numbers, since 1 March 2026 (OB 1339 of 1 May 2026).
const ASCENSION: &[Renumbered] = &[renumbering(5, 0, "247", leads!("4" "5" "62" "63" "64" "66" "67"))];

/// Mobile numbers, since 21 June 2014 (OB 1053 of 1 June 2014).
const FRENCH_POLYNESIA: &[Renumbered] =
    &[renumbering(6, 0, "87", leads!("2" "30" "31" "32" "33" "34" "35" "36" "37" "38" "7"))];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::msisdn::tests::any_number;

    fn number(value: u64) -> Msisdn {
        Msisdn::try_from(value).unwrap()
    }

    fn variants(number: Msisdn) -> BTreeSet<u64> {
        number.variants().map(Msisdn::get).collect()
    }

    #[test]
    fn a_number_has_exactly_these_variants() {
        for all in [
            // Mexico.
            &[525_512_345_678_u64, 5_215_512_345_678][..],
            // Brazil: São Paulo, and an area in which WhatsApp omits the 9.
            &[5_511_987_654_321, 551_187_654_321],
            &[5_585_999_991_234, 558_599_991_234],
            &[5_511_977_654_321, 551_177_654_321],
            // Argentina: Buenos Aires, Córdoba, and an area code of four digits.
            &[5_491_155_551_234, 541_155_551_234],
            &[5_493_515_551_234, 543_515_551_234],
            // Côte d'Ivoire: Orange, MTN, Moov, and a landline.
            &[2_250_707_123_456, 22_507_123_456],
            &[2_250_504_123_456, 22_504_123_456],
            &[2_250_170_123_456, 22_570_123_456],
            &[2_252_720_212_345, 22_520_212_345],
            // Benin.
            &[2_290_197_123_456, 22_997_123_456],
            &[2_290_121_123_456, 22_921_123_456],
            // Gabon: old numbers with and without the 0.
            &[24_177_123_456, 24_107_123_456, 2_417_123_456],
            &[24_111_123_456, 24_101_123_456],
            // Viet Nam, Cameroon, Guinea-Bissau, Gambia, Ascension, French Polynesia.
            &[84_382_345_678, 841_682_345_678],
            &[237_677_123_456, 23_777_123_456],
            &[245_966_123_456, 2_456_123_456],
            &[220_833_123_456, 2_203_123_456],
            &[24_724_740_123, 24_740_123],
            &[68_987_212_345, 689_212_345],
            // Mauritius, and landlines of Colombia and Nigeria.
            &[23_052_512_345, 2_302_512_345],
            &[576_012_345_678, 5_712_345_678],
            &[2_342_012_345_678, 23_412_345_678],
        ] {
            let expected: BTreeSet<u64> = all.iter().copied().collect();
            for &one in all {
                assert_eq!(variants(number(one)), expected, "{one}");
            }
        }
    }

    #[test]
    fn a_fifteen_after_the_area_code_is_detected() {
        for typed in [54_111_555_551_234, 54_351_155_551_234, 54_290_115_412_345] {
            assert!(has_argentinas_fifteen(number(typed).national()), "{typed}");
        }
        for other in [5_491_155_551_234, 541_155_551_234, 54_351_255_551_234, 54_111_655_551_234] {
            assert!(!has_argentinas_fifteen(number(other).national()), "{other}");
        }
    }

    #[test]
    fn other_numbers_have_no_variants() {
        for single in [
            46_732_001_122,
            16_505_551_234,
            // A Brazilian landline, and a mobile number that always had the 9.
            551_132_345_678,
            5_511_932_345_678,
            // Mexican digits that are no number.
            521_512_345_678,
            5_211_512_345_678,
            // Numbers in Côte d'Ivoire and Benin that were assigned after the renumbering.
            2_250_712_345_678,
            2_250_160_123_456,
            2_250_507_123_456,
            22_500_123_456,
            2_290_181_123_456,
            // Gabon's new ranges.
            24_160_123_456,
            // A mobile number in Viet Nam that was a landline's before.
            84_912_345_678,
        ] {
            assert_eq!(variants(number(single)), BTreeSet::from([single]));
        }
    }

    #[test]
    fn no_old_number_belongs_to_two_groups() {
        for code in 1..999 {
            let Some(Plan::Renumbered(groups)) = plan_of(code) else { continue };
            let leads: Vec<(u32, Digits)> =
                groups.iter().flat_map(|group| group.leads.iter().map(|lead| (group.count, *lead))).collect();
            for (i, (count, lead)) in leads.iter().enumerate() {
                for (other_count, other) in &leads[i + 1..] {
                    let clash =
                        count == other_count && (lead.begins_with(*other) || other.begins_with(*lead));
                    assert!(!clash, "{code}");
                }
            }
        }
    }

    /// A number of a plan that has variants.
    fn any_of_such_a_plan() -> impl Strategy<Value = Msisdn> {
        let codes = [52, 54, 55, 57, 84, 220, 225, 229, 230, 234, 237, 241, 245, 247, 689_u64];
        (prop::sample::select(codes.to_vec()), 4..13_u32, 0..10_u64.pow(13)).prop_filter_map(
            "too long",
            |(code, count, digits)| {
                Msisdn::try_from(code * 10_u64.pow(count) + digits % 10_u64.pow(count)).ok()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Being variants is an equivalence relation.
        #[test]
        fn all_variants_of_a_number_have_the_same_variants(number in prop_oneof![any_number(), any_of_such_a_plan()]) {
            let all = variants(number);
            for other in number.variants() {
                prop_assert_eq!(&variants(other), &all);
            }
            let distinct = number.variants().count();
            prop_assert_eq!(distinct, all.len());
        }
    }
}
