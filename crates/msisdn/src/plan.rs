//! Numbering plans: how many digits follow each country code, and whether the first may be 0.
//!
//! The lengths are the possible lengths of national significant numbers in libphonenumber's metadata v9.0.42, over all
//! countries that share a code. A test in `portcullis-numbers` compares this table with rlibphonenumber 2.2.15, which contains
//! that metadata. Lengths of more than 15 digits in total (ITU-T E.164, clause 6) are omitted. E.164 itself states no
//! minimum. Deviations:
//!
//! * 1: always ten digits (North American Numbering Plan); seven are local.
//! * 225 and 234: also eight digits, the length before the plans grew, because accounts still exist under old numbers
//!   (see [`variants`](crate::variants)).
//! * 247: also eight digits, in use since 1 March 2026 (ITU Operational Bulletin 1339).
//!
//! A 0 may lead where people's numbers begin with 0. In some other countries freephone and short service numbers do
//! (`0800…` after 267, `02xxx` after 47), but there a 0 is almost always a trunk prefix.

/// The numbering plan of one country code.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Bit n is set if there are numbers of n digits.
    lengths: u16,
    /// Whether a number may begin with 0.
    zero_leads: bool,
}

impl Plan {
    /// The fewest digits in a number.
    pub(crate) const fn shortest(self) -> u32 {
        self.lengths.trailing_zeros()
    }

    /// Whether there are numbers of `digits` digits.
    pub(crate) const fn has(self, digits: u32) -> bool {
        digits < u16::BITS && self.lengths >> digits & 1 == 1
    }
}

/// Whether a leading 0 is part of the number. Two leading zeros are, for satellites (881) and Tajikistan's mobile
/// numbers (992).
pub(crate) fn zero_may_lead(code: u16, (value, count): (u64, u32)) -> bool {
    let plan = of(code);
    let is_double = value / 10_u64.pow(count - 2) == 0;
    plan.zero_leads && plan.has(count) && (!is_double || matches!(code, 881 | 992))
}

/// Whether the digits after a country code may begin with a prefix that is dialled inside the country only, although
/// there are numbers of this length. In the former Soviet Union the trunk prefix was 8, and in Belarus 80.
pub(crate) fn may_have_prefix(code: u16, (value, count): (u64, u32)) -> bool {
    let dials_8 = matches!(code, 370..=375 | 380 | 992..=996 | 998);
    dials_8 && value / 10_u64.pow(count - 1) == 8 && [1, 2].iter().any(|prefix| of(code).has(count - prefix))
}

/// The plan of codes without known numbers, such as the Vatican's 379, which is not in use.
const UNKNOWN: Plan = Plan { lengths: 0x7ff0, zero_leads: true };

/// The plan of an assigned country code.
pub(crate) fn of(code: u16) -> Plan {
    PLANS.get(usize::from(code)).copied().unwrap_or(UNKNOWN)
}

const fn plan(code: u16, lengths: &[u32]) -> (u16, Plan) {
    let mut bits = 0;
    let mut i = 0;
    while i < lengths.len() {
        bits |= 1 << lengths[i];
        i += 1;
    }
    (code, Plan { lengths: bits, zero_leads: false })
}

const fn zero(code: u16, lengths: &[u32]) -> (u16, Plan) {
    let (code, plan) = plan(code, lengths);
    (code, Plan { zero_leads: true, ..plan })
}

static PLANS: [Plan; 1000] = {
    let mut plans = [UNKNOWN; 1000];
    let mut i = 0;
    while i < KNOWN.len() {
        plans[KNOWN[i].0 as usize] = KNOWN[i].1;
        i += 1;
    }
    plans
};

#[rustfmt::skip]
const KNOWN: &[(u16, Plan)] = &[
    plan(1, &[10]),
    plan(7, &[10, 14]),
    plan(20, &[8, 9, 10]),
    plan(27, &[5, 6, 7, 8, 9, 10]),
    plan(30, &[10, 11, 12]),
    plan(31, &[5, 6, 7, 8, 9, 10, 11]),
    plan(32, &[8, 9]),
    plan(33, &[9]),
    plan(34, &[9]),
    plan(36, &[8, 9]),
    zero(39, &[6, 7, 8, 9, 10, 11, 12]),
    plan(40, &[6, 9]),
    plan(41, &[9, 12]),
    plan(43, &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    plan(44, &[7, 9, 10]),
    plan(45, &[8]),
    plan(46, &[6, 7, 8, 9, 10, 12]),
    plan(47, &[5, 8]),
    plan(48, &[6, 7, 8, 9, 10]),
    plan(49, &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    plan(51, &[8, 9]),
    plan(52, &[10]),
    plan(53, &[6, 7, 8, 10]),
    plan(54, &[10, 11]),
    plan(55, &[8, 9, 10, 11]),
    plan(56, &[9, 10, 11]),
    plan(57, &[8, 10, 11]),
    plan(58, &[10]),
    plan(60, &[8, 9, 10]),
    plan(61, &[5, 6, 7, 8, 9, 10, 12]),
    plan(62, &[7, 8, 9, 10, 11, 12, 13]),
    plan(63, &[6, 8, 9, 10, 11, 12, 13]),
    plan(64, &[5, 6, 7, 8, 9, 10]),
    plan(65, &[8, 10, 11]),
    plan(66, &[8, 9, 10, 13]),
    plan(81, &[8, 9, 10, 11, 12, 13]),
    plan(82, &[5, 6, 8, 9, 10, 11, 12, 13]),
    plan(84, &[7, 8, 9, 10]),
    plan(86, &[7, 8, 9, 10, 11, 12]),
    plan(90, &[7, 10, 12, 13]),
    plan(91, &[8, 9, 10, 11, 12, 13]),
    plan(92, &[8, 9, 10, 11, 12]),
    plan(93, &[9]),
    plan(94, &[9]),
    plan(95, &[6, 7, 8, 9, 10]),
    plan(98, &[4, 5, 6, 7, 10]),
    plan(211, &[9]),
    plan(212, &[9]),
    plan(213, &[8, 9]),
    plan(216, &[8]),
    plan(218, &[9]),
    plan(220, &[7, 9]),
    plan(221, &[9]),
    plan(222, &[8]),
    plan(223, &[8]),
    plan(224, &[8, 9]),
    zero(225, &[8, 10]),
    zero(226, &[8]),
    plan(227, &[8]),
    plan(228, &[8]),
    zero(229, &[8, 10]),
    plan(230, &[7, 8, 10]),
    plan(231, &[7, 8, 9]),
    plan(232, &[8]),
    plan(233, &[8, 9]),
    plan(234, &[8, 10, 11, 12]),
    plan(235, &[8]),
    plan(236, &[8]),
    plan(237, &[8, 9]),
    plan(238, &[7]),
    plan(239, &[7]),
    plan(240, &[9]),
    zero(241, &[7, 8]),
    zero(242, &[9]),
    plan(243, &[7, 8, 9, 10]),
    plan(244, &[9]),
    plan(245, &[7, 9]),
    plan(246, &[7]),
    plan(247, &[5, 6, 8]),
    plan(248, &[7]),
    plan(249, &[9]),
    zero(250, &[8, 9]),
    plan(251, &[9]),
    plan(252, &[6, 7, 8, 9]),
    plan(253, &[8]),
    plan(254, &[7, 8, 9, 10]),
    plan(255, &[9]),
    plan(256, &[9]),
    plan(257, &[8]),
    plan(258, &[8, 9]),
    plan(260, &[9]),
    plan(261, &[9]),
    plan(262, &[9]),
    plan(263, &[7, 9, 10]),
    plan(264, &[8, 9]),
    plan(265, &[7, 9]),
    plan(266, &[8]),
    plan(267, &[7, 8, 10]),
    plan(268, &[8, 9]),
    plan(269, &[7]),
    plan(290, &[4, 5]),
    plan(291, &[7]),
    plan(297, &[7]),
    plan(298, &[6]),
    plan(299, &[6]),
    plan(350, &[8]),
    plan(351, &[9]),
    plan(352, &[4, 5, 6, 7, 8, 9, 10, 11]),
    plan(353, &[7, 8, 9, 10]),
    plan(354, &[7, 9]),
    plan(355, &[6, 7, 8, 9]),
    plan(356, &[8]),
    plan(357, &[8]),
    plan(358, &[5, 6, 7, 8, 9, 10, 11, 12]),
    plan(359, &[6, 7, 8, 9, 12]),
    plan(370, &[8]),
    plan(371, &[8]),
    plan(372, &[7, 8, 10]),
    plan(373, &[8]),
    plan(374, &[8]),
    plan(375, &[6, 7, 8, 9, 10, 11]),
    plan(376, &[6, 8, 9]),
    plan(377, &[8, 9]),
    zero(378, &[8, 10]),
    plan(380, &[9, 10]),
    plan(381, &[6, 7, 8, 9, 10, 11, 12]),
    plan(382, &[8, 9]),
    plan(383, &[8, 9, 10, 11, 12]),
    plan(385, &[7, 8, 9]),
    plan(386, &[5, 6, 7, 8]),
    plan(387, &[8, 9]),
    plan(389, &[8]),
    plan(420, &[9, 10, 11, 12]),
    plan(421, &[6, 7, 9]),
    plan(423, &[7, 9]),
    plan(500, &[5]),
    plan(501, &[7, 11]),
    plan(502, &[8, 11]),
    plan(503, &[7, 8, 11]),
    plan(504, &[8, 11]),
    plan(505, &[8]),
    plan(506, &[8, 10]),
    plan(507, &[7, 8, 10, 11]),
    plan(508, &[6, 9]),
    plan(509, &[8]),
    plan(590, &[9]),
    plan(591, &[8, 9]),
    plan(592, &[7]),
    plan(593, &[8, 9, 10, 11]),
    plan(594, &[9]),
    plan(595, &[6, 7, 8, 9, 10, 11]),
    plan(596, &[9]),
    plan(597, &[6, 7]),
    plan(598, &[4, 5, 6, 7, 8, 9, 10, 11, 12]),
    plan(599, &[7, 8]),
    plan(670, &[7, 8]),
    plan(672, &[6]),
    plan(673, &[7]),
    plan(674, &[7]),
    plan(675, &[7, 8]),
    plan(676, &[5, 7]),
    plan(677, &[5, 7]),
    plan(678, &[5, 7]),
    plan(679, &[7, 11]),
    plan(680, &[7]),
    plan(681, &[6, 9]),
    plan(682, &[5]),
    plan(683, &[4, 7]),
    plan(685, &[5, 6, 7, 10]),
    plan(686, &[5, 8]),
    plan(687, &[6]),
    plan(688, &[5, 6, 7]),
    plan(689, &[6, 8, 9]),
    plan(690, &[4, 5, 6, 7]),
    plan(691, &[7]),
    plan(692, &[7]),
    plan(800, &[8]),
    plan(808, &[8]),
    plan(850, &[8, 10]),
    plan(852, &[5, 6, 7, 8, 9, 11]),
    plan(853, &[7, 8]),
    plan(855, &[8, 9, 10]),
    plan(856, &[8, 9, 10]),
    plan(870, &[9, 12]),
    plan(878, &[12]),
    plan(880, &[6, 7, 8, 9, 10]),
    zero(881, &[9, 10]),
    plan(882, &[7, 8, 9, 10, 11, 12]),
    plan(883, &[8, 9, 10, 11, 12]),
    plan(886, &[7, 8, 9, 10, 11]),
    plan(960, &[7, 10]),
    plan(961, &[7, 8]),
    plan(962, &[8, 9]),
    plan(963, &[8, 9]),
    plan(964, &[8, 9, 10]),
    plan(965, &[7, 8]),
    plan(966, &[9, 10]),
    plan(967, &[7, 8, 9]),
    plan(968, &[7, 8, 9]),
    plan(970, &[8, 9, 10]),
    plan(971, &[5, 6, 7, 8, 9, 10, 11, 12]),
    plan(972, &[7, 8, 9, 10, 11, 12]),
    plan(973, &[8]),
    plan(974, &[7, 8, 9, 11]),
    plan(975, &[7, 8]),
    plan(976, &[8, 9, 10]),
    plan(977, &[8, 10, 11]),
    plan(979, &[9]),
    zero(992, &[9]),
    plan(993, &[8]),
    plan(994, &[9]),
    plan(995, &[9]),
    plan(996, &[9, 10]),
    plan(998, &[9]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_assigned_and_its_numbers_have_at_most_fifteen_digits() {
        for &(code, plan) in KNOWN {
            let code_digits = u32::from(code).ilog10() + 1;
            let shortest = u64::from(code) * 10_u64.pow(plan.shortest());
            assert_eq!(crate::country_code::length(shortest), Some(code_digits), "{code}");
            assert!((4..=12).contains(&plan.shortest()), "{code}");
            assert!((1..16).all(|digits| !plan.has(digits) || digits + code_digits <= 15), "{code}");
        }
    }

    #[test]
    fn lengths_match_the_table() {
        assert_eq!(of(1).shortest(), 10);
        assert!(of(46).has(9) && !of(46).has(11) && !of(46).has(40));
        assert!(of(39).zero_leads && !of(46).zero_leads);
        assert_eq!(of(379).shortest(), 4);
    }
}
