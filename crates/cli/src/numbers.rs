//! The numbers that `check`, `block` and `unblock` take: from arguments, or from standard input.

use std::fmt::{self, Write as _};
use std::io::{self, BufReader, Stdin};

use anyhow::{Context as _, bail};
use clap::Args;

use super::client::Error;
use super::foreign_text::ForeignText;
use super::lines::Lines;

/// The numbers that a command takes.
#[derive(Args)]
pub(super) struct NumberOptions {
    /// Numbers such as +46700000001, or national numbers of the tenant's default region; `-` reads
    /// one per line from standard input (empty lines and lines that start with # are skipped)
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<String>,
}

/// A number as it was typed.
pub(super) struct Given {
    pub(super) text: String,
    place: Position,
}

/// The position of a number. Messages name it instead of the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Among the arguments, counted from 1.
    Argument(usize),
    /// In standard input, counted from 1.
    Line(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Argument(count) => write!(f, "number {count}"),
            Position::Line(line) => write!(f, "line {line}"),
        }
    }
}

impl NumberOptions {
    /// Yields the numbers in order. Standard input is read lazily.
    pub(super) fn read(self) -> impl Iterator<Item = anyhow::Result<Given>> {
        let mut stdin: Option<Lines<BufReader<Stdin>>> = None;
        let mut arguments = self.numbers.into_iter().enumerate();
        std::iter::from_fn(move || {
            loop {
                if let Some(lines) = &mut stdin {
                    match next_line(lines) {
                        Ok(None) => stdin = None,
                        line => return line.transpose(),
                    }
                }
                let (index, text) = arguments.next()?;
                if text != "-" {
                    return Some(Ok(Given { text, place: Position::Argument(index + 1) }));
                }
                stdin = Some(Lines::new(BufReader::new(io::stdin())));
            }
        })
    }
}

fn next_line(lines: &mut Lines<BufReader<Stdin>>) -> anyhow::Result<Option<Given>> {
    while let Some(line) = lines.next().context("reading standard input")? {
        let Some(text) = line.bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            bail!("line {} of standard input is too long, or not UTF-8", line.number);
        };
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            return Ok(Some(Given { text: text.to_owned(), place: Position::Line(line.number) }));
        }
    }
    Ok(None)
}

/// How many refused numbers a message lists.
const MOST_NAMED: usize = 20;

/// Turns `error` into a message that lists which of the numbers `sent` were refused and why, if the
/// gateway said so.
pub(super) fn explained(sent: &[Given], error: Error) -> anyhow::Error {
    let Error::Refused(refusal) = &error else { return error.into() };
    let invalid: Vec<(usize, &str)> = refusal.invalid().collect();
    if invalid.is_empty() {
        return error.into();
    }
    let mut message = "nothing was done, because some entries are invalid:".to_owned();
    for (index, reason) in invalid.iter().take(MOST_NAMED) {
        if let Some(number) = sent.get(*index) {
            _ = write!(message, "\n  {}: {}", number.place, ForeignText(reason));
        }
    }
    if invalid.len() > MOST_NAMED {
        message.push_str("\n  … and more");
    }
    anyhow::Error::msg(message)
}

#[cfg(test)]
mod tests {
    use super::super::client::Refusal;
    use super::*;

    #[test]
    fn a_refused_number_is_named_by_its_place() {
        let sent = [
            Given { text: "+46700000001".to_owned(), place: Position::Argument(1) },
            Given { text: "0700".to_owned(), place: Position::Line(7) },
        ];
        let refusal = serde_json::from_str(
            r#"{"code":"invalid_number","message":"can't be read","details":[{"index":1,"reason":"begins with 0"},{"index":9,"reason":"r"}]}"#,
        )
        .unwrap();
        let refusal = Refusal { error: refusal, token_from: "--token" };
        let error = explained(&sent, Error::Refused(Box::new(refusal)));
        assert_eq!(
            error.to_string(),
            "nothing was done, because some entries are invalid:\n  line 7: begins with 0"
        );
    }
}
