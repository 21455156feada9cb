//! The CPU time of a server's process.

use std::time::Duration;

use anyhow::Context as _;

/// A server process with its children, since some servers use worker processes.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pid: u32,
}

/// The unit of times in `/proc`, independent of the kernel's own ticks.
const TICKS_PER_SECOND: u64 = 100;

impl Server {
    /// Creates a handle to the server whose main process is `pid`.
    pub fn new(pid: u32) -> Self {
        Server { pid }
    }

    /// The CPU time so far, in user and kernel mode.
    ///
    /// # Errors
    ///
    /// If the process has exited.
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
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has exited")?;
    // The second field is the name in parentheses, which may contain anything. Fields 14 and 15 are utime and stime.
    let fields = stat.rsplit_once(')').context("can't parse the status of the process")?.1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || {
        fields
            .next()
            .and_then(|text| text.parse::<u64>().ok())
            .context("can't parse the status of the process")
    };
    Ok(next()? + next()?)
}
