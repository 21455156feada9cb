//! What a person has on a list.

use portcullis_engine::ListKind;
use portcullis_ledger::Entry;
use portcullis_msisdn::Person;

use crate::ops::refusal::Refusal;
use crate::ops::target::Target;

/// A person's entries that apply to a list. Usually there is at most one per list, but old spellings of a number may have more.
pub struct PersonEntries {
    /// The entries on the list itself.
    pub own: Vec<Entry>,
    /// The entries on the tenant-wide list, for a sender's list; otherwise empty.
    pub wide: Vec<Entry>,
}

impl PersonEntries {
    /// Reads the entries from the ledger.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn of(target: &Target, person: &Person) -> Result<Self, Refusal> {
        let wide = match target.list.kind() {
            ListKind::Sender => target.tenant.wide.entries().find(person)?,
            ListKind::Tenant => Vec::new(),
        };
        Ok(PersonEntries { own: target.list.entries().find(person)?, wide })
    }
}
