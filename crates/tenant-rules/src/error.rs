//! Why a rule can't be put into service, or exchanged.

use portcullis_host::rules::SENDERS;
use portcullis_host::{CallError, ErrorChain};
use portcullis_ledger::LedgerError;
use portcullis_meters::TooManyMeters;
use portcullis_plugin_store::PluginStoreError;
use portcullis_tenant_settings::KeepError;

/// An error of putting a rules plugin into service.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The plugin, or its version, can't be loaded, or is no rules plugin.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The plugin needs to know what the tenant does not grant.
    #[error(
        "it needs {missing}, which is not granted to it: add that to its grants, or choose another plugin"
    )]
    Grants {
        /// The names of what is missing, with commas between them.
        missing: String,
    },
    /// The plugin needs to know whether people are on a list beside the rule, which no tenant can name.
    #[error("it needs `listed`, which no tenant can grant yet: choose another plugin")]
    Listed,
    /// The tenant has more senders than a plugin can know that needs to.
    #[error(
        "it needs to know the sender, and the tenant has {senders} of them: {SENDERS} is the most then; divide the tenant, or choose \
         another plugin"
    )]
    Senders {
        /// How many the tenant has.
        senders: usize,
    },
    /// The plugin does not start with these options.
    #[error(transparent)]
    Start(#[from] CallError),
    /// The tenant's rules declare too many meters.
    #[error(transparent)]
    Meters(#[from] TooManyMeters),
}

impl RuleError {
    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            RuleError::Plugin(error) => error.is_transient(),
            RuleError::Start(error) => error.is_transient(),
            RuleError::Grants { .. }
            | RuleError::Listed
            | RuleError::Senders { .. }
            | RuleError::Meters(_) => false,
        }
    }

    /// The error on one line, for the log: without text of a client's request, and without numbers that the plugin repeats from its options.
    pub fn reason(&self) -> String {
        match self {
            RuleError::Plugin(error) => error.reason(),
            RuleError::Start(error) => error.reason(),
            error => ErrorChain(error).to_string(),
        }
    }
}

/// A rule of a spec that can't be put into service.
#[derive(Debug)]
pub struct Unprepared {
    /// Its place among the spec's rules.
    pub index: usize,
    /// The rules plugin.
    pub rule: String,
    /// The cause.
    pub source: RuleError,
}

/// An error of exchanging a rule. What served before goes on, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleExchangeError {
    /// The tenant has no rule of this name.
    #[error("the tenant has no such rule: ask for the status of its plugin, which lists them")]
    Unknown,
    /// The rule can't be put into service.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The tenant's settings were changed meanwhile.
    #[error("the tenant's settings were changed")]
    SettingsChanged,
    /// An administrator ended its shadow run.
    #[error("an administrator ended its shadow run")]
    RunEnded,
    /// An administrator rolled it back.
    #[error("an administrator rolled back: {to} decides again")]
    RolledBack {
        /// What was rolled back to, for display.
        to: String,
    },
    /// The rule failed in its shadow run.
    #[error("it failed in its shadow run")]
    FailedInShadow(#[source] CallError),
    /// The rule disagreed too often with the one that serves in its shadow run.
    #[error(
        "it disagreed with the rule that serves on {disagreements} of {compared} messages, and {allowed} are allowed"
    )]
    Disagreed {
        /// On how many messages it disagreed.
        disagreements: u64,
        /// How many messages were compared.
        compared: u64,
        /// How many disagreements the request allows.
        allowed: u64,
    },
    /// Other engines that share the ledger can't have the version.
    #[error("the version can't be stored for other gateways")]
    NotShared(#[source] LedgerError),
    /// The rule serves, but the choice could not be stored.
    #[error("it serves, but the choice can't be stored, and does not survive a restart")]
    NotKept(#[source] KeepError),
    /// The system refused a thread.
    #[error("the system refused a thread")]
    Thread(#[source] std::io::Error),
    /// There is no shadow run.
    #[error("no shadow run is under way, so there is nothing to promote")]
    NoShadow,
    /// Nothing else has served since the engine was opened.
    #[error("no exchange is under way and nothing else has served, so there is nothing to roll back to")]
    NothingToRollBackTo,
}

impl RuleExchangeError {
    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, RuleExchangeError::Rule(error) if error.is_transient())
    }

    /// The error on one line, for the log, as of [`RuleError::reason`].
    pub fn reason(&self) -> String {
        match self {
            RuleExchangeError::Rule(error) => error.reason(),
            error => ErrorChain(error).to_string(),
        }
    }
}
