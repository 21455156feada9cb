//! `portcullis migrate`.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::Exit;
use crate::output;
use crate::progress::{Progress, percent};

/// How often it is said how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Move a ledger to another store, while no gateway uses it; or finish an upgrade
///
/// From an SQLite file to a PostgreSQL database, back, or between two of a kind. Everything in the
/// ledger is moved: tenants and settings of the admin API, entries with their holds, the history,
/// user ids, which webhooks were delivered, and where change events stopped. The two are compared at
/// the end. Then the old ledger is marked as moved, and no gateway opens it any more. Set storage.url
/// to the new one.
///
/// All gateways must be stopped. The target must be an empty database, or a file that does not exist.
/// If the command is interrupted, the old ledger is the one in use, and the same command starts over.
///
/// Both ledgers have the same master key, which is read from PORTCULLIS_MASTER_KEY or from a file, and
/// is not moved: the last line says where a gateway on the new ledger looks for it, if it is not there.
/// The options --url and --token have no effect.
#[derive(Args)]
pub struct Options {
    /// Ledger to move: sqlite://PATH or postgres://USER@HOST/DATABASE?sslmode=verify-full
    ///
    /// Set the password of a database in PGPASSWORD: other users of the machine can see a process's
    /// arguments.
    #[arg(long, value_name = "URL")]
    pub from: String,

    /// Where to move it, written like --from
    #[arg(long, value_name = "URL", required_unless_present_any = ["take_back", "finish"])]
    pub to: Option<String>,

    /// File of the master key
    ///
    /// By default the one that a gateway on --from uses: beside an SQLite file, with `.key` in the
    /// place of its extension, or portcullis.key in this folder. --finish and --return need it, too.
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// Check what can be checked without copying, and print what would be moved, but change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Take back that the ledger of --from was moved: gateways open it again, as it was then
    ///
    /// It lacks what was written to the other ledger since. Stop the gateways of that one first, and
    /// don't use it any more.
    #[arg(long = "return", conflicts_with_all = ["to", "dry_run"])]
    pub take_back: bool,

    /// Finish an upgrade: gateways of older versions can't use the database of --from any more
    ///
    /// Gateways of this version go on meanwhile. Refused while one of an older version is connected.
    #[arg(long, conflicts_with_all = ["to", "dry_run", "take_back"])]
    pub finish: bool,
}

/// What was done.
#[derive(serde::Serialize)]
pub struct Moved {
    /// A line for each list, if they are to be printed.
    pub lists: Vec<String>,
    /// What was moved, from where to where.
    pub summary: String,
}

/// Says how far it is, in rows.
pub(super) fn progress() -> Progress {
    Progress::new(EVERY, |rows, total| {
        format!("{rows} of {total} rows ({} %)", percent(rows, total).unwrap_or(100))
    })
}

pub(super) fn print(moved: &Moved, json: bool) -> anyhow::Result<Exit> {
    output::print(json, moved, |results| {
        moved.lists.iter().try_for_each(|line| writeln!(results, "{line}"))
    })?;
    if !json {
        output::note(&moved.summary);
    }
    Ok(Exit::Good)
}
