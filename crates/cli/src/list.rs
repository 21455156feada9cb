//! `portcullis list`.

use clap::{Args, ValueEnum};

use super::client::Client;
use super::entries::{Entry, EntryWriter, Form, Status};
use super::output::Results;
use super::{Exit, TargetOptions};

/// Print who is blocked
///
/// In an order that stays the same, but means nothing.
///
/// CSV has a row for each hold, as `export` writes it, so that `import` reads it without loss: also a
/// marketing hold, which blocks nobody by itself. --status is about the holds there.
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis list --sender support
  portcullis list --tenant-wide --status all --format csv")]
pub(super) struct Options {
    #[command(flatten)]
    target: TargetOptions,

    /// Which entries
    #[arg(long, default_value = "active")]
    status: Status,

    /// How they are printed
    #[arg(long, short, default_value = "plain")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A number a line, as +46700000001
    Plain,
    /// One JSON array of objects as the API gives them
    Json,
    /// A row for each hold, with a header
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

pub(super) fn run(client: &Client, options: Options) -> anyhow::Result<Exit> {
    let target = options.target.target();
    let mut writer = EntryWriter::new(options.format.into(), Results::open());
    // An entry may have holds of both kinds, whatever it is itself.
    let by_hold = options.format == Format::Csv;
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
