//! An engine in a temporary folder, for tests of what callers can't see.

use tempfile::TempDir;

use crate::{Engine, List, TenantSpec};

/// A tenant with one sender, which grants its numbers.
pub(crate) fn acme() -> TenantSpec {
    TenantSpec::new("acme").unwrap().sender("support").unwrap().clear_numbers(true)
}

/// An engine that serves [`acme`], and the sender's list.
pub(crate) async fn engine_of_acme() -> (TempDir, Engine, List) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = format!("sqlite://{}", dir.path().join("ledger.db").display());
    let key = dir.path().join("master.key");
    let engine = Engine::builder().ledger(ledger).master_key_file(key).open().await.unwrap();
    engine.put_tenant(acme()).await.unwrap();
    let list = engine.sender_list("acme", "support").unwrap();
    (dir, engine, list)
}
