//! When it is stored which plugin serves a tenant.
//!
//! An engine that is alone stores it as soon as the plugin serves. Of several engines that share a ledger, the one that is asked for
//! another plugin tries it for all: it stores it once the plugin was watched, and then the others follow. If it ends before that, nothing
//! has changed. If another engine stores another choice before that, that one is later, and stands. A rollback is stored at once.

use std::sync::Arc;

use portcullis_host::Stage;
use portcullis_ledger::LedgerError;
use portcullis_plugin_store::Trial;
use portcullis_tenant_settings::{Chosen, PluginRef};
use tracing::{debug, info, warn};

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
    AfterWatch(Due),
    /// It is stored: this engine follows another one.
    Already,
}

/// That what serves is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Due {
    trial: Option<Arc<Trial>>,
    /// Whether to name the version of a built-in plugin, too.
    exactly: bool,
    /// What was stored when it was asked for, as far as was known. What is stored later stands.
    instead_of: Option<Chosen>,
}

impl Due {
    /// Whether it may be stored now that this is stored. A version on trial, which nobody asked for, may come after other versions of the
    /// plugin, but not after another plugin.
    fn may_replace(&self, stored: Option<&Chosen>, configured: &PluginRef) -> bool {
        let before = self.instead_of.as_ref();
        match self.trial {
            Some(_) => plugin(stored, configured) == plugin(before, configured),
            None => stored == before,
        }
    }
}

/// The plugin that serves if this was chosen.
fn plugin<'a>(chosen: Option<&'a Chosen>, configured: &'a PluginRef) -> &'a PluginRef {
    chosen.map_or(configured, |chosen| &chosen.plugin)
}

impl Storing {
    /// `stored` is what is stored now.
    pub(super) fn of(goal: &Goal, is_shared: bool, stored: Option<Chosen>) -> Self {
        let after_watch = |trial| Storing::AfterWatch(Due { trial, exactly: false, instead_of: stored });
        match goal {
            // An earlier version serves only until a newer one does.
            Goal::Stored(_) | Goal::Earlier(_) => Storing::Already,
            Goal::Trial(trial) => after_watch(Some(Arc::clone(trial))),
            Goal::Newest | Goal::Requested(_) if is_shared => after_watch(None),
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
            Storing::AfterWatch(Due { trial: Some(trial), .. }) => self.refused = Some(trial.version.digest),
            Storing::AfterWatch(_) | Storing::AtOnce => {}
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
            Storing::AfterWatch(due) => Some(due),
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
        let stored = self.store(setup, true, |_, _| true);
        let is_left = stored.is_err() && self.context.plugins.is_shared();
        // Later, only if nothing else was chosen until then.
        let due = is_left.then(|| Due { trial: None, exactly: true, instead_of: self.stored_choice() });
        self.inner().due = due;
        stored.map(drop)
    }

    /// The plugin that is stored as chosen, as far as was read.
    pub(super) fn stored_choice(&self) -> Option<Chosen> {
        let members = self.members.load_full()?;
        self.context.settings.chosen_over(&self.tenant, &members.spec.plugin)
    }

    /// Under the guard: stores what serves, if that is due. If another engine has stored another choice since it was asked for, follows that
    /// one.
    pub(super) fn store_due(self: &Arc<Self>) -> Result<(), LedgerError> {
        let (setup, due) = {
            let inner = self.inner();
            match &inner.due {
                Some(due) if inner.is_idle() => (inner.record.serving.clone(), due.clone()),
                _ => return Ok(()),
            }
        };
        let is_stored =
            self.store(&setup, due.exactly, |stored, configured| due.may_replace(stored, configured))?;
        if !is_stored {
            self.give_up_storing(&setup);
            return Ok(());
        }
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

    /// Another engine has chosen something else meanwhile: that holds.
    fn give_up_storing(self: &Arc<Self>, setup: &Setup) {
        let Some(members) = self.members.load_full() else { return };
        {
            let mut inner = self.inner();
            if !inner.record.serving.is(setup) || inner.due.take().is_none() {
                return;
            }
        }
        warn!(
            tenant = %self.tenant, plugin = setup.name(),
            "the plugin is given up: another gateway has changed the choice since this one was asked for it, and that is followed"
        );
        // It is followed here.
        self.context.settings.take_choice(&self.tenant);
        let configured = || Chosen { plugin: members.spec.plugin.clone(), at: None };
        self.follow_stored(self.stored_choice().unwrap_or_else(configured));
    }

    /// Stores that a plugin serves the tenant, also after a restart, as long as the spec stays the same. `may_replace` is asked for what is
    /// stored, and for the spec's plugin. Returns whether it is stored.
    fn store(
        &self,
        setup: &Setup,
        exactly: bool,
        may_replace: impl Fn(Option<&Chosen>, &PluginRef) -> bool,
    ) -> Result<bool, LedgerError> {
        let Some(members) = self.members.load_full() else { return Ok(true) };
        let plugins = &self.context.plugins;
        let mut chosen = Chosen { plugin: setup.plugin_ref(), at: None };
        if plugins.is_shared() && (exactly || setup.pinned || !plugins.is_built_in(&setup.version)) {
            plugins.share(&setup.version)?;
            chosen.at = (!setup.pinned).then(|| setup.version.digest.to_string());
        }
        let over = &members.spec.plugin;
        self.context.settings.choose(&self.tenant, chosen, exactly, over, |stored| may_replace(stored, over))
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
