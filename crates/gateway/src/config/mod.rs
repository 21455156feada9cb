//! The configuration: parsing and validating the configuration file.

mod commands;
mod compared;
mod effect;
mod effective;
mod exposure;
mod file;
mod fleet;
pub mod fuzz;
mod hand_over;
mod key_command;
mod lines;
mod listen;
pub(crate) mod plugin_limits;
mod restart;
mod schema;
mod shape;
mod sources;
mod stopping;
mod storage;
mod telemetry;
mod tls;
mod values;
mod whole;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_edge::gateway::OnStartFailure;
use portcullis_edge::http::peer::TrustedProxies;
use portcullis_edge::http::request_log::AccessLog;
use portcullis_edge::settings::{Dialects, Limits};
use portcullis_edge::settings::{
    FieldPath, Problem, TenantConfig, UniqueIds, admin_tokens as checked_admin_tokens, plugins_of,
    too_many_tokens, trusted_keys, unknown_plugin,
};
use portcullis_edge::tokens::AdminTokens;
use portcullis_edge::{place, without_values};
use portcullis_engine::plugin_store::{PluginLimits, TrustedKeys};
use portcullis_engine::{
    DEFAULT_CHECK_PATIENCE, DEFAULT_MEMORY_BUDGET, DEFAULT_PROOF_SHARE, LEAST_MEMORY_LIMIT,
};
use portcullis_ledger::{KeyCommand, StorageUrl, TenantId};
use portcullis_proxy::settings::{self as proxy, MetaSettings, TrafficSettings};
use toml::de::DeTable;

pub(crate) use commands::run as run_command;
pub(crate) use file::LogFormat;
use fleet::FleetSettings;
pub(crate) use listen::{Endpoint, SocketName};
pub(crate) use sources::PluginSource;
pub(crate) use stopping::Stopping;
pub(crate) use telemetry::TelemetrySettings;
pub(crate) use tls::{ClientCertificates, TlsSettings};
use values::{Elsewhere, Misplaced, Surroundings};
pub(crate) use whole::END;

/// The validated configuration of the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: Vec<Endpoint>,
    /// Where alone metrics and the admin API are served; empty if that is on all addresses.
    pub(crate) admin_listen: Vec<Endpoint>,
    /// Whether health checks are also answered on `listen` if there is `admin_listen`.
    pub(crate) health_on_listen: bool,
    pub(crate) unix_socket_mode: u32,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) admin_tokens: AdminTokens,
    /// The largest request body, in bytes.
    pub(crate) max_body_bytes: usize,
    pub(crate) log_format: LogFormat,
    /// Which requests have a line in the log.
    pub(crate) access_log: AccessLog,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whether `/readyz` answers 200 while lists are out of service.
    pub(crate) ready_when_degraded: bool,
    pub(crate) stopping: Stopping,
    /// `None`: nothing is traced.
    pub(crate) telemetry: Option<TelemetrySettings>,
    /// Where another process of this gateway asks to take over; `None` if nobody can.
    pub(crate) hand_over_socket: Option<PathBuf>,
    pub(crate) dialects: Dialects,
    pub(crate) limits: Limits,
    pub(crate) traffic: TrafficSettings,
    pub(crate) meta: MetaSettings,
    pub(crate) storage: StorageUrl,
    pub(crate) master_key_file: PathBuf,
    /// What prints the master key, instead of the file.
    pub(crate) master_key_command: Option<KeyCommand>,
    pub(crate) fleet: FleetSettings,
    /// The plugin folder, whose files override or add to the built-in plugins. It need not exist.
    pub(crate) plugins_dir: Option<PathBuf>,
    /// The keys by one of which plugins must be signed; none to trust all.
    pub(crate) trusted_keys: TrustedKeys,
    /// Plugins that are pulled from registries.
    pub(crate) sources: Vec<PluginSource>,
    /// The limits with which plugins are loaded.
    pub(crate) plugin_limits: PluginLimits,
    /// How long the previous plugin is kept ready after a swap.
    pub(crate) watch: Duration,
    /// Memory budget shared by short lists; the least recently checked are unloaded first.
    pub(crate) memory_budget_bytes: u64,
    /// `None` for a part of the machine's.
    pub(crate) memory_limit_bytes: Option<u64>,
    pub(crate) check_patience: Duration,
    pub(crate) proof_share: f64,
    pub(crate) on_start_failure: OnStartFailure,
    pub(crate) tenants: Vec<TenantConfig>,
    /// Plugins that tenants name, and that are not there. Empty unless tenants may be out of service at a start.
    pub(crate) absent_plugins: Vec<AbsentPlugin>,
    /// Whether the file says that it is whole.
    pub(crate) is_whole: bool,
    pub(crate) text: Text,
    /// The settings that have no effect.
    pub(crate) remarks: Vec<Problem>,
    /// What is wrong with the permissions of the files that have secrets.
    pub(crate) exposed: Vec<String>,
}

/// The text of a configuration file, which has secrets in it.
#[derive(Clone, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Whether it is what is left of `whole` when it is cut off.
    pub(crate) fn is_cut_off(&self, whole: &Self) -> bool {
        let left = self.0.trim_end();
        let whole = whole.0.trim_end();
        left.len() < whole.len() && whole.starts_with(left)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// A plugin that a tenant names, and that is not there.
#[derive(Clone, Debug)]
pub(crate) struct AbsentPlugin {
    pub(crate) tenant: TenantId,
    /// The place and what to do, as in [`ConfigError::Wrong`].
    pub(crate) problem: String,
}

/// Why a configuration file is rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration file {} (set another with --config)", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is invalid. One line per problem: `file:line: setting: what is wrong; what to do`.
    #[error("{0}")]
    Wrong(String),
}

/// The longest configuration file, in bytes: some hundred thousand tenants.
const LONGEST_FILE: u64 = 256 << 20;
const DEFAULT_MAX_BODY: u64 = 16 << 20;
const DEFAULT_SOCKET_MODE: u32 = 0o660;
const LEAST_MAX_BODY: u64 = 1 << 10;
const MOST_MAX_BODY: u64 = 1 << 30;
/// In seconds.
const DEFAULT_WATCH: u64 = 300;
/// In seconds.
const LONGEST_WATCH: u64 = 86_400;
/// In milliseconds.
const LONGEST_PATIENCE: u64 = 60_000;
const CHECK_PATIENCE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(LONGEST_PATIENCE);
const LEAST_MEMORY_BUDGET: u64 = 16 << 20;

/// Plugins that are not there, by tenant.
type Absent = Vec<(TenantId, Problem)>;

impl Config {
    /// Reads and validates the file at `path`. `plugins` returns the names of all plugins, given the plugin folder in the file.
    pub(crate) fn read(
        path: &Path,
        plugins: impl FnOnce(Option<&Path>) -> BTreeSet<String>,
    ) -> Result<Self, ConfigError> {
        let text =
            file_text(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let (config, found) =
            Self::parse_in(Surroundings::PROCESS, path, &text, plugins).map_err(ConfigError::Wrong)?;
        Ok(Config { exposed: exposure::remarks(path, &found), ..config })
    }

    /// Validates a text that has all values in itself.
    fn parse(
        path: &Path,
        text: &str,
        plugins: impl FnOnce(Option<&Path>) -> BTreeSet<String>,
    ) -> Result<Self, String> {
        Self::parse_in(Surroundings::NONE, path, text, plugins).map(|(config, _)| config)
    }

    fn parse_in(
        surroundings: Surroundings,
        path: &Path,
        text: &str,
        plugins: impl FnOnce(Option<&Path>) -> BTreeSet<String>,
    ) -> Result<(Self, Elsewhere), String> {
        let file = path.display();
        let line = |error: &toml::de::Error| lines::line_of(text, error.span().map_or(0, |span| span.start));
        // What the parser of TOML says names characters of the syntax, never values.
        let mut document = DeTable::parse(text)
            .map_err(|error| format!("{file}:{}: not TOML: {}", line(&error), error.message()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let found = values::resolve(document.get_mut(), folder, surroundings).map_err(|mut wrong| {
            wrong.sort_by_key(|wrong| wrong.offset);
            let told = |wrong: &Misplaced| {
                format!("{file}:{}: {}: {}", lines::line_of(text, wrong.offset), wrong.place, wrong.what)
            };
            wrong.iter().map(told).collect::<Vec<_>>().join("\n")
        })?;
        let document = toml::Deserializer::from(document);
        let typed: file::File = serde_path_to_error::deserialize(document).map_err(|error| {
            let place = match place(error.path()) {
                root if root.is_empty() => root,
                place => format!("{place}: "),
            };
            let error = error.inner();
            found.hidden(format!("{file}:{}: {place}{}", line(error), without_values(error.message())))
        })?;
        let told = |problems: &[Problem]| {
            let mut lines: Vec<_> = problems
                .iter()
                .map(|problem| (lines::line_of_place(text, &problem.place), &problem.place, &problem.what))
                .collect();
            lines.sort_by_key(|&(line, ..)| line);
            let mut message = String::new();
            for (line, place, what) in lines {
                let separator = if message.is_empty() { "" } else { "\n" };
                let _ = write!(message, "{separator}{file}:{line}: {place}: {what}");
            }
            found.hidden(message)
        };
        let (config, absent) = Self::check(path, &typed, plugins).map_err(|problems| told(&problems))?;
        let absent = absent.into_iter().map(|(tenant, problem)| {
            let problem = told(std::slice::from_ref(&problem));
            AbsentPlugin { tenant, problem }
        });
        let (is_whole, absent_plugins) = (whole::is_whole(text), absent.collect());
        let config = Config { is_whole, absent_plugins, text: Text(text.to_owned()), ..config };
        let remarks = effect::remarks(&typed, &config);
        Ok((Config { remarks, ..config }, found))
    }

    fn check(
        path: &Path,
        typed: &file::File,
        plugins: impl FnOnce(Option<&Path>) -> BTreeSet<String>,
    ) -> Result<(Self, Absent), Vec<Problem>> {
        let root = FieldPath::default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut problems = Vec::new();

        let server = root.key("server");
        let listen = listen::check(&typed.server.listen, folder, &server.key("listen"), &mut problems);
        let admin_listen = typed.server.admin_listen.as_ref().map_or_else(Vec::new, |addresses| {
            listen::check(addresses, folder, &server.key("admin_listen"), &mut problems)
        });
        if admin_listen.iter().any(|of_admin| listen.iter().any(|other| listen::is_same(of_admin, other))) {
            let what = "has an address of server.listen; use another one";
            problems.push(Problem::new(server.key("admin_listen"), what));
        }
        let unix_socket_mode = match &typed.server.unix_socket_mode {
            Some(text) => listen::mode(text),
            None => Some(DEFAULT_SOCKET_MODE),
        };
        if unix_socket_mode.is_none() {
            let what = "must be three or four octal digits that let the owner read and write; leave it out for \"0660\"";
            problems.push(Problem::new(server.key("unix_socket_mode"), what));
        }
        let tls = typed.server.tls.as_ref();
        let tls = tls::check(tls, &listen, &admin_listen, folder, &server, &mut problems);
        let (admin_token, more) = (typed.server.admin_token.as_ref(), &typed.server.admin_tokens);
        let admin_tokens = checked_admin_tokens(admin_token, more, &server, &mut problems);
        let max_body = typed.server.max_body_bytes.unwrap_or(DEFAULT_MAX_BODY);
        if !(LEAST_MAX_BODY..=MOST_MAX_BODY).contains(&max_body) {
            let what =
                "must be between 1024 (1 KiB) and 1073741824 (1 GiB); leave it out for 16777216 (16 MiB)";
            problems.push(Problem::new(server.key("max_body_bytes"), what));
        }

        let trusted_proxies = addresses(&typed.server.trusted_proxies, &server, &mut problems);
        typed.dialects.check(&root.key("dialects"), &mut problems);
        typed.limits.check(max_body, &root.key("limits"), &mut problems);

        proxy::check(&typed.traffic, &typed.meta, &root, &mut problems);
        let place = root.key("telemetry");
        let telemetry =
            typed.telemetry.as_ref().map(|typed| TelemetrySettings::check(typed, &place, &mut problems));
        let stopping = Stopping::check(&typed.server, &typed.traffic, &server, &mut problems);

        let storage = storage::url(&typed.storage, folder);
        let hand_over_socket = hand_over::check(
            typed.server.hand_over_socket.as_deref(),
            storage.as_ref().ok(),
            folder,
            &[&listen[..], &admin_listen].concat(),
            server.key("hand_over_socket"),
            &mut problems,
        );
        // If the URL is wrong, that is to be mended first.
        let is_shared = !matches!(storage, Ok(StorageUrl::Sqlite(_)));
        let fleet = FleetSettings::check(typed.fleet.as_ref(), is_shared, &root.key("fleet"), &mut problems);
        if let Err((key, what)) = &storage {
            problems.push(Problem::new(root.key("storage").key(key), what.clone()));
        }

        let master_key_command = key_command::check(&typed.storage, &root.key("storage"), &mut problems);
        let plugins_dir = typed.plugins.dir.as_ref().map(|dir| folder.join(dir));
        let watch = typed.plugins.watch_seconds.unwrap_or(DEFAULT_WATCH);
        if watch > LONGEST_WATCH {
            let what = "must be at most 86400 (a day); leave it out for 300";
            problems.push(Problem::new(root.key("plugins").key("watch_seconds"), what));
        }
        let check_patience =
            typed.plugins.check_patience_ms.map_or(DEFAULT_CHECK_PATIENCE, Duration::from_millis);
        if !CHECK_PATIENCE.contains(&check_patience) {
            let what = "must be from 1 to 60000; leave it out for 250".to_owned();
            problems.push(Problem::new(root.key("plugins").key("check_patience_ms"), what));
        }
        let proof_share = typed.plugins.proof_share.unwrap_or(DEFAULT_PROOF_SHARE);
        if !(0.0..=1.0).contains(&proof_share) {
            let what = "must be from 0 to 1; leave it out for 0.01".to_owned();
            problems.push(Problem::new(root.key("plugins").key("proof_share"), what));
        }
        let memory_budget_bytes = typed.plugins.memory_budget_bytes.unwrap_or(DEFAULT_MEMORY_BUDGET);
        if memory_budget_bytes < LEAST_MEMORY_BUDGET {
            let what = "must be at least 16777216 (16 MiB); leave it out for 1073741824 (1 GiB)";
            problems.push(Problem::new(root.key("plugins").key("memory_budget_bytes"), what));
        }
        let memory_limit_bytes = typed.plugins.memory_limit_bytes;
        if memory_limit_bytes.is_some_and(|bytes| bytes < LEAST_MEMORY_LIMIT) {
            let what =
                "must be at least 67108864 (64 MiB); leave it out for three quarters of the machine's memory";
            problems.push(Problem::new(root.key("plugins").key("memory_limit_bytes"), what));
        }
        let place = root.key("plugins").key("limits");
        let plugin_limits = plugin_limits::check(&typed.plugins.limits, &place, &mut problems);
        let place = root.key("plugins").key("trusted_keys");
        let trusted_keys = trusted_keys(&typed.plugins.trusted_keys, &place, &mut problems);
        let place = root.key("plugins").key("sources");
        let sources = sources::check(&typed.plugins.sources, plugins_dir.is_some(), &place, &mut problems);
        let mut plugins = plugins(plugins_dir.as_deref());
        plugins.extend(sources.iter().map(|source| source.name.clone()));
        let mut unique_ids = UniqueIds::new(admin_tokens.digests());
        let (mut tenants, mut absent) = (Vec::new(), Vec::new());
        let on_start_failure = typed.plugins.on_start_failure;
        for (index, typed) in typed.tenants.iter().enumerate() {
            let place = root.key("tenants").index(index);
            let unknown = plugins_of(typed, &place)
                .filter(|(_, plugin)| !plugins.contains(*plugin))
                .map(|(named, _)| unknown_plugin(named, plugins_dir.as_deref(), &plugins));
            let tenant = TenantConfig::check(typed, &place, &mut problems);
            match &tenant {
                // Its file may come back, and nobody else is to wait for that. In a fleet, another gateway may have it.
                Some(tenant) if is_shared || on_start_failure == OnStartFailure::Serve => {
                    absent.extend(unknown.map(|problem| (tenant.id.clone(), problem)));
                }
                _ => problems.extend(unknown),
            }
            if let Some(tenant) = tenant {
                problems.extend(too_many_tokens(&tenant, &place));
                problems.extend(unique_ids.claim(&tenant, &place));
                problems.extend(strange_keys(&tenant, &trusted_keys, &place));
                tenants.push(tenant);
            }
        }
        let (Ok(storage), true) = (storage, problems.is_empty()) else {
            return Err(problems);
        };
        let master_key_file = match (&typed.storage.master_key_file, &storage) {
            (Some(file), _) => folder.join(file),
            (None, StorageUrl::Sqlite(database)) => database.with_extension("key"),
            (None, _) => folder.join("portcullis.key"),
        };
        let config = Config {
            listen,
            admin_listen,
            health_on_listen: typed.server.health_on_listen.unwrap_or(true),
            unix_socket_mode: unix_socket_mode.unwrap_or(DEFAULT_SOCKET_MODE),
            tls,
            admin_tokens,
            max_body_bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
            log_format: typed.server.log_format,
            access_log: typed.server.access_log,
            trusted_proxies,
            ready_when_degraded: typed.server.ready_when_degraded.unwrap_or(true),
            stopping,
            telemetry,
            hand_over_socket,
            dialects: typed.dialects.clone(),
            limits: typed.limits.clone(),
            traffic: typed.traffic.clone(),
            meta: typed.meta.clone(),
            storage,
            master_key_file,
            master_key_command,
            fleet,
            plugins_dir,
            trusted_keys,
            sources,
            plugin_limits,
            watch: Duration::from_secs(watch),
            memory_budget_bytes,
            memory_limit_bytes,
            check_patience,
            proof_share,
            on_start_failure,
            tenants,
            absent_plugins: Vec::new(),
            is_whole: false,
            text: Text::default(),
            remarks: Vec::new(),
            exposed: Vec::new(),
        };
        Ok((config, absent))
    }
}

/// The text of a configuration file, which has at most [`LONGEST_FILE`] bytes.
fn file_text(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 256 MiB"));
    }
    Ok(text)
}

/// Keys that a tenant trusts and the gateway doesn't, so that nothing which they sign is ever loaded.
fn strange_keys(tenant: &TenantConfig, trusted: &TrustedKeys, place: &FieldPath) -> Vec<Problem> {
    if trusted.is_empty() {
        return Vec::new();
    }
    let is_strange = |text: &str| trusted.iter().all(|key| key.text() != text);
    let strange = tenant.trusted_keys.iter().enumerate().filter(|(_, key)| is_strange(key.text()));
    let what = "the gateway does not trust this key, so nothing that it signs is loaded; add it to plugins.trusted_keys, or remove it here";
    strange.map(|(index, _)| Problem::new(place.key("trusted_keys").index(index).key("key"), what)).collect()
}

/// The word for clients of Unix sockets among the trusted proxies.
const UNIX: &str = "unix";

fn addresses(typed: &[String], server: &FieldPath, problems: &mut Vec<Problem>) -> TrustedProxies {
    let mut trusted = TrustedProxies::default();
    for (index, text) in typed.iter().enumerate() {
        match text.parse::<IpAddr>() {
            Ok(address) => trusted.addresses.push(address.to_canonical()),
            Err(_) if text == UNIX => trusted.unix = true,
            Err(_) => {
                let what =
                    "must be an IP address, or unix for clients of Unix sockets; write it like 10.0.0.5";
                problems.push(Problem::new(server.key("trusted_proxies").index(index), what));
            }
        }
    }
    trusted
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
