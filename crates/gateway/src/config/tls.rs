//! TLS of clients: `[server.tls]`.

use std::path::{Path, PathBuf};

use portcullis_edge::settings::{FieldPath, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::listen::Endpoint;

/// `[server.tls]`, as typed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM: the certificate, and those of the authorities between it and a root.
    pub(crate) certificate_file: String,
    /// PEM: the private key of the certificate.
    pub(crate) key_file: String,
    /// PEM: the authorities one of which must have signed a client's certificate.
    pub(crate) client_ca_file: Option<String>,
    /// Where clients need such a certificate.
    #[schemars(extend("default" = "admin"))]
    #[serde(default)]
    pub(crate) client_certificates: ClientCertificates,
}

/// Which TLS listeners ask clients for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificates {
    /// Those of `admin_listen`.
    #[default]
    Admin,
    /// All.
    All,
}

/// The files of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) clients: Option<ClientAuthorities>,
}

/// Who must have signed the certificates of clients, and where they need one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAuthorities {
    pub(crate) file: PathBuf,
    pub(crate) needed: ClientCertificates,
}

/// Checks `[server.tls]` against the addresses that the gateway listens on. Paths are relative to `folder`.
pub(super) fn check(
    typed: Option<&Tls>,
    listen: &[Endpoint],
    admin_listen: &[Endpoint],
    folder: &Path,
    server: &FieldPath,
    problems: &mut Vec<Problem>,
) -> Option<TlsSettings> {
    let has_tls = |endpoints: &[Endpoint]| endpoints.iter().any(|endpoint| endpoint.is_tls);
    let place = server.key("tls");
    let Some(typed) = typed else {
        for (setting, endpoints) in [("listen", listen), ("admin_listen", admin_listen)] {
            if has_tls(endpoints) {
                let what = "an address with TLS needs a certificate; add [server.tls] with certificate_file and key_file";
                problems.push(Problem::new(server.key(setting), what));
            }
        }
        return None;
    };
    if !has_tls(listen) && !has_tls(admin_listen) {
        let what = "no address of server.listen or server.admin_listen has TLS; write one as https://…, or remove this table";
        problems.push(Problem::new(place.clone(), what));
    }
    let clients = typed.client_ca_file.as_ref().map(|file| {
        let needed = typed.client_certificates;
        if needed == ClientCertificates::Admin && !has_tls(admin_listen) {
            let what = "no address of server.admin_listen has TLS, so no client is asked for a certificate; write one as https://…, or set \
                        client_certificates = \"all\"";
            problems.push(Problem::new(place.key("client_ca_file"), what));
        }
        ClientAuthorities { file: folder.join(file), needed }
    });
    if clients.is_none() && typed.client_certificates == ClientCertificates::All {
        let what = "needs the authorities that sign clients' certificates; set client_ca_file";
        problems.push(Problem::new(place.key("client_certificates"), what));
    }
    Some(TlsSettings {
        certificate_file: folder.join(&typed.certificate_file),
        key_file: folder.join(&typed.key_file),
        clients,
    })
}
