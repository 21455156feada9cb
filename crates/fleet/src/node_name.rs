//! Names of gateways.

/// The most bytes of a name.
const MOST_BYTES: usize = 64;

/// Whether this may be the name of a gateway: 1 to 64 letters, digits, `.`, `_` and `-`, and the first is no `.`.
pub fn is_node_name(name: &str) -> bool {
    (1..=MOST_BYTES).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
