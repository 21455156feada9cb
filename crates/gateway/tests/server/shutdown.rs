//! Shutdown.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

use portcullis_plugin_bundle::EVIL;
use tempfile::TempDir;

use super::support::{Gateway, LONG, SERVER, SERVICE_MANAGER, TENANTS};

/// Far longer than a test may take.
fn with_a_long_lame_duck() -> String {
    format!("{SERVER}{TENANTS}").replace("lame_duck_seconds = 0", "lame_duck_seconds = 3600")
}

#[test]
fn balancers_are_told_that_a_gateway_stops_while_it_serves_everything() {
    let mut gateway = Gateway::with(&with_a_long_lame_duck());
    gateway.terminate();
    gateway.until("leaving", |gateway| gateway.call("GET", "/readyz", "", None).status == 503);
    let ready = gateway.call("GET", "/readyz", "", None);
    assert_eq!((ready.status, ready.json["status"].as_str()), (503, Some("stopping")));
    assert_eq!(gateway.call("GET", "/healthz", "", None).status, 200);
    gateway.block("+46732001122");
    assert_eq!(gateway.verdict("+46732001122"), "block");
    // The second one no longer waits.
    gateway.terminate();
    assert!(gateway.wait().success());
}

#[test]
fn a_terminal_need_not_wait_for_balancers() {
    let mut gateway = Gateway::with(&with_a_long_lame_duck());
    gateway.signal("-INT");
    assert!(gateway.wait().success());
    assert!(gateway.logged("after SIGTERM only"), "{}", gateway.log());
}

#[test]
fn a_service_manager_is_told_what_the_gateway_is_doing() {
    let folder = TempDir::new().unwrap();
    let socket = UnixDatagram::bind(folder.path().join(SERVICE_MANAGER)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let told_until = |state: &str| {
        let mut all = String::new();
        while !all.lines().any(|line| line == state) {
            let mut message = [0; 4096];
            let length = socket.recv(&mut message).unwrap();
            all.push_str(std::str::from_utf8(&message[..length]).unwrap());
        }
        all
    };
    let mut gateway = Gateway::in_folder(folder, &format!("{SERVER}{TENANTS}"), &[]);
    assert!(told_until("READY=1").contains("EXTEND_TIMEOUT_USEC="));
    gateway.hang_up();
    assert!(told_until("RELOADING=1").contains("MONOTONIC_USEC="));
    told_until("READY=1");
    gateway.terminate();
    assert!(told_until("STOPPING=1").contains("EXTEND_TIMEOUT_USEC=60000000"));
    assert!(gateway.wait().success());
}

#[test]
fn a_request_in_progress_is_finished_and_new_ones_are_refused() {
    let mut gateway = Gateway::start();
    let address = gateway.url().strip_prefix("http://").unwrap().to_owned();
    let body = br#"{"number": "+46732001122"}"#;
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /portcullis/v1/senders/support/entries HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme-secret\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "the request is under way: {line}");

    gateway.terminate();
    gateway.until("closed", |_| TcpStream::connect(&address).is_err());
    stream.write_all(body).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 200") && rest.contains("\"added\""), "{rest}");
    assert!(gateway.wait().success());
}

#[test]
fn idle_connections_do_not_delay_shutdown() {
    let mut gateway = Gateway::start();
    let address = gateway.url().strip_prefix("http://").unwrap().to_owned();
    let _idle: Vec<_> = (0..5).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(gateway.verdict("+46732001122"), "allow");
    gateway.terminate();
    assert!(gateway.wait().success());
}

#[test]
fn a_gateway_can_be_stopped_while_it_applies_the_configuration() {
    let gateway = Gateway::with_plugin(&format!("{SERVER}{TENANTS}"), Some(("evil.wasm", EVIL.component)));
    // It takes two seconds until the plugin is refused, for each of them.
    let stuck = (0..20).map(|n| {
        format!("[[tenants]]\nid = 'stuck-{n}'\nplugin = 'evil'\nplugin_options = {{ mode = 'spin-in-configure' }}\n")
    });
    let config = format!("{SERVER}{TENANTS}{}", stuck.collect::<String>());
    std::fs::write(gateway.folder().join("portcullis.toml"), config).unwrap();
    gateway.hang_up();
    gateway.until("begun", |gateway| gateway.logged("SIGHUP: reloading"));
    let (log, _folder) = gateway.log_after_the_end();
    assert!(!log.contains("applied the configuration file"), "it waited for the last one:\n{log}");
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn a_gateway_can_be_stopped_before_it_is_ready() {
    // It takes two seconds until the plugin is refused.
    let config = format!(
        "{SERVER}[[tenants]]\nid = 'a'\nplugin = 'evil'\nplugin_options = {{ mode = 'spin-in-configure' }}\n"
    );
    let mut starting = Gateway::starting(&config, Some(("evil.wasm", EVIL.component)));
    assert_eq!(starting.call("GET", "/readyz", "", None).status, 503);
    assert_eq!(starting.call("GET", "/healthz", "", None).status, 200);
    starting.get("/status").error(503, "unavailable");
    assert_eq!(starting.get("/status").header("retry-after"), "1");
    starting.terminate();
    assert!(starting.wait().success());
}
