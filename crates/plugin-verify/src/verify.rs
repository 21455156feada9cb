//! Verifies a plugin.

use std::time::{Duration, Instant};

use portcullis_host::rules::{Need, OPTIONS_BYTES};
use portcullis_host::{
    Bound, Component, Description, Engine, ErrorChain, InvalidComponent, Keyspace, Limits, LoadError, Plugin,
    survey,
};

use crate::blacklist;
use crate::conformance::Conformance;
use crate::costs::Costs;
use crate::inspect::inspect;
use crate::kind::Kind;
use crate::log::{LOG, Log};
use crate::report::{Described, DescribedRules, Loaded, Report};
use crate::rules::{self, RuleCosts};

/// What to verify.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The component.
    pub component: &'a [u8],
    /// The name under which it will be put: its file's stem.
    pub name: &'a str,
    /// The limits of the gateway that it is for.
    pub limits: Limits,
    /// The plugin's options, as JSON.
    pub options: &'a str,
    /// The plugin `exact`, if costs are to be measured beside it.
    pub beside: Option<&'a [u8]>,
}

/// Looks at all of a plugin, even if some of it is wrong: what it contains is compared with its bounds, it is compiled (within larger
/// bounds if it exceeds them), and does some hundred random sequences of operations, which are compared with a model of the contract.
///
/// Takes seconds, or a minute for an interpreter. Its own calls are limited as in the gateway.
///
/// A plugin that logs is examined, too, and what it logs is in the report.
pub fn verify(engine: &Engine, request: &Request<'_>) -> Report {
    let log = Log::default();
    let engine = engine.clone().with_log(log.clone().into_sink());
    let mut report = examine(&engine, request);
    report.log = log.take();
    report
}

fn examine(engine: &Engine, request: &Request<'_>) -> Report {
    let Request { component, name, limits, options, beside } = request;
    let mut report = Report::default();
    let mut within = limits.clone();
    match survey(component, limits) {
        Ok(measures) => {
            report.bounds = measures.into_iter().map(Into::into).collect();
            exceed(&mut report, &mut within, name);
        }
        Err(error) => report.problems.push(format!("it does not fit: {error}")),
    }
    let found = inspect(component);
    if found.imports.iter().any(|import| import.name == LOG) {
        report.problems.push(format!(
            "it imports {LOG}, which no gateway offers: build it without the SDK's feature `log` before you deploy it"
        ));
    }
    report.kinds = found.kinds;
    if report.kinds.is_empty() {
        if report.problems.is_empty() {
            report.problems.push(format!(
                "it exports no interface of a plugin: export {} as the contract {} has it, or {} as {} has it",
                Kind::Blacklist.interface(),
                Kind::Blacklist.contract(),
                Kind::Rules.interface(),
                Kind::Rules.contract()
            ));
        }
        return report;
    }
    report.contracts = report.kinds.iter().map(|kind| kind.contract()).collect();
    let start = Instant::now();
    let plugin = match Component::load(engine, component, within) {
        Ok(plugin) => plugin,
        Err(error) => {
            let said = match &error {
                // It was said before, together with what else is exceeded.
                LoadError::Invalid(
                    InvalidComponent::TooMuch { .. }
                    | InvalidComponent::Imports(_)
                    | InvalidComponent::Module
                    | InvalidComponent::NotWasm(_)
                    | InvalidComponent::Damaged(_),
                ) if !report.problems.is_empty() => return report,
                error => ErrorChain(error).to_string(),
            };
            report.problems.push(said);
            return report;
        }
    };
    report.loaded = Some(Loaded { millis: start.elapsed().as_millis(), code_bytes: plugin.code_bytes() });
    report.description = plugin.list().map(|list| described(list.description()));
    report.rules = plugin.rules().map(|rules| described_rules(rules.description()));
    let own_names = [
        plugin.list().map(|list| &list.description().name),
        plugin.rules().map(|rules| &rules.description().name),
    ];
    if let Some(own) = own_names.into_iter().flatten().find(|own| own != name) {
        report.remarks.push(format!(
            "it calls itself {own}, and its file is {name}.wasm: tenants name it by its file, {name}"
        ));
    }
    if options.len() > OPTIONS_BYTES {
        report.problems.push(format!(
            "the options have {} bytes, and {OPTIONS_BYTES} are allowed: shorten them; the plugin was not tried",
            options.len()
        ));
        return report;
    }
    let of_list = plugin.list().map(|list| blacklist::conformance(list, options));
    let of_rules = plugin.rules().map(|plugin| rules::conformance(plugin, options));
    for Conformance { problems, remarks } in [of_list, of_rules].into_iter().flatten() {
        report.problems.extend(problems);
        report.remarks.extend(remarks);
    }
    if let Some(exact) = beside
        && report.problems.is_empty()
    {
        let costs = plugin.list().map(|list| Costs::of(list, options)).transpose();
        let rule_costs = plugin.rules().map(|rules| RuleCosts::of(rules, options)).transpose();
        match (costs, rule_costs) {
            (Ok(costs), Ok(rule_costs)) => (report.costs, report.rule_costs) = (costs, rule_costs),
            (Err(error), _) | (_, Err(error)) => {
                report.problems.push(format!("its costs can't be measured: {error}"));
            }
        }
        let exact = Plugin::load(engine, exact, Limits::default());
        report.costs_of_exact = exact.ok().and_then(|exact| Costs::of(&exact, "{}").ok());
    }
    report
}

/// Says which bounds are exceeded and what would admit it, and raises them for what follows.
fn exceed(report: &mut Report, within: &mut Limits, name: &str) {
    let exceeded: Vec<_> = report.bounds.iter().filter(|bound| bound.found > bound.allowed).collect();
    let mut settings = Vec::new();
    for bound in &exceeded {
        let place = bound.function.as_ref().map(|function| format!(", in {function}")).unwrap_or_default();
        let remedy = match bound.setting {
            Some(_) => "",
            None => ": compile it without multi-value, which no setting allows",
        };
        report.problems.push(format!(
            "it has {} {}{place}, and {} are allowed{remedy}",
            bound.found, bound.what, bound.allowed
        ));
        if let Some(setting) = bound.setting.and_then(|name| Bound::named(name).ok()) {
            setting.set(within, bound.found);
            settings.push(format!("{} = {}", setting.name, bound.found));
        }
    }
    if settings.is_empty() {
        return;
    }
    // What is that large takes longer. How long is told.
    within.compiler_time = within.compiler_time.saturating_mul(12);
    within.load = within.load.saturating_mul(12);
    within.compiler_bytes = within.compiler_bytes.max(2 << 30);
    within.compiled_bytes = within.compiled_bytes.max(128 << 20);
    within.describe_bytes = within.describe_bytes.max(256 << 20);
    within.turn = Duration::from_secs(60);
    report.remarks.push(format!(
        "an operator who admits it sets [plugins.limits.{name}] {}, and, as it is large, compile_seconds, compile_memory_bytes and \
         compiled_bytes",
        settings.join(", ")
    ));
}

fn described(description: &Description) -> Described {
    let format = |format: &portcullis_host::Format| format!("{}/{}", format.name, format.version);
    Described {
        name: description.name.clone(),
        version: description.version.clone(),
        keyspace: match description.keyspace {
            Keyspace::Hashed => "hashed",
            Keyspace::Clear => "clear",
        },
        saves: description.saves.as_ref().map(format),
        loads: description.loads.iter().map(format).collect(),
    }
}

fn described_rules(description: &portcullis_host::rules::Description) -> DescribedRules {
    DescribedRules {
        name: description.name.clone(),
        version: description.version.clone(),
        needs: description.needs.iter().map(Need::as_str).collect(),
        reasons: description.reasons.clone(),
        has_schema: description.options_schema.is_some(),
    }
}
