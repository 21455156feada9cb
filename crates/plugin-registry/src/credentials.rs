//! Credentials for registries, from Docker's configuration.

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::error::RegistryError;

/// The registry behind `docker.io`, as Docker's configuration calls it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Reads the credentials for a registry from `config.json` in `DOCKER_CONFIG` or `~/.docker`, and asks the credential helper that is named
/// there. Without any, access is anonymous. Blocks, as a helper is a program.
pub(crate) fn of(registry: &str) -> Result<RegistryAuth, RegistryError> {
    let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let failed = |why| RegistryError::Credentials { registry: registry.to_owned(), why };
    match docker_credential::get_credential(server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(_)) => Err(failed(
            "it has an identity token, which is not supported: log in with a user name and an access token",
        )),
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => Ok(RegistryAuth::Anonymous),
        // What a helper says may have secrets in it.
        Err(
            CredentialRetrievalError::HelperFailure { .. }
            | CredentialRetrievalError::HelperCommunicationError
            | CredentialRetrievalError::MalformedHelperResponse,
        ) => Err(failed("its credential helper fails: run the helper as the user that this runs as")),
        Err(
            CredentialRetrievalError::CredentialDecodingError
            | CredentialRetrievalError::CredentialMismatchError,
        ) => Err(failed("they can't be decoded: log in again")),
    }
}
