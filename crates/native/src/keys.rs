//! `/admin/keys/master`: which master key is in use, and its rotation.

use jiff::Timestamp;
use portcullis_api::{ErrorCode, MasterKeyAnswer, RotatedAnswer};
use portcullis_edge::gateway::AdminError;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::Admin;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::wire::time;
use portcullis_engine::Error;
use portcullis_host::ErrorChain;
use portcullis_ledger::{KeyStatus, LedgerError, Rotated};
use tracing::{info, warn};

pub(super) async fn master(Admin(gateway): Admin) -> Answer {
    blocking(move || {
        let KeyStatus { in_use, rotated, others } = gateway.engine.blocking_master_key().map_err(refused)?;
        let rotated = rotated.and_then(|rotated| Timestamp::try_from(rotated).ok());
        Ok::<_, ApiError>(answer::ok(&MasterKeyAnswer {
            fingerprint: in_use.to_string(),
            rotated: rotated.map(time),
            others: others.iter().map(ToString::to_string).collect(),
        }))
    })
    .await
}

pub(super) async fn rotate(Admin(gateway): Admin) -> Answer {
    blocking(move || {
        let rotated = gateway.engine.blocking_rotate_master_key();
        let Rotated { from, to, unfinished } = rotated.map_err(|error| {
            warn!(error = %ErrorChain(&error), "the master key was not rotated");
            refused(error)
        })?;
        let unfinished = unfinished.map(|error| ErrorChain(&error).to_string());
        match &unfinished {
            None => info!(%from, %to, "the master key was rotated"),
            Some(why) => warn!(%from, %to, why, "the master key was rotated, and its file still has both"),
        }
        let answer = RotatedAnswer { from: from.to_string(), to: to.to_string(), unfinished };
        Ok::<_, ApiError>(answer::ok(&answer))
    })
    .await
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::MasterKey(_)
        | Error::Ledger(LedgerError::KeyNotEverywhere { .. } | LedgerError::AnotherMasterKey) => {
            ApiError::new(ErrorCode::KeyNotRotated, ErrorChain(&error).to_string())
        }
        error => AdminError::from(error).into(),
    }
}
