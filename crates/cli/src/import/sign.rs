//! Signs that a file is about people's own opt-outs.
//!
//! Taken for the business's, an opt-out is lifted by any `unblock`. So where a file shows one of these signs, and nothing says
//! whose holds to make, it is not imported. A sign is something that a list of the business's own blocks would hardly have:
//! `blacklist.csv`, a column `reason` or a date say nothing about whose will it is.

use std::fmt;
use std::path::Path;

use super::column::{Name, OPT_OUT_DATE_NAMES};

/// What shows that a file is about opt-outs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    FileName,
    Column(Name),
}

/// What shows it anywhere in a name. `unsub` begins `unsubscribed` and Mailchimp's `UNSUB_TIME`.
const PARTS: [&str; 6] = ["optout", "optedout", "unsub", "donotcontact", "donotcall", "suppress"];

/// Columns that show it though their names do not say so: the word with which a person opted out (Telnyx), what they consented
/// to (Sinch), and the contact of Infobip's Do Not Contact list.
const COLUMNS: [&str; 4] = ["keyword", "consent", "consenttype", "contactinformation"];

/// What shows it as a word of a file's name: `stop.csv`, but neither `nonstop.csv` nor `Christopher.csv`.
const WORDS: [&str; 5] = ["stop", "stops", "stopped", "stoplist", "dnc"];

impl Sign {
    /// The sign that a file's name gives.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        let shows = shows(Name::new(&name).key()) || words(&name).any(|word| WORDS.contains(&&*word));
        shows.then_some(Sign::FileName)
    }

    /// The sign that a column's name gives. One that is about e-mail says nothing about messages.
    pub(super) fn of_column(name: &Name) -> Option<Self> {
        let is_date = OPT_OUT_DATE_NAMES.iter().any(|known| name.is(&Name::new(known)));
        let is_known = is_date || COLUMNS.contains(&name.key());
        let shows = is_known || shows(name.key()) && !name.key().contains("email");
        shows.then(|| Sign::Column(name.clone()))
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sign::FileName => f.write_str("its name"),
            Sign::Column(name) => write!(f, "its column `{name}`"),
        }
    }
}

fn shows(key: &str) -> bool {
    PARTS.iter().any(|part| key.contains(part))
}

/// The words of a file's name in lower case: what stands between other characters than letters, and before a capital letter.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        if !character.is_alphabetic() || character.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphabetic(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_shows_it_by_its_name() {
        for file in [
            "opt-outs.csv",
            "OptOuts.txt",
            "exports/sms opt outs 2024.csv",
            "opted_out.ndjson",
            "unsubscribed_audience_export_1a2b.csv",
            "unsubs.csv",
            "STOP.txt",
            "stop-2024.csv",
            "SmsStopList.csv",
            "stop_list.csv",
            "do-not-contact.csv",
            "DNC.csv",
            "suppression-list.csv",
        ] {
            assert_eq!(Sign::of_file(Path::new(file)), Some(Sign::FileName), "{file}");
        }
        for file in [
            "blacklist.csv",
            "nonstop-couriers.csv",
            "Christopher.csv",
            "stopover.csv",
            "customers.csv",
            "opt-outs/customers.csv",
            "-",
            "/",
        ] {
            assert_eq!(Sign::of_file(Path::new(file)), None, "{file}");
        }
    }

    #[test]
    fn a_column_shows_it_by_its_name() {
        for name in [
            "opted_out_at",
            "UNSUB_TIME",
            "OptOutDate",
            "requested",
            "SMS opt-out",
            "Unsubscribed",
            "date_of_consent",
            "keyword",
            "consent_type",
            "Contact information",
        ] {
            assert!(Sign::of_column(&Name::new(name)).is_some(), "{name}");
        }
        for name in [
            "created",
            "date",
            "reason",
            "status",
            "stop",
            "HasOptedOutOfEmail",
            "Unsubscribed from all email",
        ] {
            assert_eq!(Sign::of_column(&Name::new(name)), None, "{name}");
        }
    }
}
