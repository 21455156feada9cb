//! `portcullis meters`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use portcullis_api::{CountAnswer, MeterAnswer, MetersAnswer};

use super::foreign_text::ForeignText;
use super::output::{self, Results};
use super::{Exit, GatewayOptions};

/// Show what a tenant's rules count
///
/// Prints each meter with its highest counts, at all gateways of the fleet together. Most digits of
/// numbers are masked. Requires the administrator's token (--admin-token).
#[derive(Args)]
pub(super) struct Options {
    /// Id of the tenant
    #[arg(long, short, value_name = "ID")]
    tenant: String,
    /// How many counts of each meter to show
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    most: usize,
}

pub(super) fn run(gateway: &GatewayOptions, options: &Options) -> anyhow::Result<Exit> {
    let meters = gateway.administrator()?.meters(&options.tenant, options.most)?;
    output::print(gateway.json, &meters, |results| show(results, &meters))
}

fn show(results: &mut Results, meters: &MetersAnswer) -> std::io::Result<()> {
    let MetersAnswer { memory_bytes, memory_limit_bytes, counters, uncounted, unmerged, meters, .. } = meters;
    writeln!(results, "{counters} counters in {memory_bytes} of {memory_limit_bytes} bytes")?;
    if *uncounted > 0 || *unmerged > 0 {
        writeln!(
            results,
            "no room: {uncounted} messages were not counted, and {unmerged} counts of other gateways are missing: raise the tenant's meter_memory_bytes"
        )?;
    }
    for meter in meters {
        let MeterAnswer {
            rules,
            scope,
            digits,
            unit,
            window_seconds,
            directions,
            channels,
            purposes,
            highest,
            ..
        } = meter;
        let digits = digits.map(|digits| format!(" of {digits} digits")).unwrap_or_default();
        let directions: Vec<String> = directions.iter().map(ToString::to_string).collect();
        writeln!(
            results,
            "{}: {} {} by {}{digits}, {window_seconds} s{}{}",
            ForeignText(&rules.join(", ")),
            directions.join(" and "),
            ForeignText(unit),
            ForeignText(scope),
            only("channel", channels),
            only("purpose", purposes),
        )?;
        for CountAnswer { of, count } in highest {
            writeln!(results, "  {}\t{count}", ForeignText(of))?;
        }
    }
    Ok(())
}

/// What is counted alone, for a heading. Empty if all are.
fn only<T: ValueEnum>(what: &str, counted: &[T]) -> String {
    if counted.len() >= T::value_variants().len() {
        return String::new();
    }
    let names: Vec<String> = counted
        .iter()
        .filter_map(|one| one.to_possible_value().map(|value| value.get_name().to_owned()))
        .collect();
    format!(", {what} {}", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use portcullis_api::{Channel, Purpose};

    use super::*;

    #[test]
    fn a_heading_names_what_is_counted_unless_all_is() {
        assert_eq!(only("purpose", &[Purpose::Marketing]), ", purpose marketing");
        assert_eq!(only("channel", &[Channel::Sms, Channel::Whatsapp]), ", channel sms or whatsapp");
        assert_eq!(only("purpose", Purpose::value_variants()), "");
    }
}
