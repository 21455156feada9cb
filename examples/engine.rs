//! A minimal gateway: it blocks a number, checks messages in several tasks, and swaps the plugin meanwhile. It can be
//! killed at any time and still has its list when it starts again.
//!
//! ```text
//! cargo run --release -p portcullis-examples --bin engine -- /tmp/portcullis-example
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an interactive program")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context as _;
use portcullis_engine::ledger::{Actor, Reason};
use portcullis_engine::{
    Change, Direction, Engine, List, Msisdn, NeedsDisk, OnFailure, PluginRef, TenantSpec,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).context("usage: engine DIRECTORY")?);
    std::fs::create_dir_all(&dir)?;
    let engine = Engine::builder()
        .ledger(format!("sqlite://{}", dir.join("portcullis.db").display()))
        .master_key_file(dir.join("portcullis.key"))
        .memory_budget(1 << 30)
        .on_event(|event| println!("event: {event:?}"))
        .open()
        .await?;
    let tenant = TenantSpec::new("acme")?
        .plugin(PluginRef::latest("exact"))
        .on_failure(OnFailure::Ledger)
        // The plugin `prefix` works on phone numbers in the clear; `exact` does not.
        .clear_numbers(true)
        .sender("support")?;
    engine.put_tenant(tenant).await?;
    let list = engine.sender_list("acme", "support")?;
    println!("entries: {}", list.census()?.active);

    let number: Msisdn = "+46732001122".parse()?;
    let actor = Actor::new("example")?;
    let reason = Reason::new("STOP")?;
    list.write(&actor, [Change::block(number).reason(reason)]).await?;
    println!("blocked: {}", is_blocked(&list, number).await?);

    // Check messages while the plugin is swapped. None may pass.
    let (stop, checks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let traffic: Vec<_> = (0..2)
        .map(|_| {
            let (list, stop, checks) = (list.clone(), Arc::clone(&stop), Arc::clone(&checks));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    anyhow::ensure!(is_blocked(&list, number).await?, "a message passed");
                    checks.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                Ok(())
            })
        })
        .collect();
    for plugin in ["prefix", "exact", "prefix", "exact"] {
        engine.reload("acme", PluginRef::latest(plugin)).await?;
    }
    while checks.load(Ordering::Relaxed) < 1000 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in traffic {
        task.await??;
    }
    println!("swapped plugins during {} checks", checks.load(Ordering::Relaxed));

    if std::env::args().any(|argument| argument == "--wait") {
        println!("waiting to be killed");
        std::future::pending::<()>().await;
    }
    engine.close().await?;
    Ok(())
}

/// Checks on this thread unless that requires the disk, which is rare.
async fn is_blocked(list: &List, number: Msisdn) -> anyhow::Result<bool> {
    let checked = match list.try_check(number, Direction::Outbound) {
        Ok(checked) => checked,
        Err(NeedsDisk) => list.check(number, Direction::Outbound).await?,
    };
    Ok(checked.is_blocked())
}
