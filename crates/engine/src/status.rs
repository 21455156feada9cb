//! Snapshots of what the engine is doing.

use std::sync::Arc;
use std::time::Duration;

use portcullis_fleet::WhenStale;
use portcullis_host::Plugin;
use portcullis_ledger::{KeyError, LedgerError, ListId, Scope, TenantId};
use portcullis_tenant_rules::RuleStatus;

use crate::context::Context;
use crate::live::{Health, LiveList, Service};
use crate::reload::ReloadStatus;
use crate::tenant::Tenant;

/// A snapshot of a tenant's status.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TenantStatus {
    /// The tenant.
    pub id: TenantId,
    /// Its plugin, and its last reload.
    pub reload: ReloadStatus,
    /// The memory of all its plugin instances, in bytes.
    pub memory_bytes: u64,
    /// The limit of that, in bytes.
    pub memory_limit_bytes: u64,
    /// Whether more than 80 % of the limit are taken.
    pub memory_nearly_full: bool,
    /// Its lists, the tenant-wide one first.
    pub lists: Vec<ListStatus>,
    /// Its rules, in the order in which they are asked.
    pub rules: Vec<RuleStatus>,
}

/// A snapshot of a list's status.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListStatus {
    /// The list.
    pub scope: Scope,
    /// What answers for it.
    pub service: Service,
    /// The plugin that answers, or will once it is filled.
    pub plugin: Plugin,
    /// Whether the plugin is slow: its checks wait for their turn, and the tenant's failure policy answers those that have none in time.
    pub slow: bool,
    /// How many generations have served since the engine was opened, including this one.
    pub generation: u64,
    /// How many instances of the generation have not failed.
    pub instances: usize,
    /// The memory of these instances, in bytes.
    pub memory_bytes: u64,
    /// The health of its plugin.
    pub health: Health,
    /// Why the plugin failed last, in words that may be logged. `None` if it has not since it began to serve the list.
    pub last_fault: Option<String>,
    /// What is wrong with what is stored of it.
    pub stored: Stored,
    /// Its id in the ledger: see [`Engine::blocking_entry_counts`](crate::Engine::blocking_entry_counts).
    pub id: ListId,
}

/// Whether what the ledger has of a list can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// It can.
    InOrder,
    /// Its entries are not as they were written. The plugin can't be filled from them.
    Damaged,
    /// The ledger is an older copy, as the list's saved state says: it lacks changes. The list is out of service, and the policy
    /// [`OnFailure::Ledger`](crate::OnFailure) blocks everybody.
    Behind,
    /// The ledger's file was removed, replaced or overwritten while it was open: nothing can be written.
    Lost,
}

impl Stored {
    fn of(live: &LiveList) -> Self {
        let list = live.list();
        match list.trouble() {
            Some(LedgerError::Replaced { .. }) => Stored::Lost,
            _ if live.is_behind() => Stored::Behind,
            _ if list.is_damaged() => Stored::Damaged,
            _ => Stored::InOrder,
        }
    }
}

/// The state of the ledger: of its files, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerState {
    /// They are in order.
    Ok,
    /// A file was removed, replaced or overwritten while the ledger was open: nothing can be written.
    Lost,
    /// The last write failed, as on a full disk, and no other has succeeded since.
    Failing,
    /// The witness can't be written, or was removed within the last 10 seconds, and was created again: a loss may go unnoticed.
    Unwitnessed,
    /// The ledger is shared and can't be asked: checks are answered from memory, and nothing can be written.
    Unreachable,
}

impl LedgerState {
    /// All states.
    pub const ALL: [LedgerState; 5] = [
        LedgerState::Ok,
        LedgerState::Lost,
        LedgerState::Failing,
        LedgerState::Unwitnessed,
        LedgerState::Unreachable,
    ];

    /// `ok`, `lost`, `failing`, `unwitnessed` or `unreachable`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LedgerState::Ok => "ok",
            LedgerState::Lost => "lost",
            LedgerState::Failing => "failing",
            LedgerState::Unwitnessed => "unwitnessed",
            LedgerState::Unreachable => "unreachable",
        }
    }
}

/// What does not work as it should.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outage {
    /// The number of lists.
    pub lists: usize,
    /// How many of them are out of service: the failure policy answers, or the ledger.
    pub lists_out: usize,
    /// How many rules are out of service: the failure policy answers for them.
    pub rules_out: usize,
    /// Tenants whose user ids are damaged in the ledger: checks of user ids fail.
    pub user_ids_out: usize,
    /// What is wrong with the ledger's files, or with the way to a shared ledger.
    pub ledger: Option<Arc<LedgerError>>,
    /// How long ago this engine last knew everything that others had written to a shared ledger; `None` if the ledger is not shared.
    pub staleness: Option<Duration>,
    /// Whether that is longer ago than [`stale_after`](crate::Builder::stale_after).
    pub is_stale: bool,
    /// What a stale engine does.
    pub when_stale: WhenStale,
    /// Why the master key could not be loaded from its file again: what is written can be read only as long as this process runs.
    /// Always `None` if the key [was set](crate::Builder::master_key).
    pub key: Option<Arc<KeyError>>,
}

impl Outage {
    /// Whether anything does not work as it should.
    pub fn is_any(&self) -> bool {
        self.lists_out > 0
            || self.rules_out > 0
            || self.user_ids_out > 0
            || self.ledger.is_some()
            || self.key.is_some()
            || self.is_stale
    }

    /// The state of the ledger, in a word.
    pub fn ledger_state(&self) -> LedgerState {
        match self.ledger.as_deref() {
            None => LedgerState::Ok,
            Some(LedgerError::Replaced { .. }) => LedgerState::Lost,
            Some(LedgerError::Witness { .. } | LedgerError::WitnessReplaced { .. }) => {
                LedgerState::Unwitnessed
            }
            Some(LedgerError::Unavailable(_) | LedgerError::OutcomeUnknown | LedgerError::TookTooLong) => {
                LedgerState::Unreachable
            }
            Some(_) => LedgerState::Failing,
        }
    }

    pub(crate) fn of<'a>(
        context: &Context,
        key: Option<Arc<KeyError>>,
        tenants: impl Iterator<Item = &'a Arc<Tenant>>,
    ) -> Self {
        let staleness = &context.staleness;
        let mut outage = Outage {
            ledger: context.ledger.trouble().map(Arc::new).or_else(|| staleness.trouble()),
            key,
            staleness: staleness.age(),
            is_stale: staleness.is_stale(),
            when_stale: staleness.when_stale(),
            ..Outage::default()
        };
        for tenant in tenants {
            let Some(members) = tenant.members.load_full() else { continue };
            outage.rules_out += tenant.rules.out();
            outage.user_ids_out += usize::from(members.wide.list().are_user_ids_damaged());
            for list in members.lists() {
                outage.lists += 1;
                outage.lists_out += usize::from(list.service() == Service::Out);
            }
        }
        outage
    }
}

impl ListStatus {
    pub(crate) fn of(list: &LiveList) -> Self {
        let generation = list.generation();
        ListStatus {
            scope: list.list().scope().clone(),
            service: list.service(),
            plugin: list.plugin(),
            slow: generation.is_slow(),
            generation: list.number(),
            instances: generation.left(),
            memory_bytes: generation.memory_bytes(),
            health: list.health(),
            last_fault: list.last_fault(),
            stored: Stored::of(list),
            id: list.list().id(),
        }
    }

    /// The list's name in logs and metrics: the sender's name, or `tenant-wide`.
    pub fn name(&self) -> &str {
        LiveList::name_of(&self.scope)
    }
}

impl TenantStatus {
    pub(crate) fn of(tenant: &Tenant) -> Option<Self> {
        let members = tenant.members.load_full()?;
        Some(TenantStatus {
            id: tenant.id.clone(),
            reload: tenant.reload.status(),
            memory_bytes: members.account.used(),
            memory_limit_bytes: members.account.limit(),
            memory_nearly_full: members.account.is_nearly_full(),
            lists: members.lists().map(|list| ListStatus::of(list)).collect(),
            rules: tenant.rules.status(),
        })
    }
}
