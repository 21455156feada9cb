//! `portcullis list`.

use clap::{Args, ValueEnum};

use super::entries::{Entry, EntryWriter, Form, Status};
use super::output::Results;
use super::{Exit, GatewayOptions, TargetOptions};

/// List blocked numbers
///
/// The order is stable, but arbitrary.
///
/// CSV has one row per hold, like `export`, so that `import` can read it without loss. This includes
/// marketing holds, which block only marketing messages. For CSV, --status selects holds.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis list --sender support
  portcullis list --tenant-wide --status all --format csv")]
pub(super) struct Options {
    #[command(flatten)]
    target: TargetOptions,

    /// Entries to list
    #[arg(long, default_value = "active")]
    status: Status,

    /// Output format [default: plain, or json with --json]
    #[arg(long, short)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One number per line, such as +46700000001
    Plain,
    /// A JSON array of entries
    Json,
    /// One row per hold, with a header
    Csv,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Plain => Form::Plain,
            Format::Json => Form::Json,
            Format::Csv => Form::Csv,
        }
    }
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let client = gateway.client()?;
    let format = options.format.unwrap_or(if gateway.json { Format::Json } else { Format::Plain });
    let target = options.target.target();
    let mut writer = EntryWriter::new(format.into(), Results::open());
    // An active entry may have lifted holds, and an inactive one a marketing hold in force.
    let by_hold = format == Format::Csv;
    let status = if by_hold { Status::All } else { options.status };
    for page in client.pages(&target, status) {
        let mut page: Vec<Entry> = page?.into_iter().map(Entry::from).collect();
        if by_hold {
            page = page.into_iter().flat_map(|entry| entry.split(options.status)).collect();
        }
        writer.page(&page)?;
    }
    writer.end()?;
    Ok(Exit::Good)
}
