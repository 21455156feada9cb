//! Entry points for `fuzz/`, which can't reach what is private here. They are not part of this crate's interface.

use portcullis_edge::http::body::{Misread, parse};
use serde::de::DeserializeOwned;

use crate::cursor::Cursor;
use crate::{ninety_nine, sinch, users, whats91};

/// A cursor that is read, as it is written again.
pub fn cursor(text: &str) -> Option<String> {
    Cursor::decode(text).map(|cursor| cursor.encode())
}

/// How the body of a request is read by each vendor's dialect.
pub fn bodies(body: &[u8]) -> [(&'static str, Result<(), Misread>); 4] {
    fn read<T: DeserializeOwned>(body: &[u8]) -> Result<(), Misread> {
        parse::<T>(body).map(drop)
    }
    [
        ("sinch", read::<sinch::Numbers>(body)),
        ("ninety_nine", read::<ninety_nine::Request>(body)),
        ("whats91", read::<whats91::Body>(body)),
        ("meta", read::<users::Request>(body)),
    ]
}
