//! `portcullis verify`: checks the files of a gateway that does not run.

use anyhow::Context as _;
use portcullis_cli::{Report, VerifyOptions};
use portcullis_ledger::Age;

use crate::config::Config;
use crate::counted::counted;
use crate::engine;

/// Checks the ledger and the saved states of the gateway with this configuration.
///
/// # Errors
/// If the check can't be made: the configuration or the key can't be read, there is no ledger, or a gateway has it open.
pub(crate) fn run(options: &VerifyOptions) -> anyhow::Result<Report> {
    let config = Config::read(&options.config, portcullis_engine::plugin_store::names)?;
    let builder = engine::builder(&config)?;
    let verified = match &options.backup {
        None => builder.blocking_verify().context("can't check the ledger")?,
        Some(copy) => builder.blocking_verify_copy(copy).context("can't check the backup")?,
    };
    let mut damage: Vec<String> = verified.findings.iter().map(ToString::to_string).collect();
    let mut summary = format!(
        "{}, {} and {} checked: {}",
        counted(verified.tenants, "tenant", "tenants"),
        counted(verified.lists.len() as u64, "list", "lists"),
        counted(verified.entries, "entry", "entries"),
        match (damage.len(), &options.backup) {
            (0, _) => "nothing is damaged".to_owned(),
            (count, None) => format!(
                "{}; restore a backup if entries are among them",
                counted(count as u64, "finding", "findings")
            ),
            (count, Some(_)) =>
                format!("{}; don't rely on this backup", counted(count as u64, "finding", "findings")),
        }
    );
    match verified.age {
        Some(Age::Behind(0)) => summary.push_str("; the backup is as recent as the ledger"),
        Some(Age::Behind(commits)) => {
            let commits = counted(commits, "commit", "commits");
            summary.push_str(&format!("; the backup is {commits} behind the ledger"));
        }
        Some(Age::AnotherLedger) => {
            summary.push_str("; it is a backup of another ledger than the one in use");
        }
        None => {}
    }
    if options.accept && !damage.is_empty() {
        let left = engine::builder(&config)?.blocking_accept_damage().context("can't accept the damage")?;
        summary.push_str(match left.is_empty() {
            true => "; what is stored is accepted as it is",
            false => {
                "; what can be read is accepted as it is, except for the lines that say otherwise: restore a backup, or save what \
                 is readable with `sqlite3 damaged.db .dump`, as docs/operating.md describes"
            }
        });
        damage.extend(left.iter().map(ToString::to_string));
    }
    Ok(Report { damage, summary })
}
