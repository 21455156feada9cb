//! Changing the tokens of tenants and senders through the admin API, and who is an administrator.

use jiff::Timestamp;
use portcullis_api::settings as typed;
use portcullis_api::{NewTokenRequest, TokenScope};
use portcullis_ledger::TenantId;
use portcullis_tokens::{Refused, Rotation, RotationError, TokenConfig, TokenDigest, remove, rotate};
use tracing::info;

use super::{AdminError, Gateway};
use crate::registry::Denied;
use crate::settings::{FieldPath, TenantConfig, problem_of};
use crate::tenant::Tenant;
use crate::useless::{self, Useless};

impl Gateway {
    /// Adds a token to a tenant, or to its `sender`, and lets the token that it replaces expire: see [`rotate`]. The rest of the tenant is as
    /// other gateways that share the ledger have stored it.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with the mistakes in the request; [`AdminError::UnknownSender`]; [`AdminError::UnknownToken`] if the replaced
    /// token is not there; and those of [`patch_tenant`](Self::patch_tenant).
    pub fn add_token(
        &self,
        tenant: &TenantId,
        sender: Option<&str>,
        request: &NewTokenRequest,
        digest: TokenDigest,
    ) -> Result<Rotation, AdminError> {
        let rotation =
            self.change_tokens(tenant, sender, |tokens| rotate(tokens, request, digest, Timestamp::now()))?;
        info!(%tenant, sender, token = rotation.added.shown_name(), "added a token");
        Ok(rotation)
    }

    /// Removes a token of a tenant, or of its `sender`, by the name that it is [shown](TokenConfig::shown_name) with.
    ///
    /// # Errors
    /// [`AdminError::UnknownSender`], [`AdminError::UnknownToken`], and those of [`patch_tenant`](Self::patch_tenant).
    pub fn remove_token(
        &self,
        tenant: &TenantId,
        sender: Option<&str>,
        name: &str,
    ) -> Result<(), AdminError> {
        self.change_tokens(tenant, sender, |tokens| remove(tokens, name))?;
        info!(%tenant, sender, token = name, "removed a token");
        Ok(())
    }

    fn change_tokens<T>(
        &self,
        tenant: &TenantId,
        sender: Option<&str>,
        change: impl Fn(&mut Vec<TokenConfig>) -> Result<T, RotationError>,
    ) -> Result<T, AdminError> {
        let changed = self.change(tenant, |config, typed| {
            let mut tokens = tokens_of(config, sender)?.to_vec();
            let changed = change(&mut tokens)?;
            let written = tokens.iter().map(TokenConfig::to_typed).collect();
            match sender {
                None => typed.tokens = written,
                Some(name) => of_name(typed, name)?.tokens = written,
            }
            Ok::<_, AdminError>((changed, false))
        });
        changed.map(|(changed, _)| changed)
    }

    /// Whether an administrator's token may be used for this: [`Read`](TokenScope::Read) or [`Admin`](TokenScope::Admin).
    ///
    /// # Errors
    /// If the token is no administrator's, has expired, or lacks the scope.
    pub fn authenticate_administrator(&self, token: &TokenDigest, scope: TokenScope) -> Result<(), Denied> {
        self.admin_tokens.load().authenticate(token, scope).map_err(|refused| match refused {
            Refused::Unknown => Denied::UnknownToken,
            Refused::Expired { name } => {
                useless::token(Useless::Expired, "", &name);
                Denied::Expired
            }
            Refused::OutOfScope { name } => {
                useless::token(Useless::OutOfScope, "", &name);
                Denied::OutOfScope(scope)
            }
        })
    }
}

impl From<RotationError> for AdminError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Unknown => AdminError::UnknownToken,
            RotationError::Wrong(mistakes) => {
                let root = FieldPath::default();
                AdminError::Refused(mistakes.into_iter().map(|mistake| problem_of(mistake, &root)).collect())
            }
        }
    }
}

fn tokens_of<'a>(config: &'a TenantConfig, sender: Option<&str>) -> Result<&'a [TokenConfig], AdminError> {
    let Some(name) = sender else { return Ok(&config.tokens) };
    let known = config.senders.iter().find(|known| known.id.as_str() == name);
    Ok(&known.ok_or(AdminError::UnknownSender)?.tokens)
}

fn of_name<'a>(typed: &'a mut typed::Tenant, name: &str) -> Result<&'a mut typed::Sender, AdminError> {
    typed.senders.iter_mut().find(|known| known.id == name).ok_or(AdminError::UnknownSender)
}

impl Tenant {
    /// The tokens of the tenant, or of one of its senders.
    ///
    /// # Errors
    /// [`AdminError::UnknownSender`].
    pub fn tokens(&self, sender: Option<&str>) -> Result<&[TokenConfig], AdminError> {
        tokens_of(&self.config, sender)
    }
}
