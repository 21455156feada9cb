//! `portcullis export`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use tempfile::NamedTempFile;

use super::client::{Client, Target};
use super::entries::{Entry, EntryWriter, Form, Status};
use super::output::{self, Results};
use super::{Exit, TargetOptions};

/// Write all active entries to a file that `import` reads again
///
/// CSV and NDJSON have a row for each hold, with its directions, reason, source and expiry time, and
/// when it was asked for: a number that both the business and the person block has two. `import`
/// reads all of that again; who wrote it and when, the client's name for the source (`label`), and a
/// number as it was written without its plus (`display`) are for reading only. Plain keeps the
/// numbers only: imported again, each is blocked by the business, both ways and for good.
///
/// With --lifted there are also rows for wishes that people took back. Imported elsewhere, they keep
/// an older opt-out, which a file has or brings later, from counting.
///
/// The file holds telephone numbers in clear, so only its owner may read it (mode 0600). It appears
/// when it is complete: a file of that name stays as it is until then, and where the export fails.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis export --sender support --output support.csv
  portcullis export --tenant-wide --lifted --output all.ndjson
  portcullis export --sender support | portcullis import - --sender sales")]
pub(super) struct Options {
    #[command(flatten)]
    target: TargetOptions,

    /// How entries are written [default: as the file's extension says, else csv]
    #[arg(long, short)]
    format: Option<Format>,

    /// Write also when people took back what they had asked for
    #[arg(long)]
    lifted: bool,

    /// The file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A number a line, as +46700000001
    Plain,
    /// With a header
    Csv,
    /// A JSON object a line
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

pub(super) fn run(client: &Client, options: Options) -> anyhow::Result<Exit> {
    let target = options.target.target();
    let path = options.output.filter(|path| path != Path::new("-"));
    let by_extension = || path.as_deref().and_then(Format::of_extension);
    let format = options.format.or_else(by_extension).unwrap_or(Format::Csv);
    if options.lifted && format == Format::Plain {
        bail!("a plain list can't tell what was lifted: add --format csv, or leave out --lifted");
    }
    let what = What { target, format, lifted: options.lifted };
    let lost = match path {
        None => write(client, &what, Results::open())?.1,
        Some(path) => to_file(client, &what, &path)?,
    };
    if format == Format::Plain && lost.limited > 0 {
        output::note(format_args!(
            "portcullis: {} entries hold for one direction or until some time, which a plain list does not \
             tell: to keep that, use --format csv",
            lost.limited
        ));
    }
    if lost.without_number > 0 {
        output::note(format_args!(
            "portcullis: {} entries are about accounts without a number, and left out: see `portcullis list \
             --format json`",
            lost.without_number
        ));
    }
    Ok(Exit::Good)
}

/// What is exported.
struct What {
    target: Target,
    format: Format,
    /// Whether wishes that were taken back are, too.
    lifted: bool,
}

/// What of the entries does not get into the file.
#[derive(Default)]
struct Lost {
    /// Entries that say more than a plain list can.
    limited: usize,
    without_number: usize,
}

fn write<W: Write>(client: &Client, what: &What, out: W) -> anyhow::Result<(W, Lost)> {
    let What { target, format, lifted } = what;
    let mut writer = EntryWriter::new((*format).into(), out);
    let mut lost = Lost::default();
    // A plain list has a number once. Elsewhere each hold is a row, also one that blocks nothing by itself.
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
        bail!("{} is a folder: name a file in it", path.display());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Beside its place, as a file can't be renamed onto another file system; made with mode 0600.
    let file =
        NamedTempFile::new_in(folder).with_context(|| format!("making a file in {}", folder.display()))?;
    let (file, lost) = write(client, what, BufWriter::new(file))?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.as_file().sync_all().with_context(|| format!("writing {}", path.display()))?;
    file.persist(path).with_context(|| format!("putting the file in place as {}", path.display()))?;
    Ok(lost)
}
