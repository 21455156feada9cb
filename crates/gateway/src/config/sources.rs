//! `[[plugins.sources]]`: plugins that are pulled from registries.

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_engine::plugin_store::is_plugin_name;
use portcullis_plugin_registry::{ReferenceError, Source};

use super::file;

/// The most of them: each is pulled by a task of its own.
const MOST: usize = 256;

/// A plugin, and where it is pulled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginSource {
    pub(crate) name: String,
    pub(crate) from: Source,
}

/// Validates the table. What is pulled has to be stored: `has_folder` is whether there is a folder of plugins.
pub(super) fn check(
    typed: &[file::Source],
    has_folder: bool,
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> Vec<PluginSource> {
    if !typed.is_empty() && !has_folder {
        let what = "needs a folder in which what is pulled is kept; set plugins.dir";
        problems.push(Problem::new(place.clone(), what));
    }
    if typed.len() > MOST {
        problems.push(Problem::new(place.clone(), format!("{} sources; name at most {MOST}", typed.len())));
    }
    let mut sources: Vec<PluginSource> = Vec::with_capacity(typed.len());
    for (index, file::Source { name, from }) in typed.iter().enumerate() {
        let place = place.index(index);
        if !is_plugin_name(name) {
            let what =
                "not a name of a plugin; use 1 to 64 of a-z, 0-9, - and _, with a letter or digit first";
            problems.push(Problem::new(place.key("name"), what));
        } else if sources.iter().any(|source| source.name == *name) {
            problems.push(Problem::new(place.key("name"), "another source has this name; give each its own"));
        }
        match from.parse() {
            Ok(from) => sources.push(PluginSource { name: name.clone(), from }),
            Err(error) => problems.push(Problem::new(place.key("from"), ReferenceError::to_string(&error))),
        }
    }
    sources
}
