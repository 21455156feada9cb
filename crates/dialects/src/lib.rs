//! The vendors' block APIs, spoken so that their clients need no change: one module each, with its paths, credentials,
//! bodies, limits and errors.
//!
//! What they all do stands in [`portcullis_edge::vendor::call`], what they all may run into in [`portcullis_edge::vendor::fault`].
#![forbid(unsafe_code)]

mod cursor;
mod document;
#[doc(hidden)]
pub mod fuzz;
mod kaleyra;
mod meta;
mod ninety_nine;
mod sinch;
mod users;
mod whats91;

use std::sync::Arc;

use axum::Router;

use portcullis_edge::AppState;
use portcullis_edge::settings::Dialects;

/// All routes of all dialects, and of the documents that describe them.
pub fn router(settings: &Dialects) -> Router<Arc<AppState>> {
    Router::new()
        .merge(sinch::router())
        .merge(ninety_nine::router(&settings.ninety_nine))
        .merge(whats91::router())
        .merge(kaleyra::router())
        .merge(meta::router())
        .merge(document::router(settings))
}
