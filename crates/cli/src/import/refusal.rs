//! Why rows of an import are refused.

use portcullis_msisdn::ParseError;

use super::super::hold;
use super::super::lines::LONGEST_LINE;
use super::super::source;
use super::column::Name;
use super::row::LONGEST_REASON;
use portcullis_api::HoldKind;

/// Why a row is refused. Messages name columns, but never repeat values: any field may contain a number or a person's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the line has more than {LONGEST_LINE} bytes")]
    LineTooLong,
    #[error("the line is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    #[error("a quoted field is not closed; look for a missing or extra quote")]
    UnclosedQuote,
    #[error("the row has too few columns; that of the number is missing")]
    NoColumn,
    #[error("the number is missing")]
    NoNumber,
    #[error(
        "no field is known to contain the number; name one with --column{}",
        .0.as_ref().map(|guess| format!("; is it --column '{guess}'?")).unwrap_or_default()
    )]
    NoNumberField(Option<Name>),
    #[error("{0}")]
    Number(ParseError),
    #[error(
        "the number has a decimal fraction, so a spreadsheet or script may have changed digits; format the column as text and \
         export it again"
    )]
    Fraction,
    #[error(
        "the dot or comma in the number may be a decimal point or a group separator; write the number without it"
    )]
    Point,
    #[error(
        "the number is in scientific notation, so digits may be lost; format the column as text and export it again"
    )]
    Scientific,
    #[error("the number is a spreadsheet formula; export values instead of formulas")]
    Formula,
    #[error("not a JSON object; write one object per line, such as {{\"number\": \"+46…\"}}")]
    NotAnObject,
    #[error("several fields could contain the number; name one with --column")]
    Ambiguous,
    #[error("the number is neither a JSON string nor a non-negative integer")]
    NumberType,
    #[error("the field `{0}` is not a string")]
    FieldType(&'static str),
    #[error("the directions are not valid; write inbound, outbound or both")]
    Directions,
    #[error("the field `hold` must be one of {}; correct it, or add --ignore-column hold", hold::NAMES)]
    Hold,
    #[error("the field `source` must be one of {}; correct it, or add --ignore-column source", source::NAMES)]
    Source,
    #[error(
        "the file seems to contain opt-outs, and the row does not say which hold to set; add --hold opt-out or --hold operator"
    )]
    HoldUnsaid,
    #[error("the row is about the hold {}, which this import does not lift; name it with --hold", .0.as_str())]
    OtherHold(HoldKind),
    #[error("the expiry is not a time in RFC 3339; write it like 2030-12-31T23:59:59Z")]
    Expires,
    #[error(
        "the date in `{0}` can't be read; write it like 2024-03-31 or 2024-03-31T12:00:00Z, give its format with \
         --date-format, such as '%d/%m/%Y', or add --ignore-column"
    )]
    Date(Name),
    #[error(
        "the date in `{0}` is in the future; if the times in the file are not in UTC, add --date-offset, such as +02:00"
    )]
    FutureDate(Name),
    #[error(
        "the date in `{0}` is before 1990, probably a placeholder for no date; correct it, or add --ignore-column"
    )]
    PlaceholderDate(Name),
    #[error(
        "several fields could contain the date of the request: {0} and {1}; name one with --date-column, or exclude one with \
         --ignore-column"
    )]
    SeveralDates(Name, Name),
    #[error(
        "the field `direction` may be that of a message; add --ignore-column direction, or rename it to `directions` if it says \
         what to block"
    )]
    MessageDirection,
    #[error("there is no field {0} ({1})")]
    NoField(Name, &'static str),
    #[error("the reason has more than {LONGEST_REASON} characters")]
    ReasonTooLong,
    #[error("the status is inactive, so the row blocks nobody")]
    Inactive,
    #[error("the status says that the person opted in")]
    OptedIn,
    #[error(
        "the field `{0}` does not say that the person opted out; to import such rows anyway, add --ignore-column"
    )]
    NotOptedOut(Name),
    /// The reason given by the gateway.
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
            assert!(documentation.contains(&row), "docs/importing.md does not list: {refusal}");
        }
    }
}
