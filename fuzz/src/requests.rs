//! Bodies of the native API and of the dialects, and cursors.

use portcullis_api::{BlockRequest, CheckRequest, UnblockRequest};
use portcullis_dialects::fuzz as dialects;
use portcullis_edge::http::body::{Misread, parse};
use serde_json::Value;

use crate::support::assert_shows_no_number;

fn assert_shows_nothing(misread: &Misread, body: &[u8]) {
    if let Misread::Wrong { place, what } = misread {
        assert_shows_no_number(place, body);
        assert_shows_no_number(what, body);
    }
}

/// A cursor that is read is written as a cursor of the same place.
pub fn cursor(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(written) = dialects::cursor(text) else { return };
    assert_eq!(dialects::cursor(&written), Some(written));
}

/// A body that a dialect reads is one to another reader of JSON, and is read when it is written anew. What is said of others shows
/// no number of theirs.
pub fn dialect_body(data: &[u8]) {
    for (dialect, read) in dialects::bodies(data) {
        match read {
            Err(misread) => assert_shows_nothing(&misread, data),
            Ok(()) => {
                let Ok(value) = serde_json::from_slice::<Value>(data) else { continue };
                let anew = value.to_string();
                let again =
                    dialects::bodies(anew.as_bytes()).into_iter().find(|(other, _)| *other == dialect);
                assert_eq!(again, Some((dialect, Ok(()))), "{anew}");
            }
        }
    }
}

/// A request is read as it is written, and what is said of one that can't be read shows no number.
pub fn api_request(data: &[u8]) {
    macro_rules! assert_read_as_written {
        ($($request:ident),*) => {$(
            match parse::<$request<'_>>(data) {
                Ok(request) => {
                    let written = serde_json::to_vec(&request).expect("it can be written");
                    let again = parse::<$request<'_>>(&written).expect("it reads what it writes");
                    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
                }
                Err(misread) => assert_shows_nothing(&misread, data),
            }
        )*};
    }
    assert_read_as_written!(BlockRequest, CheckRequest, UnblockRequest);
}
