//! What was found about a plugin, for programs and for people.

use portcullis_host::Measure;
use serde::Serialize;

use crate::costs::Costs;
use crate::kind::Kind;
use crate::log::Logged;
use crate::rules::RuleCosts;

/// What was found about a plugin.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What is wrong, each in words that its author can act on. Empty for a plugin that can serve.
    pub problems: Vec<String>,
    /// What is worth knowing, and does not keep it from serving.
    pub remarks: Vec<String>,
    /// The kinds of plugin that it is. One component may be both.
    pub kinds: Vec<Kind>,
    /// The contracts that it was compared with.
    pub contracts: Vec<&'static str>,
    /// All bounds on what it may contain.
    pub bounds: Vec<Bound>,
    /// What compiling it took. `None` if it does not load.
    pub loaded: Option<Loaded>,
    /// What it says about itself as a list. `None` if it does not load, or is none.
    pub description: Option<Described>,
    /// What it says about itself as rules. `None` if it does not load, or has none.
    pub rules: Option<DescribedRules>,
    /// What it logged.
    pub log: Logged,
    /// What it costs as a list.
    pub costs: Option<Costs>,
    /// What it costs as rules.
    pub rule_costs: Option<RuleCosts>,
    /// What the plugin `exact` costs here.
    pub costs_of_exact: Option<Costs>,
}

/// A bound, and how much of it the component has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// What is bounded.
    pub what: &'static str,
    /// How much there is.
    pub found: u64,
    /// How much there may be.
    pub allowed: u64,
    /// The setting in `[plugins.limits]` that allows more.
    pub setting: Option<&'static str>,
    /// The function that has the most.
    pub function: Option<String>,
}

impl From<Measure> for Bound {
    fn from(measure: Measure) -> Self {
        let Measure { what, found, allowed, bound, place } = measure;
        Bound { what, found, allowed, setting: bound, function: place }
    }
}

/// What compiling took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Wall time, in milliseconds.
    pub millis: u128,
    /// Machine code, in bytes.
    pub code_bytes: usize,
}

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// `hashed` or `clear`.
    pub keyspace: &'static str,
    /// The format that it saves, as `name/version`.
    pub saves: Option<String>,
    /// The formats that it loads.
    pub loads: Vec<String>,
}

/// What a plugin says about its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedRules {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What a tenant must grant to it, by name.
    pub needs: Vec<&'static str>,
    /// The reasons for which it stops messages.
    pub reasons: Vec<String>,
    /// Whether it has a schema of its options.
    pub has_schema: bool,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.contracts.iter().map(|contract| format!("contract      {contract}")));
        if let Some(Described { name, version, keyspace, saves, loads }) = &self.description {
            lines.push(format!("plugin        {name} {version}, {keyspace} numbers"));
            if let Some(saves) = saves {
                lines.push(format!("saves         {saves}; loads {}", loads.join(", ")));
            }
        }
        if let Some(DescribedRules { name, version, needs, reasons, .. }) = &self.rules {
            lines.push(format!("rules         {name} {version}"));
            lines.push(match needs[..] {
                [] => "needs         nothing".to_owned(),
                _ => format!("needs         {}: a tenant grants each by name", needs.join(", ")),
            });
            lines.push(format!("reasons       {}", reasons.join(", ")));
        }
        if let Some(Loaded { millis, code_bytes }) = self.loaded {
            lines.push(format!("compiled      in {millis} ms to {code_bytes} bytes"));
        }
        if !self.bounds.is_empty() {
            lines.push(format!("{:<56} {:>12} {:>12}", "bounds", "found", "allowed"));
        }
        for Bound { what, found, allowed, function, .. } in &self.bounds {
            let mark = if found > allowed { '!' } else { ' ' };
            let function = function.as_deref().unwrap_or_default();
            lines.push(
                format!("{mark} {what:<54} {found:>12} {allowed:>12}  {function}").trim_end().to_owned(),
            );
        }
        if let Some(costs) = &self.costs {
            lines.extend(costs.lines(self.costs_of_exact.as_ref()));
        }
        if let Some(costs) = &self.rule_costs {
            lines.extend(costs.lines(self.costs_of_exact.as_ref()));
        }
        if self.log.earlier > 0 {
            lines.push(format!("log: … {} lines before these", self.log.earlier));
        }
        lines.extend(self.log.latest.iter().map(|line| format!("log: {line}")));
        lines.extend(self.remarks.iter().map(|remark| format!("note: {remark}")));
        lines.extend(self.problems.iter().map(|problem| format!("wrong: {problem}")));
        if self.is_good() {
            lines.push("good: it fits, and does what its contract says".to_owned());
        }
        lines
    }
}
