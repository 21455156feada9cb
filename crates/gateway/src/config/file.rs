//! The configuration file, as deserialized.

use std::collections::BTreeMap;

use portcullis_api::settings::{Secret, Tenant, TrustedKey};
use portcullis_edge::gateway::OnStartFailure;
use portcullis_edge::http::request_log::AccessLog;
use portcullis_edge::settings::{Dialects, Limits};
use portcullis_engine::WhenStale;
use portcullis_proxy::settings::{MetaSettings, TrafficSettings};
use serde::Deserialize;

use super::listen::Addresses;
use super::plugin_limits;
use super::tls::Tls;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
    pub(crate) fleet: Option<Fleet>,
    #[serde(default)]
    pub(crate) plugins: Plugins,
    #[serde(default)]
    pub(crate) dialects: Dialects,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) traffic: TrafficSettings,
    #[serde(default)]
    pub(crate) meta: MetaSettings,
    #[serde(default)]
    pub(crate) tenants: Vec<Tenant>,
}

/// `[server]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// One address, or several.
    pub(crate) listen: Addresses,
    /// Where alone metrics and the admin API are served.
    pub(crate) admin_listen: Option<Addresses>,
    /// Whether `/healthz` and `/readyz` are also served on `listen` if there is `admin_listen`.
    pub(crate) health_on_listen: Option<bool>,
    /// The mode of Unix sockets, in octal digits.
    pub(crate) unix_socket_mode: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) max_body_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) log_format: LogFormat,
    /// Which requests have a line in the log.
    #[serde(default)]
    pub(crate) access_log: AccessLog,
    /// Addresses of proxies whose `X-Forwarded-For` is trusted, or `unix` for clients of Unix sockets.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<String>,
    /// Whether `/readyz` answers 200 while lists are out of service.
    pub(crate) ready_when_degraded: Option<bool>,
    /// How long `/readyz` says that the gateway is about to stop, while all requests are still served.
    pub(crate) lame_duck_seconds: Option<u64>,
    /// How long requests in progress may take once the gateway no longer listens.
    pub(crate) grace_seconds: Option<u64>,
    /// Where another process of this gateway asks to take over: a path, or `off`.
    pub(crate) hand_over_socket: Option<String>,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Plain text, for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// `[storage]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) url: String,
    pub(crate) master_key_file: Option<String>,
    /// A program and its arguments, which prints the master key.
    pub(crate) master_key_command: Option<Vec<String>>,
}

/// `[fleet]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    /// The name of this gateway. The default is the host's name.
    pub(crate) node: Option<String>,
    /// A duration such as `30s`.
    pub(crate) stale_after: Option<String>,
    #[serde(default)]
    pub(crate) when_stale: WhenStale,
}

/// `[plugins]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugins {
    pub(crate) dir: Option<String>,
    /// How long the previous plugin is kept ready after a swap.
    pub(crate) watch_seconds: Option<u64>,
    /// Memory budget shared by short lists; the least recently checked are unloaded first.
    pub(crate) memory_budget_bytes: Option<u64>,
    /// Memory of the plugin instances of all tenants.
    pub(crate) memory_limit_bytes: Option<u64>,
    /// How long a check waits for a slow plugin before the tenant's failure policy answers.
    pub(crate) check_patience_ms: Option<u64>,
    /// The share of one processor that verifies plugins while they serve.
    pub(crate) proof_share: Option<f64>,
    #[serde(default)]
    pub(crate) on_start_failure: OnStartFailure,
    /// Keys by one of which plugins must be signed.
    #[serde(default)]
    pub(crate) trusted_keys: Vec<TrustedKey>,
    /// Plugins that are pulled from registries.
    #[serde(default)]
    pub(crate) sources: Vec<Source>,
    /// Limits by name, and tables of them by plugin.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, plugin_limits::Typed>,
}

/// A plugin that is pulled from a registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// The name under which tenants have it.
    pub(crate) name: String,
    /// The artifact, pinned: `oci://registry.example/acme/rule@sha256:…`.
    pub(crate) from: String,
}
