//! The ledger against a map that does the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_ledger::{
    Actor, DisplayForm, Ledger, List, Outcome, Reason, Scope, Seq, Source, StatusFilter, Write,
};
use portcullis_msisdn::{Directions, Subject};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{Folder, actor, limit, sender, subject, tenant, time};

#[derive(Clone, Debug, PartialEq)]
struct Row {
    directions: Directions,
    source: Source,
    actor: Actor,
    lifted_by: Option<Actor>,
    reason: Option<Reason>,
    display: Option<DisplayForm>,
    expires: Option<Timestamp>,
    deactivated: bool,
}

type Rows = BTreeMap<Subject, Row>;

fn apply(rows: &mut Rows, write: &Write) -> Outcome {
    match write.clone() {
        Write::Block { subject, directions, source, actor, reason, display, expires } => {
            let mut new = Row {
                directions,
                source,
                actor,
                lifted_by: None,
                reason,
                display,
                expires,
                deactivated: false,
            };
            let outcome = match rows.get(&subject) {
                None => Outcome::Added,
                Some(old) if old.deactivated => Outcome::Reactivated,
                Some(old) => {
                    new.directions = old.directions | directions;
                    new.reason = new.reason.or(old.reason.clone());
                    new.display = new.display.or(old.display.clone());
                    let same_text = new.reason == old.reason && new.display == old.display;
                    match (new.directions == old.directions, same_text && new.expires == old.expires) {
                        (false, _) => Outcome::Widened,
                        (true, false) => Outcome::Updated,
                        (true, true) => return Outcome::Already,
                    }
                }
            };
            rows.insert(subject, new);
            outcome
        }
        Write::Unblock { subject, directions, actor } => match rows.get_mut(&subject) {
            Some(row) if !(row.directions & directions).is_none() => {
                row.directions = row.directions & !directions;
                row.lifted_by = Some(actor);
                row.deactivated = row.directions.is_none();
                if row.deactivated { Outcome::Removed } else { Outcome::Narrowed }
            }
            _ => Outcome::Absent,
        },
    }
}

fn expire(rows: &mut Rows, now: Timestamp) -> usize {
    let mut count = 0;
    for row in rows.values_mut() {
        if !row.deactivated && row.expires.is_some_and(|end| end <= now) {
            row.directions = Directions::NONE;
            row.lifted_by = Some(Actor::expiry());
            row.deactivated = true;
            count += 1;
        }
    }
    count
}

#[derive(Clone, Debug)]
enum Step {
    Write { list: usize, writes: Vec<Write> },
    Expire(Timestamp),
    Reopen,
}

fn directions() -> impl Strategy<Value = Directions> {
    (1..=3_u8).prop_map(|bits| Directions::from_bits(bits).unwrap())
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..6_i64).prop_map(|n| time(4_000_000_000_000 + n))
}

fn write() -> impl Strategy<Value = Write> {
    let subjects = || (0..8_u64).prop_map(|n| subject(n << 40 | n));
    let actors = || prop_oneof![Just("crm"), Just("help desk")].prop_map(actor);
    let text = || proptest::option::weighted(0.3, "[0-9é]{0,3}");
    prop_oneof![
        3 => (
            subjects(), directions(), 0..5_usize, actors(), text(), text(),
            proptest::option::weighted(0.3, times()),
        ).prop_map(|(subject, directions, source, actor, reason, display, expires)| Write::Block {
            subject,
            directions,
            source: Source::ALL[source],
            actor,
            reason: reason.map(|text| Reason::new(text).unwrap()),
            display: display.map(|text| DisplayForm::new(text).unwrap()),
            expires,
        }),
        2 => (subjects(), directions(), actors())
            .prop_map(|(subject, directions, actor)| Write::Unblock { subject, directions, actor }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, vec(write(), 1..5)).prop_map(|(list, writes)| Step::Write { list, writes }),
        1 => times().prop_map(Step::Expire),
        1 => Just(Step::Reopen),
    ]
}

/// One list, what it should hold, and what it held at some sequence numbers.
struct Twin {
    list: List,
    rows: Rows,
    history: Vec<(Seq, BTreeMap<Subject, Directions>)>,
}

fn blocked(rows: &Rows) -> BTreeMap<Subject, Directions> {
    rows.iter().filter(|(_, row)| !row.deactivated).map(|(subject, row)| (*subject, row.directions)).collect()
}

impl Twin {
    fn write(&mut self, writes: &[Write]) {
        let written = self.list.write(writes.to_vec()).unwrap();
        for (write, written) in writes.iter().zip(&written) {
            let directions =
                |rows: &Rows| rows.get(&write.subject()).map(|row| row.directions).unwrap_or_default();
            assert_eq!(written.before, directions(&self.rows));
            assert_eq!(written.outcome, apply(&mut self.rows, write));
            assert_eq!(written.after, directions(&self.rows));
        }
        let newest = self.list.sequence().unwrap();
        assert_eq!(written.iter().map(|written| written.sequence).max(), Some(newest));
        let changed = written.iter().any(|written| written.outcome.changed());
        assert_eq!(changed, self.history.last().is_none_or(|(before, _)| *before < newest));
    }

    /// That the list is in every way what it should be.
    fn check(&mut self, part: usize) {
        let list = &self.list;
        let blocked = blocked(&self.rows);
        assert_eq!(list.count().unwrap(), blocked.len() as u64);
        assert_eq!(self.members(part), blocked.clone().into_iter().collect::<Vec<_>>());
        for filter in [StatusFilter::All, StatusFilter::Active, StatusFilter::Inactive] {
            let expected: Rows = (self.rows.clone().into_iter())
                .filter(|(_, row)| match filter {
                    StatusFilter::All => true,
                    StatusFilter::Active => !row.deactivated,
                    StatusFilter::Inactive => row.deactivated,
                })
                .collect();
            assert_eq!(self.pages(filter, part), expected.into_iter().collect::<Vec<_>>());
        }
        self.history.push((list.sequence().unwrap(), blocked));
        for (since, state) in &self.history {
            assert_eq!(self.replay(*since, state.clone(), part), self.history.last().unwrap().1);
        }
    }

    fn members(&self, part: usize) -> Vec<(Subject, Directions)> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(subject, _)| *subject);
            let members = self.list.members(after, limit(part)).unwrap();
            let end = members.len() < part;
            all.extend(members);
            if end {
                return all;
            }
        }
    }

    fn pages(&self, filter: StatusFilter, part: usize) -> Vec<(Subject, Row)> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(subject, _)| *subject);
            let page = self.list.page(after, limit(part), filter).unwrap();
            assert!(page.entries.len() == part || !page.more);
            all.extend(page.entries.into_iter().map(|entry| {
                assert_eq!(Some(&entry), self.list.get(entry.subject).unwrap().as_ref());
                assert_eq!(self.list.directions(&[entry.subject]).unwrap(), [entry.directions]);
                let row = Row {
                    directions: entry.directions,
                    source: entry.source,
                    actor: entry.actor,
                    lifted_by: entry.lifted_by,
                    reason: entry.reason,
                    display: entry.display,
                    expires: entry.expires,
                    deactivated: entry.deactivated.is_some(),
                };
                (entry.subject, row)
            }));
            if !page.more {
                return all;
            }
        }
    }

    fn replay(
        &self,
        since: Seq,
        mut state: BTreeMap<Subject, Directions>,
        part: usize,
    ) -> BTreeMap<Subject, Directions> {
        let mut since = since;
        loop {
            let feed = self.list.changes_since(since, limit(part)).unwrap();
            for change in &feed.changes {
                assert!(change.sequence > since && change.sequence <= feed.sequence);
                since = change.sequence;
                if change.directions.is_none() {
                    state.remove(&change.subject);
                } else {
                    state.insert(change.subject, change.directions);
                }
            }
            since = feed.next();
            if !feed.more {
                return state;
            }
        }
    }
}

fn lists(ledger: &Ledger) -> [List; 2] {
    [Scope::Tenant, sender("bot")].map(|scope| ledger.list(&tenant("acme"), scope).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_is_a_map_that_remembers(steps in vec(step(), 1..24), part in 1..4_usize) {
        let folder = Folder::new();
        let mut ledger = folder.ledger();
        let mut twins =
            lists(&ledger).map(|list| Twin { list, rows: Rows::new(), history: vec![(Seq::START, BTreeMap::new())] });
        for step in steps {
            match step {
                Step::Write { list, writes } => twins[list].write(&writes),
                Step::Expire(now) => {
                    let expired: usize =
                        ledger.expire_due(now).unwrap().iter().map(|list| list.count).sum();
                    let expected: usize = twins.iter_mut().map(|twin| expire(&mut twin.rows, now)).sum();
                    prop_assert_eq!(expired, expected);
                }
                Step::Reopen => {
                    let states = twins.map(|twin| (twin.rows, twin.history));
                    drop(ledger);
                    ledger = folder.ledger();
                    let mut reopened = lists(&ledger).into_iter();
                    twins = states.map(|(rows, history)| Twin { list: reopened.next().unwrap(), rows, history });
                }
            }
            for twin in &mut twins {
                twin.check(part);
            }
            let ends = twins.iter().flat_map(|twin| twin.rows.values());
            let next = ends.filter(|row| !row.deactivated).filter_map(|row| row.expires).min();
            prop_assert_eq!(ledger.next_expiry().unwrap(), next);
        }
    }
}
