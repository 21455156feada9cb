//! What the engine tells its host.

use std::time::Duration;

use portcullis_host::Stage;
use portcullis_ledger::{Scope, TenantId};

use crate::outcome::Outcome;

/// Something that happened. Names no number and no subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Entries of a list changed: by a write, or as their time was over.
    Changed {
        /// Whose list.
        tenant: TenantId,
        /// Which one.
        scope: Scope,
    },
    /// A plugin failed, in service or while it was filled.
    Fault {
        /// Whose plugin.
        tenant: TenantId,
        /// The list it was to answer for.
        scope: Scope,
        /// The kind of fault, such as `trap` or `deadline`: one of a few dozen words.
        kind: &'static str,
    },
    /// A plugin that had failed answers again.
    Recovered {
        /// Whose plugin.
        tenant: TenantId,
        /// The list that it answers for.
        scope: Scope,
        /// How long it took to fill.
        took: Duration,
    },
    /// A list that had been evicted from memory is back.
    Restored {
        /// Whose list.
        tenant: TenantId,
        /// Which one.
        scope: Scope,
        /// How long it took to fill.
        took: Duration,
    },
    /// A stage of a reload is over.
    ReloadStage {
        /// Whose plugin.
        tenant: TenantId,
        /// Which stage.
        stage: Stage,
        /// How long it took, over all of the tenant's lists.
        took: Duration,
        /// Whether the next stage follows.
        succeeded: bool,
    },
    /// A reload is over.
    Reloaded {
        /// Whose plugin.
        tenant: TenantId,
        /// How it ended.
        outcome: Outcome,
    },
}

type Listener = Box<dyn Fn(Event) + Send + Sync>;

/// Those who want to be told.
#[derive(Default)]
pub(crate) struct Events(Vec<Listener>);

impl Events {
    pub(crate) fn add(&mut self, listener: Listener) {
        self.0.push(listener);
    }

    /// Tells of an event, which is made only where somebody listens.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let Some((last, others)) = self.0.split_last() else { return };
        let event = event();
        for listener in others {
            listener(event.clone());
        }
        last(event);
    }
}
