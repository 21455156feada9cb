//! What a server's process uses.

use std::time::Duration;

use anyhow::Context as _;

/// A process, with all its children: some servers have their workers in others.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pid: u32,
}

/// What Linux counts in, whatever the kernel's own ticks are.
const TICKS_PER_SECOND: u64 = 100;

impl Server {
    /// The server whose first process is `pid`.
    pub fn new(pid: u32) -> Self {
        Server { pid }
    }

    /// Processor time so far, in user and kernel mode.
    ///
    /// # Errors
    ///
    /// Where the process is gone.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let mut ticks = ticks(self.pid)?;
        let children =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        for child in children.split_whitespace() {
            ticks += ticks_of(child)?;
        }
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }
}

fn ticks(pid: u32) -> anyhow::Result<u64> {
    ticks_of(&pid.to_string())
}

fn ticks_of(pid: &str) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("there is no such process")?;
    // The second field is a name in parentheses that may have anything in it; 14 and 15 are utime and stime.
    let fields = stat.rsplit_once(')').context("the process can't be read")?.1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next =
        || fields.next().and_then(|text| text.parse::<u64>().ok()).context("the process can't be read");
    Ok(next()? + next()?)
}
