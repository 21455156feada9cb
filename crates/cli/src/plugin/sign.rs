//! `portcullis plugin keygen` and `sign`: key pairs and signatures in minisign's format.

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use super::component;
use crate::output::{self, Results};

/// Where a secret key says how its encryption's key is derived from the password, and that there is none.
const KDF: std::ops::Range<usize> = 2..4;
const NO_KDF: [u8; 2] = [0, 0];

/// The bytes of a public key: its algorithm, its id, and the key.
const PUBLIC: usize = 2 + 8 + 32;

/// The variable with the password of a secret key.
const PASSWORD: &str = "PORTCULLIS_SIGNING_PASSWORD";

#[derive(Args)]
#[command(after_help = "\
The password is asked for, or taken from PORTCULLIS_SIGNING_PASSWORD. Gateways need the line that is printed, and
never the secret key. `minisign` can use both files.")]
pub(super) struct KeygenOptions {
    /// Where to write the key pair: NAME.key, which is secret, and NAME.pub
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// Store the secret key without a password
    #[arg(long)]
    no_password: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  portcullis plugin keygen acme
  portcullis plugin sign rule.wasm --key acme.key
  portcullis plugin push rule.wasm

The signature is rule.wasm.minisig. Keep it beside the component: `push` sends it along, and gateways look for it
there. The password of the key is asked for, or taken from PORTCULLIS_SIGNING_PASSWORD.")]
pub(super) struct SignOptions {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret key, of `portcullis plugin keygen` or `minisign -G`
    #[arg(long, short, value_name = "FILE")]
    key: PathBuf,
}

/// Where the signature of a file is.
pub(super) fn beside(file: &Path) -> PathBuf {
    with(file, ".minisig")
}

/// The path with this after its name.
fn with(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(extension);
    path.into()
}

pub(super) fn keygen(options: &KeygenOptions) -> anyhow::Result<()> {
    let (secret, public) = (with(&options.name, ".key"), with(&options.name, ".pub"));
    for file in [&secret, &public] {
        if file.exists() {
            bail!("{} is there already: choose another name", file.display());
        }
    }
    let pair = match options.no_password {
        true => KeyPair::generate_unencrypted_keypair(),
        false => KeyPair::generate_encrypted_keypair(Some(new_password()?)),
    };
    let pair = pair.context("can't make a key pair")?;
    let boxed = pair.sk.to_box(None).context("can't write the secret key")?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .with_context(|| format!("can't write {}", secret.display()))?;
    file.write_all(boxed.to_string().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("can't write {}", secret.display()))?;
    let boxed = pair.pk.to_box().context("can't write the public key")?;
    fs::write(&public, boxed.to_string()).with_context(|| format!("can't write {}", public.display()))?;
    let name = options.name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut results = Results::open();
    writeln!(results, "{{ name = {name:?}, key = \"{}\" }}", pair.pk.to_base64())?;
    results.flush()?;
    output::note(format_args!(
        "put this line into trusted_keys of [plugins], or of a tenant; keep {} secret",
        secret.display()
    ));
    Ok(())
}

pub(super) fn sign(options: &SignOptions) -> anyhow::Result<()> {
    let SignOptions { file, key } = options;
    let component = component::read(file)?;
    let secret = secret_key(key)?;
    let public = PublicKey::from_secret_key(&secret).context("can't use the secret key")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, "?");
    let comment = format!("timestamp:{}\tfile:{name}\thashed", Timestamp::now().as_second());
    let signature = minisign::sign(Some(&public), &secret, Cursor::new(&component), Some(&comment), None)
        .context("can't sign the component")?;
    // A damaged key makes signatures that are none.
    minisign::verify(&public, &signature, Cursor::new(&component), true, false, false)
        .with_context(|| format!("{} is damaged: use a copy of it", key.display()))?;
    let beside = beside(file);
    fs::write(&beside, signature.to_string()).with_context(|| format!("can't write {}", beside.display()))?;
    let mut results = Results::open();
    writeln!(results, "{}", beside.display())?;
    Ok(results.flush()?)
}

/// The password in the variable, or else the one that is typed.
fn password(prompt: &str) -> anyhow::Result<String> {
    match std::env::var(PASSWORD) {
        Ok(password) => Ok(password),
        Err(_) => rpassword::prompt_password(prompt)
            .with_context(|| format!("can't ask for the password: set {PASSWORD}")),
    }
}

fn new_password() -> anyhow::Result<String> {
    let typed = password("Password: ")?;
    if typed != password("Password, again: ")? {
        bail!("these are two passwords: type the same one twice");
    }
    Ok(typed)
}

fn secret_key(file: &Path) -> anyhow::Result<SecretKey> {
    let text = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let unreadable = || format!("{} is not a secret key of minisign: name the .key file", file.display());
    let bytes = text.lines().nth(1).and_then(|line| STANDARD.decode(line).ok()).with_context(unreadable)?;
    if bytes.len() == PUBLIC {
        bail!("{} is a public key, and signing takes the secret one: name the .key file", file.display());
    }
    if bytes.get(KDF) == Some(&NO_KDF) {
        // minisign writes no checksum into keys without a password, on which the crate insists.
        return SecretKey::from_bytes(&bytes).with_context(unreadable);
    }
    let boxed = SecretKeyBox::from_string(&text).with_context(unreadable)?;
    let opened = boxed.into_secret_key(Some(password(&format!("Password of {}: ", file.display()))?));
    opened.with_context(|| format!("can't open {}: is the password right?", file.display()))
}
