//! The header `Portcullis-Position`: where a list was after a write, for checks that are to see the write through any gateway.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_api::POSITION;
use portcullis_ledger::{Position, Seq};
use tracing::error;

use super::error::ApiError;
use crate::ops::Target;

const HEADER: HeaderName = HeaderName::from_static("portcullis-position");
/// What the present form begins with.
const VERSION: &str = "1.";
/// The most positions of one check.
const MOST: usize = 8;
/// The most characters of one. The present form has 88.
const MAX_LENGTH: usize = 256;

/// Adds the position after a write to its response.
pub fn add_to(response: &mut Response, target: &Target, sequence: Seq) {
    let position = match target.list.sealed_position(sequence) {
        Ok(sealed) => format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sealed)),
        Err(error) => {
            // The write is made, which the client has to learn.
            error!(%error, "a response lacks the position of its write");
            return;
        }
    };
    if let Ok(position) = HeaderValue::try_from(position) {
        response.headers_mut().insert(HEADER, position);
    }
}

/// Extracts the positions that a check asks for, as the client sent them.
#[derive(Debug)]
pub struct Since(Vec<HeaderValue>);

impl Since {
    /// Those of a request with these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        Since(headers.get_all(HEADER).iter().cloned().collect())
    }

    /// Reads the positions.
    ///
    /// # Errors
    /// [`InvalidRequest`](portcullis_api::ErrorCode::InvalidRequest) if one can't be read, or is none of the target's tenant in this ledger,
    /// and if there are more than 8.
    pub fn read(&self, target: &Target) -> Result<Vec<Position>, ApiError> {
        let refused = |what: &str| ApiError::invalid_request(POSITION, what);
        let mut positions = Vec::new();
        for value in &self.0 {
            let unreadable = || refused("not a position: send the header as the response to a write has it");
            for text in value.to_str().map_err(|_| unreadable())?.split(',') {
                let text = text.trim();
                if positions.len() == MOST {
                    return Err(refused("these are more than 8 positions: send the latest of each list"));
                }
                let encoded = text.strip_prefix(VERSION).filter(|text| text.len() <= MAX_LENGTH);
                let sealed = URL_SAFE_NO_PAD.decode(encoded.ok_or_else(unreadable)?);
                let position = target.list.open_position(&sealed.map_err(|_| unreadable())?);
                positions.push(position.ok_or_else(|| {
                    refused(
                        "not a position of this tenant in this ledger: send the header as the response to a write of the tenant has it",
                    )
                })?);
            }
        }
        Ok(positions)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Since {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Since::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_documented_one() {
        assert_eq!(HEADER.as_str(), POSITION.to_lowercase());
    }
}
