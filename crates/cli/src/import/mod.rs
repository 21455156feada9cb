//! `portcullis import`.

mod batch;
mod column;
mod csv;
mod date;
mod flight;
mod format;
pub mod fuzz;
mod ndjson;
mod plain;
mod progress;
mod refusal;
mod row;
mod rules;
mod sign;
mod spelling;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::client::MOST_NUMBERS;
use super::directions::Directions;
use super::lines::Lines;
use super::output;
use super::{Exit, GatewayOptions, TargetOptions};
use batch::{Batches, Plan};
use column::Name;
use date::{DateFormat, DateReader, UtcOffset};
use flight::{Stop, send_all};
use format::Format;
use portcullis_api::GivenSource;
use portcullis_api::HoldKind;
use progress::{Progress, Tally};
use row::Rows;
use rules::{Change, Rules};
use sign::Sign;

/// Concurrent requests: enough to keep the gateway busy, few enough to leave room for other clients.
const TOGETHER: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Block or unblock all numbers in a file
///
/// Reads files of any size in constant memory. A row that is refused is reported on standard error as
/// `line 17: REASON`, and the import continues. The last line on standard error counts the rows by
/// result. Exits with 0 if all rows were accepted, 1 if some were refused, and 2 if the import stopped
/// early; a message then says from which line to continue. Importing a row twice does no harm.
///
/// FORMATS. Plain files have one number per line; empty lines and lines that start with `#` are
/// skipped. CSV files have a header, optionally preceded by Excel's `sep=;`; without that, the
/// delimiter is whichever of comma, semicolon, tab and | occurs most often in the header. NDJSON files
/// have one JSON object per line. Without --format, the extension decides: .txt is plain, .csv and .tsv
/// are CSV, .ndjson and .jsonl are NDJSON. For other extensions and standard input, the first line that
/// is not empty decides: a line that starts with `{` means NDJSON, one with a letter or a delimiter
/// means CSV, any other means plain. Text is UTF-8, with or without a byte order mark. Lines end with
/// LF, CRLF or CR, and have at most 65536 bytes.
///
/// COLUMNS of CSV files and fields of NDJSON objects are recognized by name; case, spaces and
/// punctuation are ignored. The number is in `number`, or else in the column called phone,
/// phone_number, phone_number_e164, phone_e164, e164, msisdn, mobile, mobile_number, mobile_phone,
/// mobile_phone_number, cell_phone, cell_phone_number, sms, sms_number, sms_phone,
/// sms_phone_number, tel, telephone, telephone_number, to, from, recipient, destination,
/// contact_information, opted_out_number or wa_id; --column names another one. The columns `directions`
/// (inbound, outbound, both), `reason`, `hold`, `source` and `expires` (RFC 3339) override the options
/// of this command. A row whose `status` is inactive is refused, unless it records when a person
/// withdrew an opt-out, as `export --lifted` writes it. A row whose `status` is opt-in or subscribed is
/// refused, too, except with --unblock.
///
/// NUMBERS are read as the gateway reads them. In addition, 46732001122.0, as spreadsheets and scripts
/// write it, is read without its fraction, and Excel's ="46732001122" and '46732001122 are read without
/// the extra characters. A number with any other fraction or in scientific notation may have lost
/// digits, and is refused.
///
/// HOLDS. `hold` is operator (the business's own), opt_out (the person's) or marketing (the person's,
/// for marketing messages only). `source` is api, manual, import or opt_out; the latter sets the hold
/// opt_out unless `hold` says otherwise. opt-out is the same as opt_out. A row with any other value is
/// refused; if the column means something else in this file, add --ignore-column. A plain `unblock`
/// does not lift what a person asked for. Therefore a file that seems to contain opt-outs is imported
/// only if --hold, --source or a column says which holds to set. The signs are opt-out, opted-out,
/// unsub, do-not-contact, do-not-call or suppress in the name of the file or a column, the word stop or
/// dnc in the file name, and a column for the date of an opt-out, a keyword or a consent.
///
/// DATES. The date of an opt-out is in the column requested, opted_out_at, opted_out_on,
/// opted_out_date, opted_out_timestamp, opt_out_at, opt_out_date, opt_out_time, opt_out_timestamp,
/// unsub_time, unsub_date, unsubscribed_at, unsubscribed_on, unsubscribed_date, unsubscribe_date,
/// unsubscribe_time, date_unsubscribed or date_of_consent, or else in created, created_at, created_on,
/// created_date, date_created, date, timestamp, added, added_at, date_added, received_at, date_sent,
/// sent_date, sent_at or log_date; --date-column names another one. Dates are read as RFC 3339, as
/// 2024-03-31 12:00:00 (in UTC or the zone of --date-offset), as 2024-03-31 (the end of that day), or as
/// Unix time in seconds or milliseconds; --date-format sets another format. The gateway ignores an
/// opt-out that is older than the latest request it knows from that person.
///
/// docs/importing.md has examples, the headers of common vendors, and a remedy for each error.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis import optouts.csv --sender support --hold opt-out
  portcullis import rude.txt --sender support --reason 'rude on the phone'
  portcullis import crm.csv --tenant-wide --column 'Cell phone no' --ignore-column source --dry-run
  portcullis import stop.csv --sender support --hold opt-out --date-format '%d/%m/%Y'
  zcat numbers.gz | portcullis import - --sender support --direction outbound
  portcullis import optouts.csv --sender support --hold opt-out --from-line 15002")]
pub(super) struct Options {
    /// File to import; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: TargetOptions,

    /// Format of the file
    #[arg(long, short, default_value = "auto")]
    format: FormatOption,

    /// Column or field that contains the numbers
    #[arg(long, value_name = "NAME")]
    column: Option<String>,

    /// Ignore this column or field (repeatable)
    #[arg(long, value_name = "NAME")]
    ignore_column: Vec<String>,

    /// Direction to block or unblock, unless a row says otherwise
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Hold to set, unless a row says otherwise; with --unblock, hold to lift [default: operator; opt-out
    /// with --source opt-out]
    #[arg(long, ignore_case = true)]
    hold: Option<HoldKind>,

    /// Where the blocks come from, unless a row says otherwise [default: import]
    #[arg(long, ignore_case = true, conflicts_with = "unblock")]
    source: Option<GivenSource>,

    /// Reason, unless a row has one: at most 500 characters, stored encrypted
    #[arg(long, value_name = "TEXT", conflicts_with = "unblock")]
    reason: Option<String>,

    /// Column or field with the date of the person's request
    ///
    /// With --unblock this is the date of the opt-in, and no other column than this one or `requested` is
    /// read as a date.
    #[arg(long, value_name = "NAME")]
    date_column: Option<String>,

    /// Format of dates, as for strptime, such as '%d/%m/%Y %H:%M'
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<DateFormat>,

    /// UTC offset of dates that have none, such as +02:00
    #[arg(long, value_name = "OFFSET", default_value = "UTC", allow_hyphen_values = true)]
    date_offset: UtcOffset,

    /// Unblock the numbers instead of blocking them
    #[arg(long)]
    unblock: bool,

    /// Validate all rows, but change nothing
    #[arg(long)]
    dry_run: bool,

    /// Rows per request, at most 10000
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = batch_size)]
    batch: NonZeroUsize,

    /// Skip rows before this line, to continue an import that stopped
    #[arg(long, value_name = "LINE", default_value = "1")]
    from_line: u64,
}

impl Options {
    fn rules(&self) -> Rules {
        let name = |name: &String| Name::new(name);
        Rules {
            change: if self.unblock { Change::Unblock } else { Change::Block },
            hold: self.hold,
            source: self.source,
            column: self.column.as_ref().map(name),
            date_column: self.date_column.as_ref().map(name),
            ignored: self.ignore_column.iter().map(name).collect(),
            dates: DateReader {
                format: self.date_format.clone(),
                offset: self.date_offset.0,
                of_opt_ins: self.unblock,
                now: Timestamp::now(),
            },
            file_sign: Sign::of_file(&self.file),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatOption {
    /// Detect the format by file extension, otherwise by the first line
    Auto,
    /// One number per line
    Plain,
    /// Rows with a header
    Csv,
    /// One JSON object per line
    Ndjson,
}

impl FormatOption {
    fn format(self) -> Option<Format> {
        match self {
            FormatOption::Auto => None,
            FormatOption::Plain => Some(Format::Plain),
            FormatOption::Csv => Some(Format::Csv),
            FormatOption::Ndjson => Some(Format::Ndjson),
        }
    }
}

fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|size: &NonZeroUsize| size.get() <= MOST_NUMBERS)
        .ok_or_else(|| format!("write a number from 1 to {MOST_NUMBERS}"))
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = gateway.client()?;
    let rules = options.rules();
    let target = options.target.target();
    let wish = Plan {
        change: rules.change,
        directions: options.direction,
        hold: rules.common_hold(),
        source: options.source.unwrap_or(GivenSource::Import),
        reason: options.reason,
        dry_run: options.dry_run,
    };
    let name = options.file.display();
    let (input, size) = open(&options.file).with_context(|| format!("opening {name}"))?;
    let progress = Progress::new(size);
    let lines = Lines::new(BufReader::new(progress.watch(input)));
    let format = options.format.format().or_else(|| Format::of_extension(&options.file));
    let rows = rows(lines, format, &rules).with_context(|| format!("reading {name}"))?;
    let batches = Batches::new(rows, options.batch, options.from_line);

    let mut tally = Tally::default();
    let sent = send_all(
        TOGETHER,
        batches,
        |batch| batch.send(&client, &target, &wish),
        |batch, applied| {
            tally.add(&batch, &applied);
            progress.answered(&batch, &applied, &tally);
        },
    );
    progress.end();
    let stopped = match sent {
        Ok(()) => None,
        Err(Stop::Read(error)) => Some(error.context(format!("reading {name}"))),
        // Nothing was acknowledged, or a dry run changes nothing: there is no line to continue from.
        Err(Stop::Send(_, error)) if tally.rows == 0 || wish.dry_run => Some(error.into()),
        Err(Stop::Send(batch, error)) => {
            let line = batch.first_line();
            Some(anyhow!(
                "{error}\n  All rows before line {line} are acknowledged, and some from there on may be; continue with \
                 --from-line {line}"
            ))
        }
    };
    if gateway.json {
        output::print(true, &tally, |_| Ok(()))?;
    } else if tally.rows > 0 || stopped.is_none() {
        output::note(tally.summary(&wish));
    }
    match stopped {
        Some(error) => Err(error),
        None if tally.refused > 0 => Ok(Exit::NotAll),
        None => Ok(Exit::Good),
    }
}

/// Opens the input. Returns its size if it is a regular file.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let size = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), size))
}

/// Reads rows in the given format, or in the one detected from the first line that is not empty.
fn rows<'a>(
    mut lines: Lines<impl BufRead + 'a>,
    format: Option<Format>,
    rules: &'a Rules,
) -> anyhow::Result<Box<dyn Rows + 'a>> {
    let mut before = Vec::new();
    let mut format = format;
    while let Some(line) = lines.next()? {
        let text = line.bytes.clone().unwrap_or_default();
        before.push(line);
        if !text.trim_ascii().is_empty() || before.len() >= MOST_EMPTY_LINES {
            format::refuse_other_files(&text)?;
            format = format.or(Some(Format::of_line(&text)));
            break;
        }
    }
    lines.give_back(before);
    Ok(match format.unwrap_or(Format::Plain) {
        Format::Plain => Box::new(plain::PlainRows::new(lines, rules)?),
        Format::Csv => Box::new(csv::CsvRows::new(lines, rules)?),
        Format::Ndjson => Box::new(ndjson::NdjsonRows::new(lines, rules)?),
    })
}

/// How many empty lines are buffered while the format is being detected.
const MOST_EMPTY_LINES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_one_to_ten_thousand_rows() {
        for (text, good) in [("1", true), ("10000", true), ("0", false), ("10001", false), ("x", false)] {
            assert_eq!(batch_size(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn the_first_line_that_is_not_empty_tells_the_format_and_is_read_again() {
        for (text, line) in [("\n\n+46700000001\n", 3), ("\nnumber\n1\n", 3), ("\n{\"number\":\"1\"}", 2)] {
            let rules = Rules::default();
            let mut rows = rows(Lines::new(text.as_bytes()), None, &rules).unwrap();
            let row = rows.next().unwrap().unwrap();
            assert_eq!((row.line, row.wanted.is_ok()), (line, true), "{text:?}");
            assert!(rows.next().unwrap().is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_help_names_every_column_that_is_known() {
        let command = Options::augment_args(clap::Command::new("import"));
        let help = command.get_long_about().unwrap().to_string().replace('\n', " ");
        let names =
            column::NUMBER_NAMES.iter().chain(&column::OPT_OUT_DATE_NAMES).chain(&column::RECORD_DATE_NAMES);
        for name in names {
            let named = help
                .split(|character: char| !character.is_alphanumeric() && character != '_')
                .any(|word| word == *name);
            assert!(named, "{name}");
        }
    }
}
