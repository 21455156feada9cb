//! Extractors that authenticate a request and find the list that it is about.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use portcullis_admission::Owner;
use portcullis_api::TokenScope;
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

/// What a token must be good for, as a type.
pub trait Need: Send + Sync + 'static {
    /// The scope that the token must have.
    const SCOPE: TokenScope;
}

/// The request checks numbers, or sends a message.
pub struct ToCheck;
/// The request blocks or unblocks.
pub struct ToBlock;
/// The request reads what there is.
pub struct ToRead;

impl Need for ToCheck {
    const SCOPE: TokenScope = TokenScope::Check;
}

impl Need for ToBlock {
    const SCOPE: TokenScope = TokenScope::Block;
}

impl Need for ToRead {
    const SCOPE: TokenScope = TokenScope::Read;
}

/// Extracts the caller from a tenant's or sender's token that is good for this. Counts the request against the token's rate limit.
pub struct Client<N>(pub Caller, pub PhantomData<N>);

/// Extracts the list that a client's request is about: that of the path's `{sender}`, or the tenant-wide one. The token must be good for
/// this. Counts the request against the token's rate limit.
pub struct Asked<N> {
    /// The list, and the author of the request.
    pub target: Target,
    need: PhantomData<N>,
}

/// Extracts the gateway, for requests with an administrator's token: any that may read, for `GET`.
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
    /// The token's name.
    pub token: Option<String>,
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

fn caller<N: Need>(parts: &mut Parts, app: &AppState) -> Result<Caller, ApiError> {
    let token = token(&parts.headers)?;
    let registry = app.serving().map_err(ApiError::not_ready)?.registry.load();
    let caller = registry
        .authenticate(&token, N::SCOPE)
        .map_err(|denied| app.denied(denied, peer(parts), &parts.headers))?;
    let author = Author { tenant: Arc::clone(&caller.tenant), sender: caller.sender.clone() };
    parts.extensions.insert(Verified(Some(author)));
    Ok(app.placed(caller.clone(), parts, NATIVE_INTERFACE))
}

fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get().copied()
}

/// Returns the list of a sender, for checks, which leave no trace in the audit trail. Cheaper than
/// [`Asked`], because the actor gets no address. Counts the request against the token's rate limit.
///
/// # Errors
/// If the gateway is not ready, the token is missing, unknown, expired or not good for checks, its rate limit is exceeded, the tenant has no such
/// sender, or the token is for another one. Unknown tokens are counted for the address of `peer`.
pub fn target(app: &AppState, peer: Peer, headers: &HeaderMap, sender: &str) -> Result<Target, ApiError> {
    let gateway = app.serving().map_err(ApiError::not_ready)?;
    let token = token(headers)?;
    let registry = gateway.registry.load();
    let caller = registry
        .authenticate(&token, TokenScope::Check)
        .map_err(|denied| app.denied(denied, Some(peer), headers))?;
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

impl<N: Need> FromRequestParts<Arc<AppState>> for Client<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        Ok(Client(caller::<N>(parts, app)?, PhantomData))
    }
}

#[derive(Deserialize)]
struct InPath {
    sender: Option<String>,
}

impl<N: Need> FromRequestParts<Arc<AppState>> for Asked<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = caller::<N>(parts, app)?;
        let Path(InPath { sender }) =
            Path::from_request_parts(parts, app).await.map_err(|_| ApiError::not_found())?;
        let target = match sender {
            Some(sender) => Target::sender(&caller, &sender)?,
            None => Target::tenant(&caller)?,
        };
        Ok(Asked { target, need: PhantomData })
    }
}

impl FromRequestParts<Arc<AppState>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let gateway = app.gateway()?;
        let token = token(&parts.headers)?;
        let scope = match parts.method {
            Method::GET | Method::HEAD => TokenScope::Read,
            _ => TokenScope::Admin,
        };
        if let Err(denied) = gateway.authenticate_administrator(&token, scope) {
            return Err(match app.denied(denied, peer(parts), &parts.headers) {
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
