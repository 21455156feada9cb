//! Reading entries.

use std::num::NonZeroUsize;

use portcullis_ledger::{Entry, PublicId, StatusFilter};
use portcullis_msisdn::{Msisdn, Revealed, Subject};

use super::refusal::Refusal;
use super::target::Target;

/// An entry as its tenant may see it.
pub(crate) struct Shown {
    pub(crate) id: PublicId,
    /// Missing where the entry is not about a number.
    pub(crate) number: Option<Msisdn>,
    pub(crate) entry: Entry,
}

/// A part of a list.
pub(crate) struct ShownPage {
    pub(crate) entries: Vec<Shown>,
    /// The cursor of the next part, if there is one.
    pub(crate) next: Option<PublicId>,
}

/// Entries in a stable order that means nothing, from the first one after the cursor `after`.
pub(crate) fn page(
    target: &Target,
    after: Option<PublicId>,
    limit: NonZeroUsize,
    filter: StatusFilter,
) -> Result<ShownPage, Refusal> {
    let list = target.gate.list();
    let page = list.page(after.map(|id| list.subject_of(&id)), limit, filter)?;
    let entries: Vec<Shown> = page.entries.into_iter().map(|entry| show(target, entry)).collect();
    let next = entries.last().filter(|_| page.more).map(|last| last.id);
    Ok(ShownPage { entries, next })
}

/// One entry, active or not.
pub(crate) fn entry(target: &Target, subject: Subject) -> Result<Shown, Refusal> {
    let entry = target.gate.list().get(subject)?.ok_or(Refusal::EntryNotFound)?;
    Ok(show(target, entry))
}

fn show(target: &Target, entry: Entry) -> Shown {
    let number = match target.tenant.keys.permutation().reveal(entry.subject) {
        Revealed::Number(number) => Some(number),
        _ => None,
    };
    Shown { id: target.gate.list().public_id(entry.subject), number, entry }
}
