//! Extractors that authenticate a request and find the list that it is about.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use portcullis_admission::Owner;
use portcullis_ledger::TenantId;
use serde::Deserialize;

use super::app_state::AppState;
use super::bearer;
use super::error::ApiError;
use super::peer::Peer;
use crate::attribution::{Attribution, Author as LogAuthor};
use crate::gateway::Gateway;
use crate::ops::Target;
use crate::registry::{Caller, Denied, NATIVE_INTERFACE};
use crate::tenant::Tenant;
use crate::token::TokenDigest;

/// Extracts the caller from a tenant's or sender's token. Counts the request against the token's rate limit.
pub struct Client(pub Caller);

/// Extracts the list that a client's request is about: that of the path's `{sender}`, or the tenant-wide one. Counts
/// the request against the token's rate limit.
pub struct Asked {
    /// The list, and the author of the request.
    pub target: Target,
}

/// Extracts the gateway, for requests with the administrator's token.
pub struct Admin(pub Arc<Gateway>);

/// Extracts the names in a path of the admin API. They are not validated.
#[derive(Deserialize)]
pub struct Named {
    /// The tenant's name; empty if the path has none.
    #[serde(default)]
    pub tenant: String,
    /// The sender's name.
    pub sender: Option<String>,
    /// The plugin's name.
    pub plugin: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
}

/// An extension of requests whose author has been authenticated: the extractors here insert it, and those of bodies require it.
#[derive(Clone)]
pub(super) struct Verified(Option<Author>);

/// A client of a tenant.
#[derive(Clone)]
struct Author {
    tenant: Arc<Tenant>,
    /// The only sender that its token is valid for.
    sender: Option<Arc<str>>,
}

impl Verified {
    /// Whose memory the request's body takes.
    pub(super) fn owner(&self) -> Owner<'_> {
        self.0.as_ref().map_or(Owner::Operator, |Author { tenant, sender }| Owner::Client {
            tenant: &tenant.config.id,
            sender: sender.as_deref(),
        })
    }
}

fn token(headers: &HeaderMap) -> Result<TokenDigest, ApiError> {
    bearer(headers).map(TokenDigest::of).ok_or_else(ApiError::missing_token)
}

fn caller(parts: &mut Parts, app: &AppState) -> Result<Caller, ApiError> {
    let token = token(&parts.headers)?;
    let registry = app.serving().map_err(ApiError::not_ready)?.registry.load();
    let caller =
        registry.authenticate(&token).map_err(|denied| app.denied(denied, peer(parts), &parts.headers))?;
    let author = Author { tenant: Arc::clone(&caller.tenant), sender: caller.sender.clone() };
    parts.extensions.insert(Verified(Some(author)));
    Ok(app.placed(caller.clone(), parts, NATIVE_INTERFACE))
}

fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get().copied()
}

/// Returns the list of a sender, for requests that leave no trace in the audit trail, such as checks. Cheaper than
/// [`Asked`], because the actor gets no address. Counts the request against the token's rate limit.
///
/// # Errors
/// If the gateway is not ready, the token is missing or unknown, its rate limit is exceeded, the tenant has no such
/// sender, or the token is for another one. Unknown tokens are counted for the address of `peer`.
pub fn target(app: &AppState, peer: Peer, headers: &HeaderMap, sender: &str) -> Result<Target, ApiError> {
    let gateway = app.serving().map_err(ApiError::not_ready)?;
    let token = token(headers)?;
    let registry = gateway.registry.load();
    let caller = registry.authenticate(&token).map_err(|denied| app.denied(denied, Some(peer), headers))?;
    Ok(Target::sender(caller, sender)?)
}

/// Whom a request about a sender is from, for its line in the log. Counts nothing.
pub fn author(app: &AppState, headers: &HeaderMap, sender: &str) -> LogAuthor {
    let (Ok(gateway), Ok(token)) = (app.serving(), token(headers)) else { return LogAuthor::default() };
    let registry = gateway.registry.load();
    let Some(caller) = registry.caller(&token) else { return LogAuthor::default() };
    let attribution = Attribution::default();
    let mut caller = caller.clone();
    caller.attribute_to(&attribution);
    // Names the sender, if there is one of this name.
    let _ = Target::sender(&caller, sender);
    attribution.author()
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
            return Err(match app.denied(Denied::UnknownToken, peer(parts), &parts.headers) {
                Denied::UnknownToken => ApiError::not_the_administrator(),
                denied => denied.into(),
            });
        }
        parts.extensions.insert(Verified(None));
        if let Some(attribution) = parts.extensions.get::<Attribution>() {
            attribution.administrator();
        }
        Ok(Admin(Arc::clone(gateway)))
    }
}

impl Named {
    /// Parses the tenant's name.
    ///
    /// # Errors
    /// [`InvalidRequest`](portcullis_api::ErrorCode::InvalidRequest) if it is not a valid name.
    pub fn tenant(&self) -> Result<TenantId, ApiError> {
        let refused =
            |error: portcullis_ledger::NameError| ApiError::invalid_request("tenant", &error.to_string());
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
