//! Streaming check of uploads whose type is not declared, as pywa sends them, or declared as a form, as curl does in Meta's
//! sample (<https://developers.facebook.com/docs/graph-api/guides/upload>, 2025).
//!
//! An upstream that reads such a body as parameters must not find `batch` or `method`. The supported files (PDF, JPEG, PNG, MP4)
//! don't begin like JSON or multipart bodies, and are very unlikely to contain such a parameter.

use axum::body::Bytes;
use bytes::BytesMut;

use super::parameter::{self, NameError};
use super::rules::{Rule, Rules};
use super::scanned::Scan;

/// Maximum length of a parameter's name, in bytes: several times that of `batch`, percent-encoded twice. Anything longer isn't
/// one.
const MAX_NAME: usize = 256;

/// Why such an upload is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the upload begins as text does, and its type is not declared: declare it, such as image/jpeg")]
    Text,
    #[error(
        "the upload, whose type is not declared, reads as a form: declare its type, such as image/jpeg; {0}"
    )]
    Name(#[from] NameError),
}

/// The state of an upload that is being checked.
pub(super) struct UploadScanner {
    /// A possible parameter name, held back until it ends.
    name: BytesMut,
    state: State,
    rules: Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Name,
    Value,
}

impl UploadScanner {
    pub(super) fn new(rules: Rules) -> Self {
        UploadScanner { name: BytesMut::new(), state: State::Start, rules }
    }

    /// Checks the name as written, and percent-decoded once and twice.
    fn check_name(&self) -> Result<(), UploadError> {
        let mut text = String::from_utf8_lossy(&self.name).into_owned();
        for _ in 0..3 {
            if self.rules.hold(Rule::UploadParameters) {
                parameter::refuse_control(&text)?;
            }
            text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        }
        Ok(())
    }
}

impl Scan for UploadScanner {
    type Error = UploadError;

    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, UploadError> {
        let mut clear = BytesMut::with_capacity(self.name.len() + chunk.len());
        for &byte in chunk {
            match (self.state, byte) {
                // MP4 files begin with zeros.
                (State::Start, b'\0') => {}
                (State::Start, b'{' | b'[' | b'-' | b' ' | b'\t' | b'\r' | b'\n' | 0xef)
                    if self.rules.hold(Rule::UploadParameters) =>
                {
                    return Err(UploadError::Text);
                }
                (State::Start, _) => self.state = State::Name,
                _ => {}
            }
            match (self.state, byte) {
                (State::Name, b'=' | b'&' | b';' | b'\n') => {
                    self.check_name()?;
                    clear.extend_from_slice(&self.name.split());
                    clear.extend_from_slice(&[byte]);
                    self.state = if byte == b'=' { State::Value } else { State::Name };
                }
                (State::Name, _) => {
                    self.name.extend_from_slice(&[byte]);
                    if self.name.len() > MAX_NAME {
                        clear.extend_from_slice(&self.name.split());
                        self.state = State::Value;
                    }
                }
                (State::Start | State::Value, _) => {
                    clear.extend_from_slice(&[byte]);
                    if matches!(byte, b'&' | b';' | b'\n') {
                        self.state = State::Name;
                    }
                }
            }
        }
        Ok(clear.freeze())
    }

    fn finish(&mut self) -> Result<Bytes, UploadError> {
        self.check_name()?;
        Ok(self.name.split().freeze())
    }

    fn held(&self) -> usize {
        self.name.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(body: &[u8], size: usize) -> Result<Vec<u8>, UploadError> {
        let mut scanner = UploadScanner::new(Rules::ALL);
        let mut passed = Vec::new();
        for chunk in body.chunks(size) {
            passed.extend_from_slice(&scanner.push(chunk)?);
        }
        passed.extend_from_slice(&scanner.finish()?);
        Ok(passed)
    }

    #[test]
    fn files_pass_to_the_byte() {
        let long = [&b"\xff\xd8\xff&"[..], &[b'x'; 5000]].concat();
        for file in
            [&b""[..], b"\0\0\0\x18ftypmp42&x;batches=1\nbatc", b"%PDF-1.7\n1=2", b"\x89PNG\r\n\x1a\n", &long]
        {
            for size in [1, 3, 10_000] {
                assert_eq!(scan(file, size).as_deref(), Ok(file));
            }
        }
    }

    #[test]
    fn parameters_that_make_another_request_of_one_do_not() {
        for body in [
            "batch=[]",
            "batch",
            "x=1&batch=[]",
            "x=1;Batch=[]",
            "x=1\nb%61tch=[]",
            "x&b%2561tch=[]",
            "x=1&_method=post",
            "x=1&method",
            "&&batch[0]=1",
            "\0batch=1",
            "x=1& batch =1",
        ] {
            for size in [1, 100] {
                assert!(matches!(scan(body.as_bytes(), size), Err(UploadError::Name(_))), "{body:?}");
            }
        }
        for body in ["{\"batch\":[]}", "[{}]", "\0{", " {", "--xyz\r\n", "\u{feff}{", "\r\n--xyz"] {
            assert_eq!(scan(body.as_bytes(), 1), Err(UploadError::Text), "{body:?}");
        }
    }

    #[test]
    fn a_name_is_kept_back_until_it_ends() {
        let mut scanner = UploadScanner::new(Rules::ALL);
        assert_eq!(&scanner.push(b"x=1&batch").unwrap()[..], b"x=1&");
        assert!(scanner.finish().is_err());
    }

    proptest! {
        /// Chunk sizes make no difference.
        #[test]
        fn pieces_make_no_difference(body in "[a-z=&;\\[\\]%\0]{0,40}", size in 1_usize..9) {
            prop_assert_eq!(scan(body.as_bytes(), 100), scan(body.as_bytes(), size));
        }
    }
}
