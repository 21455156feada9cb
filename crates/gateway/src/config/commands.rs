//! `portcullis config`: checks, prints and describes configuration files.

use std::path::Path;

use anyhow::Context as _;
use portcullis_cli::{ConfigCommand, ConfigReport};
use serde_json::json;

use super::{Config, ConfigError, END, effective, lines, schema};
use crate::counted::counted;

/// Does what the command says. Starts nothing, and opens no ledger.
///
/// # Errors
/// If the file can't be read. If it is to be printed, also if it is not valid.
pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<ConfigReport> {
    match command {
        ConfigCommand::Check { file } => check(file),
        ConfigCommand::Print { file } => print(file),
        ConfigCommand::Schema => {
            let json = schema::schema();
            let text = format!("{}\n", serde_json::to_string_pretty(&json)?);
            Ok(ConfigReport { text, json, summary: String::new(), is_valid: true })
        }
    }
}

fn check(file: &Path) -> anyhow::Result<ConfigReport> {
    let (problems, warnings) = match Config::read(file, portcullis_engine::plugin_store::names) {
        Ok(config) => {
            let absent = config.absent_plugins.iter().map(|absent| absent.problem.clone());
            let warnings = absent.chain(remarks(file, &config)).chain(config.exposed.iter().cloned());
            (Vec::new(), warnings.collect())
        }
        Err(ConfigError::Wrong(lines)) => (lines.lines().map(str::to_owned).collect(), Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let problems: Vec<String> = problems;
    let warnings: Vec<String> = warnings;
    let mut text: String = problems.iter().map(|line| format!("{line}\n")).collect();
    text.extend(warnings.iter().map(|line| format!("warning: {line}\n")));
    let is_valid = problems.is_empty();
    let summary = match is_valid {
        true => {
            format!("{} is valid: {}", file.display(), counted(warnings.len() as u64, "warning", "warnings"))
        }
        false => format!(
            "{} is not valid: {}",
            file.display(),
            counted(problems.len() as u64, "problem", "problems")
        ),
    };
    let json = json!({ "valid": is_valid, "problems": problems, "warnings": warnings });
    Ok(ConfigReport { text, json, summary, is_valid })
}

/// What can be said about a valid file: settings that have no effect, and a missing last line. The lines are looked up here, and not when a
/// file is read: that takes a while for a large file, and a reload is not to wait for it.
fn remarks(file: &Path, config: &Config) -> Vec<String> {
    let (file, text) = (file.display(), config.text.0.as_str());
    let mut remarks: Vec<(usize, String)> = Vec::new();
    for remark in &config.remarks {
        remarks
            .push((lines::line_of_place(text, &remark.place), format!("{}: {}", remark.place, remark.what)));
    }
    if !config.is_whole {
        let what = format!("the last line is not `{END}`, so a reload can't tell a torn file; write it");
        remarks.push((text.lines().count().max(1), what));
    }
    remarks.sort_by_key(|&(line, _)| line);
    remarks.into_iter().map(|(line, what)| format!("{file}:{line}: {what}")).collect()
}

fn print(file: &Path) -> anyhow::Result<ConfigReport> {
    let config = Config::read(file, portcullis_engine::plugin_store::names)?;
    let settings = effective::settings(&config).context("can't print the configuration")?;
    let text = toml::to_string(&settings).context("can't print the configuration as TOML")?;
    let json = serde_json::to_value(&settings)?;
    Ok(ConfigReport { text, json, summary: String::new(), is_valid: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_effect_are_named_with_their_lines() {
        let remarks = |text: &str| {
            let file = Path::new("p.toml");
            remarks(file, &Config::parse(file, text, |_| ["exact".to_owned()].into()).unwrap())
        };
        let text = "[server]\nlisten = \"127.0.0.1:0\"\nhealth_on_listen = true\n[storage]\nurl = \"sqlite://p.db\"\n\
            [traffic]\nmax_in_flight = 10\nmax_in_flight_per_tenant = 20\n\
            [[tenants]]\nid = \"acme\"\nacknowledge = \"fleet\"\n\
            [[tenants.senders]]\nid = \"support\"\nquarantine_url = \"http://127.0.0.1:9\"\n";
        let starts = [
            "p.toml:3: server.health_on_listen: no effect: ",
            "p.toml:8: traffic.max_in_flight_per_tenant: no effect: ",
            "p.toml:11: tenants[0].acknowledge: no effect: ",
            "p.toml:14: tenants[0].senders[0].quarantine_url: no effect: ",
            "p.toml:14: the last line is not `# end`",
        ];
        let found = remarks(text);
        assert_eq!(found.len(), starts.len(), "{found:?}");
        for (remark, start) in found.iter().zip(starts) {
            assert!(remark.starts_with(start), "{remark}");
        }
        let text = "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://p.db\"\n# end\n";
        assert_eq!(remarks(text), [""; 0]);
    }
}
