//! `portcullis list`.

use clap::{Args, ValueEnum};

use super::client::Client;
use super::entries::{EntryWriter, Form, Status};
use super::output::Results;
use super::{Exit, TargetOptions};

/// Print who is blocked
///
/// In an order that stays the same, but means nothing.
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

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A number a line, as +46700000001
    Plain,
    /// One JSON array of objects as the API gives them
    Json,
    /// With a header
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
    for page in client.pages(&target, options.status) {
        writer.page(&page?)?;
    }
    writer.end()?;
    Ok(Exit::Good)
}
