//! `/admin/tenants`: managing tenants and senders while the gateway runs.

use axum::http::StatusCode;
use axum::response::Response;
use portcullis_api::{ManagedBy, RemovedAnswer, SenderAnswer, TenantAnswer, TenantsAnswer};
use portcullis_settings_patch::{LeftOut, Settings, keep_secrets_of_sender, keep_secrets_of_tenant, merge};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use portcullis_api::settings as typed;
use portcullis_edge::gateway::{AdminError, Gateway, Put};
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::{JsonBody, PatchBody, Query, from_parsed};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::settings::TenantConfig;
use portcullis_edge::tenant::{Origin, Tenant};

use super::conditional::{IfMatch, tagged};

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
        Some(tenant) => Ok(tenant_answer(&gateway, tenant, StatusCode::OK)),
        None => Err(AdminError::UnknownTenant.into()),
    }
}

pub(super) async fn put(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
    body: JsonBody,
) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let wanted: Settings = body.parse()?;
        let (put, tenant) = gateway.put_tenant(&id, &condition, |before| {
            let mut wanted = wanted.clone();
            keep_secrets_of_tenant(&mut wanted, before, LeftOut::Kept);
            tenant_named(id.as_str(), wanted)
        })?;
        Ok::<_, ApiError>(tenant_answer(&gateway, &tenant, status(put)))
    })
    .await
}

pub(super) async fn patch(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
    PatchBody(body): PatchBody,
) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let patch: Settings = body.parse()?;
        let names_the_plugin = OF_PLUGIN.iter().any(|name| patch.contains_key(*name));
        let tenant = gateway.patch_tenant(&id, &condition, names_the_plugin, |before| {
            let mut settings = written(before)?;
            merge(&mut settings, patch.clone());
            keep_secrets_of_tenant(&mut settings, Some(before), LeftOut::Removed);
            tenant_named(id.as_str(), settings)
        })?;
        Ok::<_, ApiError>(tenant_answer(&gateway, &tenant, StatusCode::OK))
    })
    .await
}

pub(super) async fn remove(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
    Query(query): Query<Confirmation>,
) -> Answer {
    let id = named.tenant()?;
    if query.confirm.as_deref() != Some(id.as_str()) {
        let what = format!(
            "this deletes the tenant's entries and its key for good, and makes every copy of its data unreadable; \
             confirm with ?confirm={id}"
        );
        return Err(ApiError::invalid_request("confirm", &what));
    }
    blocking(move || {
        gateway.forget_tenant(&id, &condition)?;
        Ok::<_, ApiError>(answer::ok(&RemovedAnswer { removed: id.to_string() }))
    })
    .await
}

pub(super) async fn get_sender(Admin(gateway): Admin, named: Named) -> Answer {
    let registry = gateway.registry.load();
    let tenant = registry.tenant(&named.tenant).ok_or(AdminError::UnknownTenant)?;
    let sender = named.sender.unwrap_or_default();
    let known = tenant.config.senders.iter().find(|known| known.id.as_str() == sender);
    let known = known.ok_or(AdminError::UnknownSender)?;
    let version = gateway.version_of_sender(&tenant.config, known);
    let settings = known.to_typed().masked();
    let answer = SenderAnswer {
        id: sender,
        tenant: tenant.config.id.to_string(),
        managed_by: managed_by(tenant),
        settings,
    };
    Ok(tagged(answer::ok(&answer), version))
}

pub(super) async fn put_sender(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
    body: JsonBody,
) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let name = named.sender.unwrap_or_default();
        let wanted: Settings = body.parse()?;
        let (put, tenant) = gateway.put_sender(&id, &name, &condition, |before| {
            let mut wanted = wanted.clone();
            keep_secrets_of_sender(&mut wanted, before, LeftOut::Kept);
            sender_named(&name, wanted)
        })?;
        Ok::<_, ApiError>(answer_to_sender(&gateway, &tenant, &name, status(put)))
    })
    .await
}

pub(super) async fn patch_sender(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
    PatchBody(body): PatchBody,
) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let name = named.sender.unwrap_or_default();
        let patch: Settings = body.parse()?;
        let (_, tenant) = gateway.put_sender(&id, &name, &condition, |before| {
            let before = before.ok_or(AdminError::UnknownSender)?;
            let mut settings = written(before)?;
            merge(&mut settings, patch.clone());
            keep_secrets_of_sender(&mut settings, Some(before), LeftOut::Removed);
            sender_named(&name, settings)
        })?;
        Ok::<_, ApiError>(answer_to_sender(&gateway, &tenant, &name, StatusCode::OK))
    })
    .await
}

pub(super) async fn remove_sender(
    Admin(gateway): Admin,
    named: Named,
    IfMatch(condition): IfMatch,
) -> Answer {
    let id = named.tenant()?;
    let sender = named.sender.unwrap_or_default();
    blocking(move || {
        gateway.remove_sender(&id, &sender, &condition)?;
        Ok::<_, ApiError>(answer::ok(&RemovedAnswer { removed: sender }))
    })
    .await
}

/// The settings that say which plugin serves.
const OF_PLUGIN: [&str; 3] = ["plugin", "plugin_version", "plugin_options"];

/// Settings as they would be written, with secrets in clear.
fn written(settings: &impl Serialize) -> Result<Settings, ApiError> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(settings)) => Ok(settings),
        _ => Err(AdminError::Defect.into()),
    }
}

fn tenant_named(name: &str, settings: Settings) -> Result<typed::Tenant, ApiError> {
    let mut settings: typed::Tenant = from_parsed(Value::Object(settings))?;
    same_name(&mut settings.id, name)?;
    Ok(settings)
}

fn sender_named(name: &str, settings: Settings) -> Result<typed::Sender, ApiError> {
    let mut settings: typed::Sender = from_parsed(Value::Object(settings))?;
    same_name(&mut settings.id, name)?;
    Ok(settings)
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
    answer_with(tenant, &gateway.settings_of(tenant))
}

fn answer_with(tenant: &Tenant, settings: &TenantConfig) -> TenantAnswer {
    TenantAnswer {
        id: tenant.config.id.to_string(),
        managed_by: managed_by(tenant),
        settings: settings.to_typed().masked(),
    }
}

fn managed_by(tenant: &Tenant) -> ManagedBy {
    match tenant.origin {
        Origin::File => ManagedBy::File,
        Origin::Api => ManagedBy::Api,
    }
}

/// The answer about a tenant, with the version of its settings.
fn tenant_answer(gateway: &Gateway, tenant: &Tenant, status: StatusCode) -> Response {
    let settings = gateway.settings_of(tenant);
    let version = gateway.version_of(&settings);
    tagged(answer::json(status, &answer_with(tenant, &settings)), version)
}

/// The answer to a change of a sender: its tenant, with the version of the sender's settings.
fn answer_to_sender(gateway: &Gateway, tenant: &Tenant, sender: &str, status: StatusCode) -> Response {
    let known = tenant.config.senders.iter().find(|known| known.id.as_str() == sender);
    let version = known.and_then(|known| gateway.version_of_sender(&tenant.config, known));
    tagged(answer::json(status, &answer_of(gateway, tenant)), version)
}
