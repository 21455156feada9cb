//! `portcullis serve`.

use std::path::PathBuf;

use clap::Args;

/// Run the gateway until SIGINT or SIGTERM
///
/// Prints `listening on http://ADDRESS` on standard output once it listens. Logs go to standard
/// error. The environment variable PORTCULLIS_LOG filters them, such as PORTCULLIS_LOG=warn or
/// PORTCULLIS_LOG=info,portcullis_engine=debug.
///
/// On SIGHUP it reads the configuration file and the plugin folder again. On SIGUSR2 it starts the
/// program that is installed now, with --take-over. The options --url and
/// --token have no effect.
#[derive(Args)]
pub struct Options {
    /// Configuration file (TOML)
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,

    /// Begin with an empty ledger, in which nobody is blocked, although a key, saved states, a witness
    /// or a log say that there was one
    ///
    /// For one start: if there is a ledger, the start is refused.
    #[arg(long)]
    pub new_ledger: bool,

    /// Accept a ledger that was restored from a backup, and so lacks what was written since
    ///
    /// For one start: if nothing is amiss with the ledger, or if it is in a database, the start is
    /// refused.
    #[arg(long, conflicts_with = "new_ledger")]
    pub restored: bool,

    /// Take over from the running gateway of this configuration, so that no request fails
    ///
    /// It hands over its sockets and its ledger, and ends. If this process does not start, the running one goes on. If none is
    /// running, this one starts as usual.
    #[arg(long, conflicts_with_all = ["new_ledger", "restored"])]
    pub take_over: bool,
}
