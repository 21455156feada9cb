//! The kinds of plugins, by the interface that they export.

use serde::Serialize;

/// A kind of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// One list: it exports `portcullis:blacklist/blacklist`.
    Blacklist,
    /// Whether a message may go: it exports `portcullis:rules/rules`.
    Rules,
}

impl Kind {
    const ALL: [Self; 2] = [Kind::Blacklist, Kind::Rules];

    /// The interface that plugins of this kind export, without its version.
    pub fn interface(self) -> &'static str {
        match self {
            Kind::Blacklist => "portcullis:blacklist/blacklist",
            Kind::Rules => "portcullis:rules/rules",
        }
    }

    /// The contract that the host has for this kind, with its version.
    pub fn contract(self) -> &'static str {
        match self {
            Kind::Blacklist => "portcullis:blacklist@0.1.0",
            Kind::Rules => "portcullis:rules@0.1.0",
        }
    }

    /// The kinds of a component that exports these names: it may be both.
    pub(crate) fn all_of<'a>(exports: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let interface = |export: &'a str| export.split_once('@').map_or(export, |(interface, _)| interface);
        let exported: Vec<&str> = exports.into_iter().map(interface).collect();
        Self::ALL.into_iter().filter(|kind| exported.contains(&kind.interface())).collect()
    }
}
