//! Why a row of an import is not taken.

use portcullis_msisdn::ParseError;

use super::super::hold;
use super::super::lines::LONGEST_LINE;
use super::super::source;
use super::column::Name;
use super::row::LONGEST_REASON;
use portcullis_api::HoldKind;

/// Why a row is not taken. Nothing of the row is repeated, as numbers and names may stand anywhere; of columns the names are
/// told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the line has more than {LONGEST_LINE} bytes")]
    LineTooLong,
    #[error("the line is not UTF-8: save the file as UTF-8")]
    NotUtf8,
    #[error("a quoted field begins and does not end: is a quote too many or missing?")]
    UnclosedQuote,
    #[error("the row has too few columns: the number's is missing")]
    NoColumn,
    #[error("there is no number")]
    NoNumber,
    #[error(
        "no field has a name under which numbers are known: name the one with the numbers by --column{}",
        .0.as_ref().map(|guess| format!("; is it --column '{guess}'?")).unwrap_or_default()
    )]
    NoNumberField(Option<Name>),
    #[error("{0}")]
    Number(ParseError),
    #[error(
        "the number has a decimal fraction: a spreadsheet or script made it, and may have changed digits; format the column \
         as text and export it again"
    )]
    Fraction,
    #[error(
        "the number has a dot or comma that may be a decimal point or separate groups of digits: write the number without it"
    )]
    Point,
    #[error(
        "the number is in scientific notation, in which a spreadsheet or script drops digits: format the column as text and \
         export it again"
    )]
    Scientific,
    #[error("the number is a spreadsheet's formula: export the values instead of the formulas")]
    Formula,
    #[error("not a JSON object: write one object a line, such as {{\"number\": \"+46…\"}}")]
    NotAnObject,
    #[error("several fields could be the number: name one by --column")]
    Ambiguous,
    #[error("the number is neither a JSON string nor a whole number")]
    NumberType,
    #[error("the field `{0}` is not a string")]
    FieldType(&'static str),
    #[error("the directions are none: write inbound, outbound or both")]
    Directions,
    #[error(
        "the field `hold` is none of {}: correct it, or leave it out by --ignore-column hold",
        hold::NAMES
    )]
    Hold,
    #[error(
        "the field `source` is none of {}: correct it, or leave it out by --ignore-column source",
        source::NAMES
    )]
    Source,
    #[error(
        "the file seems to be about people's opt-outs, and the row does not say whose hold it is: add --hold opt-out or \
         --hold operator"
    )]
    HoldUnsaid,
    #[error("the row is about the hold {}, and --hold names another one to lift", .0.as_str())]
    OtherHold(HoldKind),
    #[error("the expiry is not a time in RFC 3339: write it as 2030-12-31T23:59:59Z")]
    Expires,
    #[error(
        "the date in `{0}` can't be read: write it as 2024-03-31 or 2024-03-31T12:00:00Z, or say how dates are written by \
         --date-format, as '%d/%m/%Y'; or leave the column out by --ignore-column"
    )]
    Date(Name),
    #[error(
        "the date in `{0}` lies in the future: are the file's times in another time zone than UTC? say so by --date-offset, \
         as +02:00"
    )]
    FutureDate(Name),
    #[error(
        "the date in `{0}` lies before 1990: does it stand for no date at all? correct it, or leave the column out by \
         --ignore-column"
    )]
    PlaceholderDate(Name),
    #[error(
        "several fields could be the date on which the person asked: {0} and {1}; name one by --date-column, or leave one out \
         by --ignore-column"
    )]
    SeveralDates(Name, Name),
    #[error(
        "the field `direction` may be a message's: leave it out by --ignore-column direction, or call it `directions` if it \
         says which ways to block"
    )]
    MessageDirection,
    #[error("no field is called {0}, as {1} says")]
    NoField(Name, &'static str),
    #[error("the reason has more than {LONGEST_REASON} characters")]
    ReasonTooLong,
    #[error("its status is inactive: it does not block anyone where it comes from")]
    Inactive,
    #[error("its status says that the person opted in")]
    OptedIn,
    #[error(
        "the field `{0}` does not say that the person opted out; to take all rows whatever it says, leave it out by \
         --ignore-column"
    )]
    NotOptedOut(Name),
    /// What the gateway said.
    #[error("{0}")]
    Gateway(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_says_what_to_do_about_every_refusal() {
        let documentation = include_str!("../../../../docs/importing.md");
        let date = || Name::new("date");
        for refusal in [
            Refusal::LineTooLong,
            Refusal::NotUtf8,
            Refusal::UnclosedQuote,
            Refusal::NoColumn,
            Refusal::NoNumber,
            Refusal::NoNumberField(None),
            Refusal::Fraction,
            Refusal::Point,
            Refusal::Scientific,
            Refusal::Formula,
            Refusal::NotAnObject,
            Refusal::Ambiguous,
            Refusal::NumberType,
            Refusal::FieldType("reason"),
            Refusal::Directions,
            Refusal::Hold,
            Refusal::Source,
            Refusal::HoldUnsaid,
            Refusal::OtherHold(HoldKind::OptOut),
            Refusal::Expires,
            Refusal::Date(date()),
            Refusal::FutureDate(date()),
            Refusal::PlaceholderDate(date()),
            Refusal::SeveralDates(Name::new("created"), date()),
            Refusal::MessageDirection,
            Refusal::NoField(Name::new("when"), "--date-column"),
            Refusal::ReasonTooLong,
            Refusal::Inactive,
            Refusal::OptedIn,
            Refusal::NotOptedOut(Name::new("opted_out")),
        ] {
            let row = format!("\n| {refusal} | ");
            assert!(documentation.contains(&row), "docs/importing.md says nothing of: {refusal}");
        }
    }
}
