//! Registries that attack those who ask them.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use super::super::support::{Gateway, refused_start};
use super::keys::Keys;
use super::registry::{USER_IN_BASE64, head_of, log_in};
use super::sources::{config, last};

/// An answer that ends with this never ends: spaces follow.
const WITHOUT_END: &str = "…";

/// A server that answers each request as it is told to.
struct Hostile {
    host: String,
    /// The heads of the requests so far, in lower case.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    /// Listens at an address. `answer` gets the server's own host and port, and the path of the request.
    fn at(address: &str, answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (own, seen, answer) = (host.clone(), Arc::clone(&heads), Arc::new(answer));
        // Ends with the tests' process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (own, seen, answer) = (own.clone(), Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    // A client that goes away is what is hoped for.
                    let _ = reply(client, &seen, |path| answer(&own, path));
                });
            }
        });
        Hostile { host, heads }
    }

    fn source(&self) -> String {
        format!("oci://{}/acme/vip@sha256:{}", self.host, "0".repeat(64))
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The head of the first request for a path that begins so.
    fn head(&self, path: &str) -> Option<String> {
        let begins = format!("get {path}");
        self.heads().into_iter().find(|head| head.starts_with(&begins))
    }
}

fn reply(
    mut client: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: impl Fn(&str) -> String,
) -> std::io::Result<()> {
    let Some(head) = head_of(&client)? else { return Ok(()) };
    let text = answer(head.split(' ').nth(1).unwrap_or_default());
    seen.lock().unwrap().push(head.to_lowercase());
    let Some(beginning) = text.strip_suffix(WITHOUT_END) else { return client.write_all(text.as_bytes()) };
    client.write_all(beginning.as_bytes())?;
    loop {
        client.write_all(&[b' '; 64 << 10])?;
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn without_end() -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{WITHOUT_END}")
}

fn unauthorized(challenge: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\nwww-authenticate: {challenge}\r\ncontent-length: 0\r\n\r\n"
    )
}

fn ask_for_token(realm: &str) -> String {
    unauthorized(&format!("Bearer realm=\"{realm}\",service=\"hostile\""))
}

fn redirect(to: &str) -> String {
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
    )
}

fn gateway(registry: &Hostile) -> Gateway {
    let folder = TempDir::new().unwrap();
    log_in(folder.path(), &registry.host);
    Gateway::in_folder(folder, &config(&registry.source(), &Keys::new("acme").trusted()), &[])
}

#[test]
fn a_token_that_no_header_can_have_is_an_error_and_is_asked_for_again() {
    let registry = Hostile::at("127.0.0.1", |own, path| match path.starts_with("/token") {
        true => ok(r#"{"token":"a\nb"}"#),
        false => ask_for_token(&format!("http://{own}/token")),
    });
    let gateway = gateway(&registry);
    gateway.until("it is told", |gateway| last(gateway).contains("sends no token which can be used"));
    let tokens = || registry.heads().iter().filter(|head| head.starts_with("get /token")).count();
    gateway.until("it is tried again", |_| tokens() >= 2);
    assert!(!gateway.logged("panicked"), "{}", gateway.log());

    let folder = TempDir::new().unwrap();
    let strict = config(&registry.source(), &Keys::new("acme").trusted())
        .replace("[plugins]\n", "[plugins]\non_start_failure = \"refuse\"\n");
    let said = refused_start(folder.path(), &strict);
    assert!(said.contains("sends no token which can be used") && !said.contains("panicked"), "{said}");

    std::fs::write(folder.path().join("vip.wasm"), portcullis_plugin_bundle::EXACT.component).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .current_dir(folder.path())
        .args(["plugin", "push", "vip.wasm", "--to", &format!("oci://{}/acme/vip:1", registry.host)])
        .env("DOCKER_CONFIG", folder.path().join("docker"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("sends no token which can be used") && !said.contains("panicked"), "{said}");
}

#[test]
fn what_never_ends_is_not_read_to_the_end() {
    let manifest = Hostile::at("127.0.0.1", |_, path| match path.contains("/manifests/") {
        true => without_end(),
        false => ok("{}"),
    });
    let manifest = gateway(&manifest);
    manifest.until("the manifest is given up", |gateway| {
        last(gateway).contains("sends a manifest of more than 4194304 bytes")
    });
    let token = Hostile::at("127.0.0.1", |own, path| match path.starts_with("/token") {
        true => without_end(),
        false => ask_for_token(&format!("http://{own}/token")),
    });
    let token = gateway(&token);
    token.until("the token is given up", |gateway| {
        last(gateway).contains("sends a token of more than 65536 bytes")
    });
    let refusal = Hostile::at("127.0.0.1", |_, path| match path.contains("/manifests/") {
        true => without_end().replace("200 OK", "500 Internal Server Error"),
        false => without_end(),
    });
    let refusal = gateway(&refusal);
    refusal.until("the refusal is given up", |gateway| last(gateway).contains("code: 500"));
}

#[test]
fn credentials_are_sent_to_no_realm_of_another_host_and_to_no_redirect() {
    let elsewhere = Hostile::at("127.0.0.2", |_, _| ok(r#"{"token":"elsewhere"}"#));
    let realm = format!("http://{}/token", elsewhere.host);
    let registry = Hostile::at("127.0.0.1", move |_, _| ask_for_token(&realm));
    let asking = gateway(&registry);
    let expected = format!("wants credentials to be sent to http://{}/token", elsewhere.host);
    asking.until("the realm is refused", |gateway| last(gateway).contains(&expected));

    let to = format!("http://{}/manifest", elsewhere.host);
    let registry = Hostile::at("127.0.0.1", move |_, path| match path.contains("/manifests/") {
        true => redirect(&to),
        false => unauthorized("Basic realm=\"hostile\""),
    });
    let redirected = gateway(&registry);
    let expected = format!("redirects to http://{}, which is not followed", elsewhere.host);
    redirected.until("the redirect is refused", |gateway| last(gateway).contains(&expected));
    assert_eq!(elsewhere.heads(), Vec::<String>::new());
    assert!(registry.head("/v2/acme/vip/manifests/").unwrap().contains("authorization: basic "));
}

#[test]
fn a_token_server_gets_the_credentials_the_registry_the_token_and_where_it_redirects_neither() {
    let storage = Hostile::at("127.0.0.1", |_, _| ok("something else"));
    let tokens = Hostile::at("127.0.0.1", |_, _| ok(r#"{"token":"granted"}"#));
    let (realm, to) = (format!("http://{}/token", tokens.host), format!("http://{}/manifest", storage.host));
    let registry = Hostile::at("127.0.0.1", move |_, path| match path.contains("/manifests/") {
        true => redirect(&to),
        false => ask_for_token(&realm),
    });
    let gateway = gateway(&registry);
    gateway.until("the redirect is followed", |gateway| {
        last(gateway).contains("sent something else than the digest says")
    });
    let asked = tokens.head("/token?scope=repository%3aacme%2fvip%3apull&service=hostile").unwrap();
    assert!(asked.contains(&format!("authorization: basic {}", USER_IN_BASE64.to_lowercase())), "{asked}");
    let asked = registry.head("/v2/acme/vip/manifests/").unwrap();
    assert!(asked.contains("authorization: bearer granted"), "{asked}");
    let asked = storage.head("/manifest").unwrap();
    assert!(!asked.contains("authorization"), "{asked}");
}
