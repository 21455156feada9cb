//! Which plugins are admitted: signatures and trusted keys, and plugins from registries.

mod hostile;
mod keys;
mod registry;
mod signatures;
mod sources;
