//! Reads from a registry: never more than it is told to, and without credentials where others could read them.

use std::net::IpAddr;
use std::time::Duration;

use http_auth::ChallengeParser;
use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciEnvelope};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciManifest,
};
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::RegistryToken;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use crate::error::{RegistryError, foreign, root};
use crate::reference::digest_text;

/// How long connecting may take, and waiting for the next bytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
/// The most bytes of a manifest: what OCI asks clients to accept.
const MANIFEST: usize = 4 << 20;
/// The most bytes of a token's answer.
const TOKEN: usize = 64 << 10;
/// The most bytes that are read of the words of a refusal.
const REFUSAL: usize = 64 << 10;
/// The most redirects of a request.
const REDIRECTS: usize = 5;
const ANYTHING: &str = "*/*";
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// Whether a registry is on this machine, and asked without TLS.
pub(crate) fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Reads from a repository of a registry.
pub(crate) struct Reader {
    client: Client,
    /// As messages name it.
    registry: String,
    repository: String,
    /// The root of the registry's interface.
    base: Url,
    authentication: RegistryAuth,
}

impl Reader {
    pub(crate) fn new(image: &Reference) -> Result<Self, RegistryError> {
        let registry = image.registry().to_owned();
        let unreachable = |why| RegistryError::Unreachable { registry: registry.clone(), why };
        let host = image.resolve_registry();
        let mut client = Client::builder()
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            // They are followed here, where it is known what may be sent along.
            .redirect(Policy::none())
            .user_agent(USER_AGENT);
        let mut scheme = "https";
        if is_here(host) {
            scheme = "http";
            // What is sent without TLS does not leave this machine.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| unreachable(root(&error)))?;
        let base = Url::parse(&format!("{scheme}://{host}/v2/"));
        let base = base.map_err(|error| unreachable(foreign(&error.to_string())))?;
        let repository = image.repository().to_owned();
        Ok(Reader { client, registry, repository, base, authentication: RegistryAuth::Anonymous })
    }

    /// Gets leave to do this to the repository, `pull` or `pull,push`, if the registry asks for that. Returns what proves it, and
    /// reads with it from now on.
    pub(crate) async fn log_in(
        &mut self,
        credentials: &RegistryAuth,
        actions: &str,
    ) -> Result<&RegistryAuth, RegistryError> {
        let challenge = Challenge::of(self.get("", ANYTHING).await?.headers());
        self.authentication = match challenge {
            Some(Challenge::Bearer { realm, service }) => {
                let token = self.token(&realm, service.as_deref(), credentials, actions).await?;
                RegistryAuth::Bearer(token)
            }
            Some(Challenge::Basic) => credentials.clone(),
            None => RegistryAuth::Anonymous,
        };
        Ok(&self.authentication)
    }

    /// Asks a token server.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        credentials: &RegistryAuth,
        actions: &str,
    ) -> Result<String, RegistryError> {
        let unsafe_realm = || RegistryError::Realm { registry: self.registry.clone(), realm: foreign(realm) };
        let mut url = Url::parse(realm).map_err(|_| unsafe_realm())?;
        if !is_as_safe(&self.base, &url) {
            return Err(unsafe_realm());
        }
        let scope = format!("repository:{}:{actions}", self.repository);
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        // Not redirected: nobody but the realm gets the credentials.
        let answer = self.send(url, Some(credentials), "application/json").await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(RegistryError::Denied { registry: self.registry.clone() });
            }
            status => {
                let what = format!("its token server answers HTTP {}", status.as_u16());
                return Err(RegistryError::Other { registry: self.registry.clone(), what });
            }
        }
        let (text, _) = self.read(answer, TOKEN).await?.ok_or_else(|| self.too_much("token", TOKEN))?;
        let token = serde_json::from_slice::<RegistryToken>(&text).ok();
        // It has to be able to stand in a header.
        let token = token.filter(|token| HeaderValue::from_str(token.token()).is_ok());
        let token = token.ok_or_else(|| RegistryError::Token { registry: self.registry.clone() })?;
        Ok(token.token().to_owned())
    }

    /// Reads the manifest of this digest.
    pub(crate) async fn manifest(&self, digest: &str) -> Result<OciManifest, RegistryError> {
        let path = format!("{}/manifests/{digest}", self.repository);
        let manifest = self.content(&path, &MANIFESTS.join(", "), MANIFEST).await?;
        let (text, actual) = manifest.ok_or_else(|| self.too_much("manifest", MANIFEST))?;
        // Only what was pinned is parsed.
        if actual != digest {
            return Err(self.wrong_digest());
        }
        serde_json::from_slice(&text)
            .map_err(|error| RegistryError::layout(&format!("its manifest can't be read: {error}")))
    }

    /// Reads the blob of this digest, which has at most so many bytes.
    pub(crate) async fn blob(&self, digest: &str, most: usize) -> Result<Vec<u8>, RegistryError> {
        let path = format!("{}/blobs/{digest}", self.repository);
        match self.content(&path, ANYTHING, most).await? {
            Some((bytes, actual)) if actual == digest => Ok(bytes),
            _ => Err(self.wrong_digest()),
        }
    }

    /// What is at this path, and its digest. `None` if it has more bytes than this.
    async fn content(
        &self,
        path: &str,
        accept: &str,
        most: usize,
    ) -> Result<Option<(Vec<u8>, String)>, RegistryError> {
        let answer = self.get(path, accept).await?;
        match answer.status() {
            StatusCode::OK => self.read(answer, most).await,
            _ => Err(self.refusal(path, answer).await),
        }
    }

    /// Requests a path below the registry's root, and follows redirects.
    async fn get(&self, path: &str, accept: &str) -> Result<Response, RegistryError> {
        let not_followed = |to| RegistryError::Redirect { registry: self.registry.clone(), to };
        let url = self.base.join(path);
        let mut url = url.map_err(|error| RegistryError::Other {
            registry: self.registry.clone(),
            what: foreign(&error.to_string()),
        })?;
        let mut authentication = Some(&self.authentication);
        for _ in 0..=REDIRECTS {
            let answer = self.send(url.clone(), authentication, accept).await?;
            let to = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
            let Some(to) = to else { return Ok(answer) };
            let next = to.to_str().ok().and_then(|to| url.join(to).ok());
            let next = next.ok_or_else(|| not_followed("what is no URL".to_owned()))?;
            if !is_as_safe(&url, &next) {
                return Err(not_followed(place(&next)));
            }
            if next.origin() != url.origin() {
                authentication = None;
            }
            url = next;
        }
        Err(not_followed(format!("{}, after {REDIRECTS} others", place(&url))))
    }

    async fn send(
        &self,
        url: Url,
        authentication: Option<&RegistryAuth>,
        accept: &str,
    ) -> Result<Response, RegistryError> {
        let request = self.client.get(url).header(ACCEPT, accept);
        let request = match authentication {
            Some(RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            Some(RegistryAuth::Bearer(token)) => request.bearer_auth(token),
            Some(RegistryAuth::Anonymous) | None => request,
        };
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    /// Reads what an answer has, and its digest. `None` if it has more bytes than this.
    async fn read(
        &self,
        mut answer: Response,
        most: usize,
    ) -> Result<Option<(Vec<u8>, String)>, RegistryError> {
        let announced = answer.content_length().unwrap_or_default();
        let Some(announced) = usize::try_from(announced).ok().filter(|bytes| *bytes <= most) else {
            return Ok(None);
        };
        let (mut bytes, mut hash) = (Vec::with_capacity(announced), Sha256::new());
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > most {
                return Ok(None);
            }
            hash.update(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some((bytes, digest_text(&hash.finalize()))))
    }

    /// Why the registry does not send what is at this path.
    async fn refusal(&self, path: &str, answer: Response) -> RegistryError {
        let (status, url) = (answer.status(), path.to_owned());
        if status == StatusCode::UNAUTHORIZED {
            return RegistryError::Denied { registry: self.registry.clone() };
        }
        let text = match self.read(answer, REFUSAL).await {
            Ok(Some((text, _))) => text,
            // The status says enough.
            Ok(None) | Err(_) => Vec::new(),
        };
        let error = match serde_json::from_slice::<OciEnvelope>(&text) {
            Ok(envelope) => OciDistributionError::RegistryError { envelope, url },
            Err(_) => {
                let message = String::from_utf8_lossy(&text).into_owned();
                OciDistributionError::ServerError { code: status.as_u16(), url, message }
            }
        };
        RegistryError::of(&self.registry, &error)
    }

    fn unreachable(&self, error: &reqwest::Error) -> RegistryError {
        let elsewhere = error.url().filter(|url| url.origin() != self.base.origin());
        let why = match elsewhere {
            Some(url) => format!("{}, where it leads to: {}", place(url), root(error)),
            None => root(error),
        };
        RegistryError::Unreachable { registry: self.registry.clone(), why }
    }

    fn wrong_digest(&self) -> RegistryError {
        RegistryError::WrongDigest { registry: self.registry.clone() }
    }

    fn too_much(&self, what: &'static str, limit: usize) -> RegistryError {
        RegistryError::TooMuch { registry: self.registry.clone(), what, limit }
    }
}

/// Whether what one URL leads to is as safe from others as that URL: with TLS anywhere with TLS, and without it on the same host.
fn is_as_safe(from: &Url, to: &Url) -> bool {
    match (from.scheme(), to.scheme()) {
        ("https", "https") => true,
        ("http", "http" | "https") => from.host_str() == to.host_str(),
        _ => false,
    }
}

/// A URL without its path and query, which may have secrets in them.
fn place(url: &Url) -> String {
    foreign(&url.origin().ascii_serialization())
}

/// How a registry wants to be convinced.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    /// By the user's name and password.
    Basic,
    /// By a token.
    Bearer {
        /// The URL of the token server.
        realm: String,
        service: Option<String>,
    },
}

impl Challenge {
    /// The one in these headers that is met: a token rather than the password.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut met = None;
        for text in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
            for challenge in ChallengeParser::new(text).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let named = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    named.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("Bearer")
                    && let Some(realm) = parameter("realm")
                {
                    return Some(Challenge::Bearer { realm, service: parameter("service") });
                }
                if challenge.scheme.eq_ignore_ascii_case("Basic") {
                    met = Some(Challenge::Basic);
                }
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_safe(from: &str, to: &str) -> bool {
        is_as_safe(&from.parse().unwrap(), &to.parse().unwrap())
    }

    #[test]
    fn credentials_and_redirects_never_lose_tls_or_leave_this_machine_without_it() {
        assert!(is_safe("https://index.docker.io/v2/", "https://auth.docker.io/token"));
        assert!(is_safe("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token"));
        assert!(is_safe("http://localhost:5000/v2/", "https://localhost/token"));
        assert!(!is_safe("https://registry.example/v2/", "http://registry.example/token"));
        assert!(!is_safe("http://127.0.0.1:5000/v2/", "http://registry.example/token"));
        assert!(!is_safe("http://127.0.0.1:5000/v2/", "http://127.0.0.2:5000/token"));
        assert!(!is_safe("https://registry.example/v2/", "file:///etc/passwd"));
    }

    #[test]
    fn of_several_challenges_a_token_is_met_rather_than_the_password() {
        let challenge = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for &value in values {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
            }
            Challenge::of(&headers)
        };
        let bearer = |service: Option<&str>| {
            let service = service.map(str::to_owned);
            Some(Challenge::Bearer { realm: "https://r.example/token".to_owned(), service })
        };
        assert_eq!(
            challenge(&[r#"Bearer realm="https://r.example/token",service="r",scope="a b""#]),
            bearer(Some("r"))
        );
        assert_eq!(
            challenge(&[r#"Basic realm="r""#, r#"bearer realm="https://r.example/token""#]),
            bearer(None)
        );
        assert_eq!(challenge(&[r#"Negotiate, Basic realm="r""#]), Some(Challenge::Basic));
        assert_eq!(challenge(&["Bearer service=r"]), None);
        assert_eq!(challenge(&[]), None);
    }
}
