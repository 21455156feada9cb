//! The configuration file, as deserialized.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_api::Token;
use portcullis_api::settings::{Secret, Tenant, TrustedKey};
use portcullis_edge::gateway::OnStartFailure;
use portcullis_edge::http::request_log::AccessLog;
use portcullis_edge::settings::{Dialects, Limits};
use portcullis_engine::{
    DEFAULT_CHECK_PATIENCE, DEFAULT_MEMORY_BUDGET, DEFAULT_PROOF_SHARE, LEAST_MEMORY_LIMIT, WhenStale,
};
use portcullis_proxy::settings::{MetaSettings, TrafficSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use super::listen::Addresses;
use super::plugin_limits;
use super::schema;
use super::stopping::{DEFAULT_LAME_DUCK, LONGEST_GRACE, LONGEST_LAME_DUCK};
use super::telemetry::Telemetry;
use super::tls::Tls;
use super::{
    DEFAULT_MAX_BODY, DEFAULT_WATCH, LEAST_MAX_BODY, LEAST_MEMORY_BUDGET, LONGEST_PATIENCE, LONGEST_WATCH,
    MOST_MAX_BODY,
};

/// The configuration of a Portcullis gateway. `docs/configuration.md` describes all settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Portcullis configuration")]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The listener, and how requests are served.
    pub(crate) server: Server,
    /// The ledger, and its key.
    pub(crate) storage: Storage,
    /// Gateways that share a ledger in PostgreSQL. Without such a ledger, the table is an error.
    pub(crate) fleet: Option<Fleet>,
    /// Plugins, and what they may take.
    #[serde(default)]
    pub(crate) plugins: Plugins,
    /// What the documents of vendors leave open.
    #[serde(default)]
    pub(crate) dialects: Dialects,
    /// What clients may take.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Messages that are forwarded.
    #[serde(default)]
    pub(crate) traffic: TrafficSettings,
    /// Meta's Cloud API.
    #[serde(default)]
    pub(crate) meta: MetaSettings,
    /// Traces, for a collector that speaks OTLP. Omit to record none.
    pub(crate) telemetry: Option<Telemetry>,
    /// The tenants. A tenant that is no longer in the file is no longer served.
    #[serde(default)]
    pub(crate) tenants: Vec<Tenant>,
}

/// `[server]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The address to listen on, such as `127.0.0.1:8480`, or several.
    pub(crate) listen: Addresses,
    /// Where alone metrics and the admin API are served.
    pub(crate) admin_listen: Option<Addresses>,
    /// Whether `/healthz` and `/readyz` are also served on `listen` if there is `admin_listen`.
    #[schemars(extend("default" = true))]
    pub(crate) health_on_listen: Option<bool>,
    /// The mode of Unix sockets, in octal digits.
    #[schemars(extend("default" = "0660"))]
    pub(crate) unix_socket_mode: Option<String>,
    /// Certificates, for addresses with TLS.
    pub(crate) tls: Option<Tls>,
    /// The administrator's bearer token: in clear, or as `sha256:` and the digest. Omit to refuse everybody the admin API and `/metrics`.
    pub(crate) admin_token: Option<Secret>,
    /// The bearer tokens of further administrators, at most 256: in clear, or as `sha256:` and the digest, or tables with names.
    #[serde(default)]
    pub(crate) admin_tokens: Vec<Token>,
    /// The largest request body, in bytes.
    #[schemars(range(min = LEAST_MAX_BODY, max = MOST_MAX_BODY), extend("default" = DEFAULT_MAX_BODY))]
    pub(crate) max_body_bytes: Option<u64>,
    /// The format of log lines.
    #[schemars(extend("default" = "text"))]
    #[serde(default)]
    pub(crate) log_format: LogFormat,
    /// Which requests have a line in the log.
    #[schemars(extend("default" = "usual"))]
    #[serde(default)]
    pub(crate) access_log: AccessLog,
    /// IP addresses of proxies whose `X-Forwarded-For` is trusted, and whose connections are not counted per address; or `unix` for clients
    /// of Unix sockets.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<String>,
    /// Whether `/readyz` answers 200 while lists are out of service, or nothing can be written.
    #[schemars(extend("default" = true))]
    pub(crate) ready_when_degraded: Option<bool>,
    /// How long `/readyz` says that the gateway is about to stop, while all requests are still served, in seconds.
    #[schemars(range(max = LONGEST_LAME_DUCK), extend("default" = DEFAULT_LAME_DUCK))]
    pub(crate) lame_duck_seconds: Option<u64>,
    /// How long requests in progress may take once the gateway no longer listens, in seconds: at least the longer timeout of `[traffic]`.
    /// Default: ten seconds more than that.
    #[schemars(range(max = LONGEST_GRACE))]
    pub(crate) grace_seconds: Option<u64>,
    /// Where another process of this gateway asks to take over: a path, or `off`.
    pub(crate) hand_over_socket: Option<String>,
}

/// Milliseconds of a default.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Plain text, for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// `[storage]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    /// The ledger: `sqlite://PATH`, or `postgres://USER@HOSTS/DATABASE?sslmode=verify-full`.
    #[schemars(extend("x-file" = true))]
    pub(crate) url: String,
    /// The password of the database's user, if `url` has none.
    pub(crate) password: Option<Secret>,
    /// The file with the master key. Default: beside the ledger, with the extension `.key`; for a database, `portcullis.key` beside this file.
    pub(crate) master_key_file: Option<String>,
    /// A program and its arguments, which prints the master key.
    pub(crate) master_key_command: Option<Vec<String>>,
}

/// `[fleet]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    /// The name of this gateway. The default is the host's name.
    pub(crate) node: Option<String>,
    /// The gateway is stale once it has not seen for so long what the others write: a duration from `100ms` to `24h`.
    #[schemars(extend("default" = "30s"))]
    pub(crate) stale_after: Option<String>,
    /// What a stale gateway does: `answer` checks from memory, answer them and be `unready`, or block all messages (`closed`).
    #[schemars(schema_with = "schema::when_stale")]
    #[serde(default)]
    pub(crate) when_stale: WhenStale,
}

/// `[plugins]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugins {
    /// The folder of plugins. Its files override or add to the built-in ones, by file stem.
    pub(crate) dir: Option<String>,
    /// How long the previous plugin is kept ready after a swap, in seconds.
    #[schemars(range(max = LONGEST_WATCH), extend("default" = DEFAULT_WATCH))]
    pub(crate) watch_seconds: Option<u64>,
    /// Memory budget shared by short lists, in bytes; the least recently checked are unloaded first.
    /// At most 8,192 lists are in memory, also if more would fit.
    #[schemars(range(min = LEAST_MEMORY_BUDGET), extend("default" = DEFAULT_MEMORY_BUDGET))]
    pub(crate) memory_budget_bytes: Option<u64>,
    /// Memory of the plugin instances of all tenants, in bytes. Default: three quarters of the machine's, or of the control group's.
    #[schemars(range(min = LEAST_MEMORY_LIMIT))]
    pub(crate) memory_limit_bytes: Option<u64>,
    /// How long a check waits for a slow plugin before the tenant's failure policy answers, in milliseconds.
    #[schemars(range(min = 1, max = LONGEST_PATIENCE), extend("default" = millis(DEFAULT_CHECK_PATIENCE)))]
    pub(crate) check_patience_ms: Option<u64>,
    /// The share of one processor that verifies plugins while they serve. 0 turns it off.
    #[schemars(range(min = 0, max = 1), extend("default" = DEFAULT_PROOF_SHARE))]
    pub(crate) proof_share: Option<f64>,
    /// What a tenant whose plugin does not start means for the start of the gateway.
    #[schemars(extend("default" = "serve"))]
    #[serde(default)]
    pub(crate) on_start_failure: OnStartFailure,
    /// Keys by one of which plugins must be signed that are not built in. Omit to admit all plugins.
    #[serde(default)]
    pub(crate) trusted_keys: Vec<TrustedKey>,
    /// Plugins that are pulled from registries.
    #[schemars(extend("default" = Vec::<String>::new()))]
    #[serde(default)]
    pub(crate) sources: Vec<Source>,
    /// Limits by name, and tables of them by plugin.
    #[serde(default)]
    #[schemars(schema_with = "plugin_limits::schema")]
    pub(crate) limits: BTreeMap<String, plugin_limits::Typed>,
}

/// A plugin that is pulled from a registry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// The name under which tenants have it.
    pub(crate) name: String,
    /// The artifact, pinned: `oci://registry.example/acme/rule@sha256:…`.
    pub(crate) from: String,
}
