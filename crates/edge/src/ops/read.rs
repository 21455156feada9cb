//! Reading entries and their history. All functions block on the ledger.

use std::num::NonZeroUsize;

use portcullis_ledger::{Entry, Filter, Paging, PublicId, Record, Seq};
use portcullis_msisdn::{Directions, Msisdn, Person, Revealed, Subject};

use super::patience::Patience;
use super::refusal::Refusal;
use super::target::Target;
use portcullis_engine::{Identity, List};

/// An entry, with the number or user id that it is about.
pub struct Shown {
    /// The id by which clients know the entry.
    pub id: PublicId,
    /// The person; `None` if the subject is nobody's under the tenant's key.
    pub identity: Option<Identity>,
    /// The entry in the ledger.
    pub entry: Entry,
}

/// A page of entries.
pub struct ShownPage {
    /// The entries.
    pub entries: Vec<Shown>,
    /// The last entry's id, to be passed as the start of the next page; `None` on the last page.
    pub next: Option<PublicId>,
}

/// Returns at most `limit` entries, in an order that is stable but arbitrary. Between pages, entries that don't change
/// are neither skipped nor repeated, except with [`Paging::Skip`].
///
/// # Errors
/// If the ledger fails, or the tenant was removed meanwhile.
pub fn page(
    target: &Target,
    from: Paging,
    limit: NonZeroUsize,
    filter: impl Into<Filter>,
) -> Result<ShownPage, Refusal> {
    let page = target.list.entries().page(from, limit, filter)?;
    let entries =
        page.entries.into_iter().map(|entry| show(target, entry)).collect::<Result<Vec<Shown>, Refusal>>()?;
    let next = entries.last().filter(|_| page.more).map(|last| last.id);
    Ok(ShownPage { entries, next })
}

/// Returns the subject's entry, active or not.
///
/// # Errors
/// [`Refusal::EntryNotFound`] if there is none; otherwise if the ledger fails, or the tenant was removed meanwhile.
pub fn entry(target: &Target, subject: Subject) -> Result<Shown, Refusal> {
    let entry = target.list.entries().get(subject)?.ok_or(Refusal::EntryNotFound)?;
    show(target, entry)
}

/// Returns the person's entry. If old spellings of the number have several, an active one takes precedence.
///
/// # Errors
/// Those of [`entry`].
pub fn entry_of(target: &Target, person: &Person) -> Result<Shown, Refusal> {
    let entry = target.list.entries().find(person)?.into_iter().next().ok_or(Refusal::EntryNotFound)?;
    show(target, entry)
}

fn show(target: &Target, entry: Entry) -> Result<Shown, Refusal> {
    let identity = target.reveal(entry.subject)?;
    Ok(Shown { id: target.list.entries().public_id(entry.subject), identity, entry })
}

/// Which people [`blocked`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Numbers and user ids.
    Everybody,
    /// Numbers only, for clients that don't know user ids.
    Numbers,
}

/// A page of blocked people.
pub struct Blocked {
    /// The people, each with the subject that marks their position in the list.
    pub members: Vec<(Subject, Identity)>,
    /// Whether there are more: after the last one, or, for a page that ends [before](Paging::Before) a subject, before the first.
    pub more: bool,
}

/// Returns at most `limit` people who are blocked in all of these directions, in an order that is stable but arbitrary.
///
/// A number costs microseconds; a user id, a lookup in the ledger. With [`Paging::Skip`] the skipped entries are read too.
///
/// # Errors
/// [`Refusal::TooLong`] if `patience` ends; if the ledger fails, or the tenant was removed meanwhile.
pub fn blocked(
    target: &Target,
    from: Paging,
    limit: NonZeroUsize,
    directions: Directions,
    who: Who,
    patience: &Patience,
) -> Result<Blocked, Refusal> {
    let filter = Filter { status: portcullis_ledger::StatusFilter::Active, covering: directions };
    let list = target.list.entries();
    // Pages by number count only the people that are shown.
    let (mut from, mut skip) = match from {
        Paging::Skip(count) if who == Who::Numbers => (Paging::Start, count),
        from => (from, 0),
    };
    let backwards = matches!(from, Paging::Before(_));
    let mut members: Vec<(Subject, Identity)> = Vec::new();
    loop {
        patience.check()?;
        let step = limit.max(STEP);
        let page = list.subjects(from, step, filter)?;
        let edge = if backwards { page.entries.first() } else { page.entries.last() };
        let next = edge.map(|edge| if backwards { Paging::Before(*edge) } else { Paging::After(*edge) });
        let mut found = Vec::with_capacity(page.entries.len());
        for subject in page.entries {
            if who == Who::Numbers
                && !matches!(target.list.permutation().reveal(subject), Revealed::Number(_))
            {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            found.push(subject);
        }
        let missing = limit.get() - members.len();
        let more = page.more || found.len() > missing;
        if backwards {
            let surplus = found.len().saturating_sub(missing);
            let mut part = reveal_all(target, &found[surplus..])?;
            part.append(&mut members);
            members = part;
        } else {
            found.truncate(missing);
            members.extend(reveal_all(target, &found)?);
        }
        match next.filter(|_| page.more && members.len() < limit.get()) {
            Some(next) => from = next,
            None => return Ok(Blocked { members, more }),
        }
    }
}

/// The fewest entries to read from the ledger at once.
const STEP: NonZeroUsize = NonZeroUsize::new(256).unwrap();

fn reveal_all(target: &Target, subjects: &[Subject]) -> Result<Vec<(Subject, Identity)>, Refusal> {
    let mut all = Vec::with_capacity(subjects.len());
    for &subject in subjects {
        if let Some(identity) = target.reveal(subject)? {
            all.push((subject, identity));
        }
    }
    Ok(all)
}

/// A search in the numbers, display forms and reasons of entries. Ignores case.
pub struct Search<'a> {
    /// The text to find: part of a display form or reason, or part of the digits of a number in any of its spellings.
    pub text: &'a str,
    /// The number that the text stands for, if it is one.
    person: Option<Msisdn>,
}

impl<'a> Search<'a> {
    /// Creates a search. The text also finds the number that it would be read as.
    pub fn new(target: &Target, text: &'a str) -> Self {
        let person = target.read(text).ok().and_then(|identity| identity.number());
        Search { text, person }
    }

    fn finds(&self, shown: &Shown, number: Msisdn) -> bool {
        let wanted = self.text.to_lowercase();
        let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
        let is_number =
            !digits.is_empty() && wanted.chars().all(|c| c.is_ascii_digit() || " +-.()/".contains(c));
        let is_meant = |spelling: Msisdn| {
            Some(spelling) == self.person || is_number && spelling.digits().to_string().contains(&digits)
        };
        if number.variants().any(is_meant) {
            return true;
        }
        let display = shown.entry.display.as_ref().map(|display| display.as_str().to_lowercase());
        let written: String =
            display.iter().flat_map(|display| display.chars()).filter(char::is_ascii_digit).collect();
        let reason = shown.entry.holds.lead().reason.as_ref().map(|reason| reason.as_str().to_lowercase());
        is_number && written.contains(&digits)
            || [display, reason].iter().flatten().any(|text| text.contains(&wanted))
    }
}

/// A request for a page of numbers at an offset, optionally of a search.
pub struct Counted<'a> {
    /// How many matching entries to skip.
    pub skip: u64,
    /// The most entries to return.
    pub limit: NonZeroUsize,
    /// Which entries to consider.
    pub filter: Filter,
    /// What the entries must contain; `None` for no search.
    pub search: Option<Search<'a>>,
}

/// Returns a page of entries about numbers, in an order that is stable but arbitrary, and whether there are more. Omits user ids.
///
/// Decrypts every entry up to the end of the page, so a search that finds little reads the whole list.
///
/// # Errors
/// [`Refusal::TooLong`] if `patience` ends; if the ledger fails, or the tenant was removed meanwhile.
pub fn counted(
    target: &Target,
    wanted: &Counted<'_>,
    patience: &Patience,
) -> Result<(Vec<Shown>, bool), Refusal> {
    let mut from = Paging::Start;
    let mut skip = wanted.skip;
    let mut found = Vec::new();
    loop {
        patience.check()?;
        let page = target.list.entries().page(from, STEP.max(wanted.limit), wanted.filter)?;
        let last = page.entries.last().map(|last| last.subject);
        for entry in page.entries {
            let shown = show(target, entry)?;
            let Some(Identity::Number(number)) = shown.identity else { continue };
            if wanted.search.as_ref().is_some_and(|search| !search.finds(&shown, number)) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if found.len() == wanted.limit.get() {
                return Ok((found, true));
            }
            found.push(shown);
        }
        match last.filter(|_| page.more) {
            Some(last) => from = Paging::After(last),
            None => return Ok((found, false)),
        }
    }
}

/// A record of the audit trail, with the number or user id that it is about.
pub struct ShownRecord {
    /// The id by which clients know the entry.
    pub id: PublicId,
    /// The person; `None` if the subject is nobody's under the tenant's key.
    pub identity: Option<Identity>,
    /// The record in the ledger.
    pub record: Record,
}

/// A page of the audit trail, the latest record first.
pub struct ShownTrail {
    /// The records.
    pub records: Vec<ShownRecord>,
    /// The `before` argument for the next page; `None` on the last page.
    pub older: Option<Seq>,
}

/// Returns the audit trail of the list, or of one person: changes with a sequence number below `before`, or all.
/// Returns about `limit` records, because records with the same sequence number are not split.
///
/// # Errors
/// If the ledger fails, or the tenant was removed meanwhile.
pub fn trail(
    target: &Target,
    of: Option<Person>,
    before: Option<Seq>,
    limit: NonZeroUsize,
) -> Result<ShownTrail, Refusal> {
    let list = target.list.entries();
    let trail = match of {
        Some(person) => list.history(&person, before, limit)?,
        None => list.trail(before, limit)?,
    };
    Ok(ShownTrail { records: records(&target.list, trail.records)?, older: trail.older })
}

/// Adds to each record the entry's public id and the person. Costs a lookup in the ledger for each user id.
///
/// # Errors
/// If the ledger fails, or the tenant was removed meanwhile.
pub fn records(list: &List, records: Vec<Record>) -> Result<Vec<ShownRecord>, Refusal> {
    let show = |record: Record| {
        let id = list.entries().public_id(record.subject);
        Ok(ShownRecord { id, identity: list.reveal(record.subject)?, record })
    };
    records.into_iter().map(show).collect()
}
