#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// A bundled plugin.
#[derive(Clone, Copy)]
pub struct Bundled {
    /// The name, as used in a tenant's `plugin` setting and as the stem of the file name.
    pub name: &'static str,
    /// The component's bytes.
    pub component: &'static [u8],
}

impl std::fmt::Debug for Bundled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundled({:?}, {} bytes)", self.name, self.component.len())
    }
}

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// The plugins that are built into every gateway.
pub const SHIPPED: [Bundled; 4] = [EXACT, PREFIX, POLICY, POLICY_NUMBERS];
