//! Whether the next check sees an update through the API.

use anyhow::ensure;

use crate::gateway::{Gateway, SERVER, TENANT, configure};
use crate::record::number;
use crate::results::Results;

const UPDATES: u64 = 2000;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    configure(folder.path(), &format!("{SERVER}{TENANT}"))?;
    let gateway = Gateway::ready(folder.path())?;
    let mut unseen = 0_u64;
    for n in 0..UPDATES {
        let number = number(n);
        for (blocked, verdict) in [(true, "block"), (false, "allow")] {
            ensure!(gateway.set("acme-secret", &number, blocked), "the gateway rejects changes");
            unseen += u64::from(gateway.verdict("acme-secret", &number).as_deref() != Some(verdict));
        }
    }
    results.put("updates/unseen", unseen as f64);
    Ok(())
}
