//! Upstreams with TLS, over HTTP/1.1 and HTTP/2.

use std::sync::{Arc, Mutex};

use axum::http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::super::support::{ACME, Gateway, SERVER};
use super::PHONE_ID;

/// A server that records the HTTP version and host of each request.
struct Secure {
    port: u16,
    certificate: String,
    asked: Arc<Mutex<Vec<(Version, String)>>>,
    _runtime: Runtime,
}

fn secure(protocols: &[&str]) -> Secure {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<Mutex<Vec<(Version, String)>>>::default();
    let seen = Arc::clone(&asked);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let in_header =
                        request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
                    let in_uri = request.uri().authority().map(ToString::to_string);
                    let hosts = [in_header, in_uri].into_iter().flatten().collect::<Vec<_>>();
                    seen.lock().unwrap().push((request.version(), hosts.join(" and ")));
                    async { Ok::<_, std::convert::Infallible>(Response::new("{}".to_owned())) }
                });
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Secure { port, certificate: cert.pem(), asked, _runtime: runtime }
}

fn config(port: u16) -> String {
    format!(
        "{SERVER}\n[meta]\nupstream = \"https://localhost:{port}\"\n[[tenants]]\nid = \"acme\"\n\
         tokens = [\"acme-secret\"]\n[[tenants.senders]]\nid = \"support\"\nphone_number_id = \"{PHONE_ID}\"\n"
    )
}

fn send(gateway: &Gateway) -> u16 {
    let body = json!({ "to": "+16505551234" }).to_string();
    gateway.call("POST", &format!("/v25.0/{PHONE_ID}/messages"), ACME, Some(body)).status
}

#[test]
fn the_newest_http_version_that_the_upstream_offers_is_used() {
    for (offered, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let upstream = secure(offered);
        let gateway = Gateway::trusting(&config(upstream.port), &upstream.certificate);
        assert_eq!((send(&gateway), send(&gateway)), (200, 200));
        // The host is sent once: some HTTP/2 servers refuse a `host` header beside `:authority`.
        let host = format!("localhost:{}", upstream.port);
        assert_eq!(*upstream.asked.lock().unwrap(), [(version, host.clone()), (version, host)]);
    }
}

#[test]
fn an_upstream_with_an_untrusted_certificate_gets_nothing() {
    let (upstream, other) = (secure(&["h2"]), secure(&["h2"]));
    let gateway = Gateway::trusting(&config(upstream.port), &other.certificate);
    assert_eq!(send(&gateway), 502);
    assert!(upstream.asked.lock().unwrap().is_empty());
}
