#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// A plugin that comes with the program.
#[derive(Clone, Copy)]
pub struct Bundled {
    /// What a tenant's `plugin` names: the file's stem, too.
    pub name: &'static str,
    /// The component, as it would lie in a file.
    pub component: &'static [u8],
}

impl std::fmt::Debug for Bundled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundled({:?}, {} bytes)", self.name, self.component.len())
    }
}

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// The plugins that every gateway has, without a file.
pub const SHIPPED: [Bundled; 2] = [EXACT, PREFIX];
