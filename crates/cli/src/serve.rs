//! `portcullis serve`.

use std::path::PathBuf;

use clap::Args;

/// Run the gateway until SIGINT or SIGTERM
///
/// Prints `listening on http://ADDRESS` on standard output once it listens. Logs go to standard
/// error. The environment variable PORTCULLIS_LOG filters them, such as PORTCULLIS_LOG=warn or
/// PORTCULLIS_LOG=info,portcullis_engine=debug.
///
/// On SIGHUP it reads the configuration file and the plugin folder again. The options --url and
/// --token have no effect.
#[derive(Args)]
pub(super) struct Options {
    /// Configuration file (TOML)
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub(super) config: PathBuf,
}
