//! Events that the engine reports to its host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use portcullis_host::{ReloadOutcome as Outcome, Stage};
use portcullis_ledger::{Scope, TenantId};
use tracing::error;

/// Something that happened. Contains no number and no subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A list was written, or entries of it expired. A write that left every entry as it was is reported too.
    Changed {
        /// The tenant.
        tenant: TenantId,
        /// The list.
        scope: Scope,
    },
    /// A plugin failed, in service or while it was filled.
    Fault {
        /// The tenant.
        tenant: TenantId,
        /// The list that the plugin answers for.
        scope: Scope,
        /// The kind of fault, such as `trap` or `deadline`: one of a few dozen words.
        kind: &'static str,
    },
    /// A rules plugin failed.
    RuleFault {
        /// The tenant.
        tenant: TenantId,
        /// The rules plugin.
        rule: String,
        /// The kind of fault, as of [`Fault`](Self::Fault).
        kind: &'static str,
    },
    /// A plugin that had failed answers again.
    Recovered {
        /// The tenant.
        tenant: TenantId,
        /// The list that the plugin answers for.
        scope: Scope,
        /// How long it took to fill.
        took: Duration,
    },
    /// A list that had been evicted is back in memory.
    Restored {
        /// The tenant.
        tenant: TenantId,
        /// The list.
        scope: Scope,
        /// How long it took to fill.
        took: Duration,
    },
    /// A shared ledger has lost changes of a list that were read before, as at a failover to a standby that lacked them. The plugin is
    /// filled again.
    HistoryLost {
        /// The tenant.
        tenant: TenantId,
        /// The list.
        scope: Scope,
    },
    /// A shared ledger has lost writes that this engine had acknowledged. They are made again.
    WritesLost {
        /// The tenant.
        tenant: TenantId,
        /// The list.
        scope: Scope,
        /// How many.
        writes: usize,
    },
    /// A shared ledger has lost a change of a tenant that this engine had acknowledged: of its settings, or that it was forgotten.
    ChangeLost {
        /// The tenant.
        tenant: TenantId,
    },
    /// A stage of a reload ended.
    ReloadStage {
        /// The tenant.
        tenant: TenantId,
        /// The stage.
        stage: Stage,
        /// How long it took, over all of the tenant's lists.
        took: Duration,
        /// Whether the next stage follows.
        succeeded: bool,
    },
    /// A reload ended.
    Reloaded {
        /// The tenant.
        tenant: TenantId,
        /// The outcome.
        outcome: Outcome,
    },
}

type Listener = Box<dyn Fn(Event) + Send + Sync>;

/// The host's listeners.
#[derive(Default)]
pub(crate) struct Events(Vec<Listener>);

impl Events {
    pub(crate) fn add(&mut self, listener: Listener) {
        self.0.push(listener);
    }

    /// Delivers an event. `event` is called only if there is a listener.
    ///
    /// Callers hold no lock that a read of the engine's status, or a check, takes.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let Some((last, others)) = self.0.split_last() else { return };
        let event = event();
        for listener in others {
            deliver(listener, event.clone());
        }
        deliver(last, event);
    }
}

/// A listener that panics must not stop the write, the check or the reload that the event is about.
fn deliver(listener: &Listener, event: Event) {
    if catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
        error!("an event listener panicked; the engine continues");
    }
}
