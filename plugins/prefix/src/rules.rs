//! The set of rules, and its decision about a number.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Direction, Directions};

use crate::rule::{MAX_DIGITS, Rule};

/// Decides which numbers are blocked by their prefix.
#[derive(Debug)]
pub(crate) struct Rules {
    prefixes: BTreeMap<u64, Lengths>,
    /// The lengths of the prefixes: bit `n` is set if there is a prefix of `n` digits.
    prefix_digits: u16,
    /// The directions in which the rules block.
    directions: Directions,
}

/// The rules with the same prefix: bit `n` is the rule for numbers of `n` digits, bit 0 the rule for any length. No bit
/// is set in both fields.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    block: u16,
    allow: u16,
}

/// The same rule in `block` and in `allow`: its index in each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) block: usize,
    pub(crate) allow: usize,
}

impl Rules {
    pub(crate) fn new(block: &[Rule], allow: &[Rule], directions: Directions) -> Result<Self, Contradiction> {
        let mut rules = Rules { prefixes: BTreeMap::new(), prefix_digits: 0, directions };
        for rule in block {
            rules.lengths(rule).block |= bit(rule);
        }
        for (place, rule) in allow.iter().enumerate() {
            let lengths = rules.lengths(rule);
            lengths.allow |= bit(rule);
            if lengths.block & bit(rule) != 0 {
                let block = block.iter().position(|other| other == rule).unwrap_or_default();
                return Err(Contradiction { block, allow: place });
            }
        }
        Ok(rules)
    }

    fn lengths(&mut self, rule: &Rule) -> &mut Lengths {
        self.prefix_digits |= 1 << digits(rule.prefix);
        self.prefixes.entry(rule.prefix).or_default()
    }

    /// Whether a message in this direction is blocked by a rule. No rule applies to identities without a number.
    #[inline]
    pub(crate) fn block(&self, number: u64, direction: Direction) -> bool {
        self.prefix_digits != 0 && self.directions.covers(direction) && self.block_number(number)
    }

    fn block_number(&self, number: u64) -> bool {
        let length = digits(number);
        if length > MAX_DIGITS {
            return false;
        }
        let mut prefix = number;
        for digits in (1..=length).rev() {
            if self.prefix_digits >> digits & 1 == 1
                && let Some(lengths) = self.prefixes.get(&prefix)
                && let Some(blocks) = lengths.block(length)
            {
                return blocks;
            }
            prefix /= 10;
        }
        false
    }
}

impl Lengths {
    /// Whether numbers of this length are blocked; `None` if no rule applies.
    fn block(self, digits: usize) -> Option<bool> {
        let Lengths { block, allow } = self;
        let deciding = [1 << digits, 1].into_iter().find(|bit| (block | allow) & bit != 0)?;
        Some(block & deciding != 0)
    }
}

/// The bit of a rule in its prefix's [`Lengths`].
fn bit(rule: &Rule) -> u16 {
    1 << rule.length.unwrap_or(0)
}

/// The number of decimal digits; 0 has none.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(0, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn parsed(texts: &[String]) -> Vec<Rule> {
        texts.iter().map(|text| Rule::parse(text).expect("it is a rule")).collect()
    }

    fn rules(block: &[&str], allow: &[&str]) -> Rules {
        let [block, allow] = [block, allow]
            .map(|texts| parsed(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()));
        Rules::new(&block, &allow, Directions::BOTH).expect("no contradiction")
    }

    fn blocked(rules: &Rules, number: u64) -> bool {
        rules.block(number, Direction::Inbound)
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rules = rules(&["41", "417152", "41715209999"], &["4171", "4171520"]);
        for (number, expected) in [
            (4, false),
            (41, true),
            (41_445_514_000, true),
            (41_715_100_000, false),
            (41_715_219_999, true),
            (41_715_209_998, false),
            (41_715_209_999, true),
            (417_152_099_990, true),
            (46_732_001_122, false),
            (0, false),
        ] {
            assert_eq!(blocked(&rules, number), expected, "{number}");
        }
    }

    #[test]
    fn placeholders_match_only_numbers_of_that_length() {
        let rules = rules(&["+4121560####"], &[]);
        for (number, expected) in [
            (41_215_600_000, true),
            (41_215_609_999, true),
            (41_215_599_999, false),
            (41_215_610_000, false),
            (4_121_560_999, false),
            (412_156_000_000, false),
            (4_121_560, false),
        ] {
            assert_eq!(blocked(&rules, number), expected, "{number}");
        }
    }

    #[test]
    fn of_two_rules_with_the_same_digits_the_one_with_placeholders_wins() {
        let rules = rules(&["41715", "41716######"], &["41715######", "41716"]);
        assert!(!blocked(&rules, 41_715_209_999));
        assert!(blocked(&rules, 4_171_520_999));
        assert!(blocked(&rules, 41_716_209_999));
        assert!(!blocked(&rules, 4_171_620_999));
    }

    #[test]
    fn no_rule_applies_to_identities_without_a_number() {
        let rules = rules(&["1", "1##############", "100000000000000"], &[]);
        assert!(blocked(&rules, 100_000_000_000_000));
        assert!(!blocked(&rules, 1_000_000_000_000_000));
        assert!(!blocked(&rules, (1 << 50) - 1));
    }

    #[test]
    fn rules_block_only_in_their_directions() {
        let rule = Rule::parse("41").expect("it is a rule");
        let rules = Rules::new(&[rule], &[], Directions::OUTBOUND).expect("no contradiction");
        assert!(rules.block(41_715_209_999, Direction::Outbound));
        assert!(!rules.block(41_715_209_999, Direction::Inbound));
    }

    #[test]
    fn the_same_rule_in_both_lists_is_a_contradiction_but_duplicates_in_one_are_not() {
        let texts = ["42", "41", "41", "41###"].map(str::to_owned);
        let rules = parsed(&texts);
        let both = |allow: &[Rule]| Rules::new(&rules, allow, Directions::BOTH).map(|_| ());
        assert_eq!(both(&[rules[3], rules[1]]), Err(Contradiction { block: 3, allow: 0 }));
        assert_eq!(
            both(&[Rule { length: Some(4), ..rules[1] }, rules[1]]),
            Err(Contradiction { block: 1, allow: 1 })
        );
        assert_eq!(both(&[Rule { length: Some(4), ..rules[1] }]), Ok(()));
    }

    /// A textual model: of the rules that apply, the one with the most digits wins, then the one with `#`.
    fn blocked_as_written(block: &[String], allow: &[String], number: &str) -> bool {
        let ranked = |texts: &[String]| {
            let digits = |text: &str| text.trim_end_matches('#').len();
            texts
                .iter()
                .filter(|text| number.starts_with(&text[..digits(text)]))
                .filter(|text| !text.ends_with('#') || number.len() == text.len())
                .map(|text| (digits(text), text.ends_with('#')))
                .max()
        };
        ranked(block) > ranked(allow)
    }

    proptest! {
        #[test]
        fn rules_agree_with_the_textual_model(
            block in vec("[1-3]{1,4}#{0,3}", 0..12),
            allow in vec("[1-3]{1,4}#{0,3}", 0..12),
            numbers in vec("[1-3]{1,8}", 20),
        ) {
            let allow: Vec<String> = allow.into_iter().filter(|text| !block.contains(text)).collect();
            let rules = Rules::new(&parsed(&block), &parsed(&allow), Directions::BOTH).expect("no contradiction");
            for number in numbers {
                let expected = blocked_as_written(&block, &allow, &number);
                let value = number.parse().expect("it is a number");
                prop_assert_eq!(blocked(&rules, value), expected, "{}", number);
            }
        }
    }
}
