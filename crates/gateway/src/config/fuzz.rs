//! Entry points for `fuzz/`, which can't reach what is private here. They are not part of this crate's interface.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis_edge::settings::TenantConfig;

use super::Config;

/// The tenants of a configuration file with this text, or what is wrong with it.
///
/// # Errors
/// Lines of `p.toml:LINE: what is wrong`.
pub fn parse(text: &str) -> Result<Vec<TenantConfig>, String> {
    let plugins = |_: Option<&Path>| BTreeSet::from(["exact".to_owned(), "prefix".to_owned()]);
    Config::parse(Path::new("p.toml"), text, plugins).map(|config| config.tenants)
}
