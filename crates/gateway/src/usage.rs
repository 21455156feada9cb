//! How much each tenant was used, kept over restarts, so that a start loads the busiest tenants first.
//!
//! A line for each tenant that was used: a number, and its name. The number is the checks since the last line was written, and half
//! of what it was before. Nothing depends on it but an order: a file that can't be read or written is remarked on, and no more.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_edge::gateway::Gateway;
use portcullis_ledger::{StorageUrl, TenantId};
use tracing::warn;

use crate::config::Config;

/// The time between two writes.
const PERIOD: Duration = Duration::from_secs(600);
/// The longest file that is read, in bytes: a million tenants.
const LONGEST: u64 = 64 << 20;

/// How much each tenant was used.
pub(crate) struct Usage {
    path: PathBuf,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// As in the file.
    scores: HashMap<String, u64>,
    /// The checks of each tenant when the file was last written, since the gateway started.
    checks: HashMap<String, u64>,
}

impl Usage {
    /// Reads what was kept by the last gateway with this configuration.
    pub(crate) fn read(config: &Config) -> Self {
        let path = path(config);
        let scores = match read(&path) {
            Ok(text) => scores(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => {
                warn!(path = %path.display(), %error, "can't read which tenants were used most: they are loaded in the order of the file");
                HashMap::new()
            }
        };
        Usage { path, counted: Mutex::new(Counted { scores, ..Counted::default() }) }
    }

    /// How much a tenant was used.
    pub(crate) fn of(&self, tenant: &TenantId) -> u64 {
        self.counted.lock().scores.get(tenant.as_str()).copied().unwrap_or(0)
    }

    /// Writes down what was used since the last time. Blocks.
    pub(crate) fn write_down(&self, gateway: &Gateway) {
        let mut counted = self.counted.lock();
        let Counted { scores: before, checks: known } = std::mem::take(&mut *counted);
        for tenant in gateway.registry.load().tenants() {
            let (id, checks) = (tenant.config.id.as_str(), tenant.metrics.checks());
            // A tenant that was forgotten and put again counts from 0.
            let new = checks.saturating_sub(known.get(id).copied().unwrap_or(0));
            let score = (before.get(id).copied().unwrap_or(0) / 2).saturating_add(new);
            if score > 0 {
                counted.scores.insert(id.to_owned(), score);
            }
            counted.checks.insert(id.to_owned(), checks);
        }
        if let Err(error) = replace(&self.path, &lines(&counted.scores)) {
            warn!(path = %self.path.display(), %error, "can't write down which tenants are used most: a start does not know whom to load first");
        }
    }
}

/// Writes down the usage periodically. Never returns.
pub(crate) async fn run(usage: Arc<Usage>, gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let (usage, gateway) = (Arc::clone(&usage), Arc::clone(&gateway));
        let _ = tokio::task::spawn_blocking(move || usage.write_down(&gateway)).await;
    }
}

/// Beside the ledger, or beside the master key with the node's name if that is configured.
fn path(config: &Config) -> PathBuf {
    let mut name = match (&config.storage, &config.fleet.node) {
        (StorageUrl::Sqlite(file), _) => file.as_os_str().to_owned(),
        (_, None) => config.master_key_file.as_os_str().to_owned(),
        (_, Some(node)) => {
            let mut name = config.master_key_file.as_os_str().to_owned();
            name.push(".");
            name.push(node);
            name
        }
    };
    name.push(".usage");
    name.into()
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// What a file says. Lines that can't be read are left out.
fn scores(text: &str) -> HashMap<String, u64> {
    let line = |line: &str| {
        let (score, tenant) = line.split_once(' ')?;
        Some((tenant.parse::<TenantId>().ok()?.to_string(), score.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

fn lines(scores: &HashMap<String, u64>) -> String {
    let mut sorted: Vec<_> = scores.iter().collect();
    sorted.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
    let mut lines = String::new();
    for (tenant, score) in sorted {
        let _ = writeln!(lines, "{score} {tenant}");
    }
    lines
}

/// Replaces the file as a whole. Its loss does no harm, so it is not flushed.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_torn_is_left_out() {
        let used =
            HashMap::from([("acme".to_owned(), 7), ("globex".to_owned(), u64::MAX), ("b".to_owned(), 7)]);
        let text = lines(&used);
        assert_eq!(text, format!("{} globex\n7 acme\n7 b\n", u64::MAX));
        assert_eq!(scores(&text), used);
        let torn = "12 acme\n-1 b\n99999999999999999999 c\n5\n 5 d\n5 Not A Name\n3 glob";
        let read = HashMap::from([("acme".to_owned(), 12), ("glob".to_owned(), 3)]);
        assert_eq!(scores(torn), read);
    }
}
