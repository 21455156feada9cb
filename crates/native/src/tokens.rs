//! `…/tokens`: the tokens of tenants and senders.

use std::fmt::Write as _;

use axum::http::StatusCode;
use jiff::Timestamp;
use portcullis_api::settings::Secret;
use portcullis_api::{NewTokenAnswer, NewTokenRequest, RemovedAnswer, TokensAnswer};
use tracing::error;

use portcullis_edge::gateway::AdminError;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::JsonBody;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::token::TokenDigest;

/// Random bytes in a token: as in those of `portcullis token new`, too many to guess or to recover from the digest.
const RANDOM: usize = 32;

pub(super) async fn list(Admin(gateway): Admin, named: Named) -> Answer {
    let registry = gateway.registry.load();
    let tenant = registry.tenant(&named.tenant).ok_or(AdminError::UnknownTenant)?;
    let now = Timestamp::now();
    let tokens = tenant.tokens(named.sender.as_deref())?.iter().map(|token| token.shown(now)).collect();
    Ok(answer::ok(&TokensAnswer { tokens }))
}

pub(super) async fn add(Admin(gateway): Admin, named: Named, body: JsonBody) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let request: NewTokenRequest = body.parse()?;
        let token = random_token()?;
        let digest = TokenDigest::of(token.as_bytes());
        let change = gateway.add_token(&id, named.sender.as_deref(), &request, digest)?;
        let now = Timestamp::now();
        let added = change.added.shown(now);
        let answer = NewTokenAnswer {
            token: Secret(token),
            name: added.name,
            scopes: added.scopes,
            expires: added.expires,
            replaced: change.replaced.map(|replaced| replaced.shown(now)),
        };
        Ok::<_, ApiError>(answer::json(StatusCode::CREATED, &answer))
    })
    .await
}

pub(super) async fn remove(Admin(gateway): Admin, named: Named) -> Answer {
    let id = named.tenant()?;
    blocking(move || {
        let name = named.token.unwrap_or_default();
        gateway.remove_token(&id, named.sender.as_deref(), &name)?;
        Ok::<_, ApiError>(answer::ok(&RemovedAnswer { removed: name }))
    })
    .await
}

fn random_token() -> Result<String, ApiError> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| {
        error!(%error, "the operating system gives no random bytes");
        ApiError::internal()
    })?;
    Ok(random.iter().fold("pct_".to_owned(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    }))
}
