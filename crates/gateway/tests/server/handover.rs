//! Another process takes over from a running gateway.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use portcullis_plugin_bundle::EVIL;
use serde_json::{Value, json};

use super::support::{ACME, Gateway, LONG, SERVER, TENANTS, refused_start_with};
use super::traffic::{PHONE_ID, Scene};

/// A client that keeps its connection, or makes one for each request.
struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    fn new(url: &str, keeps: bool) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LONG));
        let config = if keeps { config } else { config.max_idle_connections(0) };
        Client { agent: config.build().new_agent(), url: url.to_owned() }
    }

    /// The answer to a request, which must be 200.
    fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {ACME}"));
        let mut answer = request.content_type("application/json").send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    fn verdict(&self, number: &str) -> Value {
        let body = json!({ "number": number, "direction": "outbound" });
        self.post("/portcullis/v1/senders/support/check", &body)["verdict"].clone()
    }

    fn block(&self, number: &str) {
        self.post("/portcullis/v1/senders/support/entries", &json!({ "number": number }));
    }

    fn send(&self, to: &str, text: &str) {
        let body =
            json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": text } });
        self.post(&format!("/v25.0/{PHONE_ID}/messages"), &body);
    }
}

/// A number that nobody blocks.
const STRANGER: &str = "+46732009999";

#[test]
fn no_request_fails_or_is_done_twice_or_is_answered_wrongly_while_another_process_takes_over() {
    let mut scene = Scene::good();
    let url = scene.gateway.url().to_owned();
    let (ends, checks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (blocked, sent) = (Mutex::new(Vec::<String>::new()), Mutex::new(Vec::<String>::new()));
    let goes_on = || !ends.load(Ordering::SeqCst);
    let before = thread::scope(|scope| {
        for n in 0..4 {
            let (url, goes_on, blocked, checks) = (&url, &goes_on, &blocked, &checks);
            scope.spawn(move || {
                let client = Client::new(url, n % 2 == 0);
                while goes_on() {
                    let known = blocked.lock().unwrap().last().cloned();
                    assert_eq!(client.verdict(STRANGER), "allow");
                    // Whoever acknowledged it, each later check sees it.
                    if let Some(known) = known {
                        assert_eq!(client.verdict(&known), "block", "{known}");
                    }
                    checks.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for n in 0..2 {
            let (url, goes_on, blocked, sent) = (&url, &goes_on, &blocked, &sent);
            scope.spawn(move || {
                let client = Client::new(url, n == 0);
                for number in (0..1000).map(|i| format!("+4673200{n}{i:03}")).take_while(|_| goes_on()) {
                    client.block(&number);
                    blocked.lock().unwrap().push(number.clone());
                    assert_eq!(client.verdict(&number), "block", "{number}");
                }
            });
            scope.spawn(move || {
                let client = Client::new(url, n == 0);
                for text in (0..).map(|i| format!("message {n} {i}")).take_while(|_| goes_on()) {
                    client.send(STRANGER, &text);
                    sent.lock().unwrap().push(text);
                }
            });
        }
        let more = |count: &dyn Fn() -> usize| {
            let now = count();
            while count() < now + 20 {
                thread::yield_now();
            }
        };
        let all = || {
            more(&|| checks.load(Ordering::SeqCst));
            more(&|| blocked.lock().unwrap().len());
            more(&|| sent.lock().unwrap().len());
        };
        all();
        let first = scene.gateway.take_over();
        all();
        let second = scene.gateway.take_over();
        all();
        ends.store(true, Ordering::SeqCst);
        [first, second]
    });
    let mut messages = HashMap::<String, usize>::new();
    for message in scene.upstream.received() {
        *messages.entry(message.json()["text"]["body"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let sent = sent.into_inner().unwrap();
    assert_eq!(messages.len(), sent.len());
    assert!(sent.iter().all(|text| messages.get(text) == Some(&1)), "{messages:?}");
    for number in blocked.into_inner().unwrap() {
        assert_eq!(scene.gateway.verdict(&number), "block", "{number}");
    }
    for before in before {
        let log = before.log_after_the_end();
        assert!(log.contains("handed over") && !log.contains("could not be relayed"), "{log}");
    }
    // Nothing of the ledger's files is amiss.
    scene.gateway.restart();
    assert_eq!(scene.gateway.verdict(STRANGER), "allow");
}

#[test]
fn a_gateway_goes_on_if_the_other_one_is_configured_wrongly() {
    let mut gateway = Gateway::start();
    let good = std::fs::read_to_string(gateway.folder().join("portcullis.toml")).unwrap();
    let bad = good.replace("[plugins]", "[plugins]\nno_such_setting = 1");
    refused_start_with(gateway.folder(), &bad, &["--take-over"]);
    gateway.block("+46732001122");
    assert_eq!(gateway.verdict("+46732001122"), "block");
    std::fs::write(gateway.folder().join("portcullis.toml"), good).unwrap();
    gateway.take_over().kill();
    assert_eq!(gateway.verdict("+46732001122"), "block");
}

#[test]
fn a_gateway_goes_on_if_the_other_one_fails_with_the_ledger() {
    let good = format!("{SERVER}{TENANTS}");
    let gateway = Gateway::with_plugin(&good, Some(("evil.wasm", EVIL.component)));
    gateway.block("+46732001122");
    // It fails once the ledger is open.
    let bad = format!(
        "{}{TENANTS}[[tenants]]\nid = 'a'\nplugin = 'evil'\nplugin_options = {{ mode = 'spin-in-configure' }}\n",
        SERVER.replace("[plugins]", "[plugins]\non_start_failure = \"refuse\"")
    );
    refused_start_with(gateway.folder(), &bad, &["--take-over"]);
    std::fs::write(gateway.folder().join("portcullis.toml"), good).unwrap();
    // From memory, or from the process that was started in its place.
    assert_eq!(gateway.verdict("+46732001122"), "block");
    assert_eq!(gateway.verdict(STRANGER), "allow");
    // Held until then.
    gateway.block("+46732002244");
    assert_eq!(gateway.verdict("+46732002244"), "block");
    gateway.until_logged("another process has taken over");
    end(last_started(&gateway));
}

#[test]
fn a_signal_starts_the_installed_program_in_its_place() {
    let gateway = Gateway::start();
    gateway.block("+46732001122");
    gateway.signal("-USR2");
    gateway.until_logged("another process has taken over");
    assert_eq!(gateway.verdict("+46732001122"), "block");
    gateway.block("+46732002244");
    end(last_started(&gateway));
}

#[test]
fn a_process_that_has_taken_over_does_without_the_one_before() {
    let mut gateway = Gateway::start();
    gateway.block("+46732001122");
    for _ in 0..3 {
        gateway.take_over().kill();
        gateway.until("serving", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
        assert_eq!(gateway.verdict("+46732001122"), "block");
    }
    gateway.block("+46732002244");
    gateway.kill_and_restart();
    assert_eq!(gateway.verdict("+46732002244"), "block");
}

#[test]
fn a_gateway_that_finds_none_to_take_over_from_starts_as_usual() {
    let mut gateway = Gateway::start();
    gateway.stop();
    gateway.run_again_with(&["--take-over"]);
    gateway.until_logged("no gateway is running to take over from");
    gateway.block("+46732001122");
}

#[test]
fn nobody_can_take_over_if_the_socket_is_off() {
    let config = format!("{SERVER}{TENANTS}").replace("[storage]", "hand_over_socket = \"off\"\n[storage]");
    let gateway = Gateway::with(&config);
    let said = refused_start_with(gateway.folder(), &config, &["--take-over"]);
    assert!(said.contains("server.hand_over_socket"), "{said}");
    assert!(!gateway.folder().join("portcullis.hand-over").exists());
}

/// The id of the process that the gateway started last.
fn last_started(gateway: &Gateway) -> String {
    let log = gateway.log();
    let line = log.lines().rfind(|line| line.contains("a process was started that is to take over")).unwrap();
    let (_, after) = line.split_once("pid=").unwrap();
    after.chars().take_while(char::is_ascii_digit).collect()
}

/// Ends a process that has the same log as the gateway.
fn end(pid: String) {
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
}
