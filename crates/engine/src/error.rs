//! Errors of an engine, and of a tenant.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_admission::Closed;
use portcullis_host::{CallError, EngineError as HostError, FillError};
use portcullis_ledger::{KeyError, LedgerError, SenderId, TenantId, Written};
use portcullis_plugin_store::PluginStoreError;
use portcullis_tenant_rules::{RuleError, Unprepared};
use portcullis_tenant_settings::{KeepError, KeptError};

use crate::storage::StorageError;

/// An error of opening an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No ledger was set.
    #[error("no ledger is set: call Builder::ledger")]
    NoLedger,
    /// No master key was set.
    #[error("no master key is set: call Builder::master_key_file or Builder::master_key")]
    NoMasterKey,
    /// The ledger's URL is of no use.
    #[error("the ledger's URL can't be used")]
    Storage(#[from] StorageError),
    /// The name of the node is invalid, or the host's name is, which is the default.
    #[error(
        "the name of this node must have 1 to 64 letters, digits, '.', '_' and '-', and not begin with '.'"
    )]
    Node,
    /// A thread can't be started.
    #[error("can't start a thread: let the process have more")]
    Thread(#[source] std::io::Error),
    /// The master key can't be read or created.
    #[error("the master key can't be read")]
    MasterKey(#[from] KeyError),
    /// The ledger can't be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// This machine can't run plugins.
    #[error("this machine can't run plugins")]
    Host(#[from] HostError),
    /// The folder of saved states can't be read or cleaned up.
    #[error("the folder of saved states, {}, can't be opened", dir.display())]
    States {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tenants' stored settings can't be read.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Cancelled,
}

/// An error of serving a tenant as its spec says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// The plugin, or its version, can't be loaded.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The plugin can't be loaded, and the tenant is out of service.
    #[error(transparent)]
    Missing(Arc<PluginStoreError>),
    /// The plugin does not start with these options.
    #[error("the plugin {plugin} can't be started")]
    Start {
        /// The plugin.
        plugin: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// A rule can't be put into service.
    #[error("the rule {rule} can't be put into service")]
    Rule {
        /// Its place among the spec's rules.
        index: usize,
        /// The rules plugin.
        rule: String,
        /// The cause.
        #[source]
        source: Box<RuleError>,
    },
    /// The plugin does not take the entries of a list.
    #[error("the plugin {plugin} can't be filled with the list's entries")]
    Fill {
        /// The plugin.
        plugin: String,
        /// The cause.
        #[source]
        source: FillError,
    },
    /// The plugin has not started yet. That goes on in the background, and the tenant is out of service.
    #[error("the plugin {plugin} takes long to start, which goes on in the background")]
    Late {
        /// The plugin.
        plugin: String,
    },
    /// The tenant's lists can't be read from the ledger.
    #[error("the tenant's lists can't be read from the ledger")]
    Ledger(#[from] LedgerError),
    /// The ledger lacks changes of a list that were made before the list's state was saved: it is an older copy.
    #[error(
        "the ledger lacks changes of list {list} that its saved state has: an older copy was put in its place; put the latest ledger \
         back, or, if it was restored from a backup, start once with --restored"
    )]
    Behind {
        /// The list.
        list: String,
    },
    /// The data to keep with the tenant can't be stored.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// An earlier spec of the same call names the same tenant.
    #[error("tenant {0} is given twice in one call")]
    Duplicate(TenantId),
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
}

impl TenantError {
    /// Whether the same may succeed later, with the same spec and the same plugin.
    pub fn is_transient(&self) -> bool {
        match self {
            TenantError::Plugin(error) => error.is_transient(),
            TenantError::Start { source, .. } => source.is_transient(),
            TenantError::Rule { source, .. } => source.is_transient(),
            TenantError::Fill { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}

/// The list of a [`List`](crate::List) handle is no longer served. The handle stays dead: get a new one from the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotServed {
    /// The tenant was removed or forgotten. It may have been put again since, with new lists.
    #[error("tenant {0} was removed")]
    TenantRemoved(TenantId),
    /// The tenant's spec no longer names the sender. It may have been added again since, with a new list.
    #[error("sender {sender} of tenant {tenant} was removed")]
    SenderRemoved {
        /// The tenant.
        tenant: TenantId,
        /// The sender.
        sender: SenderId,
    },
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
}

/// An error of a write. Nothing was written, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The list is no longer served: the handle is dead.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// The ledger refused the write, or can't be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The write was stored, with these results (none for a [tie](crate::List::tie)), and this engine's next check sees it. But not all
    /// others that share the ledger had it in time, as the tenant's [spec](crate::TenantSpec::acknowledge) asks. The same write again
    /// changes nothing, and waits for them again.
    #[error("the write was stored, but some of the engines that share the ledger did not have it in time")]
    NotEverywhere(Vec<Written>),
    /// The write was stored, with these results (none for a [tie](crate::List::tie)), but this engine could not read it back from the
    /// shared ledger, so its next check may not see it, or the ledger came to another server meanwhile, which may lack it. The same write again changes nothing, and reads it again.
    #[error("the write was stored, but it could not be read back from the ledger")]
    Unseen(Vec<Written>),
    /// The runtime is shutting down, or the write panicked. It may have been stored all the same.
    #[error("the write was cut short")]
    Cancelled,
}

impl From<Unprepared> for TenantError {
    fn from(Unprepared { index, rule, source }: Unprepared) -> Self {
        TenantError::Rule { index, rule, source: Box::new(source) }
    }
}

impl From<Closed> for TenantError {
    fn from(_: Closed) -> Self {
        TenantError::Closed
    }
}

impl From<Closed> for NotServed {
    fn from(_: Closed) -> Self {
        NotServed::Closed
    }
}
