//! Gateways that are restarted one after the other behind HAProxy, while messages are checked.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, cluster};
use crate::stand::{Reply, Stand};
use crate::support::Gateway;
use crate::{config, folder};

const HAPROXY: &str = "/usr/sbin/haproxy";

/// HAProxy in front of gateways.
struct Balancer {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Balancer {
    fn start(gateways: &[u16]) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let servers: String =
            gateways.iter().map(|port| format!("    server g{port} 127.0.0.1:{port}\n")).collect();
        // As in docs/fleet.md.
        let config = format!(
            "defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    option http-buffer-request
    retries 1
    retry-on conn-failure empty-response 503
frontend gateways
    bind 127.0.0.1:{port}
    http-request disable-l7-retry unless {{ path_beg /portcullis/v1/ }} !{{ path_beg /portcullis/v1/route /portcullis/v1/admin/ }}
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 100ms fall 1 rise 1
{servers}"
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(HAPROXY).arg("-f").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        Balancer { process, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether HAProxy is there. If not, says so, and fails if it is required.
#[expect(clippy::print_stderr, reason = "somebody reads it")]
fn is_there() -> bool {
    let is_there = Path::new(HAPROXY).exists();
    if !is_there {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_HAPROXY").is_none(), "{HAPROXY} is not there");
        eprintln!("SKIPPED: HAProxy is not installed (apt-get install haproxy)");
    }
    is_there
}

/// Checks a number through the balancer. Returns the verdict.
fn check(agent: &ureq::Agent, url: &str, number: &str) -> Result<Value, String> {
    let body = json!({ "number": number, "direction": "inbound" }).to_string();
    let request = agent
        .post(format!("{url}/portcullis/v1/senders/support/check"))
        .header("Authorization", "Bearer acme-secret")
        .header("Content-Type", "application/json");
    let mut answer = request.send(body).map_err(|error| error.to_string())?;
    let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    let other = || format!("{}: {text}", answer.status().as_u16());
    let answer: Value = serde_json::from_str(&text).map_err(|_| other())?;
    answer.get("verdict").cloned().ok_or_else(other)
}

#[test]
fn a_rolling_restart_fails_no_check() {
    if !is_there() {
        return;
    }
    let cluster = Cluster::new();
    let url = cluster.database();
    let ports = [(); 3].map(|()| free_port());
    let mut gateways: Vec<Gateway> = ports
        .iter()
        .enumerate()
        .map(|(n, port)| {
            let config =
                config(&url, &format!("n{n}"), "").replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
            Gateway::in_folder(folder(), &config, if n == 0 { &["--new-ledger"] } else { &[] })
        })
        .collect();
    let (blocked, stranger) = ("+46732001122", "+46732001133");
    gateways[0].block(blocked).ok();
    for gateway in &gateways {
        gateway.until("blocked", |gateway| gateway.verdict(blocked) == "block");
    }
    let balancer = Balancer::start(&ports);
    let agent = || ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    gateways[0].until("balanced", |_| check(&agent(), &balancer.url, blocked).is_ok());

    let (checks, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let wrong: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (agent, mut wrong) = (agent(), Vec::new());
                    while !is_over.load(Ordering::SeqCst) {
                        for (number, verdict) in [(blocked, "block"), (stranger, "allow")] {
                            match check(&agent, &balancer.url, number) {
                                Ok(answer) if answer == verdict => {}
                                other => wrong.push(format!("{other:?}")),
                            }
                            checks.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    wrong
                })
            })
            .collect();
        for gateway in &mut gateways {
            let before = checks.load(Ordering::SeqCst);
            gateway.until("checking", |_| checks.load(Ordering::SeqCst) > before + 200);
            gateway.restart();
            // The balancer uses it again.
            gateway.until("checking", |gateway| gateway.metric("portcullis_checks_total", "") > 0);
        }
        is_over.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), checks.into_inner(), wrong.first());
}

#[test]
fn the_balancer_does_not_repeat_a_message_that_the_next_hop_refuses() {
    if !is_there() {
        return;
    }
    let hop = Stand::start(|_| Reply::Says(503, "text/plain", "later".to_owned()));
    let url = cluster().database();
    let ports = [(); 2].map(|()| free_port());
    let gateways: Vec<Gateway> = ports
        .iter()
        .enumerate()
        .map(|(n, port)| {
            let next_hop = format!("id = \"acme\"\nnext_hops.outbound = \"{}\"", hop.url());
            let config = config(&url, &format!("n{n}"), "").replacen("id = \"acme\"", &next_hop, 1);
            let config = config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
            Gateway::in_folder(folder(), &config, if n == 0 { &["--new-ledger"] } else { &[] })
        })
        .collect();
    let balancer = Balancer::start(&ports);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    gateways[0].until("balanced", |_| check(&agent, &balancer.url, "+46732001133").is_ok());
    let post = |path: &str, body: Value| {
        let request = agent.post(format!("{}/portcullis/v1{path}", balancer.url));
        let request = request.header("Authorization", "Bearer acme-secret");
        request.content_type("application/json").send(body.to_string()).unwrap().status().as_u16()
    };
    let body =
        json!({ "sender": "support", "recipient": "+46732001122", "direction": "outbound", "body": "x" });
    assert_eq!(post("/route", body), 503);
    hop.one();
}
