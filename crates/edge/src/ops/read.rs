//! Reading entries.

use std::num::NonZeroUsize;

use portcullis_ledger::{Entry, Filter, Paging, PublicId, Record, Seq};
use portcullis_msisdn::{Directions, Msisdn, Person, Revealed, Subject};

use super::refusal::Refusal;
use super::target::Target;
use portcullis_engine::{Identity, List};

/// An entry as its tenant may see it.
pub struct Shown {
    pub id: PublicId,
    /// Missing where it is nobody's.
    pub identity: Option<Identity>,
    pub entry: Entry,
}

/// A part of a list.
pub struct ShownPage {
    pub entries: Vec<Shown>,
    /// The cursor of the next part, if there is one.
    pub next: Option<PublicId>,
}

/// Entries in a stable order that means nothing.
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

/// One entry, active or not.
pub fn entry(target: &Target, subject: Subject) -> Result<Shown, Refusal> {
    let entry = target.list.entries().get(subject)?.ok_or(Refusal::EntryNotFound)?;
    show(target, entry)
}

/// The entry of a person, active or not: one that blocks before others.
pub fn entry_of(target: &Target, person: &Person) -> Result<Shown, Refusal> {
    let entry = target.list.entries().find(person)?.into_iter().next().ok_or(Refusal::EntryNotFound)?;
    show(target, entry)
}

fn show(target: &Target, entry: Entry) -> Result<Shown, Refusal> {
    let identity = target.reveal(entry.subject)?;
    Ok(Shown { id: target.list.entries().public_id(entry.subject), identity, entry })
}

/// Whom a walk over a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Everybody,
    /// As for clients that know nothing else.
    Numbers,
}

/// Some of those that are blocked.
pub struct Blocked {
    /// Each with its place in the list.
    pub members: Vec<(Subject, Identity)>,
    /// Whether there are more, in the direction of the walk.
    pub more: bool,
}

/// Up to `limit` of those that are blocked in all of these directions, in a stable order that means nothing.
pub fn blocked(
    target: &Target,
    from: Paging,
    limit: NonZeroUsize,
    directions: Directions,
    who: Who,
) -> Result<Blocked, Refusal> {
    let filter = Filter { status: portcullis_ledger::StatusFilter::Active, covering: directions };
    let list = target.list.entries();
    // Counted pages count those that are shown.
    let (mut from, mut skip) = match from {
        Paging::Skip(count) if who == Who::Numbers => (Paging::Start, count),
        from => (from, 0),
    };
    let backwards = matches!(from, Paging::Before(_));
    let mut members: Vec<(Subject, Identity)> = Vec::new();
    loop {
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

/// How many entries are looked at in one go at least.
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

/// A search over numbers and texts.
pub struct Search<'a> {
    /// In numbers in each of their spellings and as they were written, and in reasons; of either case.
    pub text: &'a str,
    /// The number that the text is read as.
    person: Option<Msisdn>,
}

impl<'a> Search<'a> {
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

/// A page of numbers by its number, of those that a search finds.
pub struct Counted<'a> {
    /// How many to leave out.
    pub skip: u64,
    pub limit: NonZeroUsize,
    pub filter: Filter,
    pub search: Option<Search<'a>>,
}

/// Entries about numbers, in a stable order that means nothing, and whether there are more. A search looks at the whole list.
pub fn counted(target: &Target, wanted: &Counted<'_>) -> Result<(Vec<Shown>, bool), Refusal> {
    let mut from = Paging::Start;
    let mut skip = wanted.skip;
    let mut found = Vec::new();
    loop {
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

/// A record of the trail as its tenant may see it.
pub struct ShownRecord {
    pub id: PublicId,
    pub identity: Option<Identity>,
    pub record: Record,
}

/// A part of a trail, the newest record first.
pub struct ShownTrail {
    pub records: Vec<ShownRecord>,
    /// From where older ones are to be asked for.
    pub older: Option<Seq>,
}

/// What was done to the list, or to one person's entry of it, before the change of this number.
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

/// Records as their tenant may see them.
pub fn records(list: &List, records: Vec<Record>) -> Result<Vec<ShownRecord>, Refusal> {
    let show = |record: Record| {
        let id = list.entries().public_id(record.subject);
        Ok(ShownRecord { id, identity: list.reveal(record.subject)?, record })
    };
    records.into_iter().map(show).collect()
}
