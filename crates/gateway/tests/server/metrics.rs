//! `GET /metrics`: its formats, and what Prometheus's own tool says of it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::json;
use ureq::http::Request;

use super::support::{ADMIN, Gateway, SERVER, TENANTS};

const PROMTOOL: &str = "/usr/bin/promtool";

/// What promtool says of metrics; nothing if they are in order. `None` if it is not installed, and not required.
fn problems(metrics: &str) -> Option<String> {
    if !Path::new(PROMTOOL).exists() {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_PROMTOOL").is_none(), "{PROMTOOL} is not there");
        let _ = writeln!(std::io::stderr(), "SKIPPED: no promtool is installed (apt-get install prometheus)");
        return None;
    }
    let mut tool = Command::new(PROMTOOL)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    Some(said)
}

/// A gateway that has counted something of most kinds.
fn busy() -> Gateway {
    // Nobody listens on the port of the next hop.
    let tenants = TENANTS.replace(
        "default_region = \"SE\"",
        "default_region = \"SE\"\nnext_hops = { outbound = \"http://127.0.0.1:1/\" }",
    );
    let gateway = Gateway::with(&format!("{SERVER}{tenants}"));
    gateway.block("+46732001122");
    gateway.verdict("+46732001122");
    gateway.get("/nothing");
    let message =
        json!({ "sender": "support", "recipient": "+46732002244", "direction": "outbound", "body": "Hello" });
    gateway.post("/route", message).error(502, "next_hop_failed");
    gateway.api("POST", "/admin/tenants/acme/plugin", ADMIN, Some(json!({}))).ok();
    gateway
}

#[test]
fn promtool_finds_nothing_wrong() {
    let gateway = busy();
    for path in ["/metrics", "/metrics?lists=all"] {
        let metrics = gateway.call("GET", path, ADMIN, None).text;
        let Some(problems) = problems(&metrics) else { return };
        assert_eq!(problems, "", "{metrics}");
    }
    // The tool does find problems.
    let wrong = "# HELP checks Checks.\n# TYPE checks counter\nchecks 1\n";
    assert!(problems(wrong).unwrap().contains("_total"));
}

#[test]
fn what_happens_is_counted() {
    let gateway = busy();
    let metrics = gateway.metrics();
    for line in [
        r#"portcullis_http_requests_total{route="/portcullis/v1/senders/{sender}/check",method="POST",status_class="2xx"} 1"#,
        r#"portcullis_http_request_duration_seconds_count{route="/portcullis/v1/senders/{sender}/check",method="POST"} 1"#,
        r#"portcullis_http_requests_total{route="/portcullis/v1/route",method="POST",status_class="5xx"} 1"#,
        r#"portcullis_refused_requests_total{status="404",reason="not_found"} 1"#,
        r#"portcullis_refused_requests_total{status="502",reason="next_hop_failed"} 1"#,
        r#"portcullis_outgoing_request_duration_seconds_count{to="next_hop",outcome="unreachable"} 1"#,
        r#"portcullis_lists{state="serving"} 5"#,
        "portcullis_tenants 2",
        "portcullis_events_pending_changes 0",
        r#"portcullis_configuration_reloads_total{outcome="applied"} 0"#,
    ] {
        assert!(metrics.lines().any(|there| there == line), "{line} is not in:\n{metrics}");
    }
    let value = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in:\n{metrics}")).parse::<f64>().unwrap()
    };
    assert!(value("portcullis_ledger_commits_total") >= 1.0);
    assert!(value("portcullis_ledger_commit_duration_seconds_count") >= 1.0);
    assert!(value("portcullis_ledger_commit_rows_count") >= 1.0);
    assert!(value("portcullis_ledger_log_bytes") > 0.0);
    assert!(value("portcullis_start_duration_seconds") > 0.0);
    assert!(value("portcullis_configuration_last_applied_timestamp_seconds") > 1.7e9);
    assert!(value("portcullis_runtime_threads") >= 1.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") >= 64.0);
    assert!(value("process_start_time_seconds") > 1.7e9);
    let build = format!("portcullis_build_info{{version=\"{}\",revision=", env!("CARGO_PKG_VERSION"));
    assert!(metrics.contains(&build), "{metrics}");
}

#[test]
fn reloads_of_the_configuration_are_counted() {
    let gateway = Gateway::start();
    let count = |outcome: &str| gateway.metric("portcullis_configuration_reloads_total", outcome);
    gateway.hang_up();
    gateway.until("it is applied", |_| count("applied") == 1);
    std::fs::write(gateway.folder().join("portcullis.toml"), "nothing").unwrap();
    gateway.hang_up();
    gateway.until("it is refused", |_| count("failed") == 1);
    assert_eq!(count("applied"), 1);
}

#[test]
fn prometheus_gets_what_it_asks_for() {
    let gateway = Gateway::start();
    // A counter appears with its first event.
    gateway.verdict("+46732001122");
    let get = |headers: &[(&str, &str)]| {
        let mut request = Request::get(format!("{}/metrics", gateway.url()))
            .header("authorization", format!("Bearer {ADMIN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gateway.bytes(request.body(()).unwrap())
    };
    let (headers, plain) = get(&[]);
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let plain = String::from_utf8(plain).unwrap();
    assert!(
        plain.contains("# TYPE portcullis_checks_total counter\n") && !plain.contains("# EOF"),
        "{plain}"
    );
    let (headers, open) = get(&[("accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")]);
    assert_eq!(headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let open = String::from_utf8(open).unwrap();
    assert!(open.contains("# TYPE portcullis_checks counter\n") && open.ends_with("# EOF\n"), "{open}");
    let (headers, compressed) = get(&[("accept-encoding", "gzip")]);
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    GzDecoder::new(&compressed[..]).read_to_string(&mut text).unwrap();
    assert!(text.starts_with("# HELP portcullis_") && compressed.len() * 3 < text.len(), "{text}");
}
