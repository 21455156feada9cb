//! A client of registries.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use portcullis_plugin_trust::Signature;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::credentials;
use crate::error::RegistryError;
use crate::reader::{PATIENCE, Reader, USER_AGENT, is_here};
use crate::reference::{Destination, Source, digest_text, is_digest};

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
/// The annotation with the signature.
const SIGNATURE: &str = "io.portcullis.minisig";
/// When all configs were created: the field must be there, and the same component is to have the same digest each time that it is pushed.
const CREATED: &str = "1970-01-01T00:00:00Z";
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A component that was pulled. Its bytes have the digest that the manifest says, and the manifest has the one that is pinned.
#[derive(Debug)]
pub struct Pulled {
    /// The component.
    pub component: Vec<u8>,
    /// The signature in the annotation, if there is one. It is not verified.
    pub signature: Option<Signature>,
}

/// A client of registries. Those on this machine are asked without TLS, and all others with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry(());

impl Registry {
    /// Creates a client. The program's TLS provider is set, unless it was before.
    pub fn new() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // If there is one already, that is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Registry(())
    }

    /// Pulls a component of at most so many bytes, within a minute.
    ///
    /// # Errors
    /// See [`RegistryError`]. Nothing of what was sent is used then.
    pub async fn pull(&self, source: &Source, limit: usize) -> Result<Pulled, RegistryError> {
        apart(source.registry(), pull(source.clone(), limit)).await
    }

    /// Pushes a component with its signature. Returns its name, pinned, as a [`Source`] has it.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn push(
        &self,
        destination: &Destination,
        component: Vec<u8>,
        signature: Option<&Signature>,
    ) -> Result<String, RegistryError> {
        let work = push(destination.clone(), component, signature.cloned());
        apart(destination.reference().registry(), work).await
    }
}

/// Works in a task of its own, so that a panic is an error, and within the deadline.
async fn apart<T: Send + 'static>(
    registry: &str,
    work: impl Future<Output = Result<T, RegistryError>> + Send + 'static,
) -> Result<T, RegistryError> {
    let registry = registry.to_owned();
    // Dropping it ends the task.
    let mut task = JoinSet::new();
    task.spawn(tokio::time::timeout(DEADLINE, work));
    match task.join_next().await {
        Some(Ok(Ok(done))) => done,
        Some(Ok(Err(_))) => Err(RegistryError::Slow { registry, seconds: DEADLINE.as_secs() }),
        Some(Err(_)) | None => Err(RegistryError::Defect { registry }),
    }
}

/// The client that pushes.
fn client(registry: &str) -> Result<Client, RegistryError> {
    let config = ClientConfig {
        protocol: if is_here(registry) { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(PATIENCE),
        read_timeout: Some(PATIENCE),
        platform_resolver: None,
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| RegistryError::of(registry, &error))
}

async fn credentials_for(registry: &str) -> Result<RegistryAuth, RegistryError> {
    let asked = registry.to_owned();
    let found = tokio::task::spawn_blocking(move || credentials::of(&asked)).await;
    found.unwrap_or_else(|_| {
        let why = "reading them failed: look at the format of config.json";
        Err(RegistryError::Credentials { registry: registry.to_owned(), why })
    })
}

async fn pull(source: Source, limit: usize) -> Result<Pulled, RegistryError> {
    let credentials = credentials_for(source.registry()).await?;
    let mut reader = Reader::new(source.reference())?;
    reader.log_in(&credentials, "pull").await?;
    let OciManifest::Image(manifest) = reader.manifest(source.digest()).await? else {
        return Err(RegistryError::layout("it is an index of several"));
    };
    let layer = layer(&manifest)?;
    let signature = signature(&manifest, layer)?;
    let bytes = usize::try_from(layer.size)
        .map_err(|_| RegistryError::layout(&format!("its layer has {} bytes", layer.size)))?;
    if bytes > limit {
        return Err(RegistryError::TooLarge { limit });
    }
    let component = reader.blob(&layer.digest, bytes).await?;
    Ok(Pulled { component, signature })
}

/// The layer that is the component.
fn layer(manifest: &OciImageManifest) -> Result<&OciDescriptor, RegistryError> {
    let config = &manifest.config.media_type;
    if config != CONFIG_TYPE {
        let what = format!("its config is of the type {config:?}, and not {CONFIG_TYPE}");
        return Err(RegistryError::layout(&what));
    }
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER_TYPE && is_digest(&layer.digest) => Ok(layer),
        [layer] if layer.media_type == LAYER_TYPE => {
            let what = format!("its layer has {:?} in place of a SHA-256 digest", layer.digest);
            Err(RegistryError::layout(&what))
        }
        [layer] => {
            let what = format!("its layer is of the type {:?}, and not {LAYER_TYPE}", layer.media_type);
            Err(RegistryError::layout(&what))
        }
        layers => Err(RegistryError::layout(&format!("it has {} layers, and not one", layers.len()))),
    }
}

fn signature(manifest: &OciImageManifest, layer: &OciDescriptor) -> Result<Option<Signature>, RegistryError> {
    let annotated = [&layer.annotations, &manifest.annotations].into_iter().flatten();
    let text = annotated.filter_map(|annotations| annotations.get(SIGNATURE)).next();
    Ok(text.map(|text| Signature::parse(text.as_bytes())).transpose()?)
}

async fn push(
    destination: Destination,
    component: Vec<u8>,
    signature: Option<Signature>,
) -> Result<String, RegistryError> {
    let image = destination.reference();
    let registry = image.registry();
    let failed = |error| RegistryError::of(registry, &error);
    let client = client(registry)?;
    let credentials = credentials_for(registry).await?;
    // The client would believe any realm, and any token.
    let mut reader = Reader::new(image)?;
    let authentication = reader.log_in(&credentials, "pull,push").await?;
    client.store_auth_if_needed(image.resolve_registry(), authentication).await;
    let layer = ImageLayer::new(component, LAYER_TYPE.to_owned(), None);
    let config = json!({
        "created": CREATED,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.sha256_digest()],
    });
    let config = Config::new(config.to_string().into_bytes(), CONFIG_TYPE.to_owned(), None);
    let annotations =
        signature.map(|signature| BTreeMap::from([(SIGNATURE.to_owned(), signature.text().to_owned())]));
    let manifest = OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        ..OciImageManifest::build(std::slice::from_ref(&layer), &config, annotations)
    };
    for (bytes, digest) in [(layer.data, &manifest.layers[0].digest), (config.data, &manifest.config.digest)]
    {
        client.push_blob(image, bytes, digest).await.map_err(failed)?;
    }
    let body = serde_json::to_vec(&manifest).map_err(|error| failed(error.into()))?;
    let digest = digest_text(&Sha256::digest(&body));
    let kind = OCI_IMAGE_MEDIA_TYPE.parse().map_err(|_| RegistryError::layout("defect"))?;
    client.push_manifest_raw(image, Bytes::from(body), kind).await.map_err(failed)?;
    Ok(destination.pinned(&digest))
}
