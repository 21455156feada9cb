//! `cargo xtask soak`: the long forms of tests.

mod clients;
mod components;
mod ledger;

use anyhow::{Result, bail};

use crate::cargo;

/// Runs one long form.
type Soak = fn() -> Result<()>;

/// The long forms, by the names that may be given to choose some.
const ALL: &[(&str, Soak)] = &[
    ("reload", || cargo::soak(&[])),
    ("gate", cargo::soak_gate),
    ("clients", clients::run),
    ("fleet", cargo::soak_fleet),
    ("ledger", ledger::run),
    ("components", components::run),
];

/// Runs the long forms with these names, or all of them.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let known = |name: &String| ALL.iter().any(|(known, _)| known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        bail!("there is no soak {unknown:?}: choose from {}", all.join(", "));
    }
    let chosen = ALL.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|chosen| chosen == name));
    chosen.into_iter().try_for_each(|(_, soak)| soak())
}
