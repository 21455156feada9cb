//! A certificate and its key, as files.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::TlsSettings;

/// The longest file, in bytes.
const LONGEST: u64 = 1 << 20;

/// A certificate with its chain, its key, and the authorities of clients.
pub(super) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<RootCertStore>>,
    /// When the certificate, which is the first of the chain, expires.
    pub(super) expires: Timestamp,
}

impl Pair {
    /// Reads the files. Whether the key is that of the certificate shows in [`configs`](Self::configs).
    pub(super) fn read(settings: &TlsSettings) -> anyhow::Result<Self> {
        let chain = certificates(&settings.certificate_file)?;
        let key = read(&settings.key_file)?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| anyhow::anyhow!("{} has no private key in PEM", settings.key_file.display()))?;
        let expires = expiry(&chain[0]).with_context(|| {
            format!("{} has no certificate of X.509", settings.certificate_file.display())
        })?;
        let clients = settings.clients.as_ref().map(|clients| {
            let mut roots = RootCertStore::empty();
            for authority in certificates(&clients.file)? {
                roots.add(authority).with_context(|| {
                    format!("{} has a certificate that can't be used", clients.file.display())
                })?;
            }
            anyhow::Ok(Arc::new(roots))
        });
        Ok(Pair { chain, key, clients: clients.transpose()?, expires })
    }

    /// The settings of TLS with this certificate: for listeners that ask clients for no certificate, and for those that do. `protocols` are
    /// those that are offered, the preferred one first.
    pub(super) fn configs(
        &self,
        protocols: [&[u8]; 2],
    ) -> anyhow::Result<(ServerConfig, Option<ServerConfig>)> {
        let provider = Arc::new(default_provider());
        let config = |clients: Option<&Arc<RootCertStore>>| {
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?;
            let config = match clients {
                None => config.with_no_client_auth(),
                Some(roots) => {
                    let verifier =
                        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider));
                    config
                        .with_client_cert_verifier(verifier.build().context("client_ca_file can't be used")?)
                }
            };
            let mut config = config
                .with_single_cert(self.chain.clone(), self.key.clone_key())
                .context("the key and the certificate don't go together")?;
            config.alpn_protocols = protocols.map(<[u8]>::to_vec).into();
            anyhow::Ok(config)
        };
        Ok((config(None)?, self.clients.as_ref().map(|roots| config(Some(roots))).transpose()?))
    }
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.with_context(|| format!("{} is not PEM", file.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{} has no certificate in PEM", file.display());
    Ok(certificates)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text))
        .with_context(|| format!("can't read {}", file.display()))?;
    anyhow::ensure!(text.len() as u64 <= LONGEST, "{} is longer than 1 MiB", file.display());
    Ok(text)
}

fn expiry(certificate: &CertificateDer<'_>) -> anyhow::Result<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate)?;
    // A certificate without an end has one in the year 9999.
    Ok(Timestamp::from_second(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX))
}

/// What tells that a file was replaced or written: its device, inode, length, and when it was changed.
type Stamp = (u64, u64, u64, i64, i64);

/// The stamps of the files; `None` for one that is not there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

impl Stamps {
    /// Looks at the files. Blocks.
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let clients = settings.clients.as_ref().map(|clients| &clients.file);
        let files = [&settings.certificate_file, &settings.key_file].into_iter().chain(clients);
        let stamp = |file| {
            let found = fs::metadata(file).ok()?;
            Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        };
        Stamps(files.map(stamp).collect())
    }
}
