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

use super::client::{Client, MOST_NUMBERS};
use super::directions::Directions;
use super::lines::Lines;
use super::output;
use super::{Exit, TargetOptions};
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

/// Requests under way at once: enough that the gateway always has the next batch at hand, few
/// enough to leave it room for others.
const TOGETHER: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Block, or unblock, all numbers of a file
///
/// Reads files of any size in constant memory. A row that can't be taken is named on standard
/// error, as `line 17: why`, and does not stop the rest. The last line on standard error counts
/// what became of the rows. The exit code is 0 where all rows were taken, 1 where some were
/// refused, 2 where the import stopped before the end; then a message says from which line to go
/// on. Importing a row twice does no harm.
///
/// FORMATS. Plain files hold a number on each line; empty lines, and those that begin with `#`, are
/// skipped. CSV files have a header, and before it maybe Excel's `sep=;`; without that, fields are
/// separated by the one of comma, semicolon, tab and | that the header has most of. NDJSON files
/// have a JSON object on each line. Without --format, the extension tells: .txt is plain, .csv and
/// .tsv are CSV, .ndjson and .jsonl are NDJSON. With another extension, and on standard input, the
/// first line that is not empty tells: one that begins with `{` means NDJSON, one with a letter or a
/// separator of fields means CSV, any other means plain. Text is UTF-8, with or without a byte order
/// mark; lines end with LF, CRLF or CR, and have at most 65536 bytes.
///
/// COLUMNS of CSV files and fields of NDJSON files are known by their names; capitals, spaces and
/// signs make no difference. The number is in `number`; else in the one that is called phone,
/// phone_number, phone_number_e164, phone_e164, e164, msisdn, mobile, mobile_number, mobile_phone,
/// mobile_phone_number, cell_phone, cell_phone_number, sms, sms_number, sms_phone,
/// sms_phone_number, tel, telephone, telephone_number, to, from, recipient, destination,
/// contact_information, opted_out_number or wa_id; else --column names it. `directions` (inbound,
/// outbound, both), `reason`, `hold`, `source` and `expires` (RFC 3339), where a row has them, go
/// before the options of this command. A row whose `status` is inactive is refused, unless it tells
/// when a person took a wish back, as `export --lifted` writes it; so is one whose `status` is opt-in
/// or subscribed, unless with --unblock.
///
/// NUMBERS are read as the gateway reads them. 46732001122.0, which spreadsheets and scripts make of
/// a number, is read without its fraction; ="46732001122" and '46732001122 are read as Excel means
/// them. A number with another fraction, or in scientific notation, may have lost digits, and is
/// refused.
///
/// HOLDS. `hold` is operator (the business's own), opt_out (the person's) or marketing (the person's,
/// and blocks nothing by itself); `source` is api, manual, import or opt_out, which makes the hold
/// opt_out unless `hold` says otherwise; opt-out is the same as opt_out. A row with another word is
/// refused: where a column of that name means something else, leave it out by --ignore-column. A
/// plain `unblock` does not lift what a person asked for. So a file that seems to be about people's
/// opt-outs (its name or a column's has opt-out, opted-out, unsub, do-not-contact, do-not-call or
/// suppress in it, or its name the word stop or dnc, or there is a column for the date of an opt-out,
/// a keyword or a consent) is not imported before --hold, --source or a column says whose holds to
/// make.
///
/// DATES. When a person asked for an opt-out is in the column requested, opted_out_at, opted_out_on,
/// opted_out_date, opted_out_timestamp, opt_out_at, opt_out_date, opt_out_time, opt_out_timestamp,
/// unsub_time, unsub_date, unsubscribed_at, unsubscribed_on, unsubscribed_date, unsubscribe_date,
/// unsubscribe_time, date_unsubscribed or date_of_consent; else in created, created_at, created_on,
/// created_date, date_created, date, timestamp, added, added_at, date_added, received_at, date_sent,
/// sent_date, sent_at or log_date; else --date-column names it. It is read as RFC 3339, as
/// 2024-03-31 12:00:00 (in UTC, unless --date-offset says otherwise), as 2024-03-31 (until the end of
/// that day), or as Unix time in seconds or milliseconds; or as --date-format says. The gateway
/// ignores an opt-out that is older than what it knows of the person's wishes.
///
/// docs/importing.md has examples, the headers of common vendors, and what to do about each error.
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
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: TargetOptions,

    /// How the file is written
    #[arg(long, short, default_value = "auto")]
    format: FormatOption,

    /// The column, or field, with the numbers
    #[arg(long, value_name = "NAME")]
    column: Option<String>,

    /// A column, or field, that says nothing here. May be given several times
    #[arg(long, value_name = "NAME")]
    ignore_column: Vec<String>,

    /// Which ways to block, or unblock, where a row does not say
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Whose holds to make, where a row does not say; with --unblock, whose to lift [default: operator;
    /// opt-out with --source opt-out]
    #[arg(long, ignore_case = true)]
    hold: Option<HoldKind>,

    /// How the blocks came about, where a row does not say [default: import]
    #[arg(long, ignore_case = true, conflicts_with = "unblock")]
    source: Option<GivenSource>,

    /// Why, where a row does not say: at most 500 characters, stored encrypted
    #[arg(long, value_name = "TEXT", conflicts_with = "unblock")]
    reason: Option<String>,

    /// The column, or field, with the date on which the person asked
    ///
    /// With --unblock: for people to be unblocked again. Only this column, or `requested`, is read then.
    #[arg(long, value_name = "NAME")]
    date_column: Option<String>,

    /// How dates are written, as in strptime, such as '%d/%m/%Y %H:%M'
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<DateFormat>,

    /// The time zone of dates that do not say theirs, as +02:00
    #[arg(long, value_name = "OFFSET", default_value = "UTC", allow_hyphen_values = true)]
    date_offset: UtcOffset,

    /// Lift the blocks instead of adding them
    #[arg(long)]
    unblock: bool,

    /// Read and check everything, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Rows in a request, at most 10000
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = batch_size)]
    batch: NonZeroUsize,

    /// Skip the rows before this line: how to go on with an import that stopped
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
    /// By the file's extension, else by its first line
    Auto,
    /// A number a line
    Plain,
    /// With a header
    Csv,
    /// A JSON object a line
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

pub(super) fn run(client: &Client, options: Options) -> anyhow::Result<Exit> {
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
        |batch| batch.send(client, &target, &wish),
        |batch, applied| {
            tally.add(&batch, &applied);
            progress.answered(&batch, &applied, &tally);
        },
    );
    progress.end();
    let stopped = match sent {
        Ok(()) => None,
        Err(Stop::Read(error)) => Some(error.context(format!("reading {name}"))),
        // Nothing was done, or nothing was to be done.
        Err(Stop::Send(_, error)) if tally.rows == 0 || wish.dry_run => Some(error.into()),
        Err(Stop::Send(batch, error)) => {
            let line = batch.first_line();
            Some(anyhow!(
                "{error}\n  All rows before line {line} are acknowledged, rows from there on may be: go on with \
                 --from-line {line}"
            ))
        }
    };
    if tally.rows > 0 || stopped.is_none() {
        output::note(tally.summary(&wish));
    }
    match stopped {
        Some(error) => Err(error),
        None if tally.refused > 0 => Ok(Exit::NotAll),
        None => Ok(Exit::Good),
    }
}

/// The input, and its size where that is known.
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

/// The rows of a text in the given format, or else in the one that its first line has.
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

/// How many empty lines are held in memory in search of one that tells the format.
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
