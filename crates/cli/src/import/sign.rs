//! Signs that a file contains people's own opt-outs.
//!
//! Imported as a block of the business, an opt-out would be lifted by any `unblock`. A file with one of these signs is therefore
//! not imported unless something says which holds to set. Signs are names that a list of the business's own blocks is unlikely to
//! have. `blacklist.csv`, a column `reason` or a date are not signs.

use std::fmt;
use std::path::Path;

use super::column::{Name, OPT_OUT_DATE_NAMES};

/// Where the sign was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    FileName,
    Column(Name),
}

/// Signs anywhere in the name of a file or column. `unsub` covers `unsubscribed` and Mailchimp's `UNSUB_TIME`.
const PARTS: [&str; 6] = ["optout", "optedout", "unsub", "donotcontact", "donotcall", "suppress"];

/// Columns of files of opt-outs, by vendor: the word with which a person opted out (Telnyx), what they consented to (Sinch), and
/// the contact in a Do Not Contact list (Infobip).
const COLUMNS: [&str; 4] = ["keyword", "consent", "consenttype", "contactinformation"];

/// Signs as a whole word of a file name: `stop.csv`, but neither `nonstop.csv` nor `Christopher.csv`.
const WORDS: [&str; 5] = ["stop", "stops", "stopped", "stoplist", "dnc"];

impl Sign {
    /// The sign in a file name, if any.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        let shows = shows(Name::new(&name).key()) || words(&name).any(|word| WORDS.contains(&&*word));
        shows.then_some(Sign::FileName)
    }

    /// The sign in a column name, if any. Opt-outs of e-mail are not a sign.
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

/// The words of a file name in lowercase, split at anything but letters, and between a lowercase and an uppercase letter.
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
