//! `GET /status` and `GET …/status`

use std::sync::Arc;

use axum::http::StatusCode;
use portcullis_api::{ListPlugin, ListState, ListStatus, TenantStatus};
use portcullis_engine::{List, Service, Stored};
use portcullis_ledger::Scope;

use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Asked, Client, ToRead};
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::{Refusal, Work};

pub(super) async fn tenant(Client(caller, _): Client<ToRead>) -> Answer {
    // It shows the lists of all senders, and the tenant-wide one.
    if caller.sender.is_some() {
        return Err(Refusal::SenderNotAllowed.into());
    }
    let turns = Arc::clone(&caller.tenant.turns);
    let run = move |_| {
        let tenant = &caller.tenant;
        let senders = tenant.senders.iter().map(|(id, sender)| status_of(&sender.list, Some(id)));
        let status = TenantStatus {
            tenant: tenant.config.id.to_string(),
            senders: senders.collect::<Result<_, ApiError>>()?,
            tenant_wide: status_of(&tenant.wide, None)?,
        };
        let answers = tenant.turns.answers();
        Ok::<_, ApiError>(answer::whole_to(answers, caller.owner(), StatusCode::OK, &status)?)
    };
    turns.run(None, Work::Read, false, run).await
}

pub(super) async fn list(asked: Asked<ToRead>) -> Answer {
    asked
        .target
        .blocking(Work::Read, move |target| {
            let list = &target.list;
            let id = match list.scope() {
                Scope::Sender(sender) => Some(sender.as_str()),
                Scope::Tenant => None,
            };
            Ok::<_, ApiError>(answer::ok(&status_of(list, id)?))
        })
        .await
}

fn status_of(list: &List, id: Option<&str>) -> Result<ListStatus, ApiError> {
    let census = list.census().map_err(|error| ApiError::from(Refusal::from(error)))?;
    let status = list.status();
    let description = status.plugin.description();
    Ok(ListStatus {
        id: id.map(str::to_owned),
        count: census.active,
        sequence: census.sequence.get(),
        plugin: ListPlugin { name: description.name.clone(), version: description.version.clone() },
        state: match status.service {
            Service::Serving => ListState::Serving,
            Service::Evicted => ListState::Resting,
            Service::Out => ListState::Recovering,
        },
        memory_bytes: status.memory_bytes,
        code_bytes: status.plugin.code_bytes(),
        problem: problem(status.stored).map(str::to_owned),
    })
}

/// What is wrong with what is stored of a list, and what to do.
fn problem(stored: Stored) -> Option<&'static str> {
    match stored {
        Stored::Damaged => Some(
            "entries of the list are damaged in the ledger, so the policy for failures answers: tell the operator to run `portcullis verify`",
        ),
        Stored::Behind => Some(
            "the ledger is an older copy, so the list is out of service: tell the operator to put the latest one back, or to start with --restored",
        ),
        Stored::Lost => Some(
            "the ledger's file was removed, replaced or overwritten, so nothing can be written: tell the operator not to stop the gateway before reading its log",
        ),
        _ => None,
    }
}
