//! A command that prints the master key, such as the client of a key management service.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::master::{KeyError, KeyOrigin, MasterKey};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at whether a command that has printed the key has ended.
const PERIOD: Duration = Duration::from_millis(10);
/// The most bytes that it may print. Two keys have 130.
const MOST: usize = 1024;
/// The most bytes of its standard error that are read, and the most characters of them that are shown.
const MOST_ERROR: usize = 4096;
const SHOWN: usize = 512;
/// A run of so many hexadecimal digits may be part of a key, and is not shown.
const SECRET: usize = 16;

/// A command that prints the master key: 64 hexadecimal digits, or two keys with white space between them while one is exchanged for
/// the other. It is run without a shell, with the environment of this process and without standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCommand {
    program: String,
    arguments: Vec<String>,
    patience: Duration,
}

impl KeyCommand {
    /// The command with this program and these arguments. `None` if there is no program, or if one of them has a zero in it.
    pub fn new(words: &[String]) -> Option<Self> {
        let (program, arguments) = words.split_first()?;
        let is_valid = !program.is_empty() && words.iter().all(|word| !word.contains('\0'));
        is_valid.then(|| KeyCommand {
            program: program.clone(),
            arguments: arguments.to_vec(),
            patience: PATIENCE,
        })
    }

    /// Runs the command, and reads the key. Takes 30 seconds at most: then the command is killed.
    ///
    /// # Errors
    /// [`KeyError::Command`] if it can't be run, fails, takes too long, or prints more than a kilobyte; those of a key that can't be
    /// read. None of them shows what it printed.
    pub fn run(&self) -> Result<MasterKey, KeyError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.failed("can't be run", "", Some(error)))?;
        let deadline = Instant::now() + self.patience;
        let is_over = Arc::<AtomicBool>::default();
        let outcome = self.watch(&mut child, deadline, &is_over);
        is_over.store(true, Ordering::Relaxed);
        if outcome.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        outcome
    }

    fn watch(
        &self,
        child: &mut Child,
        deadline: Instant,
        is_over: &Arc<AtomicBool>,
    ) -> Result<MasterKey, KeyError> {
        let stuck = |error| self.failed("can't be run", "", Some(error));
        let no_pipe = || stuck(io::ErrorKind::BrokenPipe.into());
        let printed = read(child.stdout.take().ok_or_else(no_pipe)?, MOST, None).map_err(stuck)?;
        let said =
            read(child.stderr.take().ok_or_else(no_pipe)?, MOST_ERROR, Some(is_over)).map_err(stuck)?;
        let late = || {
            let what = format!("took longer than {} s", self.patience.as_secs());
            self.failed(what, &so_far(&said), None)
        };
        let text = match printed.recv_timeout(left(deadline)) {
            Ok(text) => text.map_err(stuck)?,
            Err(RecvTimeoutError::Timeout) => return Err(late()),
            Err(RecvTimeoutError::Disconnected) => return Err(no_pipe()),
        };
        if text.len() > MOST {
            let what = format!("printed more than {MOST} bytes: let it print only the key");
            return Err(self.failed(what, "", None));
        }
        let status = loop {
            match child.try_wait().map_err(stuck)? {
                Some(status) => break status,
                None if Instant::now() >= deadline => return Err(late()),
                None => thread::sleep(PERIOD),
            }
        };
        if !status.success() {
            return Err(self.failed(how(status), &so_far(&said), None));
        }
        let origin = KeyOrigin::Command(self.to_string());
        let text =
            std::str::from_utf8(&text).map_err(|_| KeyError::NotHexadecimal { origin: origin.clone() })?;
        MasterKey::parse(text, &origin)
    }

    fn failed(&self, what: impl Into<String>, said: &str, source: Option<io::Error>) -> KeyError {
        let said = match shown(said) {
            said if said.is_empty() => said,
            said => format!("; it said: {said}"),
        };
        KeyError::Command { program: self.to_string(), what: what.into(), said, source }
    }
}

/// The program without its arguments, which may be secret.
impl fmt::Display for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.program))
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What it wrote to its standard error. If a process that it started has that open still, nothing of it is known.
fn so_far(said: &Receiver<io::Result<Zeroizing<Vec<u8>>>>) -> String {
    match said.recv_timeout(Duration::from_millis(200)) {
        Ok(Ok(said)) => String::from_utf8_lossy(&said).into_owned(),
        _ => String::new(),
    }
}

/// Reads on a thread of its own, up to one byte more than `most`, and then closes the pipe. With `discards_until`, what comes after that
/// is read and thrown away until that is set, so that a command that complains at length is not killed for it.
fn read(
    mut pipe: impl Read + Send + 'static,
    most: usize,
    discards_until: Option<&Arc<AtomicBool>>,
) -> io::Result<Receiver<io::Result<Zeroizing<Vec<u8>>>>> {
    let (sender, receiver) = sync_channel(1);
    let discards_until = discards_until.cloned();
    thread::Builder::new().name("key-command".into()).spawn(move || {
        // It never grows, which would leave copies.
        let mut text = Zeroizing::new(Vec::with_capacity(most + 1));
        let read = (&mut pipe).take(most as u64 + 1).read_to_end(&mut text);
        let _ = sender.send(read.map(|_| text));
        let mut rest = [0; 4096];
        while discards_until.as_ref().is_some_and(|is_over| !is_over.load(Ordering::Relaxed)) {
            match pipe.read(&mut rest) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    })?;
    Ok(receiver)
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// A foreign text in one line, shortened, and without what may be part of a key.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut run = String::new();
    let flush = |run: &mut String, shown: &mut String| {
        match run.len() < SECRET {
            true => shown.push_str(run),
            false => shown.push('…'),
        }
        run.clear();
    };
    for character in text.trim().chars().take(MOST_ERROR) {
        if character.is_ascii_hexdigit() {
            run.push(character);
            continue;
        }
        flush(&mut run, &mut shown);
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            character => shown.extend(character.escape_debug()),
        }
    }
    flush(&mut run, &mut shown);
    match shown.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> KeyCommand {
        KeyCommand::new(&["/bin/sh", "-c", script].map(str::to_owned)).unwrap()
    }

    #[test]
    fn a_command_s_output_is_the_key() {
        let key = sh("echo $(printf '1a%.0s' $(seq 32))").run().unwrap();
        assert_eq!(key.in_use(), MasterKey::from_bytes([0x1a; 32]).in_use());
        let key = sh("printf '1a%.0s' $(seq 32); echo; printf '2b%.0s' $(seq 32)").run().unwrap();
        assert_eq!(key.held().len(), 2);
    }

    #[test]
    fn a_command_that_fails_is_named_with_what_it_said_but_not_with_what_it_printed() {
        let digits = "1a".repeat(32);
        let failing = sh(&format!("echo {digits}; echo 'no such key: \x1b[31m {digits} at kms' >&2; exit 3"));
        let error = failing.run().unwrap_err().to_string();
        assert!(error.contains("/bin/sh ended with exit code 3; it said: no such key: "), "{error}");
        assert!(error.contains("… at kms") && !error.contains('\x1b') && !error.contains("1a1a"), "{error}");
        let error = sh(&format!("echo {digits}00")).run().unwrap_err();
        assert!(matches!(&error, KeyError::Length { found: 66, .. }), "{error}");
        assert!(!error.to_string().contains("1a1a") && error.to_string().contains("/bin/sh"), "{error}");
        let error = sh("kill -9 $$").run().unwrap_err().to_string();
        assert!(error.contains("killed by signal 9"), "{error}");
        let missing = KeyCommand::new(&["/nowhere/kms".to_owned()]).unwrap();
        assert!(missing.run().unwrap_err().to_string().contains("/nowhere/kms can't be run"));
    }

    #[test]
    fn a_command_is_bounded_in_time_and_output() {
        let slow = KeyCommand { patience: Duration::from_millis(50), ..sh("exec sleep 600") };
        let error = slow.run().unwrap_err().to_string();
        assert!(error.contains("took longer than"), "{error}");
        let error = sh("yes").run().unwrap_err().to_string();
        assert!(error.contains("printed more than 1024 bytes"), "{error}");
        let noisy = sh("yes | head -c 1000000 >&2; exit 1").run().unwrap_err().to_string();
        assert!(noisy.len() < 1000 && noisy.ends_with('…'), "{noisy}");
    }

    #[test]
    fn a_command_has_a_program() {
        for words in [vec![], vec![String::new()], vec!["a\0b".to_owned()]] {
            assert_eq!(KeyCommand::new(&words), None);
        }
    }
}
