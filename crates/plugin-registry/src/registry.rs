//! A client of registries.

use std::collections::BTreeMap;
use std::io;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest, OciManifest};
use portcullis_plugin_trust::Signature;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::credentials;
use crate::error::{RegistryError, of_io};
use crate::reference::{Destination, Source};

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
/// The annotation with the signature.
const SIGNATURE: &str = "io.portcullis.minisig";
/// How long connecting may take, and waiting for the next bytes.
const PATIENCE: Duration = Duration::from_secs(10);
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
        within_deadline(source.registry(), pull(source, limit)).await
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
        let registry = destination.reference().registry().to_owned();
        within_deadline(&registry, push(destination, component, signature)).await
    }
}

async fn within_deadline<T>(
    registry: &str,
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let slow = || RegistryError::Slow { registry: registry.to_owned(), seconds: DEADLINE.as_secs() };
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(slow()))
}

fn client(registry: &str) -> Result<Client, RegistryError> {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let is_here = host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    let config = ClientConfig {
        protocol: if is_here { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(PATIENCE),
        read_timeout: Some(PATIENCE),
        platform_resolver: None,
        user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| RegistryError::of(registry, &error))
}

async fn authentication(registry: &str) -> Result<oci_client::secrets::RegistryAuth, RegistryError> {
    let asked = registry.to_owned();
    let found = tokio::task::spawn_blocking(move || credentials::of(&asked)).await;
    found.unwrap_or_else(|_| {
        let why = "reading them failed: look at the format of config.json";
        Err(RegistryError::Credentials { registry: registry.to_owned(), why })
    })
}

async fn pull(source: &Source, limit: usize) -> Result<Pulled, RegistryError> {
    let registry = source.registry();
    let failed = |error| RegistryError::of(registry, &error);
    let client = client(registry)?;
    let authentication = authentication(registry).await?;
    let (manifest, _) = client.pull_manifest(source.reference(), &authentication).await.map_err(failed)?;
    let OciManifest::Image(manifest) = manifest else {
        return Err(RegistryError::Layout { what: "it is an index of several".to_owned() });
    };
    let layer = layer(&manifest)?;
    let signature = signature(&manifest, layer)?;
    let too_large = || RegistryError::TooLarge { limit };
    if usize::try_from(layer.size).is_ok_and(|bytes| bytes > limit) {
        return Err(too_large());
    }
    // The client compares the digest when the stream ends.
    let mut stream = client.pull_blob_stream(source.reference(), layer).await.map_err(failed)?.stream;
    let mut component = Vec::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error: io::Error| of_io(registry.to_owned(), &error))?;
        if component.len() + bytes.len() > limit {
            return Err(too_large());
        }
        component.extend_from_slice(&bytes);
    }
    Ok(Pulled { component, signature })
}

/// The layer that is the component.
fn layer(manifest: &OciImageManifest) -> Result<&OciDescriptor, RegistryError> {
    let config = &manifest.config.media_type;
    if config != CONFIG_TYPE {
        let what = format!("its config is of the type {config:?}, and not {CONFIG_TYPE}");
        return Err(RegistryError::Layout { what });
    }
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER_TYPE && layer.digest.starts_with("sha256:") => Ok(layer),
        [layer] => {
            let what = format!("its layer is of the type {:?}, and not {LAYER_TYPE}", layer.media_type);
            Err(RegistryError::Layout { what })
        }
        layers => Err(RegistryError::Layout { what: format!("it has {} layers, and not one", layers.len()) }),
    }
}

fn signature(manifest: &OciImageManifest, layer: &OciDescriptor) -> Result<Option<Signature>, RegistryError> {
    let annotated = [&layer.annotations, &manifest.annotations].into_iter().flatten();
    let text = annotated.filter_map(|annotations| annotations.get(SIGNATURE)).next();
    Ok(text.map(|text| Signature::parse(text.as_bytes())).transpose()?)
}

async fn push(
    destination: &Destination,
    component: Vec<u8>,
    signature: Option<&Signature>,
) -> Result<String, RegistryError> {
    let image = destination.reference();
    let registry = image.registry();
    let failed = |error| RegistryError::of(registry, &error);
    let client = client(registry)?;
    client.store_auth_if_needed(image.resolve_registry(), &authentication(registry).await?).await;
    let layer = ImageLayer::new(component, LAYER_TYPE.to_owned(), None);
    let config = json!({
        "created": Timestamp::now().to_string(),
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
    let digest = format!("sha256:{}", base16ct::lower::encode_string(&Sha256::digest(&body)));
    let kind =
        OCI_IMAGE_MEDIA_TYPE.parse().map_err(|_| RegistryError::Layout { what: "defect".to_owned() })?;
    client.push_manifest_raw(image, Bytes::from(body), kind).await.map_err(failed)?;
    Ok(destination.pinned(&digest))
}
