//! The vendors' block APIs, spoken so that their clients need no change: one module each, with its paths, credentials,
//! bodies, limits and errors.
//!
//! What they all do stands in [`call`], on what they all may run into in [`fault`]. None knows the ledger, and the core
//! knows none of them.

pub(crate) mod call;
mod cursor;
mod document;
pub(crate) mod fault;
mod kaleyra;
pub(crate) mod meta;
mod ninety_nine;
mod sinch;
pub(crate) mod text;
mod users;
mod whats91;

use std::sync::Arc;

use axum::Router;

use crate::config::Dialects;
use crate::http::Front;

/// All routes of all dialects, and of the documents that describe them.
pub(crate) fn router(settings: &Dialects) -> Router<Arc<Front>> {
    Router::new()
        .merge(sinch::router())
        .merge(ninety_nine::router(&settings.ninety_nine))
        .merge(whats91::router())
        .merge(kaleyra::router())
        .merge(meta::router())
        .merge(document::router(settings))
}
