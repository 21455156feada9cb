//! One rule.

/// The most digits a number has (ITU-T E.164, clause 6).
pub(crate) const MAX_DIGITS: usize = 15;

/// The numbers that begin with a prefix: all of them, or those of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The prefix as an integer, 1 to 15 digits. As none begins with 0, no two prefixes are the same integer.
    pub(crate) prefix: u64,
    /// How many digits the numbers have, the prefix included: up to 15. `None` where any will do.
    pub(crate) length: Option<u32>,
}

/// Why a text is no rule: what stands behind the rule's name in a sentence. A rule may be a whole number, so it is not
/// repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("has no digit: write what the numbers begin with, country code first, as in 417152")]
    NoDigit,
    #[error(
        "begins with 0, as no number does: write what the numbers begin with, country code first, as in 417152"
    )]
    LeadingZero,
    #[error(
        "has {0:?}: write digits, with or without a + before them and with # only behind them, as in +4121560####"
    )]
    Character(char),
    #[error("has a # before its end: # stand for the last digits of a number, as in +4121560####")]
    Placeholder,
    #[error("has {0} places, and no number has more than {MAX_DIGITS} digits: shorten it")]
    TooLong(usize),
}

impl Rule {
    /// Reads a rule: a `+` or none, digits, `#` or none.
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
    fn a_rule_is_read_as_lists_write_it() {
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
    fn a_text_that_is_no_rule_is_refused_for_its_cause() {
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
