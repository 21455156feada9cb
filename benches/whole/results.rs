//! Results by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

/// Results: times in nanoseconds, sizes in bytes, rates per second.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<String, f64>);

impl Results {
    #[expect(clippy::print_stdout, reason = "the program's output")]
    pub(crate) fn put(&mut self, name: &str, value: f64) {
        println!("{name}: {value}");
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn put_time(&mut self, name: &str, time: Duration) {
        self.put(name, time.as_secs_f64() * 1e9);
    }

    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).context("can't create the results directory")?;
        }
        let text = serde_json::to_vec_pretty(&self.0)?;
        std::fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
    }
}

/// The median.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
