//! `GET /status` and `GET …/status`

use portcullis_engine::{List, Service};
use portcullis_ledger::Scope;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{self, Answer};
use super::auth::{Asked, Client};
use super::error::ApiError;

/// A tenant's blacklists.
#[derive(Serialize, JsonSchema)]
pub(super) struct TenantStatus {
    tenant: String,
    senders: Vec<ListStatus>,
    /// The list that holds for all senders.
    tenant_wide: ListStatus,
}

/// One blacklist.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListStatus {
    /// The sender's name; missing for the tenant-wide list.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// How many entries are active.
    count: u64,
    /// The number of the newest change.
    sequence: u64,
    plugin: PluginStatus,
    state: State,
    /// What the plugin has of memory for this list.
    memory_bytes: u64,
    /// The plugin's machine code, which all its lists share.
    code_bytes: usize,
}

/// The plugin that answers, in its own words.
#[derive(Serialize, JsonSchema)]
struct PluginStatus {
    name: String,
    version: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum State {
    /// The plugin answers.
    Serving,
    /// The plugin was put to rest, as nobody asked: the next check brings it back.
    Resting,
    /// The plugin failed: the tenant's policy answers until it is filled again.
    Recovering,
}

pub(super) async fn tenant(Client(caller): Client) -> Answer {
    answer::blocking(move || {
        let tenant = &caller.tenant;
        let senders = tenant.senders.iter().map(|(id, sender)| ListStatus::of(&sender.list, Some(id)));
        Ok::<_, ApiError>(answer::ok(&TenantStatus {
            tenant: tenant.config.id.to_string(),
            senders: senders.collect::<Result<_, ApiError>>()?,
            tenant_wide: ListStatus::of(&tenant.wide, None)?,
        }))
    })
    .await
}

pub(super) async fn list(asked: Asked) -> Answer {
    answer::blocking(move || {
        let list = &asked.target.list;
        let id = match list.scope() {
            Scope::Sender(sender) => Some(sender.as_str()),
            Scope::Tenant => None,
        };
        Ok::<_, ApiError>(answer::ok(&ListStatus::of(list, id)?))
    })
    .await
}

impl ListStatus {
    fn of(list: &List, id: Option<&str>) -> Result<Self, ApiError> {
        let census = list.census().map_err(|error| ApiError::from(crate::core::Refusal::from(error)))?;
        let status = list.status();
        let description = status.plugin.description();
        Ok(ListStatus {
            id: id.map(str::to_owned),
            count: census.active,
            sequence: census.sequence.get(),
            plugin: PluginStatus { name: description.name.clone(), version: description.version.clone() },
            state: match status.service {
                Service::Serving => State::Serving,
                Service::Evicted => State::Resting,
                Service::Out => State::Recovering,
            },
            memory_bytes: status.memory_bytes,
            code_bytes: status.plugin.code_bytes(),
        })
    }
}
