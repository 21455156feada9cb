//! `/admin/tenants`: tenants and senders set up while the gateway runs.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer};
use super::auth::{Admin, Named};
use super::body::{JsonBody, Query};
use super::error::ApiError;
use crate::config::typed;
use crate::gateway::{AdminError, Gateway, Put};
use crate::tenant::{Origin, Tenant};

/// All tenants.
#[derive(Serialize, JsonSchema)]
pub(super) struct TenantsAnswer {
    /// By name.
    tenants: Vec<TenantAnswer>,
}

/// A tenant as it is set up.
#[derive(Serialize, JsonSchema)]
pub(super) struct TenantAnswer {
    id: String,
    managed_by: ManagedBy,
    /// As the body of a PUT, with digests in place of tokens, and `(set)` in place of other secrets.
    settings: typed::Tenant,
}

/// Where a tenant was set up, which is where it can be changed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum ManagedBy {
    File,
    Api,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
pub(super) struct RemovedAnswer {
    /// The tenant's or the sender's name.
    removed: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Confirmation {
    confirm: Option<String>,
}

pub(super) async fn list(Admin(gateway): Admin) -> Answer {
    let tenants =
        gateway.registry.load().tenants().map(|tenant| TenantAnswer::of(&gateway, tenant)).collect();
    Ok(answer::ok(&TenantsAnswer { tenants }))
}

pub(super) async fn get(Admin(gateway): Admin, named: Named) -> Answer {
    match gateway.registry.load().tenant(&named.tenant) {
        Some(tenant) => Ok(answer::ok(&TenantAnswer::of(&gateway, tenant))),
        None => Err(AdminError::UnknownTenant.into()),
    }
}

pub(super) async fn put(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let id = named.tenant()?;
    answer::blocking(move || {
        let mut settings: typed::Tenant = body.parse()?;
        same_name(&mut settings.id, id.as_str())?;
        let (put, tenant) = gateway.put_tenant(&settings)?;
        Ok::<_, ApiError>(answer::json(status(put), &TenantAnswer::of(&gateway, &tenant)))
    })
    .await
}

pub(super) async fn remove(Admin(gateway): Admin, named: Named, Query(query): Query<Confirmation>) -> Answer {
    let id = named.tenant()?;
    if query.confirm.as_deref() != Some(id.as_str()) {
        let what = format!(
            "the tenant's entries and its key are removed for good, and can't be read from any copy again; \
             confirm that with ?confirm={id}"
        );
        return Err(ApiError::invalid_request("confirm", &what));
    }
    answer::blocking(move || {
        gateway.forget_tenant(&id)?;
        Ok::<_, AdminError>(answer::ok(&RemovedAnswer { removed: id.to_string() }))
    })
    .await
}

pub(super) async fn put_sender(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let id = named.tenant()?;
    answer::blocking(move || {
        let mut sender: typed::Sender = body.parse()?;
        same_name(&mut sender.id, named.sender.as_deref().unwrap_or_default())?;
        let (put, tenant) = gateway.put_sender(&id, sender)?;
        Ok::<_, ApiError>(answer::json(status(put), &TenantAnswer::of(&gateway, &tenant)))
    })
    .await
}

pub(super) async fn remove_sender(Admin(gateway): Admin, named: Named) -> Answer {
    let id = named.tenant()?;
    let sender = named.sender.unwrap_or_default();
    answer::blocking(move || {
        gateway.remove_sender(&id, &sender)?;
        Ok::<_, AdminError>(answer::ok(&RemovedAnswer { removed: sender }))
    })
    .await
}

/// The path names what is put; the body may, too, and then must agree.
fn same_name(in_body: &mut String, in_path: &str) -> Result<(), ApiError> {
    if in_body.is_empty() {
        in_path.clone_into(in_body);
    }
    if in_body != in_path {
        return Err(ApiError::invalid_request("id", "not the name that the path has; leave it out"));
    }
    Ok(())
}

fn status(put: Put) -> StatusCode {
    match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    }
}

impl TenantAnswer {
    fn of(gateway: &Gateway, tenant: &Tenant) -> Self {
        TenantAnswer {
            id: tenant.config.id.to_string(),
            managed_by: match tenant.origin {
                Origin::File => ManagedBy::File,
                Origin::Api => ManagedBy::Api,
            },
            settings: gateway.settings_of(tenant).to_typed().masked(),
        }
    }
}
