//! Ten thousand tenants with a thousand numbers each in one gateway, most of them idle.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use portcullis_benches::SplitMix;

use crate::gateway::{Gateway, SERVER, configure};
use crate::record;
use crate::results::Results;

const TENANTS: usize = 10_000;
const NUMBERS: u64 = 1000;
/// The memory budget of their plugins: a quarter of the gateway's total target.
const BUDGET: u64 = 256 << 20;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = SERVER.replace("[plugins]", &format!("[plugins]\nmemory_budget_bytes = {BUDGET}"));
    let mut config = server;
    for n in 0..TENANTS {
        write!(
            config,
            "[[tenants]]\nid = \"t{n}\"\ntokens = [\"token-of-{n}\"]\n[[tenants.senders]]\nid = \"support\"\n"
        )?;
    }
    configure(folder.path(), &config)?;
    {
        let ledger = record::open(folder.path())?;
        for n in 0..TENANTS {
            record::block(&record::list(&ledger, &format!("t{n}"), "support")?, NUMBERS)?;
        }
    }
    // The first start creates the tenant-wide lists.
    Gateway::ready(folder.path())?.stop()?;
    let began = Instant::now();
    let gateway = Gateway::ready(folder.path())?;
    results.put_time("tenants/start", began.elapsed());
    results.put("tenants/resident-bytes-at-start", gateway.resident_bytes()?);

    // Two rounds through all tenants in the same order: in the second, each has been evicted by the others.
    let mut order: Vec<usize> = (0..TENANTS).collect();
    let mut random = SplitMix::new(9);
    for n in (1..TENANTS).rev() {
        order.swap(n, usize::try_from(random.bits() >> 1)? % (n + 1));
    }
    let mut woken = Vec::new();
    for round in 0..2 {
        for &tenant in &order {
            let token = format!("token-of-{tenant}");
            let asked = Instant::now();
            let verdict = gateway.verdict(&token, &record::number(round * 500 + 7));
            woken.push(asked.elapsed());
            ensure!(verdict.as_deref() == Some("block"), "a member is not blocked");
            let stranger = gateway.verdict(&token, &record::number(NUMBERS + round));
            ensure!(stranger.as_deref() == Some("allow"), "a number that is not a member is blocked");
        }
    }
    let mut warm = Vec::new();
    for _ in 0..20_000 {
        let asked = Instant::now();
        ensure!(gateway.verdict(&format!("token-of-{}", order[TENANTS - 1]), &record::number(3)).is_some());
        warm.push(asked.elapsed());
    }
    results.put("tenants/resident-bytes", gateway.resident_bytes()?);
    quantiles(results, "tenants/woken", woken);
    quantiles(results, "tenants/warm", warm);
    gateway.stop()
}

fn quantiles(results: &mut Results, name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (quantile, of) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        if let Some(time) = times.get(times.len() * of / 1000) {
            results.put_time(&format!("{name}/{quantile}"), *time);
        }
    }
    if let Some(worst) = times.last() {
        results.put_time(&format!("{name}/worst"), *worst);
    }
}
