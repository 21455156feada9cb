//! Settings of a valid file that have no effect.

use portcullis_api::settings::{Acknowledge, BlockedInbound, Tenant, UnreadableInbound};
use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_ledger::StorageUrl;
use portcullis_proxy::settings::TrafficSettings;

use super::Config;
use super::file::File;

/// The most remarks: a fleet of tenants may be made by one template.
const MOST: usize = 50;

/// Each setting that is there and has no effect, and why.
pub(super) fn remarks(typed: &File, config: &Config) -> Vec<Problem> {
    let root = FieldPath::default();
    let mut remarks = Vec::new();
    let mut remark =
        |place: FieldPath, what: &str| remarks.push(Problem::new(place, format!("no effect: {what}")));

    let (server, plugins, limits) = (root.key("server"), root.key("plugins"), root.key("limits"));
    if typed.server.health_on_listen.is_some() && typed.server.admin_listen.is_none() {
        remark(server.key("health_on_listen"), "it is for gateways with server.admin_listen");
    }
    if let (Some(budget), Some(limit)) = (typed.plugins.memory_budget_bytes, config.memory_limit_bytes)
        && budget > limit / 4 * 3
    {
        remark(
            plugins.key("memory_budget_bytes"),
            "lists get at most three quarters of plugins.memory_limit_bytes",
        );
    }
    if let (Some(all), Some(of_one)) =
        (typed.limits.max_connections, typed.limits.max_connections_per_address)
        && of_one >= all
    {
        remark(limits.key("max_connections_per_address"), "limits.max_connections is not more");
    }
    let default = TrafficSettings::default().max_in_flight_per_tenant;
    let per_tenant = typed.traffic.max_in_flight_per_tenant;
    if per_tenant > typed.traffic.max_in_flight && per_tenant != default {
        remark(root.key("traffic").key("max_in_flight_per_tenant"), "traffic.max_in_flight is less");
    }
    let meta = root.key("meta");
    if typed.meta.upstream.is_none() && !typed.meta.allowed_edges.is_empty() {
        remark(meta.key("allowed_edges"), "nothing is forwarded without meta.upstream");
    }
    if typed.meta.app_secret.is_none() && typed.meta.default_callback_url.is_some() {
        remark(meta.key("default_callback_url"), "webhooks are refused without meta.app_secret");
    }
    for (index, tenant) in typed.tenants.iter().enumerate() {
        of_tenant(tenant, typed, config, &root.key("tenants").index(index), &mut remark);
    }
    remarks.truncate(MOST);
    remarks
}

fn of_tenant(
    tenant: &Tenant,
    typed: &File,
    config: &Config,
    place: &FieldPath,
    remark: &mut impl FnMut(FieldPath, &str),
) {
    let is_forwarding = typed.meta.upstream.is_some();
    if tenant.acknowledge == Acknowledge::Fleet && matches!(config.storage, StorageUrl::Sqlite(_)) {
        remark(place.key("acknowledge"), "with SQLite, one gateway is all");
    }
    if tenant.access_token.is_some() && !is_forwarding {
        remark(place.key("access_token"), "nothing is forwarded without meta.upstream");
    }
    for (index, sender) in tenant.senders.iter().enumerate() {
        let place = place.key("senders").index(index);
        if sender.access_token.is_some() && !is_forwarding {
            remark(place.key("access_token"), "nothing is forwarded without meta.upstream");
        }
        let quarantines = sender.blocked_inbound == BlockedInbound::Quarantine
            || sender.unreadable_inbound == UnreadableInbound::Quarantine;
        if sender.quarantine_url.is_some() && !quarantines {
            remark(
                place.key("quarantine_url"),
                "neither blocked_inbound nor unreadable_inbound is \"quarantine\"",
            );
        }
    }
}
