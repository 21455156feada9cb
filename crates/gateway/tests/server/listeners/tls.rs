//! TLS for clients.

use std::path::Path;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::support::{Gateway, refused_start_with};
use super::addresses::listening;
use super::stream::{Identity, http1, http2, open, read, request, whole};
use super::{announced, ask, connect};

/// A certificate, and its key.
struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

fn pair() -> Pair {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    Pair { certificate: cert.der().clone(), certificate_pem: cert.pem(), key: signing_key }
}

impl Pair {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("certificate.pem"), &self.certificate_pem).unwrap();
        std::fs::write(folder.join("key.pem"), self.key.serialize_pem()).unwrap();
    }

    fn identity(&self) -> Identity {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        (self.certificate.clone(), key)
    }
}

const FILES: &str = "certificate_file = \"certificate.pem\", key_file = \"key.pem\"";

fn config(more: &str) -> String {
    listening(&format!("listen = [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\ntls = {{ {FILES}{more} }}"))
}

/// A gateway with this certificate, and the address where it speaks TLS.
fn start(pair: &Pair, config: &str) -> (Gateway, String) {
    let folder = TempDir::new().unwrap();
    pair.write(folder.path());
    let gateway = Gateway::in_folder(folder, config, &[]);
    let address = announced(&gateway, "listening", "https://");
    (gateway, address)
}

/// The status of a health check over TLS, or `None` if the client or the gateway refuses the other one.
async fn healthz(address: &str, trusted: &Pair, identity: Option<Identity>) -> Option<u16> {
    let stream = open(address, std::slice::from_ref(&trusted.certificate), identity, &[]).await.ok()?;
    let mut sender = http1(stream).await;
    let asked = request("GET", "/healthz", "", whole(""));
    Some(sender.send_request(asked).await.ok()?.status().as_u16())
}

#[test]
fn clients_choose_the_protocol() {
    let pair = pair();
    let (_gateway, address) = start(&pair, &config(""));
    let trusted = std::slice::from_ref(&pair.certificate);
    Runtime::new().unwrap().block_on(async {
        let stream = open(&address, trusted, None, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut sender = http2(stream, 1 << 16).await;
        let asked = request("GET", "https://localhost/readyz", "", whole(""));
        assert_eq!(read(sender.send_request(asked).await.unwrap()).await.0, 200);

        let stream = open(&address, trusted, None, &["http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut sender = http1(stream).await;
        let asked = request("GET", "/readyz", "", whole(""));
        assert_eq!(read(sender.send_request(asked).await.unwrap()).await.0, 200);

        // One that offers nothing is taken by its first bytes.
        let mut sender = http2(open(&address, trusted, None, &[]).await.unwrap(), 1 << 16).await;
        let asked = request("GET", "https://localhost/readyz", "", whole(""));
        assert_eq!(read(sender.send_request(asked).await.unwrap()).await.0, 200);
    });
}

#[test]
fn a_certificate_is_replaced_while_the_gateway_runs() {
    let (old, new) = (pair(), pair());
    let (gateway, address) = start(&old, &config(""));
    let runtime = Runtime::new().unwrap();
    let is_shown = |pair: &Pair| runtime.block_on(healthz(&address, pair, None)) == Some(200);
    assert!(is_shown(&old) && !is_shown(&new));
    new.write(gateway.folder());
    gateway.until("the new certificate is shown", |_| is_shown(&new));
    // A key that is not the certificate's.
    std::fs::write(gateway.folder().join("key.pem"), old.key.serialize_pem()).unwrap();
    gateway.until_logged("keeping the certificate in use");
    assert!(is_shown(&new));
    // On a signal, it is read at once.
    old.write(gateway.folder());
    gateway.hang_up();
    gateway.until("the old certificate is shown again", |_| is_shown(&old));
}

#[test]
fn a_start_without_a_matching_key_is_refused() {
    let folder = TempDir::new().unwrap();
    pair().write(folder.path());
    std::fs::write(folder.path().join("key.pem"), pair().key.serialize_pem()).unwrap();
    let said = refused_start_with(folder.path(), &config(""), &[]);
    assert!(said.contains("the key and the certificate don't go together"), "{said}");
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    let said = refused_start_with(folder.path(), &config(""), &[]);
    assert!(said.contains("can't read key.pem"), "{said}");
}

#[test]
fn a_request_without_tls_is_told_to_use_it() {
    let pair = pair();
    let (_gateway, address) = start(&pair, &config(""));
    let (status, said) = ask(connect(&address), "GET /healthz", &[], "");
    assert!(status == 400 && said.contains("https://"), "{said}");
}

#[test]
fn clients_can_be_asked_for_a_certificate() {
    let (server, client, other) = (pair(), pair(), pair());
    let folder = TempDir::new().unwrap();
    server.write(folder.path());
    std::fs::write(folder.path().join("clients.pem"), &client.certificate_pem).unwrap();
    let settings = ", client_ca_file = \"clients.pem\", client_certificates = \"all\"";
    let gateway = Gateway::in_folder(folder, &config(settings), &[]);
    let address = announced(&gateway, "listening", "https://");
    Runtime::new().unwrap().block_on(async {
        assert_eq!(healthz(&address, &server, Some(client.identity())).await, Some(200));
        assert_eq!(healthz(&address, &server, None).await, None);
        assert_eq!(healthz(&address, &server, Some(other.identity())).await, None);
    });
}

#[test]
fn only_operators_are_asked_for_a_certificate_by_default() {
    let (server, client) = (pair(), pair());
    let folder = TempDir::new().unwrap();
    server.write(folder.path());
    std::fs::write(folder.path().join("clients.pem"), &client.certificate_pem).unwrap();
    let config = config(", client_ca_file = \"clients.pem\"").replacen(
        "[server]\n",
        "[server]\nadmin_listen = \"https://127.0.0.1:0\"\n",
        1,
    );
    let gateway = Gateway::in_folder(folder, &config, &[]);
    let address = announced(&gateway, "listening", "https://");
    let admin = announced(&gateway, "listening for administration", "https://");
    Runtime::new().unwrap().block_on(async {
        assert_eq!(healthz(&address, &server, None).await, Some(200));
        assert_eq!(healthz(&admin, &server, None).await, None);
        assert_eq!(healthz(&admin, &server, Some(client.identity())).await, Some(200));
    });
}

#[test]
fn a_certificate_that_has_expired_is_warned_about() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let expired = Pair { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key };
    let (gateway, _) = start(&expired, &config(""));
    gateway.until_logged("the certificate of server.tls has expired");
    let metric = "portcullis_tls_certificate_expiry_timestamp_seconds{";
    assert_eq!(gateway.metric(metric, ""), 1_577_836_800);
}
