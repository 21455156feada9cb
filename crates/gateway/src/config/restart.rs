//! Settings that take effect only after a restart.

use super::Config;

impl Config {
    /// The settings that differ from `before`, and that need a restart.
    pub(crate) fn needing_a_restart(&self, before: &Config) -> impl Iterator<Item = &'static str> {
        self.read_at_start(before)
            .into_iter()
            .filter(|(_, is_changed)| *is_changed)
            .map(|(setting, _)| setting)
    }

    /// All settings that need a restart, and tables of them, each with whether it differs from `before`.
    pub(super) fn read_at_start(&self, before: &Config) -> Vec<(&'static str, bool)> {
        let config = self;
        vec![
            ("server.listen", before.listen != config.listen),
            ("server.admin_listen", before.admin_listen != config.admin_listen),
            ("server.health_on_listen", before.health_on_listen != config.health_on_listen),
            ("server.unix_socket_mode", before.unix_socket_mode != config.unix_socket_mode),
            ("server.tls", before.tls != config.tls),
            ("server.max_body_bytes", before.max_body_bytes != config.max_body_bytes),
            ("server.log_format", before.log_format != config.log_format),
            ("server.access_log", before.access_log != config.access_log),
            ("server.trusted_proxies", before.trusted_proxies != config.trusted_proxies),
            ("server.ready_when_degraded", before.ready_when_degraded != config.ready_when_degraded),
            ("server.lame_duck_seconds", before.stopping.lame_duck != config.stopping.lame_duck),
            ("server.grace_seconds", before.stopping.grace != config.stopping.grace),
            ("server.hand_over_socket", before.hand_over_socket != config.hand_over_socket),
            ("dialects", before.dialects != config.dialects),
            ("limits", before.limits != config.limits),
            ("traffic", before.traffic != config.traffic),
            ("meta", before.meta.without_secrets() != config.meta.without_secrets()),
            ("storage.url", before.storage != config.storage),
            ("storage.master_key_file", before.master_key_file != config.master_key_file),
            ("storage.master_key_command", before.master_key_command != config.master_key_command),
            ("fleet", before.fleet != config.fleet),
            ("telemetry", before.telemetry != config.telemetry),
            ("plugins.dir", before.plugins_dir != config.plugins_dir),
            ("plugins.limits", before.plugin_limits != config.plugin_limits),
            ("plugins.watch_seconds", before.watch != config.watch),
            ("plugins.memory_budget_bytes", before.memory_budget_bytes != config.memory_budget_bytes),
            ("plugins.memory_limit_bytes", before.memory_limit_bytes != config.memory_limit_bytes),
            ("plugins.check_patience_ms", before.check_patience != config.check_patience),
            ("plugins.proof_share", before.proof_share != config.proof_share),
            ("plugins.on_start_failure", before.on_start_failure != config.on_start_failure),
        ]
    }
}
