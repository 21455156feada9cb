//! `portcullis backup` and `portcullis restore`: what a gateway has on disk, as its configuration says.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use portcullis_backup::{
    self as backup, Allowed, Backup, Database, LedgerFile, Manifest, Places, Request, Stage, Storage,
};
use portcullis_cli::{BackupOptions, BackupReport, BackupTask, BackupVerifyOptions, RestoreOptions};
use portcullis_ledger::{Age, KeyError, KeyOrigin, MasterKey, StorageUrl};
use portcullis_migration::Place;
use serde_json::json;

use crate::config::Config;
use crate::counted::counted;

/// Makes, checks or restores a backup. `progress` is told what is being done, with how many bytes of how many.
///
/// # Errors
/// If the configuration or the key can't be read, and those of [`backup`].
pub(crate) fn run(
    task: &BackupTask,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> anyhow::Result<BackupReport> {
    let mut told = |stage: Stage, done, total| progress(stage.as_str(), done, total);
    match task {
        BackupTask::Take(options) => take(options, &mut told),
        BackupTask::Verify(options) => verify(options, &mut told),
        BackupTask::Restore(options) => restore(options, &mut told),
    }
}

fn take(options: &BackupOptions, progress: backup::Progress<'_>) -> anyhow::Result<BackupReport> {
    let config = Config::read(&options.config, portcullis_engine::plugin_store::names)?;
    let (key, origin) = master_key(&config)?;
    let taken = backup::take(
        Request {
            target: &options.dir,
            places: &places(&config)?,
            key_origin: origin.to_string(),
            key_text: options.with_key.then(|| key.to_hex()),
            key: &key,
            with_states: options.with_states,
            configuration: &options.config,
            configuration_text: &text(&options.config)?,
        },
        progress,
    )
    .context("no backup was made")?;
    let manifest = &taken.manifest;
    let lines: Vec<String> = taken.findings.iter().map(ToString::to_string).collect();
    let mut summary = vec![made(&options.dir, manifest)];
    if let Database::Postgres { url } = &manifest.database {
        summary.push(of_database(url));
    }
    if options.with_key {
        summary.push("THE MASTER KEY IS IN THE BACKUP: a thief of it can read everything".to_owned());
    } else {
        let reference = &manifest.master_key;
        summary.push(format!(
            "the master key {} is not in it, and nothing can be read without: keep a copy of {} elsewhere",
            reference.fingerprint, reference.origin
        ));
    }
    if !lines.is_empty() {
        let findings = counted(lines.len() as u64, "finding", "findings");
        summary.push(format!(
            "THE LEDGER IS DAMAGED, and so is the backup, which `portcullis restore` will refuse ({findings}): keep earlier backups, \
             and stop the gateway and run `portcullis verify`"
        ));
    }
    let json = json!({ "backup": options.dir, "manifest": manifest, "damage": lines });
    Ok(BackupReport { is_good: lines.is_empty(), lines, json, summary })
}

fn verify(options: &BackupVerifyOptions, progress: backup::Progress<'_>) -> anyhow::Result<BackupReport> {
    let backup = Backup::open(&options.dir)?;
    let mut lines = backup.compare(progress)?;
    let mut age = None;
    if !options.files_only {
        let plugins = plugin_names(&options.dir);
        let config = Config::read(&options.config, plugins)?;
        let key = match kept_key(&backup)? {
            Some(key) if lines.is_empty() => key,
            _ => master_key(&config)?.0,
        };
        match backup.check_key(&key) {
            Err(error @ backup::BackupError::Damaged { .. }) => lines.push(error.to_string()),
            checked => checked?,
        }
        // A ledger that is not as it was written needs no further look.
        if lines.is_empty() {
            progress(Stage::Checking, 0, 0);
            let live = match &config.storage {
                StorageUrl::Sqlite(file) => Some(file.as_path()),
                _ => None,
            };
            if let Some(verified) = backup.check_ledger(&key, live).context("can't check the ledger")? {
                lines.extend(verified.findings.iter().map(ToString::to_string));
                age = verified.age;
            }
        }
    }
    let manifest = backup.manifest();
    let mut said = match lines.len() {
        0 if options.files_only => format!("all files are as the manifest says: {}", contents(manifest)),
        0 => format!("nothing is damaged: {}", contents(manifest)),
        count => {
            let findings = counted(count as u64, "finding", "findings");
            format!("{findings}; don't rely on this backup")
        }
    };
    match age {
        Some(Age::Behind(0)) => said.push_str("; it is as recent as the ledger in use"),
        Some(Age::Behind(commits)) => {
            let commits = counted(commits, "commit", "commits");
            said.push_str(&format!("; it is {commits} behind the ledger in use"));
        }
        Some(Age::AnotherLedger) => {
            said.push_str(
                "; it is of another ledger than the one in use, or of before that one was restored",
            );
        }
        None => {}
    }
    let json = json!({ "backup": options.dir, "manifest": manifest, "damage": lines });
    Ok(BackupReport { is_good: lines.is_empty(), lines, json, summary: vec![said] })
}

fn restore(options: &RestoreOptions, progress: backup::Progress<'_>) -> anyhow::Result<BackupReport> {
    let backup = Backup::open(&options.dir)?;
    // The folder of plugins may be empty yet.
    let config = Config::read(&options.config, plugin_names(&options.dir))?;
    let (key, text_of_key) = match master_key(&config) {
        Ok((key, _)) => (key, None),
        // Before it is used, the seal of the backup has to open with it.
        Err(KeyError::Missing { path }) => match backup.key_text()? {
            Some(digits) => {
                (MasterKey::from_env_or_file(Some(&digits), &path, false)?.0, Some((path, digits)))
            }
            None => return Err(anyhow::Error::new(KeyError::Missing { path }).context(needed(&backup))),
        },
        Err(error) => return Err(error.into()),
    };
    let allowed = Allowed { over_newer: options.over_newer, over_another: options.over_another };
    let configuration = text(&options.config)?;
    let restored = backup::restore(&backup, &places(&config)?, key, &configuration, allowed, progress)
        .context("the backup was not restored")?;
    if let Some((path, digits)) = &text_of_key {
        backup::write_key(path, digits)
            .context("the backup is restored, but the master key of it is not: put it there")?;
    }
    let manifest = backup.manifest();
    let lines: Vec<String> =
        restored.replaced.iter().map(|path| format!("kept {}", path.display())).collect();
    let mut summary = vec![format!("restored {}: {}", options.dir.display(), contents(manifest))];
    match &manifest.database {
        Database::Sqlite(LedgerFile { commit, .. }) => {
            let missing = restored.missing_commits.filter(|commits| *commits > 0);
            let missing = missing.map_or_else(String::new, |commits| {
                format!(", {} at least", counted(commits, "commit", "commits"))
            });
            summary.push(format!(
                "EVERYTHING WRITTEN SINCE {} (commit {commit}) IS LOST{missing}: people who opted out since are not blocked, tenants that \
                 were forgotten are back, and tokens that the admin API revoked are valid; docs/operating.md says how to add what \
                 is missing",
                manifest.complete_until
            ));
            summary.push("start the gateway as usual, without --restored".to_owned());
        }
        Database::Postgres { url } => summary.push(format!(
            "the ledger is in the database {url}, which PostgreSQL's tools restore: see docs/fleet.md"
        )),
    }
    if let Some((path, _)) = &text_of_key {
        summary.push(format!("the master key was put into {}", path.display()));
    }
    if restored.kept_plugins > 0 {
        let kept = counted(restored.kept_plugins, "file of a plugin was", "files of plugins were");
        summary.push(format!("{kept} there already, and left"));
    }
    if restored.is_configured_otherwise {
        summary.push(format!(
            "{} is another configuration than the one at the time of the backup, {}",
            options.config.display(),
            manifest.configuration.path
        ));
    }
    let json = json!({
        "backup": options.dir,
        "manifest": manifest,
        "replaced": restored.replaced,
        "missing_commits": restored.missing_commits,
        "plugins": { "added": restored.plugins, "kept": restored.kept_plugins },
        "configured_otherwise": restored.is_configured_otherwise,
    });
    Ok(BackupReport { is_good: true, lines, json, summary })
}

/// The names of all plugins, those in a backup included.
fn plugin_names(backup: &Path) -> impl FnOnce(Option<&Path>) -> BTreeSet<String> {
    let kept = backup.join("plugins");
    move |folder| {
        let mut names = portcullis_engine::plugin_store::names(folder);
        names.extend(portcullis_engine::plugin_store::names(Some(&kept)));
        names
    }
}

fn places(config: &Config) -> anyhow::Result<Places> {
    let storage = match &config.storage {
        StorageUrl::Sqlite(file) => Storage::File(file.clone()),
        StorageUrl::Postgres(url) => {
            // As it is shown: without the password.
            let place: Place = url.as_str().parse().context("storage.url")?;
            Storage::Postgres { url: place.to_string() }
        }
        _ => bail!("storage.url is of a kind that can't be backed up"),
    };
    Ok(Places { storage, plugins: config.plugins_dir.clone() })
}

fn master_key(config: &Config) -> Result<(MasterKey, KeyOrigin), KeyError> {
    let variable = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    MasterKey::from_env_or_file(variable.as_deref(), &config.master_key_file, false)
}

/// The master key in a backup.
fn kept_key(backup: &Backup) -> anyhow::Result<Option<MasterKey>> {
    let Some(digits) = backup.key_text()? else { return Ok(None) };
    // As if they were in the variable: no file is read.
    Ok(Some(MasterKey::from_env_or_file(Some(&digits), Path::new(""), false)?.0))
}

fn needed(backup: &Backup) -> String {
    let reference = &backup.manifest().master_key;
    format!("the backup needs the master key {}, which was in {}", reference.fingerprint, reference.origin)
}

fn text(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

fn made(folder: &Path, manifest: &Manifest) -> String {
    let made = format!("backed up to {}: {}", folder.display(), contents(manifest));
    match &manifest.database {
        Database::Sqlite(ledger) => format!(
            "{made}; it has every write that was acknowledged before {}, and nothing after commit {}",
            manifest.complete_until, ledger.commit
        ),
        Database::Postgres { .. } => made,
    }
}

fn contents(manifest: &Manifest) -> String {
    let size = format!(
        "{} with {} MiB",
        counted(manifest.files.len() as u64, "file", "files"),
        manifest.bytes().div_ceil(1 << 20)
    );
    match &manifest.database {
        Database::Sqlite(ledger) => format!(
            "{}, {} and {}, {size}",
            counted(ledger.tenants, "tenant", "tenants"),
            counted(ledger.lists, "list", "lists"),
            counted(ledger.entries, "entry", "entries"),
        ),
        Database::Postgres { .. } => format!("{size}, without the ledger"),
    }
}

fn of_database(url: &str) -> String {
    format!(
        "THE LEDGER IS NOT IN IT: it is in the database {url}. Back it up with PostgreSQL's tools, such as: pg_dump \
         --format=custom --serializable-deferrable --file=ledger.dump '{url}'"
    )
}
