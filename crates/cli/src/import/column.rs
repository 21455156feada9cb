//! Recognizes the columns of CSV files and the fields of NDJSON objects by name.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::rules::Rules;

/// Names of the number's column, as spelled in messages and in the help. `number` takes precedence. A file may have only one of
/// the others.
///
/// Sources, as of November 2025:
/// - `phone`: Braze's exports of users (<https://www.braze.com/docs>) and CSVs of Klaviyo and Mailchimp, which also say
///   `Phone Number` (<https://help.klaviyo.com/hc/en-us/articles/360043841811>), as MailUp's export of unsubscriptions does
///   (<https://help.mailup.com/pages/viewpage.action?pageId=37978139>).
/// - `MobileNumber`: Salesforce Marketing Cloud's `_SMSSubscriptionLog`
///   (<https://help.salesforce.com/s/articleView?id=mktg.mc_as_data_view_sms_subscription_log.htm>); `MobilePhone`:
///   Salesforce's and HubSpot's contacts, where HubSpot says `Mobile phone number`.
/// - `SMS`: Brevo's attribute (<https://help.brevo.com/hc/en-us/articles/208729849>).
/// - `Contact information`: Infobip's Do Not Contact list
///   (<https://www.infobip.com/docs/customer-profiles/configuration/do-not-contact-list>); `destination`: its blocklist API.
/// - `to`: the person in Telnyx's opt-outs (<https://developers.telnyx.com/api/messaging/list-opt-outs>); `to` and `from`:
///   logs of messages, such as Twilio's (<https://www.twilio.com/docs/usage/bulkexport/day>).
/// - `OptedOutNumber`: AWS End User Messaging
///   (<https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_OptedOutNumberInformation.html>).
/// - `identification`: Sinch's consent records (<https://developers.sinch.com/docs/conversation>).
/// - `wa_id`: WhatsApp.
pub(super) const NUMBER_NAMES: [&str; 27] = [
    "number",
    "phone",
    "phone_number",
    "phone_number_e164",
    "phone_e164",
    "e164",
    "msisdn",
    "mobile",
    "mobile_number",
    "mobile_phone",
    "mobile_phone_number",
    "cell_phone",
    "cell_phone_number",
    "sms",
    "sms_number",
    "sms_phone",
    "sms_phone_number",
    "tel",
    "telephone",
    "telephone_number",
    "to",
    "from",
    "recipient",
    "destination",
    "contact_information",
    "opted_out_number",
    "wa_id",
];

/// Names that mean the number in some files and an internal id in others. They are not read, but suggested in the error if there
/// is no other column for the number.
const NUMBER_GUESSES: [&str; 8] =
    ["contact_id", "identification", "identity", "contact", "subscriber", "address", "endpoint", "sender"];

/// Names that always mean the date of an opt-out.
///
/// Sources (see [`NUMBER_NAMES`]): Twilio's Consent API (`date_of_consent`), exports of Mailchimp (`UNSUB_TIME`), MailUp
/// (`OptOut_Date`), Salesforce Marketing Cloud (`OptOutDate`) and Amazon (`OptedOutTimestamp`), and common usage.
pub(super) const OPT_OUT_DATE_NAMES: [&str; 18] = [
    "requested",
    "opted_out_at",
    "opted_out_on",
    "opted_out_date",
    "opted_out_timestamp",
    "opt_out_at",
    "opt_out_date",
    "opt_out_time",
    "opt_out_timestamp",
    "unsub_time",
    "unsub_date",
    "unsubscribed_at",
    "unsubscribed_on",
    "unsubscribed_date",
    "unsubscribe_date",
    "unsubscribe_time",
    "date_unsubscribed",
    "date_of_consent",
];

/// Names of the date of a record, which is the date of the opt-out in a file of opt-outs.
///
/// Sources: Telnyx (`created_at`), Infobip (`Added`), Twilio's messages (`date_sent`, `SentDate`), and common usage.
pub(super) const RECORD_DATE_NAMES: [&str; 15] = [
    "created",
    "created_at",
    "created_on",
    "created_date",
    "date_created",
    "date",
    "timestamp",
    "added",
    "added_at",
    "date_added",
    "received_at",
    "date_sent",
    "sent_date",
    "sent_at",
    "log_date",
];

/// Names of columns that say whether a person opted out.
const FLAG_NAMES: [&str; 7] = [
    "opted_out",
    "opt_out",
    "sms_opted_out",
    "sms_opt_out",
    "unsubscribed",
    "sms_unsubscribed",
    "unsubscribed_from_sms",
];

/// How many characters of a name are displayed.
const LONGEST_NAME: usize = 40;

/// How many names a message lists.
const MOST_NAMES: usize = 30;

/// The name of a column or field. `Display` truncates and escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    written: Arc<str>,
    key: Arc<str>,
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        let name = name.trim();
        Name { written: name.into(), key: key(name).into() }
    }

    /// Whether `name`, as typed by a user, means this column: `Phone number`, `phone-number` and `PhoneNumber` are the same.
    pub(super) fn is(&self, name: &Name) -> bool {
        // A name such as `#` has no letters or digits to compare.
        self.written == name.written || !self.key.is_empty() && self.key == name.key
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| *self.key == *key(name))
    }

    /// The letters and digits of the name, in lowercase.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether this looks like a number in a file without a header, rather than a name.
    pub(super) fn looks_like_a_number(&self) -> bool {
        self.written.bytes().filter(u8::is_ascii_digit).count() >= 5
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.written.chars();
        for character in characters.by_ref().take(LONGEST_NAME) {
            match character {
                '\'' | '"' => f.write_char(character)?,
                // Escapes control characters, and those that change the text direction.
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

fn key(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Lists names for a message.
pub(super) fn told<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let mut names = names.into_iter();
    let mut told = names.by_ref().take(MOST_NAMES).map(Name::to_string).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        told.push_str(", …");
    }
    told
}

/// The index of each known column, counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) number: usize,
    pub(super) directions: Option<usize>,
    pub(super) reason: Option<usize>,
    pub(super) source: Option<usize>,
    pub(super) hold: Option<usize>,
    pub(super) expires: Option<usize>,
    pub(super) status: Option<usize>,
    pub(super) display: Option<usize>,
    pub(super) date: Option<DateColumn>,
    /// The column that says whether the person opted out.
    pub(super) flag: Option<(usize, Name)>,
}

/// The column with the date of the person's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateColumn {
    pub(super) index: usize,
    pub(super) name: Name,
    /// Whether the date counts for every row: the column is called `requested`, or --date-column names it. The date in any other
    /// column is ignored if the hold is the business's own.
    pub(super) is_explicit: bool,
}

/// Why the columns of a file can't be used, with the names of the columns concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnError {
    /// No column is known to contain the number. One of these may.
    NoNumber(Vec<Name>),
    /// Several columns could contain the number.
    SeveralNumbers(Vec<Name>),
    /// This option names a column that does not exist.
    NotThere(&'static str, Name),
    /// Two columns could contain the date of the request.
    SeveralDates(Name, Name),
    /// The file looks like a log of messages, in which `direction` is that of the message.
    MessageDirection,
}

impl Columns {
    /// Identifies the columns by their names.
    pub(super) fn find(names: &[Name], rules: &Rules) -> Result<Self, ColumnError> {
        let read = |index: &usize| !rules.ignored.iter().any(|ignored| names[*index].is(ignored));
        let indices: Vec<usize> = (0..names.len()).filter(read).collect();
        let find = |wanted: &[&str]| indices.iter().copied().find(|&index| names[index].is_one_of(wanted));
        let all = |wanted: &[&str]| -> Vec<usize> {
            indices.iter().copied().filter(|&index| names[index].is_one_of(wanted)).collect()
        };
        let of = |indices: &[usize]| indices.iter().map(|&index| names[index].clone()).collect::<Vec<_>>();

        let found = match &rules.column {
            Some(column) => {
                let exact = indices.iter().copied().find(|&index| names[index].written == column.written);
                let alike = || indices.iter().copied().filter(|&index| names[index].is(column)).collect();
                let found: Vec<usize> = exact.map_or_else(alike, |index| vec![index]);
                if found.is_empty() {
                    return Err(ColumnError::NotThere("--column", column.clone()));
                }
                found
            }
            None => Some(all(&NUMBER_NAMES[..1]))
                .filter(|found| !found.is_empty())
                .unwrap_or_else(|| all(&NUMBER_NAMES)),
        };
        let number = match found[..] {
            [index] => index,
            [] => return Err(ColumnError::NoNumber(of(&all(&NUMBER_GUESSES)))),
            _ => return Err(ColumnError::SeveralNumbers(of(&found))),
        };
        let directions = find(&["directions"]);
        let direction = find(&["direction"]);
        if directions.is_none() && direction.is_some() && find(&["to"]).is_some() && find(&["from"]).is_some()
        {
            return Err(ColumnError::MessageDirection);
        }
        Ok(Columns {
            number,
            directions: directions.or(direction),
            reason: find(&["reason"]),
            source: find(&["source"]),
            hold: find(&["hold"]),
            expires: find(&["expires"]),
            status: find(&["status"]),
            display: find(&["display"]),
            date: Self::find_date(names, &indices, rules)?,
            flag: find(&FLAG_NAMES).map(|index| (index, names[index].clone())),
        })
    }

    fn find_date(
        names: &[Name],
        indices: &[usize],
        rules: &Rules,
    ) -> Result<Option<DateColumn>, ColumnError> {
        let column =
            |index: usize, is_explicit| DateColumn { index, name: names[index].clone(), is_explicit };
        if let Some(wanted) = &rules.date_column {
            let found = indices.iter().copied().find(|&index| names[index].is(wanted));
            return match found {
                Some(index) => Ok(Some(column(index, true))),
                None => Err(ColumnError::NotThere("--date-column", wanted.clone())),
            };
        }
        let requested = &OPT_OUT_DATE_NAMES[..1];
        for (wanted, is_explicit) in
            [(requested, true), (&OPT_OUT_DATE_NAMES[..], false), (&RECORD_DATE_NAMES[..], false)]
        {
            let mut found = indices.iter().copied().filter(|&index| names[index].is_one_of(wanted));
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some(index), None) => return Ok(Some(column(index, is_explicit))),
                // No row would use the date, so the ambiguity does not matter.
                (Some(_), Some(_)) if !is_explicit && !rules.may_make_wishes(names) => return Ok(None),
                (Some(one), Some(other)) => {
                    return Err(ColumnError::SeveralDates(names[one].clone(), names[other].clone()));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_api::HoldKind;

    fn names(header: &str) -> Vec<Name> {
        header.split(',').map(Name::new).collect()
    }

    fn find(header: &str, rules: &Rules) -> Result<Columns, ColumnError> {
        Columns::find(&names(header), rules)
    }

    fn number(header: &str) -> Result<usize, ColumnError> {
        find(header, &Rules::default()).map(|columns| columns.number)
    }

    fn date(header: &str, rules: &Rules) -> Option<(usize, bool)> {
        find(header, rules).unwrap().date.map(|date| (date.index, date.is_explicit))
    }

    fn opt_outs() -> Rules {
        Rules { hold: Some(HoldKind::OptOut), ..Rules::default() }
    }

    #[test]
    fn names_are_compared_by_their_letters() {
        for written in
            ["phone_number", "Phone Number", "PhoneNumber", "PHONE-NUMBER", " phone.number ", "Phone number:"]
        {
            assert_eq!(number(&format!("name,{written}")), Ok(1), "{written}");
        }
        assert_eq!(number("Phone number (E164)"), Ok(0));
        for name in NUMBER_NAMES {
            assert_eq!(number(name), Ok(0), "{name}");
        }
    }

    #[test]
    fn the_number_is_in_one_column() {
        assert_eq!(number("to,number,phone"), Ok(1));
        for header in ["phone,mobile", "from,to", "Phone Number,Mobile Phone Number", "number,Number"] {
            assert_eq!(number(header), Err(ColumnError::SeveralNumbers(names(header))), "{header}");
        }
        assert_eq!(number("name,city"), Err(ColumnError::NoNumber(vec![])));
        assert_eq!(
            number("name,contact_id"),
            Err(ColumnError::NoNumber(names("contact_id"))),
            "a guess is not read"
        );
    }

    #[test]
    fn the_user_may_name_the_column_and_leave_others_out() {
        let named = |column: &str| Rules { column: Some(Name::new(column)), ..Rules::default() };
        assert_eq!(find("to,Cell No", &named("cell-no")).unwrap().number, 1);
        assert_eq!(find("Phone,phone", &named("phone")).unwrap().number, 1, "as it is written");
        assert_eq!(find("a,#", &named("#")).unwrap().number, 1);
        assert_eq!(find("a,#", &named("?")), Err(ColumnError::NotThere("--column", Name::new("?"))));
        let ignored = Rules { ignored: vec![Name::new("Source"), Name::new("to")], ..Rules::default() };
        let columns = find("to,from,source,hold", &ignored).unwrap();
        assert_eq!((columns.number, columns.source, columns.hold), (1, None, Some(3)));
    }

    #[test]
    fn the_date_is_the_opt_outs_before_that_of_the_record() {
        let rules = opt_outs();
        assert_eq!(date("number,created,requested,opted_out_at", &rules), Some((2, true)));
        assert_eq!(date("number,created,OptOut_Date", &rules), Some((2, false)));
        assert_eq!(date("number,Created At", &rules), Some((1, false)));
        assert_eq!(date("number,updated", &rules), None);
        for name in OPT_OUT_DATE_NAMES.iter().chain(&RECORD_DATE_NAMES) {
            assert_eq!(date(&format!("number,{name}"), &rules), Some((1, *name == "requested")), "{name}");
        }
        let named = Rules { date_column: Some(Name::new("Added time")), ..opt_outs() };
        assert_eq!(date("number,created,ADDED_TIME", &named), Some((2, true)));
        assert!(find("number,created", &named).is_err());
    }

    #[test]
    fn of_two_dates_the_user_names_one_where_it_matters() {
        let several = Err(ColumnError::SeveralDates(Name::new("date"), Name::new("created")));
        assert_eq!(find("number,date,created", &opt_outs()), several);
        assert_eq!(find("number,date,created,source", &Rules::default()), several);
        assert_eq!(date("number,date,created", &Rules::default()), None, "all are the business's");
        assert_eq!(
            date("number,date,created", &Rules { ignored: vec![Name::new("date")], ..opt_outs() }),
            Some((2, false))
        );
    }

    #[test]
    fn the_direction_of_a_message_is_not_that_of_a_block() {
        let columns = find("number,direction", &Rules::default()).unwrap();
        assert_eq!(columns.directions, Some(1));
        let from = Rules { column: Some(Name::new("from")), ..Rules::default() };
        assert_eq!(find("from,to,direction,body", &from), Err(ColumnError::MessageDirection));
        assert!(find("from,to,direction,directions", &from).is_ok());
        assert!(find("from,to,direction", &Rules { ignored: vec![Name::new("direction")], ..from }).is_ok());
    }

    #[test]
    fn what_is_told_of_a_name_is_short_and_has_no_control_characters() {
        let name = Name::new(&format!("\u{1b}[2J{}", "x".repeat(100)));
        assert_eq!(name.to_string(), format!("\\u{{1b}}[2J{}…", "x".repeat(36)));
        assert_eq!(Name::new("Driver's \u{202e}no").to_string(), "Driver's \\u{202e}no");
        let many: Vec<Name> = (0..100).map(|index| Name::new(&format!("c{index}"))).collect();
        assert!(told(&many).ends_with("c29, …"));
    }
}
