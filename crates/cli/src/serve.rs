//! `portcullis serve`.

use std::path::PathBuf;

use clap::Args;

/// Run the gateway until SIGINT or SIGTERM
///
/// Prints one line on standard output once it listens, `listening on http://ADDRESS`. Logs go to
/// standard error; the environment variable PORTCULLIS_LOG filters them, as in
/// PORTCULLIS_LOG=warn or PORTCULLIS_LOG=info,portcullis=debug.
///
/// The options --url and --token are of no use here.
#[derive(Args)]
pub(super) struct Options {
    /// The configuration file (TOML)
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub(super) config: PathBuf,
}
