//! `/admin/tenants`: managing tenants and senders while the gateway runs.

use axum::http::StatusCode;
use portcullis_api::{ManagedBy, RemovedAnswer, TenantAnswer, TenantsAnswer};
use serde::Deserialize;

use portcullis_api::settings as typed;
use portcullis_edge::gateway::{AdminError, Gateway, Put};
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::{JsonBody, Query};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::tenant::{Origin, Tenant};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Confirmation {
    confirm: Option<String>,
}

pub(super) async fn list(Admin(gateway): Admin) -> Answer {
    let tenants = gateway.registry.load().tenants().map(|tenant| answer_of(&gateway, tenant)).collect();
    Ok(answer::to_operator(&gateway.pools.answers, &TenantsAnswer { tenants })?)
}

pub(super) async fn get(Admin(gateway): Admin, named: Named) -> Answer {
    match gateway.registry.load().tenant(&named.tenant) {
        Some(tenant) => Ok(answer::ok(&answer_of(&gateway, tenant))),
        None => Err(AdminError::UnknownTenant.into()),
    }
}

pub(super) async fn put(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let mut settings: typed::Tenant = body.parse()?;
        same_name(&mut settings.id, id.as_str())?;
        let (put, tenant) = gateway.put_tenant(&settings)?;
        Ok::<_, ApiError>(answer::json(status(put), &answer_of(&gateway, &tenant)))
    })
    .await
}

pub(super) async fn remove(Admin(gateway): Admin, named: Named, Query(query): Query<Confirmation>) -> Answer {
    let id = named.tenant()?;
    if query.confirm.as_deref() != Some(id.as_str()) {
        let what = format!(
            "this deletes the tenant's entries and its key for good, and makes every copy of its data unreadable; \
             confirm with ?confirm={id}"
        );
        return Err(ApiError::invalid_request("confirm", &what));
    }
    blocking(move || {
        gateway.forget_tenant(&id)?;
        Ok::<_, ApiError>(answer::ok(&RemovedAnswer { removed: id.to_string() }))
    })
    .await
}

pub(super) async fn put_sender(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let mut sender: typed::Sender = body.parse()?;
        same_name(&mut sender.id, named.sender.as_deref().unwrap_or_default())?;
        let (put, tenant) = gateway.put_sender(&id, &sender)?;
        Ok::<_, ApiError>(answer::json(status(put), &answer_of(&gateway, &tenant)))
    })
    .await
}

pub(super) async fn remove_sender(Admin(gateway): Admin, named: Named) -> Answer {
    let id = named.tenant()?;
    let sender = named.sender.unwrap_or_default();
    blocking(move || {
        gateway.remove_sender(&id, &sender)?;
        Ok::<_, ApiError>(answer::ok(&RemovedAnswer { removed: sender }))
    })
    .await
}

/// Checks that the name in the body, if there is one, matches the name in the path.
fn same_name(in_body: &mut String, in_path: &str) -> Result<(), ApiError> {
    if in_body.is_empty() {
        in_path.clone_into(in_body);
    }
    if in_body != in_path {
        return Err(ApiError::invalid_request("id", "must match the name in the path; omit it"));
    }
    Ok(())
}

fn status(put: Put) -> StatusCode {
    match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    }
}

fn answer_of(gateway: &Gateway, tenant: &Tenant) -> TenantAnswer {
    TenantAnswer {
        id: tenant.config.id.to_string(),
        managed_by: match tenant.origin {
            Origin::File => ManagedBy::File,
            Origin::Api => ManagedBy::Api,
        },
        settings: gateway.settings_of(tenant).to_typed().masked(),
    }
}
