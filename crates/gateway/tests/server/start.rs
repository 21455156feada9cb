//! What the log says of a start, and of requests afterwards.

use serde_json::Value;

use super::support::{ACME, Gateway, SERVER, Surroundings, TENANTS};

const INFO: Surroundings = Surroundings { log: "info", open_files: None };

#[test]
fn the_log_says_what_starts_and_what_serves() {
    let gateway = Gateway::start();
    let version = env!("CARGO_PKG_VERSION");
    gateway.until("it says what starts", |gateway| {
        gateway.logged(&format!("starting version=\"{version}\"")) && gateway.logged("pid=")
    });
    gateway.until("it says what serves", |gateway| {
        let (log, url) = (gateway.log(), gateway.url());
        let line = log.lines().find(|line| line.contains(&format!(" ready version=\"{version}\"")));
        line.is_some_and(|line| {
            line.contains(&format!("addresses=\"{url}\" ledger=\"sqlite\" tenants=2 senders=3 lists=5 "))
                && line.contains("configuration=portcullis.toml")
                && line.contains("plugins=\"exact\"")
        })
    });
}

#[test]
fn health_checks_leave_nothing_in_the_log() {
    let gateway = Gateway::within(INFO, &format!("{SERVER}{TENANTS}"));
    gateway.call("GET", "/healthz", "", None);
    gateway.get("/status").ok();
    gateway.until_logged("/portcullis/v1/status");
    let log = gateway.log();
    assert!(!log.contains("/readyz") && !log.contains("/healthz"), "{log}");
}

#[test]
fn the_operator_chooses_which_requests_are_logged() {
    let with = |access_log: &str| {
        let server = SERVER.replace("[storage]", &format!("access_log = \"{access_log}\"\n\n[storage]"));
        let gateway = Gateway::within(INFO, &format!("{server}{TENANTS}"));
        gateway.verdict("+46732001122");
        gateway.get("/status").ok();
        gateway.api("GET", "/status", "", None).error(401, "missing_token");
        // What is logged is written before the end.
        let (log, _folder) = gateway.log_after_the_end();
        let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        [count("/check\" status=200"), count("/status\" status=200"), count("/status\" status=401")]
    };
    assert_eq!(with("off"), [0, 0, 0]);
    assert_eq!(with("errors"), [0, 0, 1]);
    assert_eq!(with("usual"), [0, 1, 1]);
    assert_eq!(with("all"), [1, 1, 1]);
}

#[test]
fn a_line_says_whose_request_it_was() {
    let gateway = Gateway::start();
    gateway.get("/senders/support/entries").ok();
    gateway.api("GET", "/senders/sales/status", "wrong", None).error(401, "invalid_token");
    gateway.call("GET", "/metrics", super::support::ADMIN, None);
    let has = |route: &str, parts: &[&str]| {
        gateway.until("the request is logged", |gateway| {
            let log = gateway.log();
            log.lines().any(|line| line.contains(route) && parts.iter().all(|part| line.contains(part)))
        });
    };
    has(
        "/senders/{sender}/entries",
        &["tenant=acme", "sender=support", "token=token-", "client=127.0.0.1", "bytes="],
    );
    has("/senders/{sender}/status", &["status=401", "reason=invalid_token", "request_id="]);
    has("/metrics", &["token=admin"]);
    gateway.verdict_of("sales", "+46732001122", "inbound");
    has("/senders/{sender}/check", &["status=200", "tenant=acme", "sender=sales", "token=token-"]);
    assert!(!gateway.log().contains(ACME));
}

#[test]
fn lines_in_json_have_the_same_fields() {
    let server = SERVER.replace("[storage]", "log_format = \"json\"\n\n[storage]");
    let gateway = Gateway::with(&format!("{server}{TENANTS}"));
    let answer = gateway.get("/senders/support/entries");
    let id = answer.header("x-request-id");
    gateway.until("the request is logged", |gateway| {
        let log = gateway.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| {
            line["request_id"] == id
                && line["route"] == "/portcullis/v1/senders/{sender}/entries"
                && line["tenant"] == "acme"
                && line["status"] == 200
        })
    });
}
