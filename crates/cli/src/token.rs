//! `portcullis token`.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::output;
use super::{Exit, GatewayOptions};

/// Create tokens
#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a new random token and its digest for the configuration file
    ///
    /// The first line is the token, for the client. The second is its SHA-256 digest, for the
    /// configuration file: a reader of the file can't use it as a token. Nothing is stored. Add the
    /// digest to `tokens` of a tenant or sender, or set it as `admin_token`.
    New,
}

/// Random bytes in a token: 256 bits, too many to guess or to recover from the digest.
const RANDOM: usize = 32;

#[derive(Serialize)]
struct NewToken {
    token: String,
    digest: String,
}

pub(super) fn run(gateway: &GatewayOptions, options: &Options) -> anyhow::Result<Exit> {
    let Command::New = options.command;
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).context("can't get random bytes from the operating system")?;
    let token = format!("pct_{}", hex(&random));
    let new = NewToken { digest: digest(&token), token };
    output::print(gateway.json, &new, |results| writeln!(results, "{}\n{}", new.token, new.digest))
}

/// The token's digest in the form used in the configuration file.
fn digest(token: &str) -> String {
    format!("sha256:{}", hex(&Sha256::digest(token)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        // printf acme-secret | sha256sum
        assert_eq!(
            digest("acme-secret"),
            "sha256:307c609f87da43c3d563428a4f7efdf9857f4871fd10465732c4ab11a985a08c"
        );
    }
}
