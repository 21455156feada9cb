//! `portcullis restore`.

use std::path::PathBuf;

use clap::Args;

/// Restore a backup, while no gateway runs
///
/// Checks the backup and all entries in it, and puts it where the configuration says. The next start
/// accepts it as the ledger that was there. What is replaced is kept beside, with .replaced-TIME in its
/// name. Files of plugins are added, and none is replaced.
///
/// EVERYTHING WRITTEN SINCE THE BACKUP IS LOST: people who opted out since are not blocked, tenants that
/// were forgotten are back, and tokens that were revoked by the admin API are valid. The command says
/// since when.
///
/// The master key is read from where the configuration says. If it is not there, and the backup has it
/// (`backup --with-key`), it is put there. The options --url and --token have no effect.
///
/// Exits with 0 if the backup is restored, and with 2 if not.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Folder of the backup
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Configuration file (TOML) of the gateway that is to have it
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,

    /// Replace a ledger that has commits which the backup lacks, or that can't be read
    #[arg(long)]
    pub over_newer: bool,

    /// Replace another ledger than the one that was backed up, such as one that was restored since
    #[arg(long)]
    pub over_another: bool,
}
