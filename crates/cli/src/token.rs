//! `portcullis token`.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use portcullis_api::{NewTokenRequest, TokenAnswer, TokenScope};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::foreign_text::ForeignText;
use super::output;
use super::time::Time;
use super::{Exit, GatewayOptions};

/// Create tokens; list, rotate and revoke those of a tenant or sender
///
/// `new` needs no gateway. The others require the administrator's token (--admin-token).
#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis token new
  portcullis token list --tenant acme
  portcullis token create crm --tenant acme --scope check --scope read --expires 2027-12-31T00:00:00Z
  portcullis token create crm-2027 --tenant acme --replaces crm --overlap 86400
  portcullis token revoke crm --tenant acme --sender support")]
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
    /// List the tokens of a tenant or sender: names, scopes, when they expire
    List {
        #[command(flatten)]
        owner: Owner,
    },
    /// Create a token of a tenant or sender, perhaps in place of another one, and print it this once
    Create {
        /// Name of the new token
        name: String,
        #[command(flatten)]
        owner: Owner,
        /// What the token may be used for; repeat for several [default: as the replaced one; or check, block and read]
        #[arg(long = "scope", value_name = "SCOPE", value_enum)]
        scopes: Vec<TokenScope>,
        /// When it expires, in RFC 3339; omit for never
        #[arg(long, value_name = "TIME")]
        expires: Option<Time>,
        /// Name of the token that this one replaces
        #[arg(long, value_name = "NAME")]
        replaces: Option<String>,
        /// How long the replaced token stays valid, in seconds, at most 2592000 (30 days) [default: 3600]
        #[arg(long, value_name = "SECONDS", requires = "replaces")]
        overlap: Option<u64>,
    },
    /// Remove a token of a tenant or sender: its next request is refused
    Revoke {
        /// Name of the token
        name: String,
        #[command(flatten)]
        owner: Owner,
    },
}

/// Whose a token is.
#[derive(Args)]
struct Owner {
    /// Id of the tenant
    #[arg(long, short, value_name = "ID")]
    tenant: String,
    /// Id of the sender, if the token is valid for one only
    #[arg(long, short, value_name = "ID")]
    sender: Option<String>,
}

/// Random bytes in a token: 256 bits, too many to guess or to recover from the digest.
const RANDOM: usize = 32;

#[derive(Serialize)]
struct NewToken {
    token: String,
    digest: String,
}

pub(super) fn run(gateway: &GatewayOptions, options: &Options) -> anyhow::Result<Exit> {
    let (client, json) = (|| gateway.administrator(), gateway.json);
    match &options.command {
        Command::New => new(json),
        Command::List { owner: Owner { tenant, sender } } => {
            let answer = client()?.tokens(tenant, sender.as_deref())?;
            output::print(json, &answer, |results| {
                answer.tokens.iter().try_for_each(|token| writeln!(results, "{}", line(token)))
            })
        }
        Command::Create { name, owner: Owner { tenant, sender }, scopes, expires, replaces, overlap } => {
            let request = NewTokenRequest {
                name: name.clone(),
                scopes: (!scopes.is_empty()).then(|| scopes.clone()),
                expires: expires.as_ref().map(ToString::to_string),
                replaces: replaces.clone(),
                overlap_seconds: *overlap,
            };
            let made = client()?.create_token(tenant, sender.as_deref(), &request)?;
            if let Some(replaced) = &made.replaced
                && !json
            {
                output::note(format_args!("replaces {}", line(replaced)));
            }
            output::print(json, &made, |results| writeln!(results, "{}", ForeignText(&made.token.0)))
        }
        Command::Revoke { name, owner: Owner { tenant, sender } } => {
            let removed = client()?.revoke_token(tenant, sender.as_deref(), name)?;
            output::print(json, &removed, |results| {
                writeln!(results, "{}\trevoked", ForeignText(&removed.removed))
            })
        }
    }
}

/// A token, for people: its name, scopes, and when it expires.
fn line(TokenAnswer { name, scopes, expires, expired }: &TokenAnswer) -> String {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let expires = match (expires, expired) {
        (None, _) => "never expires".to_owned(),
        (Some(time), true) => format!("EXPIRED {}", ForeignText(time)),
        (Some(time), false) => format!("expires {}", ForeignText(time)),
    };
    format!("{}\t{}\t{expires}", ForeignText(name), scopes.join(", "))
}

fn new(json: bool) -> anyhow::Result<Exit> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).context("can't get random bytes from the operating system")?;
    let token = format!("pct_{}", hex(&random));
    let new = NewToken { digest: digest(&token), token };
    output::print(json, &new, |results| writeln!(results, "{}\n{}", new.token, new.digest))
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
