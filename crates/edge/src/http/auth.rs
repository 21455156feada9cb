//! Who asks, and about which list.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use portcullis_ledger::TenantId;
use serde::Deserialize;

use super::app_state::AppState;
use super::bearer;
use super::error::ApiError;
use crate::gateway::Gateway;
use crate::ops::Target;
use crate::registry::{Caller, NATIVE_INTERFACE};
use crate::token::TokenDigest;

/// A client of a tenant.
pub struct Client(pub Caller);

/// The list that a client asks about: the sender's that the path names, or the tenant-wide one.
pub struct Asked {
    pub target: Target,
}

/// The administrator.
pub struct Admin(pub Arc<Gateway>);

/// The tenant and maybe the sender, or the plugin, that the administrator's path names.
#[derive(Deserialize)]
pub struct Named {
    #[serde(default)]
    pub tenant: String,
    pub sender: Option<String>,
    pub plugin: Option<String>,
}

fn token(headers: &HeaderMap) -> Result<TokenDigest, ApiError> {
    bearer(headers).map(TokenDigest::of).ok_or_else(ApiError::missing_token)
}

fn caller(parts: &Parts, app: &AppState) -> Result<Caller, ApiError> {
    let token = token(&parts.headers)?;
    let registry = app.gateway()?.registry.load();
    let caller = registry.caller(&token).ok_or_else(ApiError::invalid_token)?;
    caller.ask()?;
    Ok(app.placed(caller.clone(), parts, NATIVE_INTERFACE))
}

/// The list of a sender, for what leaves no record of who asked.
pub fn target(app: &AppState, headers: &HeaderMap, sender: &str) -> Result<Target, ApiError> {
    let gateway = app.gateway()?;
    let token = token(headers)?;
    let registry = gateway.registry.load();
    let caller = registry.caller(&token).ok_or_else(ApiError::invalid_token)?;
    caller.ask()?;
    Ok(Target::sender(caller, sender)?)
}

impl FromRequestParts<Arc<AppState>> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        caller(parts, app).map(Client)
    }
}

#[derive(Deserialize)]
struct InPath {
    sender: Option<String>,
}

impl FromRequestParts<Arc<AppState>> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = caller(parts, app)?;
        let Path(InPath { sender }) =
            Path::from_request_parts(parts, app).await.map_err(|_| ApiError::not_found())?;
        let target = match sender {
            Some(sender) => Target::sender(&caller, &sender)?,
            None => Target::tenant(&caller)?,
        };
        Ok(Asked { target })
    }
}

impl FromRequestParts<Arc<AppState>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let gateway = app.gateway()?;
        let token = token(&parts.headers)?;
        if !gateway.is_admin(&token) {
            return Err(ApiError::invalid_token());
        }
        Ok(Admin(Arc::clone(gateway)))
    }
}

impl Named {
    /// The tenant's name.
    pub fn tenant(&self) -> Result<TenantId, ApiError> {
        let refused = |error: portcullis_ledger::NameError| {
            ApiError::invalid_request("tenant", &format!("{error}; use a-z, 0-9, '.', '_' and '-'"))
        };
        self.tenant.parse().map_err(refused)
    }
}

impl FromRequestParts<Arc<AppState>> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let Path(named) = Path::from_request_parts(parts, app).await.map_err(|_| ApiError::not_found())?;
        Ok(named)
    }
}
