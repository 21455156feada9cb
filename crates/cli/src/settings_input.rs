//! Settings of tenants and senders, as JSON from a file or standard input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value};

/// The longest input that is read, in bytes: what the gateway takes by default.
const LONGEST: u64 = 16 << 20;

/// Where settings come from.
#[derive(Args)]
pub(super) struct SettingsInput {
    /// File with the settings, a JSON object; `-` reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

impl SettingsInput {
    /// Reads the settings.
    ///
    /// # Errors
    /// If they can't be read, or are not a JSON object. The message does not quote them, as there may be secrets in them.
    pub(super) fn read(&self) -> anyhow::Result<Map<String, Value>> {
        let is_stdin = self.file == Path::new("-");
        let name = if is_stdin { "standard input".to_owned() } else { self.file.display().to_string() };
        let mut text = String::new();
        let read = match is_stdin {
            true => io::stdin().take(LONGEST + 1).read_to_string(&mut text),
            false => File::open(&self.file).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text)),
        };
        let length = read.with_context(|| format!("reading {name}"))?;
        if length as u64 > LONGEST {
            bail!("{name} has more than {LONGEST} bytes; settings are a JSON object of one tenant or sender");
        }
        serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{name} is not a JSON object (line {}, column {}); write it like {{\"default_region\": \"SE\"}}",
                error.line(),
                error.column()
            )
        })
    }
}
