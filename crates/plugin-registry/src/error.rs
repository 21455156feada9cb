//! Why an artifact can't be pulled or pushed.

use std::fmt::Write as _;

use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use portcullis_plugin_trust::SignatureError;

/// The most characters that are repeated of what a registry says.
const FOREIGN: usize = 300;

/// An error of pulling or pushing an artifact. Each says what to do, and none has credentials in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry can't be reached.
    #[error("the registry {registry} can't be reached: {why}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What the system says.
        why: String,
    },
    /// It takes too long.
    #[error("the registry {registry} did not send all of it within {seconds} s")]
    Slow {
        /// The registry.
        registry: String,
        /// How long it had.
        seconds: u64,
    },
    /// The registry refuses access.
    #[error(
        "the registry {registry} refuses access: run `docker login {registry}` as the user that this runs as, or set DOCKER_CONFIG to the \
         folder of a config.json with credentials that may"
    )]
    Denied {
        /// The registry.
        registry: String,
    },
    /// The credentials in Docker's configuration can't be used.
    #[error("the credentials for the registry {registry} in Docker's configuration can't be used: {why}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The registry does not have the artifact.
    #[error("the registry {registry} has no such artifact: push it there, or correct its name or digest")]
    Absent {
        /// The registry.
        registry: String,
    },
    /// What the registry sent does not have the digest that it must have.
    #[error(
        "the registry {registry} sent something else than the digest says: it was replaced or damaged there, and nothing of it is used; \
         push it again, and pin the digest that this prints"
    )]
    WrongDigest {
        /// The registry.
        registry: String,
    },
    /// Its token server would get the credentials where others could read them.
    #[error(
        "the registry {registry} wants credentials to be sent to {realm}, where others could read them, so they were not: its token server \
         has to have an https:// URL, or be on the same host as a registry on this machine"
    )]
    Realm {
        /// The registry.
        registry: String,
        /// Where they were to be sent, shortened and escaped.
        realm: String,
    },
    /// The token can't be used.
    #[error(
        "the registry {registry} has a token server that sends no token which can be used: look at its log"
    )]
    Token {
        /// The registry.
        registry: String,
    },
    /// It sends more than is read.
    #[error(
        "the registry {registry} sends a {what} of more than {limit} bytes, which is not read: look at who operates it"
    )]
    TooMuch {
        /// The registry.
        registry: String,
        /// What it sends.
        what: &'static str,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// A redirect leads to where it is not followed.
    #[error(
        "the registry {registry} redirects to {to}, which is not followed: with TLS at most 5 redirects are, to URLs with https://, and \
         on this machine those to the same host"
    )]
    Redirect {
        /// The registry.
        registry: String,
        /// Where to, shortened and escaped.
        to: String,
    },
    /// The artifact is not a plugin.
    #[error(
        "the artifact is not a WebAssembly component as CNCF lays them out: {what}; `portcullis plugin push --to` makes one that is"
    )]
    Layout {
        /// What is otherwise.
        what: String,
    },
    /// The component is larger than plugins may be.
    #[error("the component has more than {limit} bytes, which is what plugins.limits allows")]
    TooLarge {
        /// The largest size that is allowed, in bytes.
        limit: usize,
    },
    /// The signature in the annotation can't be read.
    #[error("the annotation io.portcullis.minisig can't be read: {0}")]
    Signature(#[from] SignatureError),
    /// The client panicked.
    #[error(
        "asking the registry {registry} ended in a panic: report what standard error says of it as a defect"
    )]
    Defect {
        /// The registry.
        registry: String,
    },
    /// The registry says something else.
    #[error("the registry {registry} answers: {what}")]
    Other {
        /// The registry.
        registry: String,
        /// Its words, shortened and escaped.
        what: String,
    },
}

impl RegistryError {
    /// An artifact that is laid out otherwise. The manifest's words in it are shortened and escaped.
    pub(crate) fn layout(what: &str) -> Self {
        RegistryError::Layout { what: foreign(what) }
    }

    /// What an error of the client means.
    pub(crate) fn of(registry: &str, error: &OciDistributionError) -> Self {
        let registry = registry.to_owned();
        match error {
            OciDistributionError::DigestError(DigestError::VerificationError { .. }) => {
                RegistryError::WrongDigest { registry }
            }
            OciDistributionError::IoError(io) => of_io(registry, io),
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::ServerError { code: 401 | 403, .. } => RegistryError::Denied { registry },
            OciDistributionError::ImageManifestNotFoundError(_)
            | OciDistributionError::ServerError { code: 404, .. } => RegistryError::Absent { registry },
            OciDistributionError::RegistryError { envelope, .. } => {
                let has =
                    |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
                if has(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    return RegistryError::Denied { registry };
                }
                let absent = [
                    OciErrorCode::ManifestUnknown,
                    OciErrorCode::NameUnknown,
                    OciErrorCode::NotFound,
                    OciErrorCode::BlobUnknown,
                ];
                match has(&absent) {
                    true => RegistryError::Absent { registry },
                    false => RegistryError::Other { registry, what: foreign(&error.to_string()) },
                }
            }
            OciDistributionError::RequestError(error) => {
                RegistryError::Unreachable { registry, why: root(error) }
            }
            error => RegistryError::Other { registry, what: foreign(&error.to_string()) },
        }
    }
}

/// An error of reading a blob. The client wraps what it notices of digests.
fn of_io(registry: String, error: &std::io::Error) -> RegistryError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DigestError>());
    match inner {
        Some(DigestError::VerificationError { .. }) => RegistryError::WrongDigest { registry },
        _ => RegistryError::Unreachable { registry, why: root(error) },
    }
}

/// The last cause of an error, which says most.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    foreign(&last.to_string())
}

/// Text of others: short, and without characters that control a terminal.
pub(crate) fn foreign(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == FOREIGN {
            shown.push('…');
            break;
        }
        match c.is_control() {
            true => drop(write!(shown, "{}", c.escape_default())),
            false => shown.push(c),
        }
    }
    shown
}
