//! Snapshots of what the engine is doing.

use portcullis_host::Plugin;
use portcullis_ledger::{LedgerError, ListReader, Scope, TenantId};

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
    /// Its lists, the tenant-wide one first.
    pub lists: Vec<ListStatus>,
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
    /// How many generations have served since the engine was opened, including this one.
    pub generation: u64,
    /// How many instances of the generation have not failed.
    pub instances: usize,
    /// The memory of these instances, in bytes.
    pub memory_bytes: u64,
    /// The health of its plugin.
    pub health: Health,
    entries: ListReader,
}

impl ListStatus {
    pub(crate) fn of(list: &LiveList) -> Self {
        let generation = list.generation();
        ListStatus {
            scope: list.list().scope().clone(),
            service: list.service(),
            plugin: list.plugin(),
            generation: list.number(),
            instances: generation.left(),
            memory_bytes: generation.memory_bytes(),
            health: list.health(),
            entries: ListReader::clone(list.list()),
        }
    }

    /// The list's name in logs and metrics: the sender's name, or `tenant-wide`.
    pub fn name(&self) -> &str {
        LiveList::name_of(&self.scope)
    }

    /// Counts the active entries. Blocks: reads the ledger.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn count(&self) -> Result<u64, LedgerError> {
        self.entries.count()
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
            lists: members.lists().map(|list| ListStatus::of(list)).collect(),
        })
    }
}
