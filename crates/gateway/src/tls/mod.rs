//! TLS of clients: certificates, and reading them again when they change.

pub(crate) mod handshake;
mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_edge::metrics::certificate;
use rustls::ServerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info, warn};

use crate::config::{ClientCertificates, TlsSettings};
use pair::{Pair, Stamps};

/// HTTP/2 in the negotiation of protocols (ALPN).
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long before its end a certificate is warned about, and how often.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const REMIND: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate in use, and its files.
pub(crate) struct Tls {
    settings: TlsSettings,
    used: Mutex<Used>,
}

#[derive(Clone)]
struct Used {
    /// For listeners that ask clients for no certificate.
    open: Arc<ServerConfig>,
    /// For those that do.
    verifying: Option<Arc<ServerConfig>>,
    expires: Timestamp,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If one of them can't be read, or the key is not that of the certificate.
    pub(crate) fn read(settings: &TlsSettings) -> anyhow::Result<Self> {
        let used = Used::read(settings).context("server.tls can't be used")?;
        used.tell();
        Ok(Tls { settings: settings.clone(), used: Mutex::new(used) })
    }

    /// What opens TLS on a connection, with the certificate that is in use now.
    pub(crate) fn acceptor(&self, is_for_operators: bool) -> TlsAcceptor {
        let used = self.used.lock();
        let clients = self.settings.clients.as_ref();
        let is_verified =
            clients.is_some_and(|clients| is_for_operators || clients.needed == ClientCertificates::All);
        let config = used.verifying.as_ref().filter(|_| is_verified).unwrap_or(&used.open);
        TlsAcceptor::from(Arc::clone(config))
    }

    /// Reads the files again when they have changed, and on SIGHUP. If they can't be used, the log says so, and the certificate in use goes
    /// on. Says, too, when it expires soon.
    pub(crate) async fn watch(self: Arc<Self>) {
        let Ok(mut hang_up) = signal(SignalKind::hangup()) else { return };
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let settings = Arc::new(self.settings.clone());
        let stamps = async || {
            let settings = Arc::clone(&settings);
            tokio::task::spawn_blocking(move || Stamps::of(&settings)).await.ok()
        };
        let (mut read, mut seen) = (stamps().await, None);
        let mut told = Instant::now();
        loop {
            let is_asked = tokio::select! {
                _ = hang_up.recv() => true,
                _ = looks.tick() => false,
            };
            let now = stamps().await;
            // The files are replaced one after the other, so they are left alone until a look finds them as the last one did.
            let is_settled = std::mem::replace(&mut seen, now.clone()) == now;
            if is_asked || (is_settled && now != read) {
                read = now;
                self.refresh(Arc::clone(&settings)).await;
                told = Instant::now();
            } else if told.elapsed() >= REMIND {
                told = Instant::now();
                self.used.lock().tell();
            }
        }
    }

    async fn refresh(&self, settings: Arc<TlsSettings>) {
        let read = tokio::task::spawn_blocking(move || Used::read(&settings)).await;
        match read {
            Ok(Ok(used)) => {
                info!(expires = %used.expires, "read the certificate of server.tls again");
                used.tell();
                *self.used.lock() = used;
            }
            Ok(Err(error)) => {
                error!(
                    error = format!("{error:#}"),
                    "the files of server.tls can't be used; keeping the certificate in use"
                );
            }
            Err(_) => error!("reading the files of server.tls panicked; keeping the certificate in use"),
        }
    }
}

impl Used {
    fn read(settings: &TlsSettings) -> anyhow::Result<Self> {
        let pair = Pair::read(settings)?;
        let (open, verifying) = pair.configs([HTTP2, HTTP1])?;
        Ok(Used { open: Arc::new(open), verifying: verifying.map(Arc::new), expires: pair.expires })
    }

    /// Sets the metric, and warns if the certificate expires soon.
    fn tell(&self) {
        certificate::expires(self.expires.as_second());
        let left = self.expires.duration_since(Timestamp::now());
        match Duration::try_from(left) {
            Err(_) => {
                warn!(expired = %self.expires, "the certificate of server.tls has expired: replace its files");
            }
            Ok(left) if left < SOON => {
                warn!(expires = %self.expires, "the certificate of server.tls expires soon: replace its files");
            }
            Ok(_) => {}
        }
    }
}
