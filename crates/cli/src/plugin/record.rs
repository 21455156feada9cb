//! `portcullis plugin record`: the messages that a tenant's rules are asked about.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::output::{self, Results};

/// The pause after which the next messages are asked for, if there were few.
const PAUSE: Duration = Duration::from_millis(250);
/// So many messages say that there may be more.
const MANY: usize = 1000;

#[derive(Args)]
pub(super) struct RecordOptions {
    #[command(flatten)]
    tenant: super::Tenant,
    /// How long to record
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    seconds: u64,
}

/// Writes a line of JSON for each message.
pub(super) fn record(client: &Client, options: &RecordOptions) -> anyhow::Result<()> {
    let tenant = &options.tenant.tenant;
    let (begun, time) = (Instant::now(), Duration::from_secs(options.seconds));
    let mut results = Results::open();
    let (mut from, mut skipped) = (client.recording(tenant, None)?.next, 0);
    loop {
        let is_over = begun.elapsed() >= time;
        let page = client.recording(tenant, Some(from))?;
        for message in &page.messages {
            writeln!(results, "{}", serde_json::to_string(message)?)?;
        }
        results.flush()?;
        from = page.next;
        skipped += page.skipped;
        let is_more = page.messages.len() >= MANY;
        if is_over && !is_more {
            break;
        }
        if !is_more {
            thread::sleep(PAUSE.min(time.saturating_sub(begun.elapsed())));
        }
    }
    if skipped > 0 {
        output::note(format_args!(
            "portcullis: {skipped} messages are missing: there were more than could be read"
        ));
    }
    Ok(())
}
