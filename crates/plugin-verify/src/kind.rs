//! The kinds of plugins, by the interface that they export.

use serde::Serialize;

/// A kind of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// One list: it exports `portcullis:blacklist/blacklist`.
    Blacklist,
}

impl Kind {
    const ALL: [Self; 1] = [Kind::Blacklist];

    /// The interface that plugins of this kind export, without its version.
    pub fn interface(self) -> &'static str {
        match self {
            Kind::Blacklist => "portcullis:blacklist/blacklist",
        }
    }

    /// The contract that the host has for this kind, with its version.
    pub fn contract(self) -> &'static str {
        match self {
            Kind::Blacklist => "portcullis:blacklist@0.1.0",
        }
    }

    /// The kind of a component that exports these names.
    pub(crate) fn of<'a>(exports: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        exports.into_iter().find_map(|export| {
            let (interface, _) = export.split_once('@').unwrap_or((export, ""));
            Self::ALL.into_iter().find(|kind| kind.interface() == interface)
        })
    }
}
