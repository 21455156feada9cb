//! A tenant in service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use portcullis_host::{FilledFrom, Generation, MemoryAccount};
use portcullis_ledger::{LedgerError, Link, Linked, List as LedgerList, Scope, TenantId, TenantKeys};
use tokio::sync::watch;

use crate::context::Context;
use crate::error::TenantError;
use crate::events::Event;
use crate::live::{FaultListener, LiveList, Parts, Priority};
use crate::members::{Members, recipe};
use crate::reload::{Reload, Setup};
use crate::residency::Residency;
use crate::spec::{PluginRef, TenantSpec};

/// A tenant in service.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) keys: TenantKeys,
    /// Its lists; none until it serves, and after it was removed.
    pub(crate) members: Arc<ArcSwapOption<Members>>,
    pub(crate) reload: Arc<Reload>,
    pub(crate) context: Arc<Context>,
    /// Tells that entries changed.
    pub(crate) changes: watch::Sender<()>,
}

impl Tenant {
    fn new(id: TenantId, keys: TenantKeys, serving: Setup, context: &Arc<Context>) -> Arc<Self> {
        let members = Arc::new(ArcSwapOption::empty());
        let reload = Reload::new(id.clone(), serving, Arc::clone(context), Arc::clone(&members));
        let (reload, context) = (Arc::new(reload), Arc::clone(context));
        Arc::new(Tenant { id, keys, members, reload, context, changes: watch::Sender::new(()) })
    }

    /// The entries of these lists changed, and that is on disk: brings their plugins up to it, and tells whoever waits. When this
    /// returns, the next check sees it.
    pub(crate) fn changed<'a>(&self, lists: impl IntoIterator<Item = &'a Arc<LiveList>>) {
        let mut any = false;
        for list in lists {
            any = true;
            list.catch_up();
            let scope = || list.list().scope().clone();
            self.context.events.emit(|| Event::Changed { tenant: self.id.clone(), scope: scope() });
        }
        if any {
            self.changes.send_replace(());
        }
    }

    /// Remembers that several names are one person's, on all lists.
    pub(crate) fn tie(&self, tie: Link) -> Result<Linked, LedgerError> {
        let Some(members) = self.members.load_full() else { return Err(LedgerError::TenantForgotten) };
        let tied = members.wide.list().link(tie)?;
        self.changed(members.lists().filter(|list| tied.changed.contains(list.list().scope())));
        Ok(tied)
    }
}

/// A tenant that is about to go into service.
pub(crate) struct Opened {
    pub(crate) tenant: Arc<Tenant>,
    members: Members,
    /// What serves it then.
    setup: Setup,
    /// Lists that are new, and have to be filled.
    pub(crate) unfilled: Vec<Arc<LiveList>>,
    /// Lists that stay, and the generations they are to have from now on.
    exchanges: Vec<(Arc<LiveList>, Generation, FilledFrom)>,
}

impl Opened {
    /// Opens the lists of a tenant. Those of `before`, which is the same tenant as it was, stay in service as they are, or where
    /// the plugin or how it is run changes, get a generation of that prepared.
    pub(crate) fn open(
        spec: TenantSpec,
        before: Option<&Arc<Tenant>>,
        context: &Arc<Context>,
    ) -> Result<Self, TenantError> {
        let keys = context.ledger.ensure_tenant(&spec.id)?;
        let choice = context.kept.chosen_over(&spec.id, &spec.plugin).filter(|_| !spec.resets_choice);
        let chosen = choice.unwrap_or_else(|| spec.plugin.clone());
        let members_before = before.and_then(|before| before.members.load_full());
        let unchanged = members_before
            .as_ref()
            .zip(before)
            .filter(|(members, _)| members.spec.runs_like(&spec) && members.chosen == chosen);
        let (setup, account) = match unchanged {
            Some((members, before)) => (before.reload.serving(), Arc::clone(&members.account)),
            None => (setup(&chosen, context)?, MemoryAccount::new(spec.memory_limit)),
        };
        let plugin_stays = unchanged.is_some();
        let tenant = match before {
            Some(before) => Arc::clone(before),
            None => Tenant::new(spec.id.clone(), keys.clone(), setup.clone(), context),
        };
        let faults: Arc<dyn FaultListener> = Arc::<Reload>::clone(&tenant.reload);
        let (mut unfilled, mut exchanges) = (Vec::new(), Vec::new());
        let mut list = |scope: Scope| -> Result<Arc<LiveList>, TenantError> {
            let recipe = |entries| recipe(&spec, &keys, &account, &setup, entries);
            let start = |source| TenantError::Start { plugin: chosen.name.clone(), source };
            if let Some(list) = members_before.as_ref().and_then(|members| members.list(&scope)) {
                if !plugin_stays {
                    let made = Generation::empty(recipe(list.list().count()?)).map_err(start)?;
                    let (next, from) = made
                        .filled_and_proved(&**list.entries(), Some(list.state()))
                        .map_err(|source| TenantError::Fill { plugin: chosen.name.clone(), source })?;
                    exchanges.push((Arc::clone(list), next, from));
                }
                return Ok(Arc::clone(list));
            }
            let list = context.ledger.list(&spec.id, scope)?;
            let parts = Parts {
                state: context.states.of(list.tenant(), list.scope(), list.keys()),
                recipe: recipe(list.count()?),
                faults: Arc::downgrade(&faults),
                context: Arc::clone(context),
                list,
            };
            let list = Arc::new(LiveList::open(parts).map_err(start)?);
            unfilled.push(Arc::clone(&list));
            Ok(list)
        };
        let wide = list(Scope::Tenant)?;
        let mut senders = BTreeMap::new();
        for sender in &spec.senders {
            senders.insert(sender.clone(), list(Scope::Sender(sender.clone()))?);
        }
        let members = Members { spec, chosen, keys, account, wide, senders };
        if members.spec.change_feed {
            for list in members.lists() {
                start_feed(list.list())?;
            }
        }
        Ok(Opened { tenant, members, setup, unfilled, exchanges })
    }

    /// What the tenant is going to be.
    pub(crate) fn spec(&self) -> &TenantSpec {
        &self.members.spec
    }

    /// Puts the prepared generations in place. Those that can't follow what was written meanwhile are made anew in the
    /// background, and the tenant's failure policy answers until then.
    ///
    /// The tenant's [`Reload`] must be held.
    pub(crate) fn put_in_place(self) -> Arc<Tenant> {
        for (list, next, from) in self.exchanges {
            match list.install(Arc::new(next)) {
                Ok(()) => list.was_installed(&from),
                Err(error) => list.fail_to_start(&error),
            }
            list.release();
        }
        self.tenant.members.store(Some(Arc::new(self.members)));
        self.tenant.reload.changed(self.setup);
        self.tenant
    }
}

/// A feed that begins is not told of changes from before.
fn start_feed(list: &LedgerList) -> Result<(), LedgerError> {
    match list.event_cursor()? {
        Some(_) => Ok(()),
        None => list.set_event_cursor(list.sequence()?),
    }
}

/// What a plugin's name and version mean now.
fn setup(plugin: &PluginRef, context: &Context) -> Result<Setup, TenantError> {
    let version = match &plugin.version {
        Some(version) => context.plugins.version(&plugin.name, version)?,
        None => context.plugins.latest(&plugin.name)?,
    };
    Ok(Setup { version, options: plugin.options.clone(), pinned: plugin.version.is_some() })
}

/// Fills lists on as many threads as there are processors. One that can't be filled goes into recovery. Those that there is no
/// room for start evicted.
pub(crate) fn fill(lists: &[Arc<LiveList>], residency: &Residency) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(lists.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(list) = lists.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !residency.has_room() {
                        list.start_evicted();
                    } else if let Err(error) = list.refill(Priority::Normal) {
                        list.fail_to_start(&error);
                    }
                }
            });
        }
    });
}
