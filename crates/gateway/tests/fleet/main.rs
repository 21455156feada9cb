//! Tests of gateways that share a ledger, with a real PostgreSQL. Without its programs, they say so and end.

mod acknowledged;
#[path = "../../../ledger-postgres/tests/postgres/cluster.rs"]
#[allow(dead_code, reason = "the tests of the ledger use more of it")]
mod cluster;
mod commits;
mod configuration;
mod events;
mod failover;
#[path = "../server/trust/keys.rs"]
#[allow(dead_code, reason = "the tests of one gateway use more of it")]
mod keys;
mod master_keys;
mod migration;
mod nodes;
mod once;
mod outages;
mod plugins;
mod positions;
mod rolling;
mod rules;
mod senders;
#[path = "../server/traffic/stand.rs"]
#[allow(dead_code, reason = "the tests of one gateway use more of it")]
mod stand;
mod starts;
mod strait;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "the tests of one gateway use more of it")]
mod support;
mod tenants;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use support::{Gateway, TENANTS};

/// The master key of all gateways.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

/// A configuration with the ledger at this URL.
fn config(url: &str, node: &str, more: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
lame_duck_seconds = 0

[storage]
url = "{url}"

[fleet]
node = "{node}"
{more}
{TENANTS}"#
    )
}

fn put_key(folder: &Path, key: &str) {
    let file = folder.join("portcullis.key");
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// A folder with the master key.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    put_key(folder.path(), KEY);
    folder
}

/// Starts gateways that share the ledger at this URL, which the first creates.
fn nodes<const COUNT: usize>(url: &str, more: &str) -> [Gateway; COUNT] {
    start(std::array::from_fn(|number| config(url, &format!("n{number}"), more)))
}

/// Starts gateways that share a ledger, which the first creates.
fn start<const COUNT: usize>(configs: [String; COUNT]) -> [Gateway; COUNT] {
    let mut options: &[&str] = &["--new-ledger"];
    configs.map(|config| Gateway::in_folder(folder(), &config, std::mem::take(&mut options)))
}
