//! Streaming check of multipart bodies (RFC 7578): the name of each part is checked before anything of the part is forwarded.
//!
//! Uploads may be a hundred megabytes, so they are not buffered: checked bytes are forwarded while the rest is still arriving. If
//! a part is rejected, the upstream request is aborted before its end, so the upstream never receives a complete request.
//!
//! Parsers of multipart bodies differ in what they accept as a delimiter and in how they read the heads of parts. So a body must
//! be one that all parsers read the same way: it begins with its first delimiter and ends with its last, the boundary occurs
//! nowhere else, and each head has one `Content-Disposition: form-data` with a plain name.

use axum::body::Bytes;
use bytes::BytesMut;
use memchr::memmem::Finder;

use super::owners::{Owners, names_another};
use super::parameter::{self, NameError};
use super::rules::{Rule, Rules};
use super::scanned::Scan;

/// Maximum size of a part's head, in bytes.
const MAX_HEAD: usize = 8 << 10;
/// Maximum size of a part that isn't a file, in bytes. Such parts are buffered.
const MAX_FIELD: usize = 1 << 20;
/// Maximum number of parts.
const MAX_PARTS: usize = 100;
/// Headers that a part may have in addition to `Content-Disposition`.
const HEADERS: [&str; 3] = ["content-type", "content-length", "content-transfer-encoding"];

/// Why a multipart body is rejected. `part` counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    #[error("the multipart body does not begin with its boundary, or does not end with it")]
    Ends,
    #[error(
        "the multipart body has its boundary where no part ends: choose a boundary that stands nowhere in it"
    )]
    Boundary,
    #[error(
        "part {part} of the multipart body has a head that isn't plain: write Content-Disposition: form-data, with a name and \
         maybe a filename in quotation marks, once, and besides that at most Content-Type, Content-Length and \
         Content-Transfer-Encoding: binary"
    )]
    Head { part: usize },
    #[error("part {part} of the multipart body: {why}")]
    Name { part: usize, why: NameError },
    #[error("part {part} of the multipart body is no file and has more than {} bytes", MAX_FIELD)]
    Field { part: usize },
    #[error("part {part} of the multipart body names a sender or an account that is not this token's")]
    AnotherS { part: usize },
    #[error("the multipart body has more than {} parts", MAX_PARTS)]
    Parts,
}

/// The state of a body that is being checked.
pub(super) struct Scanner<O> {
    /// `--` and the boundary.
    delimiter: Finder<'static>,
    /// Bytes that have arrived and have not been released.
    held: BytesMut,
    /// The position in `held` of the first byte that is not checked yet.
    seen: usize,
    /// The position in `held` up to which no delimiter begins, so that each chunk is searched only once.
    searched: usize,
    state: State,
    /// The number of the current part, from 1.
    part: usize,
    owners: O,
    rules: Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Start,
    /// After a delimiter, before the two bytes that say whether another part follows.
    Delimited,
    /// In the head of a part.
    Head,
    /// In the content of a part.
    Data { is_file: bool },
    /// After the last delimiter.
    End,
}

impl<O: Owners> Scanner<O> {
    pub(super) fn new(boundary: &str, owners: O, rules: Rules) -> Self {
        Scanner {
            delimiter: Finder::new(&format!("--{boundary}")).into_owned(),
            held: BytesMut::new(),
            seen: 0,
            searched: 0,
            state: State::Start,
            part: 0,
            owners,
            rules,
        }
    }

    /// Advances by one state, or within one. Returns how many bytes of `held` to release, or `None` if more input is needed.
    fn step(&mut self) -> Result<Option<usize>, MultipartError> {
        let length = self.delimiter.needle().len();
        let new = &self.held[self.seen..];
        match self.state {
            State::Start => {
                let begins = new.len().min(length);
                if new[..begins] != self.delimiter.needle()[..begins] {
                    return Err(MultipartError::Ends);
                }
                if new.len() < length {
                    return Ok(None);
                }
                self.seen += length;
                self.state = State::Delimited;
            }
            State::Delimited => {
                let Some(next) = new.get(..2) else { return Ok(None) };
                self.state = match next {
                    b"\r\n" if self.part < MAX_PARTS => State::Head,
                    b"\r\n" => return Err(MultipartError::Parts),
                    b"--" => State::End,
                    _ => return Err(MultipartError::Boundary),
                };
                self.seen += 2;
                self.part += usize::from(self.state == State::Head);
            }
            State::Head => {
                let part = self.part;
                let Some(end) = memchr::memmem::find(new, b"\r\n\r\n") else {
                    // The last three bytes may begin the empty line that ends it.
                    let is_too_long = new.len() > MAX_HEAD + 3;
                    return if is_too_long { Err(MultipartError::Head { part }) } else { Ok(None) };
                };
                let head = &new[..end];
                if end > MAX_HEAD || self.delimiter.find(head).is_some() {
                    return Err(MultipartError::Head { part });
                }
                let is_file = self.check_head(head)?;
                self.seen += end + 4;
                self.state = State::Data { is_file };
            }
            State::Data { is_file } => return self.data(is_file),
            State::End => {
                if self.rules.hold(Rule::PartDelimiters) && !b"\r\n".starts_with(new) {
                    return Err(MultipartError::Ends);
                }
                return Ok(None);
            }
        }
        Ok(Some(0))
    }

    fn data(&mut self, is_file: bool) -> Result<Option<usize>, MultipartError> {
        let (part, length) = (self.part, self.delimiter.needle().len());
        let new = &self.held[self.seen..];
        let before = self.searched.saturating_sub(self.seen);
        let Some(at) = self.find(&new[before..]).map(|at| before + at) else {
            // The end may be an incomplete line break and delimiter.
            let clear = new.len().saturating_sub(length + 3);
            if is_file {
                self.seen += clear;
                return Ok((clear > 0).then_some(self.seen));
            }
            self.searched = self.seen + clear;
            // The longest field, a line's end, and all but the last byte of a delimiter.
            return if new.len() > MAX_FIELD + 2 + length - 1 {
                Err(MultipartError::Field { part })
            } else {
                Ok(None)
            };
        };
        self.searched = 0;
        let Some(value) = new[..at].strip_suffix(b"\r\n") else { return Err(MultipartError::Boundary) };
        if !is_file {
            if value.len() > MAX_FIELD {
                return Err(MultipartError::Field { part });
            }
            let names_another = names_another(&String::from_utf8_lossy(value), &self.owners);
            if self.rules.hold(Rule::ForeignValues) && names_another {
                return Err(MultipartError::AnotherS { part });
            }
        }
        let clear = self.seen + value.len();
        self.seen += at + length;
        self.state = State::Delimited;
        Ok(Some(clear))
    }

    /// Finds the next delimiter.
    fn find(&self, data: &[u8]) -> Option<usize> {
        if self.rules.hold(Rule::PartDelimiters) {
            return self.delimiter.find(data);
        }
        // Without the rule, search as a single parser does.
        let delimiter = [b"\r\n", self.delimiter.needle()].concat();
        memchr::memmem::find_iter(data, &delimiter).map(|at| at + 2).find(|at| {
            matches!(data.get(at + delimiter.len() - 2..at + delimiter.len()), Some(b"\r\n" | b"--"))
        })
    }

    /// Checks the head of a part. Returns whether the part is a file.
    fn check_head(&self, head: &[u8]) -> Result<bool, MultipartError> {
        let part = self.part;
        let (name, is_file) = read_head(head).ok_or(MultipartError::Head { part })?;
        if self.rules.hold(Rule::PartNames) {
            if !parameter::is_plain(&name) {
                return Err(MultipartError::Name { part, why: NameError::Odd });
            }
            parameter::refuse_control(&name).map_err(|why| MultipartError::Name { part, why })?;
        }
        if self.rules.hold(Rule::OneCredential) && parameter::is_like_token(&name) {
            return Err(MultipartError::Name { part, why: NameError::Token });
        }
        Ok(is_file)
    }
}

impl<O: Owners> Scan for Scanner<O> {
    type Error = MultipartError;

    /// Holds back incomplete heads, parts that aren't files, and bytes that may be the beginning of a delimiter.
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, MultipartError> {
        self.held.extend_from_slice(chunk);
        let mut passed = BytesMut::new();
        while let Some(clear) = self.step()? {
            passed.unsplit(self.held.split_to(clear));
            self.seen -= clear;
        }
        Ok(passed.freeze())
    }

    fn finish(&mut self) -> Result<Bytes, MultipartError> {
        let is_end = self.state == State::End && matches!(self.held.get(self.seen..), Some(b"" | b"\r\n"));
        if self.rules.hold(Rule::PartDelimiters) && !is_end {
            return Err(MultipartError::Ends);
        }
        Ok(self.held.split().freeze())
    }

    fn held(&self) -> usize {
        self.held.len()
    }
}

/// Reads the name of a part and whether it is a file; `None` if parsers could find different names.
fn read_head(head: &[u8]) -> Option<(String, bool)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        let value = value.trim_matches([' ', '\t']);
        if value.contains(|character: char| character.is_control() && character != '\t') {
            return None;
        }
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            // Some reader looks for the name anywhere in the head.
            name if name != "content-disposition" && has_name(value) => return None,
            "content-disposition" if disposition.is_none() => disposition = Some(read_disposition(value)?),
            "content-transfer-encoding"
                if !["binary", "8bit", "7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) =>
            {
                return None;
            }
            "content-type" if value.to_ascii_lowercase().starts_with("multipart/") => return None,
            name if HEADERS.contains(&name) => {}
            _ => return None,
        }
    }
    disposition
}

/// Whether some reader finds a name in a text: `name=`, in any case, maybe with spaces or the star of RFC 5987 before its `=`.
fn has_name(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.split("name").skip(1).any(|rest| rest.trim_start_matches([' ', '\t', '*']).starts_with('='))
}

/// Reads the value of `Content-Disposition`, such as `form-data; name="file"; filename="a b.jpg"`.
fn read_disposition(value: &str) -> Option<(String, bool)> {
    let (kind, mut rest) = value.split_at(value.find(';')?);
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut is_file) = (None, false);
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(';')?.trim_start_matches(' ');
        let (key, after) = parameter.split_once('=')?;
        let (text, after) = match after.strip_prefix('"') {
            // Parsers disagree on the meaning of a backslash here.
            Some(quoted) => quoted.split_once('"').filter(|(text, _)| !text.contains('\\'))?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        let is_bare = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b','))
        };
        if !parameter[key.len() + 1..].starts_with('"') && !is_bare(text) {
            return None;
        }
        if seen.contains(&key) {
            return None;
        }
        seen.push(key);
        if has_name(text) {
            return None;
        }
        match key {
            "name" => name = Some(text.to_owned()),
            "filename" | "filename*" => is_file = true,
            _ => return None,
        }
        rest = after.trim_start_matches(' ');
    }
    Some((name?, is_file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::owners::{Owner, Reach};
    use super::*;

    struct Two;

    impl Owners for Two {
        fn owner(&self, id: &str) -> Owner {
            if id == "106540352242999" { Owner::Another } else { Owner::Nobody }
        }

        fn reach(&self) -> Reach {
            Reach::Tenant
        }
    }

    /// Scans a body in chunks of this size.
    fn scan(body: &[u8], size: usize) -> Result<Vec<u8>, MultipartError> {
        let mut scanner = Scanner::new("xyz", Two, Rules::ALL);
        let mut passed = Vec::new();
        for chunk in body.chunks(size) {
            passed.extend_from_slice(&scanner.push(chunk)?);
        }
        passed.extend_from_slice(&scanner.finish()?);
        Ok(passed)
    }

    fn part(head: &str, value: &str) -> String {
        format!("--xyz\r\n{head}\r\n\r\n{value}\r\n")
    }

    fn field(name: &str, value: &str) -> String {
        part(&format!("Content-Disposition: form-data; name=\"{name}\""), value)
    }

    const FILE: &str =
        "Content-Disposition: form-data; name=\"file\"; filename=\"a; b é.jpg\"\r\nContent-Type: image/jpeg";

    fn upload() -> String {
        let file = part(FILE, "\r\n--xy\r\n--\r\n\r\n\0--x");
        let parts = [field("messaging_product", "whatsapp"), file, field("empty", ""), part(FILE, "")];
        format!("{}--xyz--\r\n", parts.concat())
    }

    #[test]
    fn an_upload_passes_to_the_byte_however_it_comes() {
        let body = upload();
        for size in 1..body.len() + 1 {
            assert_eq!(scan(body.as_bytes(), size).as_deref(), Ok(body.as_bytes()), "in pieces of {size}");
        }
        let body = body.strip_suffix("\r\n").unwrap();
        assert!(scan(body.as_bytes(), 7).is_ok(), "no line's end at the end");
    }

    #[test]
    fn a_large_file_is_not_kept() {
        let mut scanner = Scanner::new("xyz", Two, Rules::ALL);
        scanner.push(format!("--xyz\r\n{FILE}\r\n\r\n").as_bytes()).unwrap();
        for _ in 0..100 {
            scanner.push(&[b'x'; 10_000]).unwrap();
            assert!(scanner.held.len() < 20, "{} bytes are kept", scanner.held.len());
        }
    }

    #[test]
    fn nothing_of_a_part_passes_that_may_not() {
        let body = format!("{}{}--xyz--\r\n", part(FILE, "abc"), field("batch", "[]"));
        let mut scanner = Scanner::new("xyz", Two, Rules::ALL);
        let mut passed = Vec::new();
        let error = body.as_bytes().chunks(5).find_map(|chunk| match scanner.push(chunk) {
            Ok(clear) => {
                passed.extend_from_slice(&clear);
                None
            }
            Err(error) => Some(error),
        });
        assert_eq!(error, Some(MultipartError::Name { part: 2, why: NameError::Control("batch") }));
        assert!(String::from_utf8_lossy(&passed).ends_with("abc"));
    }

    #[test]
    fn names_are_those_of_parameters() {
        let refused = |body: String| scan(format!("{body}--xyz--").as_bytes(), 11).unwrap_err();
        for name in ["batch", "Batch", "batch[]", "_method", "METHOD", "ids"] {
            let error = refused(field(name, "x"));
            assert!(matches!(error, MultipartError::Name { part: 1, .. }), "{name}: {error}");
        }
        for name in ["ba%74ch", "x y", " x", "", "é"] {
            let error = refused(field(name, "x"));
            assert_eq!(error, MultipartError::Name { part: 1, why: NameError::Odd }, "{name}");
        }
        assert_eq!(
            refused(field("access_token", "x")),
            MultipartError::Name { part: 1, why: NameError::Token }
        );
        assert_eq!(refused(field("source_waba_id", "106540352242999")), MultipartError::AnotherS { part: 1 });
        assert_eq!(refused(field("x", &"y".repeat(MAX_FIELD + 1))), MultipartError::Field { part: 1 });
    }

    #[test]
    fn heads_have_one_reading() {
        for head in [
            "",
            "Content-Type: text/plain",
            "Content-Disposition: form-data",
            "Content-Disposition: attachment; name=\"a\"",
            "Content-Disposition: form-data; filename=\"a\"",
            "Content-Disposition: form-data; name=\"a\"; name=\"batch\"",
            "Content-Disposition: form-data; name=\"a\"; name*=UTF-8''batch",
            "Content-Disposition: form-data; name=\"a\\\"; name=\\\"batch\"",
            "Content-Disposition: form-data; name=\"a\"; filename=\"b\\\"; name=\"batch\"",
            "Content-Disposition: form-data; name=\"a\" x",
            "Content-Disposition: form-data; name=\"a",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"batch\"",
            "Content-Disposition: form-data;\r\n name=\"batch\"",
            "Content-Disposition: form-data; name=\"a\"\nContent-Disposition: form-data; name=\"batch\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=b",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
            "Content-Disposition: form-data; name=\"a\"\r\nX-Other: 1",
            "Content-Disposition : form-data; name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; name=\"batch\"",
            "Content-Type: text/plain; Name = batch\r\nContent-Disposition: form-data; name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"; filename=\"b; name=batch\"",
        ] {
            let error = scan(format!("{}--xyz--", part(head, "x")).as_bytes(), 9).unwrap_err();
            assert!(
                matches!(error, MultipartError::Head { part: 1 } | MultipartError::Ends),
                "{head:?}: {error}"
            );
        }
        for head in [
            "content-disposition: form-data; name=a",
            "Content-Disposition: form-data;name=\"a\";filename=\"x\"",
            "Content-Disposition: form-data; name=\"a\"; filename=\"x\"; filename*=UTF-8''x%20y",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Length: 1\r\nContent-Transfer-Encoding: binary",
        ] {
            assert!(scan(format!("{}--xyz--", part(head, "x")).as_bytes(), 9).is_ok(), "{head:?}");
        }
        let long =
            format!("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: {}", "x".repeat(MAX_HEAD));
        assert_eq!(scan(part(&long, "x").as_bytes(), 100), Err(MultipartError::Head { part: 1 }));
    }

    #[test]
    fn what_is_as_long_as_it_may_be_passes_however_it_comes() {
        let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: ";
        let long_head = part(&format!("{head}{}", "x".repeat(MAX_HEAD - head.len())), "x");
        let long_field = field("a", &"x".repeat(MAX_FIELD));
        for (body, end) in [(long_head, MAX_HEAD), (long_field, MAX_FIELD)] {
            let body = format!("{body}--xyz--");
            assert!(scan(body.as_bytes(), body.len()).is_ok(), "at once");
            // Its first piece ends somewhere around the end of what is long.
            for size in end..body.len() {
                assert!(scan(body.as_bytes(), size).is_ok(), "{size} bytes first");
            }
        }
    }

    #[test]
    fn the_boundary_stands_in_delimiters_only() {
        let file = part(FILE, "x");
        for (body, error) in [
            (String::new(), MultipartError::Ends),
            ("--xyz--".to_owned() + "x", MultipartError::Ends),
            (file.clone(), MultipartError::Ends),
            (format!("\r\n{file}--xyz--"), MultipartError::Ends),
            (format!("x\r\n{file}--xyz--"), MultipartError::Ends),
            (format!("{file}--xyz--\r\nx"), MultipartError::Ends),
            (format!("{file}--xyz--\r\n{}--xyz--", field("batch", "x")), MultipartError::Ends),
            (format!("{}--xyz--", part(FILE, "a\n--xyz\nb")), MultipartError::Boundary),
            (format!("{}--xyz--", part(FILE, "a--xyz\r\nb")), MultipartError::Boundary),
            (format!("{}--xyz--", part(FILE, "a\r\n--xyzw\r\nb")), MultipartError::Boundary),
            (format!("{}--xyz--", part(FILE, "a\r\n--xyz \r\nb")), MultipartError::Boundary),
            (field("a", "x").repeat(MAX_PARTS + 1), MultipartError::Parts),
        ] {
            assert_eq!(scan(body.as_bytes(), 13), Err(error), "{body:?}");
        }
    }

    proptest! {
        /// The output equals the input, and chunk sizes make no difference.
        #[test]
        fn pieces_make_no_difference(
            values in prop::collection::vec("[-xyz\r\n]{0,12}", 1..4),
            size in 1_usize..20,
            cut in 0_usize..200,
        ) {
            let parts: String = values.iter().map(|value| part(FILE, value)).collect();
            let mut body = format!("{parts}--xyz--\r\n").into_bytes();
            body.truncate(body.len().saturating_sub(cut.saturating_sub(150)));
            let (whole, pieces) = (scan(&body, body.len().max(1)), scan(&body, size));
            prop_assert_eq!(&whole, &pieces);
            if let Ok(passed) = whole {
                prop_assert_eq!(passed, body);
            }
        }
    }
}
