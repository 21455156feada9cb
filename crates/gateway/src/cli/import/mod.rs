//! `portcullis import`.

mod batch;
mod csv;
mod flight;
mod format;
mod ndjson;
mod plain;
mod progress;
mod row;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::client::{Change, Client, MOST_NUMBERS};
use super::directions::Directions;
use super::lines::Lines;
use super::output;
use super::{Exit, TargetOptions};
use batch::{Batches, Wish};
use flight::{Stop, send_all};
use format::Format;
use progress::{Progress, Tally};
use row::Rows;

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
/// Plain files hold a number on each line; empty lines, and those that begin with `#`, are skipped.
///
/// CSV files have a header. The number is in the column `number`, or else in the one that is called
/// phone, phone_number, msisdn, mobile, mobile_number, tel, telephone, e164, to, recipient or wa_id
/// (in capitals or not, with space or hyphen for the underscore), or that --column names. Fields
/// are separated by the one of comma, semicolon, tab and | that the header has most of.
///
/// NDJSON files have a JSON object on each line, with the number in a field of one of these names.
///
/// In both, `directions` (inbound, outbound, both), `reason` and `expires` (RFC 3339), where a row
/// has them, go before the options of this command. `source` is kept where it is one that the
/// gateway knows; a row whose `status` is inactive is refused.
///
/// Without --format, the extension tells: .txt is plain, .csv and .tsv are CSV, .ndjson and .jsonl
/// are NDJSON. With another extension, and on standard input, the first line that is not empty
/// tells: one that begins with `{` means NDJSON, one with a letter or a separator of fields means
/// CSV, any other means plain.
///
/// Text is UTF-8, with or without a byte order mark; lines end with LF, CRLF or CR, and have at
/// most 65536 bytes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis import optouts.csv --sender support --reason 'opted out'
  portcullis import crm.csv --tenant-wide --column 'Cell phone' --dry-run
  zcat numbers.gz | portcullis import - --sender support --direction outbound
  portcullis import optouts.csv --sender support --from-line 15002")]
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

    /// Which ways to block, or unblock, where a row does not say
    #[arg(long, short, default_value = "both")]
    direction: Directions,

    /// Why, where a row does not say: at most 500 characters, stored encrypted
    #[arg(long, value_name = "TEXT", conflicts_with = "unblock")]
    reason: Option<String>,

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
    let target = options.target.target();
    let wish = Wish {
        change: if options.unblock { Change::Unblock } else { Change::Block },
        directions: options.direction,
        reason: options.reason,
        dry_run: options.dry_run,
    };
    let name = options.file.display();
    let (input, size) = open(&options.file).with_context(|| format!("opening {name}"))?;
    let progress = Progress::new(size);
    let lines = Lines::new(BufReader::new(progress.watch(input)));
    let format = options.format.format().or_else(|| Format::of_extension(&options.file));
    let rows = rows(lines, format, options.column).with_context(|| format!("reading {name}"))?;
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
fn rows(
    mut lines: Lines<impl BufRead + 'static>,
    format: Option<Format>,
    column: Option<String>,
) -> anyhow::Result<Box<dyn Rows>> {
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
        Format::Plain => Box::new(plain::PlainRows::new(lines)),
        Format::Csv => Box::new(csv::CsvRows::new(lines, column.as_deref())?),
        Format::Ndjson => Box::new(ndjson::NdjsonRows::new(lines, column)),
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
            let mut rows = rows(Lines::new(text.as_bytes()), None, None).unwrap();
            let row = rows.next().unwrap().unwrap();
            assert_eq!((row.line, row.wanted.is_ok()), (line, true), "{text:?}");
            assert!(rows.next().unwrap().is_none(), "{text:?}");
        }
    }
}
