//! Components that are known to need more time or memory to compile than they may have.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portcullis_host::{InvalidComponent, Limits, LoadError};
use tracing::warn;

use crate::digest::Digest;
use crate::folder;
use crate::version::Shown;

/// The most of them that are remembered.
const MOST: usize = 256;
/// The most bytes of a file.
const BYTES: usize = 4096;
const EXTENSION: &str = "refused";

/// Files `HEX.refused` beside the archived versions, one for each component that exceeded a limit while it was compiled. Such a
/// component is not compiled again, not even after a restart, until the limits or this program change.
pub(super) struct Refusals {
    dir: PathBuf,
}

/// The first line of a file that still counts for a plugin with these limits.
fn conditions(limits: &Limits) -> String {
    let Limits { compiler_bytes, compiler_time, compiled_bytes, .. } = limits;
    format!(
        "portcullis {}, {compiler_bytes} bytes, {} s, {compiled_bytes} bytes of code",
        env!("CARGO_PKG_VERSION"),
        compiler_time.as_secs_f64(),
    )
}

impl Refusals {
    pub(super) fn new(plugins: &Path) -> Self {
        Refusals { dir: plugins.join(".versions") }
    }

    /// What compiling this component within these limits would end in.
    pub(super) fn find(&self, digest: Digest, limits: &Limits) -> Option<LoadError> {
        let content = folder::read(&self.file(digest), BYTES).ok()?;
        let (then, cause) = str::from_utf8(&content.bytes).ok()?.trim_end().split_once('\n')?;
        if then != conditions(limits) {
            return None;
        }
        Some(match cause {
            "memory" => LoadError::TooMuchMemory { limit: limits.compiler_bytes },
            "time" => LoadError::TooSlow { limit: limits.compiler_time },
            "code" => InvalidComponent::TooMuchCode { limit: limits.compiled_bytes }.into(),
            _ => return None,
        })
    }

    /// Remembers an error, if it is one that another attempt would end in after as much work.
    pub(super) fn add(&self, digest: Digest, limits: &Limits, error: &LoadError) {
        let cause = match error {
            LoadError::TooMuchMemory { .. } => "memory",
            LoadError::TooSlow { .. } => "time",
            LoadError::Invalid(InvalidComponent::TooMuchCode { .. }) => "code",
            _ => return,
        };
        let file = self.file(digest);
        if self.find(digest, limits).is_some() {
            return;
        }
        if let Err(error) = folder::write(&file, format!("{}\n{cause}\n", conditions(limits)).as_bytes()) {
            warn!(file = %Shown(&file), %error, "a refused plugin can't be remembered: it is compiled again after a restart");
        }
        self.drop_old();
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{}.{EXTENSION}", digest.hex()))
    }

    fn drop_old(&self) {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|file| file.path());
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified());
        let mut files: Vec<(SystemTime, PathBuf)> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
            .map(|path| (modified(&path).unwrap_or(SystemTime::UNIX_EPOCH), path))
            .collect();
        files.sort_unstable();
        for (_, path) in files.iter().rev().skip(MOST) {
            // If that fails, one more is remembered.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_too_much_is_remembered_until_the_limits_change() {
        let dir = tempfile::tempdir().unwrap();
        let refusals = Refusals::new(dir.path());
        let digest = Digest::of(b"bomb");
        let limits = Limits::default();
        assert!(refusals.find(digest, &limits).is_none());
        for transient in [LoadError::Busy, LoadError::NoThread, LoadError::NoCompiler("why".to_owned())] {
            refusals.add(digest, &limits, &transient);
            assert!(refusals.find(digest, &limits).is_none(), "{transient}");
        }
        let errors = [
            LoadError::TooMuchMemory { limit: limits.compiler_bytes },
            LoadError::TooSlow { limit: limits.compiler_time },
            InvalidComponent::TooMuchCode { limit: limits.compiled_bytes }.into(),
        ];
        for (n, error) in errors.iter().enumerate() {
            let digest = Digest::of(&[u8::try_from(n).unwrap()]);
            refusals.add(digest, &limits, error);
            let after_a_restart = Refusals::new(dir.path());
            assert_eq!(after_a_restart.find(digest, &limits).unwrap().to_string(), error.to_string());
            let other = Limits { compiler_bytes: 1 << 30, ..limits.clone() };
            assert!(after_a_restart.find(digest, &other).is_none());
            // It is replaced.
            after_a_restart.add(digest, &other, error);
            assert!(refusals.find(digest, &other).is_some() && refusals.find(digest, &limits).is_none());
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let refusals = Refusals::new(dir.path());
        for n in 0..u16::try_from(MOST).unwrap() + 10 {
            let error = LoadError::TooMuchMemory { limit: 0 };
            refusals.add(Digest::of(&n.to_le_bytes()), &Limits::default(), &error);
        }
        assert_eq!(fs::read_dir(dir.path().join(".versions")).unwrap().count(), MOST);
    }
}
