//! What one tenant can do to another: its checks alone, and beside a neighbour with a slow plugin, slow writes, searches
//! that it abandons, plugins that are expensive to compile, and answers that it does not read.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, ensure};
use portcullis_plugin_bundle::{EVIL, EXACT};
use serde_json::{Value, json};

use crate::gateway::{Gateway, SERVER, configure};
use crate::record;
use crate::results::Results;

const SECONDS: &str = "4";
const CONNECTIONS: usize = 64;
const READERS: usize = 140;
const ENTRIES: u64 = 100_000;

const TENANTS: &str = r#"
[[tenants]]
id = "quiet"
tokens = ["quiet-secret"]
[[tenants.senders]]
id = "support"
[[tenants]]
id = "slow-check"
tokens = ["slow-check-secret"]
plugin = "evil"
plugin_options = { mode = "slow-check" }
[[tenants.senders]]
id = "support"
[[tenants]]
id = "slow-block"
tokens = ["slow-block-secret"]
plugin = "evil"
plugin_options = { mode = "slow-block" }
[[tenants.senders]]
id = "support"
[[tenants]]
id = "long"
tokens = ["long-secret"]
[[tenants.senders]]
id = "support"
number = "46700000009"
phone_number_id = "106540352242999"
"#;

/// Something that goes on until it is dropped.
struct Nuisance {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    processes: Vec<Child>,
}

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("plugins"))?;
    std::fs::write(folder.path().join("plugins/evil.wasm"), EVIL.component)?;
    configure(folder.path(), &format!("{SERVER}{TENANTS}"))?;
    {
        let ledger = record::open(folder.path())?;
        record::block(&record::list(&ledger, "long", "support")?, ENTRIES)?;
        record::block(&record::list(&ledger, "quiet", "support")?, 64_000)?;
    }
    let gateway = Gateway::ready(folder.path())?;
    type Start = fn(&Gateway) -> anyhow::Result<Nuisance>;
    let nuisances: [(&str, Start); 5] = [
        ("slow-checks", slow_checks),
        ("slow-writes", slow_writes),
        ("abandoned-searches", abandoned_searches),
        ("compile-bombs", compile_bombs),
        ("unread-answers", unread_answers),
    ];
    let mut before = load(&gateway)?;
    for (name, start) in nuisances {
        let nuisance = start(&gateway)?;
        let beside = load(&gateway)?;
        drop(nuisance);
        // The baseline is measured before and after, because the machine is shared.
        let after = load(&gateway)?;
        let rate = beside.rate / before.rate.midpoint(after.rate);
        let p99 = beside.p99 / before.p99.midpoint(after.p99);
        results.put(&format!("neighbours/{name}/rate"), rate);
        results.put(&format!("neighbours/{name}/p99"), p99);
        before = after;
    }
    gateway.stop()
}

struct Load {
    rate: f64,
    p99: f64,
}

/// The quiet tenant's checks, on as many connections as possible.
fn load(gateway: &Gateway) -> anyhow::Result<Load> {
    let output = checks(gateway, "quiet-secret", SECONDS)?.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the load tool failed");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let value = |name: &str| report[name].as_f64().with_context(|| format!("no {name} in the report"));
    ensure!(value("refused")? == 0.0, "checks of the quiet tenant were refused");
    Ok(Load { rate: value("requests")?, p99: value("p99")? })
}

fn checks(gateway: &Gateway, token: &str, seconds: &str) -> anyhow::Result<Command> {
    let program = std::env::current_exe()?.with_file_name("portcullis-load");
    let mut command = Command::new(program);
    command
        .args(["--url", gateway.url(), "--token", token, "--seconds", seconds, "--json"])
        .args(["--connections", &CONNECTIONS.to_string()]);
    Ok(command)
}

fn slow_checks(gateway: &Gateway) -> anyhow::Result<Nuisance> {
    let load = checks(gateway, "slow-check-secret", "60")?.stdout(Stdio::null()).spawn()?;
    Ok(Nuisance::new().with(load))
}

fn slow_writes(gateway: &Gateway) -> anyhow::Result<Nuisance> {
    let mut nuisance = Nuisance::new();
    for writer in 0..CONNECTIONS as u64 {
        let body = move |n: u64| json!({ "number": record::number(writer * 1_000_000 + n) }).to_string();
        nuisance.repeat(gateway, move |connection, n| {
            request(
                connection,
                "POST",
                "/portcullis/v1/senders/support/entries",
                "slow-block-secret",
                &body(n),
            )?;
            answered(connection)
        });
    }
    Ok(nuisance)
}

fn abandoned_searches(gateway: &Gateway) -> anyhow::Result<Nuisance> {
    let mut nuisance = Nuisance::new();
    for _ in 0..CONNECTIONS {
        nuisance.repeat(gateway, |connection, n| {
            let path = format!("/api/v2/message-blacklist?senderId=46700000009&search=nobody{n}");
            request(connection, "GET", &path, "long-secret", "")?;
            // The server has begun when the next one is sent, on a new connection. More often, this program and the kernel's
            // connections would take the processors, not the searches.
            thread::sleep(std::time::Duration::from_millis(20));
            Err(std::io::ErrorKind::ConnectionReset.into())
        });
    }
    Ok(nuisance)
}

fn compile_bombs(gateway: &Gateway) -> anyhow::Result<Nuisance> {
    let mut nuisance = Nuisance::new();
    for uploader in 0..4 {
        let component = bomb();
        nuisance.repeat(gateway, move |connection, _| {
            let path = format!("/portcullis/v1/admin/plugins/bomb-{uploader}");
            let head = format!(
                "PUT {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer admin-secret\r\n\
                 Content-Type: application/wasm\r\nContent-Length: {}\r\n\r\n",
                component.len()
            );
            connection.write_all(head.as_bytes())?;
            connection.write_all(&component)?;
            answered(connection)
        });
    }
    Ok(nuisance)
}

fn unread_answers(gateway: &Gateway) -> anyhow::Result<Nuisance> {
    let mut nuisance = Nuisance::new();
    for _ in 0..READERS {
        nuisance.repeat(gateway, |connection, _| {
            // Until the server no longer takes requests, as its answers are not read.
            request(connection, "GET", "/portcullis/v1/senders/support/entries?limit=1000", "long-secret", "")
        });
    }
    Ok(nuisance)
}

/// A plugin with a core module that takes gigabytes to compile: loops that pass 32 values, one after the other.
fn bomb() -> Vec<u8> {
    const LOOPS: usize = 2000;
    const VALUES: usize = 32;
    let types =
        [&[0x60, 1, 0x7f, 0][..], &[&[0x60, 32][..], &[0x7f; VALUES], &[32], &[0x7f; VALUES]].concat()]
            .concat();
    let mut code = vec![0];
    for _ in 0..VALUES {
        code.extend([0x20, 0]);
    }
    for _ in 0..LOOPS {
        code.extend([0x03, 1, 0x20, 0, 0x0d, 0, 0x0b]);
    }
    code.extend([0x1a; VALUES]);
    code.push(0x0b);
    let section = |id: u8, items: u8, content: &[u8]| {
        let mut section = vec![id];
        section.extend(leb(content.len() + 1));
        section.push(items);
        section.extend(content);
        section
    };
    let body = [leb(code.len()), code].concat();
    let module =
        [b"\0asm\x01\0\0\0".to_vec(), section(1, 2, &types), section(3, 1, &[0]), section(10, 1, &body)]
            .concat();
    [EXACT.component.to_vec(), vec![1], leb(module.len()), module].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn request(
    connection: &mut TcpStream,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> std::io::Result<()> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes())
}

/// Reads something of the answer. The rest is in the same packet, or does not matter.
fn answered(connection: &mut TcpStream) -> std::io::Result<()> {
    use std::io::Read as _;

    match connection.read(&mut [0; 64 << 10])? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

impl Nuisance {
    fn new() -> Self {
        Nuisance { stop: Arc::default(), threads: Vec::new(), processes: Vec::new() }
    }

    fn with(mut self, process: Child) -> Self {
        self.processes.push(process);
        self
    }

    /// Repeats a step on a connection, and on a new one after an error.
    fn repeat(
        &mut self,
        gateway: &Gateway,
        step: impl Fn(&mut TcpStream, u64) -> std::io::Result<()> + Send + 'static,
    ) {
        let address = gateway.url().trim_start_matches("http://").to_owned();
        let stop = Arc::clone(&self.stop);
        self.threads.push(thread::spawn(move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let Ok(mut connection) = TcpStream::connect(&address) else { continue };
                let patience = Some(std::time::Duration::from_millis(500));
                let _ = connection.set_read_timeout(patience).and(connection.set_write_timeout(patience));
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match step(&mut connection, n) {
                        Ok(()) => {}
                        // Blocked, as it is meant to be.
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => break,
                    }
                }
            }
        }));
    }
}

impl Drop for Nuisance {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
