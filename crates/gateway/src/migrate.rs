//! `portcullis migrate`: moves a ledger that no gateway uses, and finishes upgrades.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis_cli::{MigrateOptions, Moved};
use portcullis_ledger::MasterKey;
use portcullis_migration::{self as migration, Contents, Finished, Place, Progress, Stage};

use crate::counted::counted;

/// Moves a ledger, finds out what would be moved, takes back that it was, or finishes its upgrade. `progress` is told what is being done, with how many rows of how
/// many.
///
/// # Errors
/// If a URL or the key can't be read, and those of [`migration::migrate`].
pub(crate) fn run(
    options: &MigrateOptions,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> anyhow::Result<Moved> {
    let from: Place = options.from.parse().context("--from")?;
    let old_file = options.master_key_file.clone().unwrap_or_else(|| key_file(&from));
    let key = master_key(&old_file)?;
    if options.finish {
        let finished = migration::finish_upgrade(&from, &key).context("can't finish the upgrade")?;
        let summary = match finished {
            Finished::Now(format) => {
                format!("{from} has format {format} now: gateways of older versions can't use it any more")
            }
            Finished::Already(format) => {
                format!("{from} has format {format} already, and nothing had to be done")
            }
            _ => format!("the upgrade of {from} is finished"),
        };
        return Ok(Moved { lists: Vec::new(), summary });
    }
    let Some(to) = &options.to else {
        migration::take_back(&from, &key).context("can't take the ledger back")?;
        let summary = format!(
            "{from} is the ledger in use again, as it was when it was moved; what was written to the other one since is not in it, \
             and no gateway may use that one any more"
        );
        return Ok(Moved { lists: Vec::new(), summary });
    };
    let to: Place = to.parse().context("--to")?;
    if options.dry_run {
        let contents = migration::survey(&from, &to, &key).context("can't move the ledger")?;
        let lists = contents.lists.iter().map(ToString::to_string).collect();
        return Ok(Moved {
            lists,
            summary: format!("{} would be moved from {from} to {to}", told(&contents)),
        });
    }
    let mut say = |Progress { stage, rows, total }| {
        let doing = match stage {
            Stage::Checking => "checking",
            Stage::Copying => "copying",
            Stage::Comparing => "comparing",
            Stage::Completing => "completing",
        };
        progress(doing, rows, total);
    };
    let contents = migration::migrate(&from, &to, &key, &mut say).context("can't move the ledger")?;
    let summary = format!(
        "{} were moved from {from} to {to}, and compared; set storage.url to that one, as no gateway opens the old one any more{}",
        told(&contents),
        about_key(&old_file, &key_file(&to)),
    );
    Ok(Moved { lists: Vec::new(), summary })
}

/// Where a gateway on this ledger looks for its key, if its configuration does not say.
fn key_file(from: &Place) -> PathBuf {
    match from {
        Place::File(path) => path.with_extension("key"),
        Place::Database(_) => "portcullis.key".into(),
    }
}

/// Says if a gateway on the new ledger will not find the key where it looks for it by default, as the key is not moved.
fn about_key(old: &Path, new: &Path) -> String {
    if std::env::var_os("PORTCULLIS_MASTER_KEY").is_some() || new.exists() {
        return String::new();
    }
    let (old, new) = (old.display(), new.display());
    format!(
        "; its gateway looks for the master key in {new}, which is not there: copy {old} to it, or set storage.master_key_file"
    )
}

fn master_key(file: &Path) -> anyhow::Result<MasterKey> {
    let variable = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    let (key, _) = MasterKey::from_env_or_file(variable.as_deref(), file, false)
        .context("can't read the master key (set another file with --master-key-file)")?;
    Ok(key)
}

fn told(contents: &Contents) -> String {
    format!(
        "{}, {}, {} and {}",
        counted(contents.tenants, "tenant", "tenants"),
        counted(contents.lists.len() as u64, "list", "lists"),
        counted(contents.entries(), "entry", "entries"),
        counted(contents.records(), "record of the history", "records of the history"),
    )
}
