//! `portcullis fleet`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use portcullis_api::{DifferenceAnswer, FleetAnswer, LeaseAnswer, NodeAnswer};

use super::foreign_text::ForeignText;
use super::output::{self, Results};
use super::{Exit, GatewayOptions};

/// Show the gateways that share a ledger
///
/// Requires the administrator's token (--admin-token).
#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the gateways, who does what for all, and where the configuration files differ
    Status,
}

pub(super) fn run(gateway: &GatewayOptions, options: Options) -> anyhow::Result<Exit> {
    let Options { command: Command::Status } = options;
    let fleet = gateway.administrator()?.fleet()?;
    output::print(gateway.json, &fleet, |results| show(results, &fleet))
}

fn show(results: &mut Results, fleet: &FleetAnswer) -> std::io::Result<()> {
    let FleetAnswer { shared, nodes, leases, differences } = fleet;
    if !shared {
        return writeln!(results, "this gateway shares its ledger with nobody");
    }
    // The answering gateway is there. If the database does not know it, it knows of nobody.
    let is_unknown = nodes.iter().any(|node| node.answering && !node.live);
    if is_unknown {
        writeln!(
            results,
            "THE DATABASE TAKES NO REPORTS: this gateway can't tell the others that it is there, and does not know whether they are"
        )?;
    }
    let mut live_names: Vec<String> =
        nodes.iter().filter(|node| node.live).map(|node| node.node.clone()).collect();
    live_names.sort_unstable();
    for NodeAnswer { node, answering, live, program, started, silent_ms, staleness_ms } in nodes {
        let node = ForeignText(node).to_string();
        let state = match (answering, live) {
            (true, _) => "this gateway".to_owned(),
            (false, true) => "live".to_owned(),
            (false, false) => {
                let silent = Duration::from_millis(*silent_ms).as_secs();
                match is_unknown {
                    true => format!("not heard of for {silent} s"),
                    false => format!("GONE for {silent} s"),
                }
            }
        };
        let program = match program {
            Some(program) => format!("version {}", ForeignText(program)),
            None => "starting".to_owned(),
        };
        let started = ForeignText(started);
        writeln!(
            results,
            "{node}: {state}, {program}, started {started}, knew everything {staleness_ms} ms ago"
        )?;
    }
    for same in live_names.chunk_by(|one, other| one == other) {
        if let [name, _, ..] = same {
            writeln!(results, "SAME NAME: {} live gateways are called {}", same.len(), ForeignText(name))?;
        }
    }
    for LeaseAnswer { lease, node } in leases {
        writeln!(results, "lease {}: {}", ForeignText(lease), ForeignText(node))?;
    }
    for DifferenceAnswer { setting, nodes } in differences {
        let nodes: Vec<String> = nodes.iter().map(|node| ForeignText(node).to_string()).collect();
        writeln!(results, "DIFFERS: {} at {}", ForeignText(setting), nodes.join(", "))?;
    }
    Ok(())
}
