//! Which format a file has.

use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;

use portcullis_api::USER_PREFIX;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A number a line
    Plain,
    /// With a header; fields are separated by comma, semicolon, tab or |, quoted where needed
    Csv,
    /// A JSON object a line
    Ndjson,
}

impl Format {
    /// The format that the name of a file stands for.
    pub(super) fn of_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" => Some(Format::Plain),
            "csv" | "tsv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        }
    }

    /// The format of a text whose first line with something on it is `line`: NDJSON where it begins
    /// with `{`; plain where it is a `user:` id; CSV where it has a letter, as a header has, or a separator of fields; else
    /// plain.
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

/// Refuses what begins as no text in UTF-8 does, by name.
pub(super) fn refuse_other_files(first_line: &[u8]) -> anyhow::Result<()> {
    if first_line.starts_with(b"PK\x03\x04") {
        bail!("it is a zip archive, as .xlsx and .ods files are: save the sheet as CSV");
    }
    if first_line.starts_with(b"\xFF\xFE") || first_line.starts_with(b"\xFE\xFF") {
        bail!("it is UTF-16: save it as UTF-8");
    }
    if first_line.starts_with(b"\x1F\x8B") {
        bail!("it is compressed: `gzip -dc FILE | portcullis import -`");
    }
    if first_line.trim_ascii_start().starts_with(b"[") {
        bail!("it is one JSON array: `jq -c '.[]' FILE | portcullis import -` writes an object a line");
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
