//! `portcullis backup`, and what it has in common with `portcullis restore`.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::Exit;
use crate::output;
use crate::progress::{Progress, percent};
use crate::restore;

/// How often it is said how far it is.
const EVERY: Duration = Duration::from_secs(2);

/// Back up what a gateway has on disk, while it runs or not; or check a backup
///
/// DIR is created, and has the ledger as of one commit, what rules have counted, the plugins with their
/// versions, and a manifest with the digest of each file, sealed under the master key. Writes go on
/// meanwhile. Every write that was acknowledged before the copy of the ledger began is in it; the
/// command prints that time, and the number of the commit. The copy is checked like `portcullis verify`
/// does. DIR is written as DIR.partial and renamed last: a backup that was interrupted has no DIR.
///
/// Run it as the gateway's user on the gateway's machine: it reads the files, and no token is involved.
/// The options --url and --token have no effect. The ledger of a fleet is in its database, which is
/// backed up by PostgreSQL's tools: what is local is copied, and the command says what to run.
///
/// Exits with 0 if all is well, with 1 if what was backed up is damaged, and with 2 if there is no backup.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct BackupCommand {
    /// Folder of the backup, which must not exist
    #[arg(value_name = "DIR", required = true)]
    dir: Option<PathBuf>,

    /// Configuration file (TOML) of the gateway
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,

    /// Put the master key into the backup, too
    ///
    /// A thief of such a backup can read everything in it: all numbers, reasons and settings.
    /// Without the option the backup is useless without the key, so keep the key elsewhere, and keep it
    /// for as long as the backup.
    #[arg(long)]
    with_key: bool,

    /// Copy saved states of plugins, too
    ///
    /// A gateway on the restored ledger is ready sooner. Without them, long lists are filled from the
    /// ledger, in some seconds per million entries. They take up to six bytes for each entry.
    #[arg(long)]
    with_states: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check that a backup is as it was written, and that the ledger in it is whole
    ///
    /// Compares the digest of each file, checks the seal of the manifest under the master key, and all
    /// entries of the ledger. Prints a line for everything that is wrong.
    ///
    /// Exits with 0 if all is well, with 1 if something is wrong, and with 2 if the check could not be
    /// made, such as with another master key.
    Verify(VerifyOptions),
}

/// Options of `portcullis backup verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    /// Folder of the backup
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Configuration file (TOML) of the gateway, which says where the master key is
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,

    /// Compare the digests of files only, without a configuration and a master key
    ///
    /// For a machine that keeps backups and must not have the key. It finds damage, and not what somebody
    /// altered who altered the manifest, too.
    #[arg(long, conflicts_with = "config")]
    pub files_only: bool,
}

/// Options of `portcullis backup DIR`.
#[derive(Clone, Debug)]
pub struct TakeOptions {
    /// The folder of the backup.
    pub dir: PathBuf,
    /// The configuration file of the gateway.
    pub config: PathBuf,
    /// Whether the master key is to be in it.
    pub with_key: bool,
    /// Whether saved states are to be in it.
    pub with_states: bool,
}

/// What is to be done.
pub enum Task {
    /// Make a backup.
    Take(TakeOptions),
    /// Check one.
    Verify(VerifyOptions),
    /// Restore one.
    Restore(restore::Options),
}

/// What was done, or found.
pub struct Report {
    /// For standard output: what is damaged, or what was replaced.
    pub lines: Vec<String>,
    /// The same as JSON, with more.
    pub json: Value,
    /// For people, on standard error.
    pub summary: Vec<String>,
    /// Whether nothing is damaged.
    pub is_good: bool,
}

impl BackupCommand {
    pub(super) fn task(self) -> Task {
        match self.command {
            Some(Command::Verify(options)) => Task::Verify(options),
            None => Task::Take(TakeOptions {
                // Without a subcommand it is required.
                dir: self.dir.unwrap_or_default(),
                config: self.config,
                with_key: self.with_key,
                with_states: self.with_states,
            }),
        }
    }
}

pub(super) fn run(
    as_json: bool,
    task: &Task,
    backup: impl FnOnce(&Task, &mut dyn FnMut(&str, u64, u64)) -> anyhow::Result<Report>,
) -> anyhow::Result<Exit> {
    let mut progress = Progress::new(EVERY, mebibytes);
    let report = backup(task, &mut |doing, done, total| {
        if progress.is_for_people() {
            progress.say(doing, done, total);
        }
    })?;
    output::print(as_json, &report.json, |results| {
        report.lines.iter().try_for_each(|line| writeln!(results, "{line}"))
    })?;
    for line in &report.summary {
        output::note(line);
    }
    Ok(if report.is_good { Exit::Good } else { Exit::NotAll })
}

/// Bytes, in MiB.
fn mebibytes(done: u64, total: u64) -> String {
    match percent(done, total) {
        Some(percent) => format!("{} MiB ({percent} %)", done >> 20),
        None => format!("{} MiB", done >> 20),
    }
}
