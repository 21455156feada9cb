//! A rules plugin that was loaded.

use std::sync::Arc;

use crate::bindings::rules::RulesPluginPre as PluginPre;
use crate::call_error::CallError;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::memory::MemoryAccount;
use crate::sandbox::State;

use super::description::Description;
use super::instance::Instance;
use super::options::Schema;

/// A validated and compiled rules plugin: see [`Component::rules`](crate::Component::rules). Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: Limits,
    pre: PluginPre<State>,
    description: Description,
    schema: Option<Schema>,
}

impl Plugin {
    /// Gets the plugin's description from a temporary instance.
    pub(crate) fn of(engine: &Engine, pre: PluginPre<State>, limits: &Limits) -> Result<Self, CallError> {
        let account = MemoryAccount::new(limits.describe_bytes.min(limits.rules_bytes));
        let description = Instance::describe(engine, &pre, &account, limits)?;
        let schema = description.options_schema.as_deref().map(Schema::parse).transpose();
        let schema = schema.map_err(|breach| breach.of("describe"))?;
        let (engine, limits) = (engine.clone(), limits.clone());
        Ok(Plugin(Arc::new(Inner { engine, limits, pre, description, schema })))
    }

    /// What the plugin reports about itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The limits that the plugin was loaded with.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Checks options as [`RuleSet::new`](super::RuleSet::new) does before it starts an instance: their size, and that they
    /// fit the plugin's schema.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] says what is wrong, without the options' values.
    pub fn check_options(&self, options: &str) -> Result<(), CallError> {
        super::options::check(options, self.0.schema.as_ref())
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn pre(&self) -> &PluginPre<State> {
        &self.0.pre
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("rules::Plugin")
            .field("name", &self.0.description.name)
            .field("version", &self.0.description.version)
            .finish_non_exhaustive()
    }
}
