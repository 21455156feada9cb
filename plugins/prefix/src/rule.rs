//! A prefix rule.

/// The maximum number of digits in a number (ITU-T E.164, clause 6).
pub(crate) const MAX_DIGITS: usize = 15;

/// A prefix of numbers, optionally limited to numbers of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The prefix as an integer of 1 to 15 digits. Unambiguous, because no prefix begins with 0.
    pub(crate) prefix: u64,
    /// The length of the numbers, including the prefix: at most 15. `None` for any length.
    pub(crate) length: Option<u32>,
}

/// Why text is not a rule. The messages are predicates that follow the name of the rule. They don't repeat the rule,
/// which may be a complete number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error(
        "has no digits: write the first digits of the numbers, starting with the country code, as in 417152"
    )]
    NoDigit,
    #[error(
        "begins with 0, but no number does: write the first digits of the numbers, starting with the country code, as in 417152"
    )]
    LeadingZero,
    #[error(
        "contains {0:?}: write digits, optionally with a + in front and # at the end, as in +4121560####"
    )]
    Character(char),
    #[error("has a # before a digit: # can only stand for the last digits of a number, as in +4121560####")]
    Placeholder,
    #[error("has {0} digits and placeholders, but no number has more than {MAX_DIGITS} digits: shorten it")]
    TooLong(usize),
}

impl Rule {
    /// Parses a rule: an optional `+`, digits, and any number of `#`.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let places = text.strip_prefix('+').unwrap_or(text);
        let digits = places.trim_end_matches('#');
        match digits.chars().find(|c| !c.is_ascii_digit()) {
            Some('#') => return Err(RuleError::Placeholder),
            Some(other) => return Err(RuleError::Character(other)),
            None => {}
        }
        if digits.is_empty() {
            return Err(RuleError::NoDigit);
        }
        if digits.starts_with('0') {
            return Err(RuleError::LeadingZero);
        }
        if places.len() > MAX_DIGITS {
            return Err(RuleError::TooLong(places.len()));
        }
        let prefix = digits.bytes().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        let length = u32::try_from(places.len()).ok().filter(|_| digits.len() < places.len());
        Ok(Rule { prefix, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_parsed_in_the_forms_that_lists_use() {
        for (text, prefix, length) in [
            ("417152", 417_152, None),
            ("+417152", 417_152, None),
            ("+4121560####", 4_121_560, Some(11)),
            ("4121560#", 4_121_560, Some(8)),
            ("7", 7, None),
            ("999999999999999", 999_999_999_999_999, None),
            ("+1##############", 1, Some(15)),
        ] {
            assert_eq!(Rule::parse(text), Ok(Rule { prefix, length }), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_rule_is_rejected_with_its_cause() {
        for (text, error) in [
            ("", RuleError::NoDigit),
            ("+", RuleError::NoDigit),
            ("####", RuleError::NoDigit),
            ("071520", RuleError::LeadingZero),
            ("0041", RuleError::LeadingZero),
            ("+0", RuleError::LeadingZero),
            ("41x", RuleError::Character('x')),
            ("41 71", RuleError::Character(' ')),
            ("41-71", RuleError::Character('-')),
            ("41٣", RuleError::Character('٣')),
            ("++41", RuleError::Character('+')),
            ("41+", RuleError::Character('+')),
            ("41####\n", RuleError::Placeholder),
            ("41##71", RuleError::Placeholder),
            ("#41", RuleError::Placeholder),
            ("4171520999999999", RuleError::TooLong(16)),
            ("+4171520#########", RuleError::TooLong(16)),
        ] {
            assert_eq!(Rule::parse(text), Err(error), "{text}");
        }
    }
}
