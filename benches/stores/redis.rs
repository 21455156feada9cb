//! A minimal Redis client. It costs less than any client library, to Redis's advantage.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, bail};

use crate::{LIST, Store, unreachable};

pub(crate) struct Redis {
    answers: BufReader<Box<dyn Read>>,
    commands: Box<dyn Write>,
    is_together: bool,
    text: String,
    line: Vec<u8>,
}

impl Redis {
    /// One command per number. All commands of a batch are sent before the first response is read.
    pub(crate) fn one_by_one(at: &str) -> anyhow::Result<Self> {
        Self::open(at, false)
    }

    /// One command for all numbers of a batch.
    pub(crate) fn together(at: &str) -> anyhow::Result<Self> {
        Self::open(at, true)
    }

    fn open(at: &str, is_together: bool) -> anyhow::Result<Self> {
        let (answers, commands): (Box<dyn Read>, Box<dyn Write>) = if at.starts_with('/') {
            let stream = UnixStream::connect(at).with_context(|| unreachable(at))?;
            (Box::new(stream.try_clone()?), Box::new(stream))
        } else {
            let stream = TcpStream::connect(at).with_context(|| unreachable(at))?;
            stream.set_nodelay(true)?;
            (Box::new(stream.try_clone()?), Box::new(stream))
        };
        Ok(Redis {
            answers: BufReader::new(answers),
            commands,
            is_together,
            text: String::new(),
            line: Vec::new(),
        })
    }

    fn command(&mut self, name: &str, numbers: &[u64]) -> anyhow::Result<()> {
        write!(
            self.text,
            "*{}\r\n${}\r\n{name}\r\n${}\r\n{LIST}\r\n",
            numbers.len() + 2,
            name.len(),
            LIST.len()
        )?;
        for number in numbers {
            // All numbers have 11 digits.
            write!(self.text, "$11\r\n{number}\r\n")?;
        }
        Ok(())
    }

    /// Reads a response that is an integer, or the length of an array.
    fn integer(&mut self, kind: u8) -> anyhow::Result<u64> {
        self.line.clear();
        self.answers.read_until(b'\n', &mut self.line)?;
        let text = String::from_utf8_lossy(&self.line);
        match text.trim_end().split_at_checked(1) {
            Some((found, integer)) if found.as_bytes() == [kind] => Ok(integer.parse()?),
            _ => bail!("unexpected response from Redis: {:?}", text.trim_end()),
        }
    }
}

impl Store for Redis {
    fn blocked(&mut self, numbers: &[u64]) -> anyhow::Result<u64> {
        self.text.clear();
        if self.is_together {
            self.command("SMISMEMBER", numbers)?;
        } else {
            numbers.iter().try_for_each(|number| self.command("SISMEMBER", std::slice::from_ref(number)))?;
        }
        self.commands.write_all(self.text.as_bytes())?;
        if self.is_together {
            self.integer(b'*')?;
        }
        let mut blocked = 0;
        for _ in numbers {
            blocked += self.integer(b':')?;
        }
        Ok(blocked)
    }
}
