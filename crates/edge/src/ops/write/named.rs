//! Whom a row names.

use portcullis_engine::Identity;
use portcullis_ledger::DisplayForm;

use crate::identity::IdentityError;
use crate::ops::target::Target;

/// Whom a row names, as a client writes it.
#[derive(Clone, Copy)]
pub enum Named<'a> {
    /// A number; or `user:` and a user id.
    Text(&'a str),
    /// A user id by itself.
    UserId(&'a str),
}

impl<'a> From<&'a str> for Named<'a> {
    fn from(text: &'a str) -> Self {
        Named::Text(text)
    }
}

impl Named<'_> {
    /// Reads whom it means, as the target's clients write that.
    ///
    /// # Errors
    ///
    /// If it is neither a number nor a user id.
    pub fn read(self, target: &Target) -> Result<Identity, IdentityError> {
        match self {
            Named::Text(text) => target.read(text),
            Named::UserId(id) => Ok(Identity::User(id.parse()?)),
        }
    }

    /// The text that was read as a number, where a client may want to see that again: not if it is just the digits.
    pub(super) fn display_form(self, identity: &Identity) -> Option<DisplayForm> {
        match self {
            Named::Text(text) => display_form(text, identity),
            Named::UserId(_) => None,
        }
    }
}

/// The number as it was written, to be shown again. `None` if that was only the digits, with or without a plus.
fn display_form(text: &str, identity: &Identity) -> Option<DisplayForm> {
    let number = identity.number()?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits == number.digits().to_string() {
        return None;
    }
    DisplayForm::new(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use portcullis_msisdn::Msisdn;

    use super::*;

    #[test]
    fn only_what_is_not_the_digits_is_kept_as_written() {
        let number = Identity::Number(Msisdn::parse("46732001122").unwrap());
        for text in ["46732001122", "+46732001122"] {
            assert_eq!(display_form(text, &number), None);
        }
        for text in ["0732001122", "0046732001122", "+46 73-200 11 22", " 46732001122"] {
            assert_eq!(display_form(text, &number).unwrap().as_str(), text.trim());
        }
        assert_eq!(display_form("user:x", &Identity::User("x".parse().unwrap())), None);
    }
}
