//! Names of artifacts.

use std::fmt;
use std::str::FromStr;

use oci_client::Reference;

const SCHEME: &str = "oci://";
const DIGEST: &str = "sha256:";

/// An artifact, pinned by the digest of its manifest: `oci://registry.example/acme/rule@sha256:…`. It may have a tag as well, for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    reference: Reference,
    digest: String,
}

/// Where an artifact is pushed to: `oci://registry.example/acme/rule:1.2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(Reference);

/// How the name of an artifact ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the digest of its manifest, as a [`Source`] does.
    Pinned,
    /// With a tag, as a [`Destination`] does.
    Tagged,
}

/// Shows an example of it.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Pinned => "oci://registry.example/acme/rule@sha256:…",
            Form::Tagged => "oci://registry.example/acme/rule:1.2.0",
        })
    }
}

/// An error of parsing the name of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has another scheme, or none.
    #[error("must begin with oci://; write it like {0}")]
    Scheme(Form),
    /// It has no registry.
    #[error("must name a registry, with a dot or a port; write it like {0}")]
    Registry(Form),
    /// It is not what registries call a repository, a tag or a digest.
    #[error("not a name in a registry; write it like {0}")]
    Name(Form),
    /// It is not pinned.
    #[error(
        "not pinned: a tag may come to mean something else, so add @sha256: and the 64 digits of the manifest's digest, which `portcullis \
         plugin push --to` prints, and `oras resolve`"
    )]
    NotPinned,
    /// It ends with no tag, or with a digest.
    #[error("must end with a tag and not with a digest; write it like {}", Form::Tagged)]
    NoTag,
}

/// Whether this is `sha256:` and 64 hexadecimal digits in lower case.
pub(crate) fn is_digest(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix(DIGEST).is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_digit))
}

/// A SHA-256 digest as registries write it.
pub(crate) fn digest_text(hash: &[u8]) -> String {
    format!("{DIGEST}{}", base16ct::lower::encode_string(hash))
}

fn parse(text: &str, form: Form) -> Result<Reference, ReferenceError> {
    let name = text.strip_prefix(SCHEME).ok_or(ReferenceError::Scheme(form))?;
    let (registry, path) = name.split_once('/').ok_or(ReferenceError::Registry(form))?;
    // Otherwise it would be the name of somebody at Docker Hub.
    if registry != "localhost" && !registry.contains(['.', ':']) {
        return Err(ReferenceError::Registry(form));
    }
    let reference: Reference = name.parse().map_err(|_| ReferenceError::Name(form))?;
    // The parser takes `latest` where there is neither a tag nor a digest.
    match form {
        Form::Tagged if reference.digest().is_some() || !path.contains(':') => Err(ReferenceError::NoTag),
        _ => Ok(reference),
    }
}

impl Source {
    /// The registry's host, and its port if that was written.
    pub fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// The digest of the manifest: `sha256:` and 64 hexadecimal digits in lower case.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl FromStr for Source {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let reference = parse(text, Form::Pinned)?;
        let digest = reference.digest().ok_or(ReferenceError::NotPinned)?.to_owned();
        match is_digest(&digest) {
            true => Ok(Source { reference, digest }),
            false => Err(ReferenceError::NotPinned),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.reference)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Destination {
    /// The artifact of this digest there.
    pub(crate) fn pinned(&self, digest: &str) -> String {
        format!("{SCHEME}{}/{}@{digest}", self.0.registry(), self.0.repository())
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.0
    }
}

impl FromStr for Destination {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text, Form::Tagged).map(Destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_pinned_artifact_is_parsed_as_it_is_displayed() {
        for name in
            ["registry.example/acme/rule", "127.0.0.1:5000/rule", "localhost/rule", "r.example/a/b:1.2"]
        {
            let text = format!("oci://{name}@sha256:{DIGITS}");
            let source: Source = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(source.digest(), format!("sha256:{DIGITS}"));
        }
    }

    #[test]
    fn what_is_not_pinned_or_no_name_is_refused() {
        let parse = |text: &str| text.parse::<Source>().unwrap_err();
        assert_eq!(parse("https://registry.example/rule"), ReferenceError::Scheme(Form::Pinned));
        assert_eq!(
            parse(&format!("oci://acme/rule@sha256:{DIGITS}")),
            ReferenceError::Registry(Form::Pinned)
        );
        assert_eq!(parse("oci://registry.example"), ReferenceError::Registry(Form::Pinned));
        assert_eq!(parse("oci://registry.example/A rule"), ReferenceError::Name(Form::Pinned));
        for tail in ["", ":latest", ":1.2.0"] {
            assert_eq!(parse(&format!("oci://registry.example/acme/rule{tail}")), ReferenceError::NotPinned);
        }
        let destination = |text: &str| text.parse::<Destination>();
        assert!(destination("oci://registry.example/acme/rule:1.2.0").is_ok());
        let pinned = format!("oci://registry.example/rule@sha256:{DIGITS}");
        for name in [&pinned, "oci://registry.example/acme/rule", "oci://127.0.0.1:5000/rule"] {
            assert_eq!(destination(name), Err(ReferenceError::NoTag), "{name}");
        }
        let told = destination("registry.example/rule:1").unwrap_err().to_string();
        assert_eq!(told, "must begin with oci://; write it like oci://registry.example/acme/rule:1.2.0");
    }
}
