//! Several addresses, Unix sockets, and an address for administration.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::json;

use super::super::support::{ACME, ADMIN, Gateway, LONG, SERVER, TENANTS, refused_start};
use super::{announced, ask, connect};

const SOCKET: &str = "portcullis.sock";

/// A configuration that listens on these addresses, as TOML.
pub(super) fn listening(addresses: &str) -> String {
    format!("{SERVER}{TENANTS}").replacen("listen = \"127.0.0.1:0\"", addresses, 1)
}

fn both(more: &str) -> String {
    listening(&format!("listen = [\"127.0.0.1:0\", \"unix:{SOCKET}\"]\n{more}"))
}

fn unix(gateway: &Gateway) -> UnixStream {
    let stream = UnixStream::connect(gateway.folder().join(SOCKET)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

#[test]
fn each_address_is_served() {
    let mut gateway = Gateway::with(&both(""));
    let socket = gateway.folder().join(SOCKET);
    assert_eq!(ask(unix(&gateway), "GET /readyz", &[], "").0, 200);
    assert_eq!(gateway.call("GET", "/readyz", "", None).status, 200);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(announced(&gateway, "listening", "unix:"), SOCKET);
    // The file that a killed gateway leaves is replaced.
    gateway.kill_and_restart();
    assert_eq!(ask(unix(&gateway), "GET /healthz", &[], "").0, 200);
    gateway.stop();
    assert!(!socket.exists(), "it removes its file");
}

#[test]
fn the_mode_of_a_unix_socket_can_be_set() {
    let gateway = Gateway::with(&both("unix_socket_mode = \"0600\""));
    let mode = std::fs::metadata(gateway.folder().join(SOCKET)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_unix_socket_of_others_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _others = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let said = refused_start(folder.path(), &both(""));
    assert!(said.contains("somebody listens on this socket"), "{said}");
    assert!(folder.path().join(SOCKET).exists());
}

#[test]
fn a_client_of_a_unix_socket_is_believed_about_its_own_client_only_if_told() {
    let authorization = format!("authorization: Bearer {ACME}");
    let headers = [authorization.as_str(), "x-forwarded-for: 192.0.2.7"];
    let body = json!({ "number": "+46732001122" }).to_string();
    for (setting, expected) in [
        ("", "127.0.0.1"),
        ("trusted_proxies = [\"127.0.0.1\"]", "127.0.0.1"),
        ("trusted_proxies = [\"unix\"]", "192.0.2.7"),
    ] {
        let gateway = Gateway::with(&both(setting));
        let path = "POST /portcullis/v1/senders/support/entries";
        let (status, said) = ask(unix(&gateway), path, &headers, &body);
        assert_eq!(status, 200, "{said}");
        let history = gateway.get("/senders/support/history");
        assert_eq!(history.ok()["records"][0]["actor"]["address"], expected, "{setting}");
    }
}

#[test]
fn clients_of_unix_sockets_are_not_limited_by_address() {
    let limits = "\n[limits]\nmax_connections = 100\nmax_connections_per_address = 4\n";
    let gateway = Gateway::with(&format!("{}{limits}", both("")));
    let connections: Vec<UnixStream> = (0..8).map(|_| unix(&gateway)).collect();
    for connection in connections {
        assert_eq!(ask(connection, "GET /healthz", &[], "").0, 200);
    }
}

#[test]
fn metrics_and_the_admin_api_can_have_an_address_of_their_own() {
    let gateway = Gateway::with(&listening("listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\""));
    let admin = announced(&gateway, "listening for administration", "http://");
    let authorization = format!("authorization: Bearer {ADMIN}");
    let of_admin = |path: &str| ask(connect(&admin), &format!("GET {path}"), &[&authorization], "").0;
    for (path, of_clients, of_operators) in [
        ("/metrics", 404, 200),
        ("/portcullis/v1/admin/tenants", 404, 200),
        ("/portcullis/v1/%61dmin/tenants", 404, 404),
        ("//metrics", 404, 404),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/portcullis/v1/openapi.json", 200, 404),
    ] {
        assert_eq!(gateway.call("GET", path, ADMIN, None).status, of_clients, "{path}");
        assert_eq!(of_admin(path), of_operators, "{path} for operators");
    }
    let check = json!({ "number": "+46732001122", "direction": "inbound" }).to_string();
    let authorization = format!("authorization: Bearer {ACME}");
    let path = "POST /portcullis/v1/senders/support/check";
    assert_eq!(ask(connect(&admin), path, &[&authorization], &check).0, 404);
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}

#[test]
fn health_checks_can_be_kept_from_clients() {
    let config = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nhealth_on_listen = false";
    let gateway = Gateway::starting(&listening(config), None);
    let admin = announced(&gateway, "listening for administration", "http://");
    gateway.until("ready", |_| ask(connect(&admin), "GET /readyz", &[], "").0 == 200);
    assert_eq!(gateway.call("GET", "/readyz", "", None).status, 404);
    assert_eq!(gateway.verdict("+46732001122"), "allow");
}
