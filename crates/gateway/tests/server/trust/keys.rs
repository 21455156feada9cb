//! Key pairs of plugin authors, used as they use them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{ADMIN, Answer, Gateway};

/// A key pair.
pub(crate) struct Keys {
    folder: TempDir,
    name: &'static str,
    /// As it stands in the configuration, without braces.
    line: String,
}

/// Runs the command line in a folder. Returns what it printed.
#[track_caller]
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).args(arguments).env_remove("PORTCULLIS_SIGNING_PASSWORD");
    let output = command.env("DOCKER_CONFIG", folder.join("docker")).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Keys {
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        let printed = run(folder.path(), &["plugin", "keygen", "--no-password", name]);
        let line = printed.trim_start_matches("{ ").trim_end_matches(" }").to_owned();
        Keys { folder, name, line }
    }

    /// The key as it stands in the configuration.
    pub(crate) fn trusted(&self) -> String {
        format!("{{ {} }}", self.line)
    }

    /// The same, with the last moment at which it admits plugins.
    pub(crate) fn trusted_until(&self, not_after: &str) -> String {
        format!("{{ {}, not_after = {not_after:?} }}", self.line)
    }

    /// Signs a component. Returns its file, beside which the signature is.
    pub(crate) fn sign(&self, component: &[u8]) -> PathBuf {
        let file = self.folder.path().join("plugin.wasm");
        std::fs::write(&file, component).unwrap();
        let printed = run(
            self.folder.path(),
            &["plugin", "sign", "plugin.wasm", "--key", &format!("{}.key", self.name)],
        );
        assert_eq!(printed, "plugin.wasm.minisig");
        file
    }

    /// The signature of a component.
    pub(crate) fn signature(&self, component: &[u8]) -> Vec<u8> {
        std::fs::read(self.sign(component).with_extension("wasm.minisig")).unwrap()
    }

    /// Uploads a component with its signature.
    pub(crate) fn push(&self, gateway: &Gateway, name: &str, component: &[u8]) -> Answer {
        put(gateway, name, component, Some(&self.signature(component)))
    }
}

/// Uploads a component with a signature, or what stands in its place.
pub(crate) fn put(gateway: &Gateway, name: &str, component: &[u8], signature: Option<&[u8]>) -> Answer {
    use base64::Engine as _;
    let mut request =
        ureq::http::Request::put(format!("{}/portcullis/v1/admin/plugins/{name}", gateway.url()))
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/wasm");
    if let Some(signature) = signature {
        let encoded = base64::engine::general_purpose::STANDARD.encode(signature);
        request = request.header("portcullis-signature", encoded);
    }
    gateway.send_bytes(request.body(component.to_vec()).unwrap())
}

/// Puts a signature beside a plugin's file.
pub(crate) fn drop_signature(gateway: &Gateway, name: &str, signature: &[u8]) {
    let folder = gateway.folder().join("plugins");
    std::fs::write(folder.join(".signature"), signature).unwrap();
    std::fs::rename(folder.join(".signature"), folder.join(format!("{name}.wasm.minisig"))).unwrap();
}
