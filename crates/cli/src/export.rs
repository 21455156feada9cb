//! `portcullis export`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use tempfile::NamedTempFile;

use super::client::{Client, Target};
use super::entries::{Entry, EntryWriter, Form, Status};
use super::output::{self, Results};
use super::{Exit, GatewayOptions, TargetOptions};

/// Export a list to a file that `import` can read
///
/// CSV and NDJSON have one row per hold in force, with its directions, source, reason, expiry and the
/// time of the request. A number that both the business and the person block has two rows. `import`
/// restores all of that. It ignores the author and times of an entry, the client's name for the source
/// (`label`), and the original spelling of a number (`display`) unless that starts with a plus. Plain
/// files contain numbers only: importing one blocks each number for the business, in both directions
/// and without expiry.
///
/// --lifted adds a row for each opt-out or marketing hold that the person withdrew. Imported
/// elsewhere, such a row prevents an older opt-out from taking effect.
///
/// The file contains telephone numbers in clear, so only its owner may read it (mode 0600). It is
/// written under a temporary name and renamed when it is complete: if the export fails, an existing
/// file stays as it was.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis export --sender support --output support.csv
  portcullis export --tenant-wide --lifted --output all.ndjson
  portcullis export --sender support | portcullis import - --sender sales")]
pub(super) struct Options {
    #[command(flatten)]
    target: TargetOptions,

    /// Output format [default: by file extension; csv on standard output]
    #[arg(long, short)]
    format: Option<Format>,

    /// Include opt-outs and marketing holds that people withdrew
    #[arg(long)]
    lifted: bool,

    /// Output file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One number per line, such as +46700000001
    Plain,
    /// One row per hold, with a header
    Csv,
    /// One JSON object per line and hold
    Ndjson,
}

impl Format {
    fn of_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" => Some(Format::Plain),
            "csv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        }
    }
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Plain => Form::Plain,
            Format::Csv => Form::Csv,
            Format::Ndjson => Form::Ndjson,
        }
    }
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = &gateway.client()?;
    let target = options.target.target();
    let path = options.output.filter(|path| path != Path::new("-"));
    let format = match (options.format, &path) {
        (Some(format), _) => format,
        (None, _) if gateway.json => Format::Ndjson,
        (None, None) => Format::Csv,
        (None, Some(path)) => Format::of_extension(path).with_context(|| {
            format!(
                "the extension of {} names no format; add --format plain, csv or ndjson, or end the name with .txt, .csv \
                 or .ndjson",
                path.display()
            )
        })?,
    };
    if options.lifted && format == Format::Plain {
        bail!("a plain file can't represent lifted holds; add --format csv, or omit --lifted");
    }
    let what = What { target, format, lifted: options.lifted };
    let lost = match path {
        None => write(client, &what, Results::open())?.1,
        Some(path) => to_file(client, &what, &path)?,
    };
    if format == Format::Plain && lost.limited > 0 {
        output::note(format_args!(
            "portcullis: {} entries cover one direction or expire, which a plain file can't represent; use \
             --format csv to keep that",
            lost.limited
        ));
    }
    if lost.without_number > 0 {
        output::note(format_args!(
            "portcullis: {} entries of people without a number were omitted; `portcullis list --format json` \
             shows them",
            lost.without_number
        ));
    }
    Ok(Exit::Good)
}

/// What to export.
struct What {
    target: Target,
    format: Format,
    /// Whether to include holds that people withdrew.
    lifted: bool,
}

/// What the file does not represent.
#[derive(Default)]
struct Lost {
    /// The number of entries that cover one direction or expire.
    limited: usize,
    without_number: usize,
}

fn write<W: Write>(client: &Client, what: &What, out: W) -> anyhow::Result<(W, Lost)> {
    let What { target, format, lifted } = what;
    let mut writer = EntryWriter::new((*format).into(), out);
    let mut lost = Lost::default();
    // In a plain file each blocked number occurs once. The other formats have a row per hold, including
    // marketing holds of entries that are inactive.
    let status = if *format == Format::Plain { Status::Active } else { Status::All };
    let holds = if *lifted { Status::All } else { Status::Active };
    let is_written = |hold: &Entry| hold.is_in_force() || hold.is_wish_taken_back();
    for page in client.pages(target, status) {
        let (page, without_number): (Vec<_>, Vec<_>) =
            page?.into_iter().map(Entry::from).partition(Entry::has_number);
        let page = match format {
            Format::Plain => page,
            Format::Csv | Format::Ndjson => {
                page.into_iter().flat_map(|entry| entry.split(holds)).filter(is_written).collect()
            }
        };
        lost.limited += page.iter().filter(|entry| entry.is_limited()).count();
        lost.without_number += without_number.len();
        writer.page(&page)?;
    }
    Ok((writer.end()?, lost))
}

fn to_file(client: &Client, what: &What, path: &Path) -> anyhow::Result<Lost> {
    if path.is_dir() {
        bail!("{} is a directory; name a file in it", path.display());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // In the same directory, because a rename can't cross file systems. Created with mode 0600.
    let file =
        NamedTempFile::new_in(folder).with_context(|| format!("creating a file in {}", folder.display()))?;
    let (file, lost) = write(client, what, BufWriter::new(file))?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.as_file().sync_all().with_context(|| format!("writing {}", path.display()))?;
    file.persist(path).with_context(|| format!("renaming the file to {}", path.display()))?;
    Ok(lost)
}
