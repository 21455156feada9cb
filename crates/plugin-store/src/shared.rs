//! Plugins that several stores share through a ledger.
//!
//! The ledger has the components that were uploaded to any of them. A store fetches a version when it is requested, and the newest one
//! that was released into its folder, once: a file that is put into the folder afterwards stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_host::ErrorChain;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{Upload, Uploads};
use portcullis_plugin_trust::Signature;
use tracing::{debug, info, warn};

use crate::admission::Admission;
use crate::digest::Digest;
use crate::error::PluginStoreError;
use crate::folder;
use crate::store::{PluginStore, short};
use crate::trial::Trial;
use crate::trust::Offered;
use crate::version::{Origin, PluginVersion};

/// The most bytes of the file that says which upload was taken.
const MARK_BYTES: usize = 256;

/// What stores share.
pub(super) struct Shared {
    /// The components, in a ledger.
    uploads: Arc<dyn Uploads>,
    /// The number of the newest upload of each plugin that was taken, or can't be.
    settled: Mutex<BTreeMap<String, u64>>,
    /// Versions that are tried here.
    trials: Mutex<Vec<Arc<Trial>>>,
    /// Plugins of which a version was put into the ledger that nobody uploaded.
    grown: Mutex<BTreeSet<String>>,
}

/// An error of an upload. Nothing has changed, unless the ledger's error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The component can't be used, or not be kept.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The ledger does not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl PluginStore {
    /// Shares plugins with all who have these uploads.
    #[must_use]
    pub fn sharing(mut self, uploads: Arc<dyn Uploads>) -> Self {
        self.shared = Some(Shared {
            uploads,
            settled: Mutex::default(),
            trials: Mutex::default(),
            grown: Mutex::default(),
        });
        self
    }

    /// Whether others have the same plugins.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Stores a component for all who share the ledger, and as a version that can be requested here. Give those who try it clones of the
    /// trial, and then [`follow`](Self::follow_trial) it: when it is over, the version is the newest everywhere, or is not.
    ///
    /// # Errors
    /// If the name is not valid, the component does not load, there is no folder, or the ledger does not take it.
    pub fn upload(
        &self,
        name: &str,
        component: &[u8],
        signature: Option<Signature>,
    ) -> Result<Arc<Trial>, UploadError> {
        let mut offered = Offered::signed(signature);
        if let Some(shared) = &self.shared {
            offered.known = shared.admission(name, Digest::of(component))?;
        }
        let version = self.check(name, component, offered)?;
        let (digest, admission) = (version.digest, &version.admission);
        if let Some(shared) = &self.shared {
            shared.uploads.put_upload(name, digest.bytes(), component, &admission.text(), false)?;
        }
        let offered = Offered { signature: None, known: Some(admission.clone()) };
        Ok(Trial::new(self.add(name, digest, component, offered)?))
    }

    /// Asks again for uploads that could not be used, as they may be trusted by now.
    pub(super) fn forget_settled_uploads(&self) {
        if let Some(shared) = &self.shared {
            shared.settled.lock().clear();
        }
    }

    /// Has [`follow_uploads`](Self::follow_uploads) release the version when its trial is over.
    pub fn follow_trial(&self, trial: Arc<Trial>) {
        if let Some(shared) = &self.shared {
            shared.trials.lock().push(trial);
        }
    }

    /// Releases versions whose trials are over, and takes the newest uploads that were released: each is the latest version of its plugin
    /// from then on, as if it had been [put](Self::put). Returns those that were taken now. Those that can't be taken are logged, once.
    ///
    /// Costs one query if there are none.
    ///
    /// # Errors
    /// If the ledger can't be asked.
    pub fn follow_uploads(&self) -> Result<Vec<Arc<PluginVersion>>, LedgerError> {
        let Some(shared) = &self.shared else { return Ok(Vec::new()) };
        shared.release()?;
        self.take_newest(shared)
    }

    fn take_newest(&self, shared: &Shared) -> Result<Vec<Arc<PluginVersion>>, LedgerError> {
        // Held meanwhile, so that none is overtaken by an earlier one.
        let mut settled = shared.settled.lock();
        let released = shared.uploads.uploads()?.into_iter().filter(|upload| upload.is_released);
        let newest: BTreeMap<String, Upload> = released.map(|upload| (upload.name.clone(), upload)).collect();
        let mut taken = Vec::new();
        for (name, upload) in newest {
            if settled.get(&name) == Some(&upload.number) {
                continue;
            }
            let digest = Digest::from_bytes(upload.digest);
            if !self.has_taken(&upload) {
                match self.take(shared, &upload) {
                    Ok(version) => {
                        info!(
                            plugin = name,
                            version = digest.short(),
                            "took the newest upload of the plugin"
                        );
                        taken.push(version);
                    }
                    Err(error) if error.is_transient() => {
                        debug!(plugin = name, error = %ErrorChain(&error), "can't take an upload; retrying");
                        continue;
                    }
                    Err(error) => warn!(
                        plugin = name, version = digest.short(), error = %ErrorChain(&error),
                        "the newest upload of the plugin can't be used here: the version before it stays"
                    ),
                }
            }
            settled.insert(name, upload.number);
        }
        Ok(taken)
    }

    fn take(&self, shared: &Shared, upload: &Upload) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let digest = Digest::from_bytes(upload.digest);
        let component = match self.component(&upload.name, digest) {
            Some(component) => component,
            None => shared.component(&upload.name, digest, self.most_bytes(&upload.name))?,
        };
        let version = self.put_offered(&upload.name, &component, offered(upload))?;
        if let Some(file) = self.mark_file(&upload.name)
            && let Err(error) = folder::write(&file, mark(upload).as_bytes())
        {
            warn!(plugin = upload.name, %error, "can't note that an upload was taken: it is taken again after a restart");
        }
        Ok(version)
    }

    /// Whether this was the last upload of its plugin that was taken into the folder, by this process or an earlier one.
    fn has_taken(&self, upload: &Upload) -> bool {
        let content = self.mark_file(&upload.name).and_then(|file| folder::read(&file, MARK_BYTES).ok());
        content.is_some_and(|content| content.bytes == mark(upload).as_bytes())
    }

    fn mark_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir()?.join(".versions").join(format!("{name}.taken")))
    }

    /// Fetches a version that is not here. `absence` is the error if the ledger does not have it, either.
    pub(super) fn fetch(
        &self,
        name: &str,
        text: &str,
        absence: PluginStoreError,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let Some(shared) = &self.shared else { return Err(absence) };
        let fits = |upload: &Upload| Digest::from_bytes(upload.digest).begins_with(text);
        let fitting = shared.of_name(name, fits)?;
        match fitting.as_slice() {
            [] => Err(absence),
            [upload] => self.add_upload(shared, upload),
            _ => Err(PluginStoreError::Ambiguous {
                name: name.to_owned(),
                text: text.to_owned(),
                fitting: short(
                    &fitting.iter().map(|upload| Digest::from_bytes(upload.digest)).collect::<Vec<_>>(),
                ),
            }),
        }
    }

    /// Fetches the newest version of a plugin that is not here.
    pub(super) fn fetch_latest(
        &self,
        name: &str,
        absence: PluginStoreError,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let Some(shared) = &self.shared else { return Err(absence) };
        let taken = self.take_newest(shared).map_err(|error| of_ledger(name, error))?;
        if let Some(version) = taken.into_iter().find(|version| version.name == name) {
            return Ok(version);
        }
        // Without a folder, or if it can't be written, there is the memory.
        match shared.of_name(name, |upload| upload.is_released)?.pop() {
            Some(upload) => self.add_upload(shared, &upload),
            None => Err(absence),
        }
    }

    fn add_upload(&self, shared: &Shared, upload: &Upload) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let (name, digest) = (&upload.name, Digest::from_bytes(upload.digest));
        self.add(name, digest, &shared.component(name, digest, self.most_bytes(name))?, offered(upload))
    }

    /// The component of a version, if the ledger has it.
    pub(super) fn component_in_ledger(&self, name: &str, digest: Digest) -> Option<Vec<u8>> {
        self.shared.as_ref()?.component(name, digest, self.most_bytes(name)).ok()
    }

    /// Keeps a component as a version that can be requested.
    fn add(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
        offered: Offered,
    ) -> Result<Arc<PluginVersion>, PluginStoreError> {
        let version = self.load(name, digest, component, Origin::Ledger, offered)?;
        self.keep(&self.slot_of(name), &version, component, false);
        Ok(version)
    }

    /// Stores the component of a version in the ledger, for others who need just this one, unless it is there.
    ///
    /// # Errors
    /// If the ledger can't be asked, or does not take it.
    pub fn share(&self, version: &PluginVersion) -> Result<(), LedgerError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let (name, digest) = (&version.name, version.digest);
        let is_there = |upload: &Upload| upload.name == *name && Digest::from_bytes(upload.digest) == digest;
        if shared.uploads.uploads()?.iter().any(is_there) {
            return Ok(());
        }
        match self.component(name, digest) {
            Some(component) => {
                let admission = version.admission.text();
                shared.uploads.put_upload(name, digest.bytes(), &component, &admission, false)?;
                shared.grown.lock().insert(name.clone());
                Ok(())
            }
            None => {
                warn!(
                    plugin = name,
                    version = digest.short(),
                    "there is no copy of the version on disk, so that others who share the ledger can't have it"
                );
                Ok(())
            }
        }
    }

    /// The plugins of which [`share`](Self::share) has stored a version since the last call: of these, old ones may be
    /// [dropped](Self::drop_old_uploads).
    pub fn take_grown(&self) -> BTreeSet<String> {
        self.shared.as_ref().map(|shared| std::mem::take(&mut *shared.grown.lock())).unwrap_or_default()
    }

    /// Drops one upload from the ledger, if it is there.
    pub(super) fn forget_upload(&self, name: &str, digest: Digest) -> Result<(), PluginStoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let dropped = shared.uploads.drop_uploads(name, &[digest.bytes()]);
        dropped.map_err(|error| of_ledger(name, error))
    }

    /// Drops old uploads of a plugin from the ledger: all but the newest [`KEPT`](Self::KEPT), the newest one that was released, and those
    /// that are `in_use` or tried here.
    ///
    /// # Errors
    /// If the ledger can't be asked, or does not drop them.
    pub fn drop_old_uploads(&self, name: &str, in_use: impl Fn(&Digest) -> bool) -> Result<(), LedgerError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let mut uploads = shared.uploads.uploads()?;
        uploads.retain(|upload| upload.name == name);
        uploads.reverse();
        let newest = uploads.iter().find(|upload| upload.is_released).map(|upload| upload.digest);
        let trials: Vec<Digest> = shared.trials.lock().iter().map(|trial| trial.version.digest).collect();
        let is_needed = |digest: &Digest| trials.contains(digest) || in_use(digest);
        let old = uploads.iter().skip(Self::KEPT).map(|upload| upload.digest);
        let unused: Vec<[u8; 32]> = old
            .filter(|digest| Some(*digest) != newest && !is_needed(&Digest::from_bytes(*digest)))
            .collect();
        match unused.is_empty() {
            true => Ok(()),
            false => shared.uploads.drop_uploads(name, &unused),
        }
    }
}

impl Shared {
    /// Releases the versions whose trials were passed.
    fn release(&self) -> Result<(), LedgerError> {
        let mut trials = self.trials.lock();
        let mut running = Vec::new();
        let mut outcome = Ok(());
        for trial in trials.drain(..) {
            let version = &trial.version;
            match trial.verdict() {
                None => running.push(trial),
                Some(false) => info!(
                    plugin = version.name,
                    version = version.digest.short(),
                    "no tenant kept the uploaded version: the version before it stays the newest"
                ),
                Some(true) => {
                    if let Err(error) = self.uploads.release_upload(&version.name, version.digest.bytes()) {
                        outcome = Err(error);
                        running.push(trial);
                    }
                }
            }
        }
        *trials = running;
        outcome
    }

    /// A plugin's uploads, in the order of their numbers.
    fn of_name(&self, name: &str, filter: impl Fn(&Upload) -> bool) -> Result<Vec<Upload>, PluginStoreError> {
        let mut uploads = self.uploads.uploads().map_err(|error| of_ledger(name, error))?;
        uploads.retain(|upload| upload.name == name && filter(upload));
        Ok(uploads)
    }

    /// How a version was admitted by those who share the ledger, if it was.
    fn admission(&self, name: &str, digest: Digest) -> Result<Option<Admission>, LedgerError> {
        let uploads = self.uploads.uploads()?;
        let is_it = |upload: &&Upload| upload.name == name && upload.digest == digest.bytes();
        Ok(uploads.iter().find(is_it).and_then(|upload| Admission::parse(&upload.admission)))
    }

    /// Fetches a component of at most so many bytes, and checks its digest.
    fn component(&self, name: &str, digest: Digest, most: usize) -> Result<Vec<u8>, PluginStoreError> {
        let read = self.uploads.component(name, digest.bytes()).map_err(|error| of_ledger(name, error))?;
        let unknown = || PluginStoreError::UnknownVersion {
            name: name.to_owned(),
            text: digest.to_string(),
            known: "others".to_owned(),
        };
        let component = read.ok_or_else(unknown)?;
        if component.len() > most || Digest::of(&component) != digest {
            return Err(PluginStoreError::Corrupt { name: name.to_owned(), version: digest.short() });
        }
        Ok(component)
    }
}

fn of_ledger(name: &str, error: LedgerError) -> PluginStoreError {
    PluginStoreError::Ledger { name: name.to_owned(), source: Arc::new(error) }
}

/// What comes with an upload.
fn offered(upload: &Upload) -> Offered {
    Offered { signature: None, known: Admission::parse(&upload.admission) }
}

/// What the file says after this upload was taken.
fn mark(upload: &Upload) -> String {
    format!("{} {}\n", upload.number, Digest::from_bytes(upload.digest))
}
