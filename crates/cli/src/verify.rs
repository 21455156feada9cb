//! `portcullis verify`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::Exit;
use crate::output;

/// Check the ledger and the saved states for damage, while no gateway runs
///
/// Prints a line for everything that is damaged: in the files, in SQLite's structures, in the sums
/// that are stored with the entries, and in what is encrypted. Changes nothing. Takes a few seconds
/// per million entries. The options --url and --token have no effect.
///
/// Exits with 0 if nothing is damaged, with 1 if something is, and with 2 if the check could not be
/// made, such as while a gateway runs.
#[derive(Args)]
pub struct Options {
    /// Configuration file (TOML) of the gateway
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,

    /// Accept the entries as they are, damaged or not, if there is no backup to restore
    ///
    /// Lists go into service again with what is stored of them. Check them against your own records.
    #[arg(long)]
    pub accept: bool,

    /// Check this copy of the ledger instead, which may be done while the gateway runs
    ///
    /// Make the copy with `sqlite3 portcullis.db ".backup FILE"`. It is opened for reading only.
    #[arg(long, value_name = "FILE", conflicts_with = "accept")]
    pub backup: Option<PathBuf>,
}

/// What a check found.
#[derive(serde::Serialize)]
pub struct Report {
    /// A line for everything that is damaged.
    pub damage: Vec<String>,
    /// What was checked, and what was done about the damage.
    pub summary: String,
}

pub(super) fn print(report: &Report, json: bool) -> anyhow::Result<Exit> {
    output::print(json, report, |results| {
        report.damage.iter().try_for_each(|line| writeln!(results, "{line}"))
    })?;
    if !json {
        output::note(&report.summary);
    }
    Ok(if report.damage.is_empty() { Exit::Good } else { Exit::NotAll })
}
