//! The rules plugins of a tenant.

use crate::plugin_ref::PluginRef;

/// A rules plugin of a tenant, and what it may know.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// The plugin, its version, and its options.
    pub plugin: PluginRef,
    /// What it may know.
    pub grants: Grants,
}

/// What a rules plugin may know of messages, besides what every one does: direction, channel, purpose, segments and time. Nothing, by
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The person's number in clear, instead of a pseudonym.
    pub number: bool,
    /// The country of the number.
    pub country: bool,
    /// The offsets from UTC that the person's clock may have.
    pub local_time: bool,
    /// The sender's name.
    pub sender: bool,
}
