//! A tenant in service.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use parking_lot::{RwLock, RwLockReadGuard};
use portcullis_admission::{Lane, Operation};
use portcullis_host::{ErrorChain, FilledFrom, Generation};
use portcullis_ledger::{
    LedgerError, Link, Linked, List as LedgerList, ListId, Scope, Seq, TenantId, TenantKeys,
};
use portcullis_plugin_store::PluginStoreError;
use portcullis_tenant_rules::{PreparedRules, TenantRules};
use portcullis_tenant_settings::{Acknowledge, Chosen, PluginRef, TenantSpec};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::context::Context;
use crate::error::WriteError;
use crate::error::{NotServed, TenantError};
use crate::events::Event;
use crate::live::{FaultListener, LiveList, Parts, Turns};
use crate::members::{Members, recipe};
use crate::reload::{Reload, ReloadError};
use crate::setup::Setup;

/// A tenant in service.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) keys: TenantKeys,
    /// Its lists; `None` before it serves and after it was removed.
    pub(crate) members: Arc<ArcSwapOption<Members>>,
    pub(crate) reload: Arc<Reload>,
    pub(crate) rules: Arc<TenantRules>,
    pub(crate) context: Arc<Context>,
    /// Marked when entries change.
    pub(crate) changes: watch::Sender<()>,
    /// Read-locked by writes, write-locked while lists are taken out of service. So a write either ends before that, or fails: it
    /// can't be acknowledged on a list whose successor has not seen it.
    removal: RwLock<()>,
    /// Of its lists, at threads in the background.
    turns: Arc<Turns>,
}

/// Keeps a list in service while it is written. [`Engine::close`](crate::Engine::close) and removals wait for it.
pub(crate) struct Serving<'a> {
    _removal: RwLockReadGuard<'a, ()>,
    _operation: Operation,
}

impl Tenant {
    fn new(id: TenantId, keys: TenantKeys, serving: Setup, context: &Arc<Context>) -> Arc<Self> {
        let members = Arc::new(ArcSwapOption::empty());
        let reload = Reload::new(id.clone(), serving, Arc::clone(context), Arc::clone(&members));
        let reload = Arc::new(reload);
        let rules = Arc::new(TenantRules::new(id.clone(), keys.clone(), reload.running(), &context.rules));
        let context = Arc::clone(context);
        let changes = watch::Sender::new(());
        Arc::new(Tenant {
            id,
            keys,
            members,
            reload,
            rules,
            context,
            changes,
            removal: RwLock::new(()),
            turns: Arc::default(),
        })
    }

    /// The turns of its checks.
    pub(crate) fn lane(&self) -> Arc<Lane> {
        match self.members.load().as_ref() {
            Some(members) => Arc::clone(&members.lane),
            // A check finds out that nothing is served.
            None => Lane::new(NonZeroUsize::MIN),
        }
    }

    /// Keeps a list in service until the guard is dropped.
    pub(crate) fn serving(&self, list: &Arc<LiveList>) -> Result<Serving<'_>, NotServed> {
        let operation = self.context.lifecycle.begin()?;
        let removal = self.removal.read();
        match self.why_not_served(list) {
            Some(error) => Err(error),
            None => Ok(Serving { _removal: removal, _operation: operation }),
        }
    }

    /// Why a list is not served; `None` if it is.
    pub(crate) fn why_not_served(&self, list: &Arc<LiveList>) -> Option<NotServed> {
        if self.context.lifecycle.is_closed() {
            return Some(NotServed::Closed);
        }
        let members = self.members.load();
        match members.as_ref() {
            Some(members) if members.serves(list) => None,
            Some(_) => match list.list().scope() {
                Scope::Sender(sender) => {
                    Some(NotServed::SenderRemoved { tenant: self.id.clone(), sender: sender.clone() })
                }
                Scope::Tenant => Some(NotServed::TenantRemoved(self.id.clone())),
            },
            None => Some(NotServed::TenantRemoved(self.id.clone())),
        }
    }

    /// When its writes are acknowledged.
    pub(crate) fn acknowledge(&self) -> Acknowledge {
        self.members.load().as_ref().map_or(Acknowledge::Node, |members| members.spec.acknowledge)
    }

    /// Whether its writes are acknowledged once all engines have them that share the ledger.
    pub(crate) fn waits_for_others(&self) -> bool {
        self.acknowledge() == Acknowledge::Fleet && self.context.staleness.is_shared()
    }

    /// Whether writes wait for other engines, of which one lags.
    pub(crate) fn waits_long_for_others(&self) -> bool {
        self.context.acknowledgements.is_lagging() && self.waits_for_others()
    }

    /// Waits until all engines have these changes that share the ledger, if the tenant's writes are acknowledged then. `began` is when the
    /// write began. Returns `false` if some do not have them in time. Blocks. Call it without a lock.
    #[must_use]
    pub(crate) fn wait_for_others(&self, began: Instant, changes: &[portcullis_fleet::Change]) -> bool {
        let until = began + portcullis_fleet::DEADLINE;
        !self.waits_for_others() || self.context.acknowledgements.wait(changes, until)
    }

    /// Reports that entries of these lists changed. Call it without a lock: listeners may use the engine.
    pub(crate) fn announce<'a>(&self, lists: impl IntoIterator<Item = &'a Arc<LiveList>>) {
        let mut any = false;
        for list in lists {
            any = true;
            let scope = || list.list().scope().clone();
            self.context.events.emit(|| Event::Changed { tenant: self.id.clone(), scope: scope() });
        }
        if any {
            self.changes.send_replace(());
        }
    }

    /// Reports, for as long as the tenant is there, that entries of a list changed. For threads that must not keep it.
    pub(crate) fn announcer(self: &Arc<Self>) -> impl Fn(&Arc<LiveList>) + Send + Sync + use<> {
        let tenant = Arc::downgrade(self);
        move |list| {
            if let Some(tenant) = tenant.upgrade() {
                tenant.announce([list]);
            }
        }
    }

    /// Stores that several names are one person's, on all lists. `through` is the list of the caller's handle.
    pub(crate) fn tie(&self, through: &Arc<LiveList>, tie: Link) -> Result<Linked, WriteError> {
        let began = Instant::now();
        let (tied, followed, awaited) = {
            let _serving = self.serving(through)?;
            let tied = through.list().link(tie)?;
            let awaited = self.awaited_after(&tied, through).map_err(|_| WriteError::Unseen(Vec::new()))?;
            // Read after the commit. A list that is put later is brought up to date by that.
            let members = self.members.load_full();
            let lists = members.iter().flat_map(|members| members.lists());
            let lacks = |list: &&Arc<LiveList>| {
                let lacked =
                    |(id, sequence): &(ListId, Seq)| *id == list.list().id() && list.lacks(*sequence);
                tied.changed.contains(list.list().scope()) || awaited.iter().any(lacked)
            };
            let followed: Vec<_> = lists.filter(lacks).cloned().collect();
            // All of them follow, also behind one that does not.
            let unseen = followed.iter().filter(|list| !list.catch_up().is_seen()).count();
            if unseen > 0 {
                return Err(WriteError::Unseen(Vec::new()));
            }
            (tied, followed, awaited)
        };
        self.announce(&followed);
        match self.wait_for_others(began, &awaited) {
            true => Ok(tied),
            false => Err(WriteError::NotEverywhere(Vec::new())),
        }
    }

    /// The changes that all engines must have once names are tied: those that this made. If it made none, somebody else may have made them a
    /// moment ago, on any list.
    fn awaited_after(&self, tied: &Linked, through: &LiveList) -> Result<Vec<(ListId, Seq)>, LedgerError> {
        if !self.waits_for_others() {
            return Ok(Vec::new());
        }
        let mut awaited = through.list().sequences_of_tenant()?;
        if !tied.changed.is_empty() {
            awaited.retain(|(scope, ..)| tied.changed.contains(scope));
        }
        Ok(awaited.into_iter().map(|(_, id, sequence)| (id, sequence)).collect())
    }

    /// Takes all lists out of service, after the writes under way. Returns them: they still hold their plugins.
    pub(crate) fn remove(&self, why: ReloadError) -> Vec<Arc<LiveList>> {
        let lists = {
            let _removal = self.removal.write();
            let members = self.members.swap(None);
            let lists: Vec<_> = members.iter().flat_map(|members| members.lists()).cloned().collect();
            lists.iter().for_each(|list| list.detach());
            lists
        };
        self.rules.remove();
        self.reload.abandon(why);
        self.changes.send_replace(());
        lists
    }

    /// Like [`remove`](Self::remove), for a caller that must not block: writes under way end as if nothing had happened.
    pub(crate) fn abandon(&self, why: ReloadError) {
        if let Some(members) = self.members.load_full() {
            members.lists().for_each(|list| list.detach());
        }
        self.rules.abandon();
        self.reload.abandon(why);
        self.changes.send_replace(());
    }
}

/// A tenant that is ready to go into service.
pub(crate) struct Opened {
    pub(crate) tenant: Arc<Tenant>,
    members: Members,
    /// The plugin that will serve it.
    setup: Setup,
    /// Whether it is the one that serves now, run in the same way.
    plugin_stays: bool,
    /// New lists, which have to be filled.
    pub(crate) unfilled: Vec<Arc<LiveList>>,
    /// Lists that stay, with their next generations.
    exchanges: Vec<(Arc<LiveList>, Generation, FilledFrom)>,
    rules: PreparedRules,
    /// Whether the tenant goes into service although its plugin has not started.
    pub(crate) lenient: bool,
    /// Why a new tenant is out of service.
    pub(crate) problem: Option<TenantError>,
    /// Why a list of a new tenant is, if its plugin starts.
    pub(crate) unfit: Option<TenantError>,
}

impl Opened {
    /// Opens the lists of a tenant. Those that `before`, the tenant as it is now, has in common with the spec stay in service if they are
    /// still the ledger's. If the plugin changes, or how it is run, their next generations are prepared. Of a tenant that another engine
    /// has forgotten and put again, nothing stays: what is opened is another [`Tenant`].
    pub(crate) fn open(
        spec: TenantSpec,
        before: Option<&Arc<Tenant>>,
        context: &Arc<Context>,
    ) -> Result<Self, TenantError> {
        let keys = context.ledger.ensure_tenant(&spec.id)?;
        // One that was forgotten, and put again by another engine, has another secret.
        let before = before.filter(|before| are_same(&before.keys, &keys));
        let members_before = before.and_then(|before| before.members.load_full());
        let stored = match &members_before {
            Some(members) if context.staleness.is_shared() => {
                let lists = members.wide.list().sequences_of_tenant()?;
                Some(lists.into_iter().map(|(_, id, _)| id).collect::<HashSet<ListId>>())
            }
            _ => None,
        };
        // A shared ledger may have lost a list, and has another one of the same name then.
        let is_stored =
            |list: &&Arc<LiveList>| stored.as_ref().is_none_or(|stored| stored.contains(&list.list().id()));
        let choice = context.settings.chosen_over(&spec.id, &spec.plugin);
        let choice = choice.filter(|choice| !spec.drops_choice(&choice.plugin));
        // What serves may be about to be stored, or to follow what another engine has stored.
        let stays = |members: &&Arc<Members>| {
            context.plugins.is_shared()
                && members.spec.plugin == spec.plugin
                && !spec.drops_choice(&members.chosen)
        };
        let staying = members_before.as_ref().zip(before).filter(|(members, _)| stays(members));
        let Chosen { plugin: chosen, at } = match staying {
            Some((members, before)) => {
                let serving = before.reload.serving();
                let at = serving.missing.is_none().then(|| serving.version.digest.to_string());
                Chosen { plugin: members.chosen.clone(), at }
            }
            None => choice.unwrap_or_else(|| Chosen { plugin: spec.plugin.clone(), at: None }),
        };
        let unchanged = members_before
            .as_ref()
            .zip(before)
            .filter(|(members, _)| members.spec.runs_like(&spec) && members.chosen == chosen);
        // A tenant that is served stays as it is, rather than being put out of service.
        let lenient = spec.starts_regardless && before.is_none();
        let (setup, account, lane) = match unchanged {
            Some((members, before)) => {
                let serving = before.reload.serving();
                context.plugins.trusted_by(&spec.trusted_keys).check(Arc::clone(&serving.version))?;
                (serving, Arc::clone(&members.account), Arc::clone(&members.lane))
            }
            None => {
                let setup = match resolve(&spec, &Chosen { plugin: chosen.clone(), at }, context) {
                    Err(TenantError::Plugin(error)) if lenient => placeholder(&chosen, error, context)?,
                    resolved => resolved?,
                };
                let setup = match before {
                    Some(before) => setup.knowing(&before.reload.serving()),
                    None => setup,
                };
                let account = match &members_before {
                    Some(members) => context.memory.account_beside(&members.account, spec.memory_limit),
                    None => context.memory.account(spec.memory_limit),
                };
                (setup, account, Lane::new(spec.replicas))
            }
        };
        let plugin_stays = unchanged.is_some();
        let has_same_senders =
            members_before.as_ref().is_some_and(|members| members.spec.senders == spec.senders);
        let rules_before = before.map(|before| &*before.rules);
        let rules =
            TenantRules::prepare(&spec, &keys, rules_before, has_same_senders, lenient, &context.rules)?;
        let tenant = match before {
            Some(before) => Arc::clone(before),
            None => Tenant::new(spec.id.clone(), keys.clone(), setup.clone(), context),
        };
        let faults: Arc<dyn FaultListener> = Arc::<Reload>::clone(&tenant.reload);
        let (mut unfilled, mut exchanges) = (Vec::new(), Vec::new());
        let problem = setup.missing.clone().map(TenantError::Missing);
        let mut list = |scope: Scope| -> Result<Arc<LiveList>, TenantError> {
            let recipe = |entries| recipe(&spec, &keys, &account, &setup, entries);
            let start = |source| TenantError::Start { plugin: chosen.name().to_owned(), source };
            let served = members_before.as_ref().and_then(|members| members.list(&scope));
            if let Some(list) = served.filter(is_stored) {
                if !plugin_stays {
                    if context.lifecycle.is_closed() {
                        // Closing the engine waits for this.
                        return Err(TenantError::Closed);
                    }
                    let empty = Generation::empty(recipe(list.list().count()?)).map_err(start)?;
                    let (next, from) = empty
                        .filled_and_proved(&**list.entries(), Some(list.state()))
                        .map_err(|source| TenantError::Fill { plugin: chosen.name().to_owned(), source })?;
                    exchanges.push((Arc::clone(list), next, from));
                }
                return Ok(Arc::clone(list));
            }
            let list = context.ledger.list(&spec.id, scope)?;
            if !are_same(list.keys(), &keys) {
                // It was forgotten and put again since its keys were read.
                return Err(LedgerError::TenantForgotten.into());
            }
            let state = context.states.of(list.tenant(), list.scope(), list.keys());
            let sequence = list.sequence().map_or(u64::MAX, Seq::get);
            let ahead = state.is_ahead_of(sequence, list.kept_state().unwrap_or_default());
            // A database that lost commits at a failover has lost which state to load, too, so that the state is not used. What is in
            // force is what the database has.
            let behind = ahead && !context.staleness.is_shared();
            if behind {
                let error = TenantError::Behind { list: LiveList::name_of(list.scope()).to_owned() };
                if !lenient {
                    return Err(error);
                }
                error!(tenant = %spec.id, %error, "THE LEDGER IS AN OLDER COPY: the list is out of service");
                if let Err(error) = state.mark_ahead() {
                    warn!(tenant = %spec.id, error = %ErrorChain(&error), "a later start may not notice that the ledger is an older copy");
                }
            }
            let parts = Parts {
                behind,
                withheld: setup.missing.is_some(),
                unstarted: lenient,
                state,
                recipe: recipe(list.count()?),
                turns: Arc::clone(&tenant.turns),
                faults: Arc::downgrade(&faults),
                context: Arc::clone(context),
                list,
            };
            let list = Arc::new(LiveList::open(parts).map_err(start)?);
            unfilled.push(Arc::clone(&list));
            Ok(list)
        };
        let wide = list(Scope::Tenant)?;
        if before.is_none()
            && let Err(error) = wide.list().check_user_ids()
        {
            error!(
                tenant = %spec.id, error = %ErrorChain(&error),
                "the tenant's user ids are damaged in the ledger: checks of user ids fail, those of numbers don't"
            );
        }
        let mut senders = BTreeMap::new();
        for sender in &spec.senders {
            senders.insert(sender.clone(), list(Scope::Sender(sender.clone()))?);
        }
        let members = Members { spec, chosen, keys, account, lane, wide, senders };
        if members.spec.change_feed {
            for list in members.lists() {
                start_feed(list.list())?;
            }
        }
        let unfit = None;
        Ok(Opened {
            tenant,
            members,
            setup,
            plugin_stays,
            unfilled,
            exchanges,
            rules,
            lenient,
            problem,
            unfit,
        })
    }

    /// The name of the plugin that will serve it.
    pub(crate) fn plugin(&self) -> &str {
        self.members.chosen.name()
    }

    pub(crate) fn spec(&self) -> &TenantSpec {
        &self.members.spec
    }

    /// Puts the tenant into service. A list whose next generation can't follow the writes since it was prepared gets another one
    /// in the background, and the tenant's failure policy answers until then.
    ///
    /// The caller holds the tenant's [`Reload`], and calls [`catch_up`](LiveList::catch_up) on the new lists once callers can find
    /// the tenant.
    pub(crate) fn put_in_place(self) -> Arc<Tenant> {
        let Opened { tenant, members, setup, plugin_stays, exchanges, rules, problem, unfit, .. } = self;
        // Before the new lists: no message of theirs goes without them.
        tenant.rules.install(rules, &members.spec);
        for (list, next, from) in exchanges {
            let next = Arc::new(next);
            match list.install(Arc::clone(&next)) {
                Ok(()) => list.was_installed(&from),
                Err(error) => list.restart_with(next.recipe().clone(), &error),
            }
        }
        let mut why = unfit.map(Arc::new);
        if let Some(error) = problem {
            error!(
                tenant = %tenant.id, plugin = members.chosen.name(), error = error.reason(),
                "the tenant's plugin does not start: its lists are out of service, and its failure policy answers"
            );
            let (name, error) = (setup.name(), Arc::new(error));
            tenant.reload.respecified(setup, plugin_stays);
            tenant.reload.refuse(name, ReloadError::Settings(Arc::clone(&error)));
            why = Some(error);
        } else {
            tenant.reload.respecified(setup, plugin_stays);
        }
        let members = Arc::new(members);
        let removed: Vec<Arc<LiveList>> = match tenant.members.load_full() {
            None => Vec::new(),
            Some(before) => before.lists().filter(|list| !members.serves(list)).cloned().collect(),
        };
        if removed.is_empty() {
            tenant.members.store(Some(members));
            if let Some(why) = why {
                tenant.reload.fall_back(why);
            }
            return tenant;
        }
        {
            let _removal = tenant.removal.write();
            tenant.members.store(Some(members));
            removed.iter().for_each(|list| list.detach());
        }
        removed.iter().for_each(|list| list.unload());
        tenant
    }
}

/// Whether these keys are of one secret.
fn are_same(keys: &TenantKeys, others: &TenantKeys) -> bool {
    let name = |keys: &TenantKeys| keys.state_name(&Scope::Tenant);
    name(keys) == name(others)
}

/// A new feed starts at the list's present state.
fn start_feed(list: &LedgerList) -> Result<(), LedgerError> {
    match list.event_cursor()? {
        Some(_) => Ok(()),
        None => list.set_event_cursor(list.sequence()?),
    }
}

/// Loads a plugin. If a tenant that is pinned to no version can't have the one that others have, it gets the latest that is here.
fn resolve(spec: &TenantSpec, chosen: &Chosen, context: &Context) -> Result<Setup, TenantError> {
    let plugins = context.plugins.trusted_by(&spec.trusted_keys);
    match Setup::load(chosen, plugins) {
        Err(error) if chosen.at.is_some() && !error.is_transient() => {
            warn!(
                tenant = %spec.id, error = %ErrorChain(&error),
                "the tenant can't have the version of its plugin that other gateways have: it gets the latest one"
            );
            Ok(Setup::load(&Chosen { at: None, ..chosen.clone() }, plugins)?)
        }
        loaded => Ok(loaded?),
    }
}

/// Stands in for a plugin that can't be loaded.
fn placeholder(plugin: &PluginRef, error: PluginStoreError, context: &Context) -> Result<Setup, TenantError> {
    let version = context.plugins.placeholder(plugin.name())?;
    let (options, is_pinned) = (plugin.plugin_options().clone(), plugin.pinned_version().is_some());
    Ok(Setup { missing: Some(Arc::new(error)), ..Setup::of(version, options, is_pinned)? })
}
