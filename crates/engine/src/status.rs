//! What an engine is doing.

use portcullis_host::Plugin;
use portcullis_ledger::{LedgerError, ListReader, Scope, TenantId};

use crate::live::{Health, LiveList, Service};
use crate::reload::ReloadStatus;
use crate::tenant::Tenant;

/// How a tenant stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TenantStatus {
    /// The tenant.
    pub id: TenantId,
    /// Its plugin, and how the last reload went.
    pub reload: ReloadStatus,
    /// What all instances of its plugins have of memory, in bytes.
    pub memory_bytes: u64,
    /// The most that they may have.
    pub memory_limit_bytes: u64,
    /// Its lists, the tenant-wide one first.
    pub lists: Vec<ListStatus>,
}

/// How a list stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListStatus {
    /// Which list.
    pub scope: Scope,
    /// Who answers for it.
    pub service: Service,
    /// The plugin that answers, or that will.
    pub plugin: Plugin,
    /// How many generations have served since the engine was opened, this one included.
    pub generation: u64,
    /// How many of its instances are left.
    pub instances: usize,
    /// What its plugin has of memory, in bytes.
    pub memory_bytes: u64,
    /// How its plugin has fared.
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

    /// The list's name in logs and metrics: the sender's, or `tenant-wide`.
    pub fn name(&self) -> &str {
        LiveList::name_of(&self.scope)
    }

    /// How many entries are in force. Blocks: reads the ledger.
    ///
    /// # Errors
    /// What the disk may report.
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
