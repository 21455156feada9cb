//! `portcullis verify`: checks the files of a gateway that does not run.

use anyhow::Context as _;
use portcullis_cli::{Report, VerifyOptions};

use crate::config::Config;
use crate::engine;

/// Checks the ledger and the saved states of the gateway with this configuration.
///
/// # Errors
/// If the check can't be made: the configuration or the key can't be read, there is no ledger, or a gateway has it open.
pub(crate) fn run(options: &VerifyOptions) -> anyhow::Result<Report> {
    let config = Config::read(&options.config, portcullis_engine::plugin_store::names)?;
    let verified = engine::builder(&config)?.blocking_verify().context("can't check the ledger")?;
    let damage: Vec<String> = verified.findings.iter().map(ToString::to_string).collect();
    let mut summary = format!(
        "{} tenants, {} lists and {} entries checked: {}",
        verified.tenants,
        verified.lists.len(),
        verified.entries,
        match damage.len() {
            0 => "nothing is damaged".to_owned(),
            count => format!("{count} findings; restore a backup if entries are among them"),
        }
    );
    if options.accept && !damage.is_empty() {
        engine::builder(&config)?.blocking_accept_damage().context("can't accept the damage")?;
        summary.push_str("; what is stored is accepted as it is");
    }
    Ok(Report { damage, summary })
}
