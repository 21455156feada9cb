//! File formats and their detection.

use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;

use portcullis_api::USER_PREFIX;

/// The formats that `import` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One number per line.
    Plain,
    /// A header and rows. Fields are separated by comma, semicolon, tab or `|`, and may be quoted.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl Format {
    /// The format that a file's extension stands for.
    pub(super) fn of_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" => Some(Format::Plain),
            "csv" | "tsv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        }
    }

    /// Detects the format from the first line that is not empty: NDJSON if it starts with `{`, CSV if it contains an ASCII letter
    /// (as a header does) or a delimiter, and otherwise plain. A `user:` id or a `#` comment is plain, too.
    pub(super) fn of_line(line: &[u8]) -> Self {
        let line = line.trim_ascii();
        if line.starts_with(b"{") {
            Format::Ndjson
        } else if line.starts_with(USER_PREFIX.as_bytes()) {
            Format::Plain
        } else if !line.starts_with(b"#")
            && line.iter().any(|byte| byte.is_ascii_alphabetic() || b",;\t|".contains(byte))
        {
            Format::Csv
        } else {
            Format::Plain
        }
    }
}

/// Refuses files of other kinds, such as zip archives, with a hint on how to convert them.
pub(super) fn refuse_other_files(first_line: &[u8]) -> anyhow::Result<()> {
    if first_line.starts_with(b"PK\x03\x04") {
        bail!("the file is a zip archive, like .xlsx and .ods files; save the sheet as CSV");
    }
    if first_line.starts_with(b"\xFF\xFE") || first_line.starts_with(b"\xFE\xFF") {
        bail!("the file is UTF-16; save it as UTF-8");
    }
    if first_line.starts_with(b"\x1F\x8B") {
        bail!("the file is compressed; run `gzip -dc FILE | portcullis import -`");
    }
    if first_line.trim_ascii_start().starts_with(b"[") {
        bail!(
            "the file is a JSON array; run `jq -c '.[]' FILE | portcullis import -` to get one object per line"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::column::NUMBER_NAMES;
    use super::*;

    #[test]
    fn the_extension_tells() {
        for (name, expected) in [
            ("a.txt", Some(Format::Plain)),
            ("a.CSV", Some(Format::Csv)),
            ("a.tsv", Some(Format::Csv)),
            ("a.b.jsonl", Some(Format::Ndjson)),
            ("a.ndjson", Some(Format::Ndjson)),
            ("a.dat", None),
            ("csv", None),
            ("/dev/stdin", None),
        ] {
            assert_eq!(Format::of_extension(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn else_the_first_line_tells() {
        for (line, expected) in [
            ("+46700000001", Format::Plain),
            ("0046 (70) 000-00.01", Format::Plain),
            ("# numbers, old", Format::Plain),
            ("  {\"number\":\"1\"}", Format::Ndjson),
            ("user:US.13491208655302741918", Format::Plain),
            ("=\"46700000001\"", Format::Plain),
            ("46700000001.0", Format::Plain),
            ("number", Format::Csv),
            ("sep=;", Format::Csv),
            ("46700000001,A", Format::Csv),
            ("46700000001;46700000002", Format::Csv),
        ] {
            assert_eq!(Format::of_line(line.as_bytes()), expected, "{line}");
        }
        for name in NUMBER_NAMES {
            assert_eq!(Format::of_line(name.as_bytes()), Format::Csv, "{name}");
        }
    }

    #[test]
    fn files_of_other_kinds_are_refused_by_name() {
        for (line, expected) in [
            (&b"PK\x03\x04\x14"[..], "zip"),
            (b"\xff\xfen\0u\0", "UTF-16"),
            (b"\x1f\x8b\x08", "compressed"),
            (b" [{\"number\":1}]", "array"),
        ] {
            assert!(refuse_other_files(line).unwrap_err().to_string().contains(expected));
        }
        refuse_other_files(b"+46700000001").unwrap();
    }
}
