//! When it is stored which plugin serves a tenant.
//!
//! An engine that is alone stores it as soon as the plugin serves. Of several engines that share a ledger, the one that is asked for
//! another plugin tries it for all: it stores it once the plugin was watched, and then the others follow. If it ends before that, nothing
//! has changed. A rollback is stored at once.

use std::sync::Arc;

use portcullis_host::Stage;
use portcullis_ledger::LedgerError;
use portcullis_plugin_store::Trial;
use portcullis_tenant_settings::Chosen;
use tracing::{debug, info};

use super::error::ReloadError;
use super::request::{Goal, Queued};
use super::{Inner, Reload};
use crate::setup::Setup;

/// When it is stored that the plugin of a reload serves.
#[derive(Debug)]
pub(super) enum Storing {
    /// As soon as it does.
    AtOnce,
    /// Once it was watched.
    AfterWatch(Option<Arc<Trial>>),
    /// It is stored: this engine follows another one.
    Already,
}

/// That what serves is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Due {
    trial: Option<Arc<Trial>>,
    /// Whether to name the version of a built-in plugin, too.
    exactly: bool,
}

impl Storing {
    pub(super) fn of(goal: &Goal, is_shared: bool) -> Self {
        match goal {
            Goal::Stored(_) => Storing::Already,
            Goal::Trial(trial) => Storing::AfterWatch(Some(Arc::clone(trial))),
            Goal::Newest | Goal::Requested(_) if is_shared => Storing::AfterWatch(None),
            Goal::Newest | Goal::Requested(_) | Goal::Back(_) => Storing::AtOnce,
        }
    }
}

impl Inner {
    /// Whether nothing is under way or about to be.
    fn is_idle(&self) -> bool {
        self.machine.stage() == Stage::Resting && self.tasks.is_empty()
    }

    /// Whether what serves is to be stored now.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some() && self.is_idle()
    }

    /// A reload failed.
    pub(super) fn note_failure(&mut self, why: &ReloadError) {
        match self.take_storing() {
            _ if why.passes() => {}
            Storing::Already => self.following = None,
            Storing::AfterWatch(Some(trial)) => self.refused = Some(trial.version.digest),
            Storing::AfterWatch(None) | Storing::AtOnce => {}
        }
    }

    /// The reload in progress is over: a trial must not wait for it.
    pub(super) fn take_storing(&mut self) -> Storing {
        std::mem::replace(&mut self.storing, Storing::AtOnce)
    }
}

impl Reload {
    /// The plugin of the reload in progress serves all lists: stores that, unless it is too early.
    pub(super) fn note_service(&self, setup: &Setup) -> Result<(), LedgerError> {
        let storing = self.inner().take_storing();
        let due = match storing {
            Storing::AtOnce => return self.store_now(setup),
            Storing::AfterWatch(trial) => Some(Due { trial, exactly: false }),
            Storing::Already => None,
        };
        let mut inner = self.inner();
        if due.is_none() && inner.machine.queued().is_none() {
            inner.following = None;
        }
        inner.due = due;
        Ok(())
    }

    /// Stores what serves. If several engines share the ledger, and it can't be asked, that is done later.
    pub(super) fn store_now(&self, setup: &Setup) -> Result<(), LedgerError> {
        let stored = self.store(setup, true);
        let is_left = stored.is_err() && self.context.plugins.is_shared();
        self.inner().due = is_left.then_some(Due { trial: None, exactly: true });
        stored
    }

    /// Under the guard: stores what serves, if that is due.
    pub(super) fn store_due(&self) -> Result<(), LedgerError> {
        let (setup, due) = {
            let inner = self.inner();
            match &inner.due {
                Some(due) if inner.is_idle() => (inner.record.serving.clone(), due.clone()),
                _ => return Ok(()),
            }
        };
        self.store(&setup, due.exactly)?;
        let mut inner = self.inner();
        if inner.record.serving.is(&setup) && inner.due.take().is_some() {
            drop(inner);
            if let Some(trial) = due.trial {
                trial.pass();
            }
            if self.context.plugins.is_shared() {
                info!(tenant = %self.tenant, plugin = setup.name(), "the plugin is stored: other gateways follow");
            }
        }
        Ok(())
    }

    /// Stores that a plugin serves the tenant, also after a restart, as long as the spec stays the same.
    fn store(&self, setup: &Setup, exactly: bool) -> Result<(), LedgerError> {
        let Some(members) = self.members.load_full() else { return Ok(()) };
        let plugins = &self.context.plugins;
        let mut chosen = Chosen { plugin: setup.plugin(), at: None };
        if plugins.is_shared() && (exactly || setup.pinned || !plugins.is_built_in(&setup.version)) {
            plugins.share(&setup.version)?;
            chosen.at = (!setup.pinned).then(|| setup.version.digest.to_string());
        }
        self.context.settings.choose(&self.tenant, chosen, exactly, &members.spec.plugin)
    }

    /// Follows another engine, which has stored that this serves the tenant.
    pub(crate) fn follow_stored(self: &Arc<Self>, stored: Chosen) {
        let mut inner = self.inner();
        let serving = &inner.record.serving;
        let version = stored.at.as_deref().or(stored.plugin.pinned_version());
        let is_same = serving.missing.is_none()
            && serving.version.name == stored.plugin.name()
            && serving.options == *stored.plugin.plugin_options()
            && serving.pinned == stored.plugin.pinned_version().is_some()
            && version.is_none_or(|version| serving.version.digest.begins_with(version));
        if !is_same {
            inner.due = None;
            drop(inner);
            self.enqueue(Queued { goal: Goal::Stored(stored), shadow: None, reply: None });
        } else if inner.following.take().is_some() && !inner.is_idle() {
            // It was taken back before it served here.
            let Ok(tasks) = inner.machine.roll_back() else { return };
            inner.why = Some(Arc::new(ReloadError::SettingsChanged));
            self.begin(inner, tasks);
        }
    }

    /// Does again what the ledger kept this from.
    pub(crate) fn tend(self: &Arc<Self>) {
        if self.context.staleness.check_ledger().is_err() {
            return;
        }
        let is_due = self.inner().is_due();
        if is_due
            && let Some(_running) = self.try_hold()
            && let Err(error) = self.store_due()
        {
            debug!(tenant = %self.tenant, %error, "can't store which plugin serves; retrying");
        }
        let again = {
            let inner = self.inner();
            inner.following.clone().filter(|_| inner.is_idle())
        };
        if let Some(stored) = again {
            self.enqueue(Queued { goal: Goal::Stored(stored), shadow: None, reply: None });
        }
    }
}
