//! Compatible implementations of the vendors' block APIs, so that existing clients work unchanged. Each vendor has a module with
//! its paths, credentials, bodies, limits and errors.
//!
//! What they have in common is in [`portcullis_edge::vendor::call`], and the errors that each of them has to express in
//! [`portcullis_edge::vendor::fault`].
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

/// Returns the routes of all dialects, and of their OpenAPI documents.
pub fn router(settings: &Dialects) -> Router<Arc<AppState>> {
    Router::new()
        .merge(sinch::router())
        .merge(ninety_nine::router(&settings.ninety_nine))
        .merge(whats91::router())
        .merge(kaleyra::router())
        .merge(meta::router())
        .merge(document::router(settings))
}
