//! Model-based tests: the ledger against a map.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_ledger::{
    Actor, Block, DisplayForm, Hold, HoldKind, Label, Ledger, List, Outcome, Paging, Reason, Scope, Seq,
    Source, StatusFilter, Unblock, Whom, Write,
};
use portcullis_msisdn::{Directions, Subject};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixture::{actor, cases, limit, sender, subject, tenant, time};
use crate::ledger_dir::LedgerDir;

/// A hold in the model.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    directions: Directions,
    source: Source,
    label: Option<Label>,
    actor: Actor,
    lifted_by: Option<Actor>,
    reason: Option<Reason>,
    expires: Option<Timestamp>,
    requested: Moment,
}

/// When a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// A time that a test chose.
    Chosen(Timestamp),
    /// The time of a call, by the number of the call. Later than all times that the tests choose.
    Written(usize),
}

impl Moment {
    fn of(requested: Option<Timestamp>, call: usize) -> Self {
        requested.map_or(Moment::Written(call), Moment::Chosen)
    }

    /// The moment, as far as what is stored tells.
    fn stored(requested: Timestamp) -> Self {
        let is_chosen = requested < time(1_700_000_100_000);
        Moment::of(Some(requested).filter(|_| is_chosen), 0)
    }
}

/// Whether a request was made before another.
fn is_older(requested: Moment, than: Moment) -> bool {
    match (requested, than) {
        (Moment::Chosen(requested), Moment::Chosen(than)) => {
            let both_are_precise = requested.subsec_nanosecond() != 0 && than.subsec_nanosecond() != 0;
            requested < than && (requested.as_second() < than.as_second() || both_are_precise)
        }
        _ => requested < than,
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    holds: BTreeMap<HoldKind, Held>,
    display: Option<DisplayForm>,
    ever: Directions,
}

impl Row {
    fn blocked(&self) -> Directions {
        let blocking = self.holds.iter().filter(|(kind, _)| **kind != HoldKind::Marketing);
        blocking.fold(Directions::NONE, |all, (_, held)| all | held.directions)
    }

    fn next_end(&self) -> Option<Timestamp> {
        let in_force = self.holds.values().filter(|held| !held.directions.is_none());
        in_force.filter_map(|held| held.expires).min()
    }

    /// The row, as far as what is stored tells.
    fn stored(mut self) -> Self {
        for held in self.holds.values_mut() {
            if let Moment::Written(call) = &mut held.requested {
                *call = 0;
            }
        }
        self
    }
}

type Rows = BTreeMap<Subject, Row>;

fn subject_of(write: &Write) -> Subject {
    match write.whom() {
        Whom::Subject(subject) => *subject,
        Whom::User(_) => panic!("the model has no user ids"),
    }
}

/// Returns the outcome, and what the trail says: all that changes a row is in it.
fn apply(rows: &mut Rows, write: &Write, call: usize) -> (Outcome, Option<Outcome>) {
    let before = rows.get(&subject_of(write)).cloned();
    let outcome = apply_to(rows, write, Moment::of(write.requested(), call));
    let has_changed = rows.get(&subject_of(write)) != before.as_ref();
    let recorded = match outcome {
        Outcome::Already => has_changed.then_some(Outcome::Updated),
        Outcome::Absent | Outcome::Held => has_changed.then_some(Outcome::Noted),
        Outcome::Outdated => Some(outcome),
        _ => has_changed.then_some(outcome),
    };
    (outcome, recorded)
}

fn apply_to(rows: &mut Rows, write: &Write, made: Moment) -> Outcome {
    let subject = subject_of(write);
    match write.clone() {
        Write::Block(block) => {
            let known = rows.get(&subject).and_then(|row| row.holds.get(&block.hold));
            let is_wish = block.hold != HoldKind::Operator;
            let is_ordered = is_wish || block.after_loss;
            if is_ordered && known.is_some_and(|held| is_older(made, held.requested)) {
                return Outcome::Outdated;
            }
            let is_new = !rows.contains_key(&subject);
            let row = rows.entry(subject).or_default();
            let before = row.blocked();
            let mut new = Held {
                directions: block.directions,
                source: block.source,
                label: block.label,
                actor: block.actor,
                lifted_by: None,
                reason: block.reason,
                expires: block.expires,
                requested: made,
            };
            let mut is_repeated = false;
            let mut says_new = block.display.is_some() && block.display != row.display;
            if let Some(old) = row.holds.get_mut(&block.hold).filter(|old| !old.directions.is_none()) {
                new.directions = old.directions | block.directions;
                new.reason = new.reason.or(old.reason.clone());
                new.label = new.label.or(old.label.clone());
                if is_wish {
                    new.expires = old.expires.zip(new.expires).map(|(old, new)| old.max(new));
                }
                says_new |= new.reason != old.reason || new.label != old.label || new.expires != old.expires;
                let is_newer = is_older(old.requested, made);
                says_new |= block.requested.is_some() && is_newer;
                if is_wish {
                    new.requested = old.requested.max(made);
                }
                is_repeated = !says_new && new.directions == old.directions;
                if is_repeated && !(is_ordered && is_newer) {
                    return Outcome::Already;
                }
            }
            row.holds.insert(block.hold, new);
            if is_repeated {
                return Outcome::Already;
            }
            row.display =
                if before.is_none() { block.display } else { block.display.or(row.display.clone()) };
            row.ever = row.ever | row.blocked();
            match (is_new, before.is_none(), before == row.blocked()) {
                (true, ..) => Outcome::Added,
                (_, _, true) => Outcome::Updated,
                (_, true, _) => Outcome::Reactivated,
                _ => Outcome::Widened,
            }
        }
        Write::Unblock(Unblock { covering, hold, directions, actor, requested, after_loss, .. }) => {
            let before = rows.get(&subject).map(Row::blocked).unwrap_or_default();
            if !(covering & !before).is_none() {
                return Outcome::Absent;
            }
            let (mut lifted, mut outdated, mut noted) = (false, false, false);
            for (kind, held) in rows.get_mut(&subject).into_iter().flat_map(|row| &mut row.holds) {
                if hold.is_some_and(|hold| hold != *kind) {
                    continue;
                }
                let is_wish = *kind != HoldKind::Operator;
                let is_late = match held.directions.is_none() || !is_wish {
                    true => is_older(made, held.requested),
                    false => !is_older(held.requested, made),
                };
                let is_noted = match after_loss {
                    true => hold == Some(*kind) || !is_wish,
                    false => is_wish && requested.is_some(),
                };
                if (is_wish || after_loss) && requested.is_some() && is_late {
                    outdated = true;
                } else if !(held.directions & directions).is_none() {
                    held.directions = held.directions & !directions;
                    held.lifted_by = Some(actor.clone());
                    held.requested = made;
                    lifted = true;
                } else if is_noted && held.directions.is_none() && is_older(held.requested, made) {
                    held.requested = made;
                    noted = true;
                }
            }
            let is_wish = |kind: &HoldKind| *kind != HoldKind::Operator;
            let of_kind = match hold {
                Some(kind) => Some(kind).filter(|kind| is_wish(kind) || after_loss),
                None => after_loss.then_some(HoldKind::Operator),
            };
            let known = |kind: &HoldKind| rows.get(&subject).is_some_and(|row| row.holds.contains_key(kind));
            if let Some(kind) = of_kind.filter(|kind| !known(kind) && (requested.is_some() || after_loss)) {
                let held = Held {
                    directions: Directions::NONE,
                    source: if is_wish(&kind) { Source::OptOut } else { Source::Api },
                    label: None,
                    actor: actor.clone(),
                    lifted_by: Some(actor),
                    reason: None,
                    expires: None,
                    requested: made,
                };
                rows.entry(subject).or_default().holds.insert(kind, held);
                noted = true;
            }
            let after = rows.get(&subject).map(Row::blocked).unwrap_or_default();
            match lifted {
                true if after == before => Outcome::Lifted,
                true if after.is_none() => Outcome::Removed,
                true => Outcome::Narrowed,
                false if outdated => Outcome::Outdated,
                false if noted && requested.is_some() => Outcome::Noted,
                false if (before & directions).is_none() => Outcome::Absent,
                false => Outcome::Held,
            }
        }
    }
}

/// Lifts expired holds. Returns the number of entries that changed.
fn expire(rows: &mut Rows, now: Timestamp) -> usize {
    let mut count = 0;
    for row in rows.values_mut() {
        let mut ended = false;
        for held in row.holds.values_mut() {
            if let Some(end) = held.expires.filter(|&end| end <= now && !held.directions.is_none()) {
                held.directions = Directions::NONE;
                held.lifted_by = Some(Actor::expiry());
                held.requested = Moment::Chosen(end);
                ended = true;
            }
        }
        count += usize::from(ended);
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
    // In the past, as the time by which a shared ledger expires holds is never ahead of its database. After all requests.
    (0..6_i64).prop_map(|n| time(1_700_000_050_000 + n))
}

fn write() -> impl Strategy<Value = Write> {
    let subjects = || (0..8_u64).prop_map(|n| subject(n << 40 | n));
    let actors = || {
        prop_oneof![
            Just(actor("crm")),
            Just(actor("help desk")),
            Just(actor("crm").at("192.0.2.7".parse().unwrap())),
        ]
    };
    let kinds = || (0..3_usize).prop_map(|kind| HoldKind::ALL[kind]);
    let text = || proptest::option::weighted(0.3, "[0-9é]{0,3}");
    let requested =
        || proptest::option::weighted(0.4, (0..6_i64).prop_map(|n| time(1_700_000_000_000 + n * 400)));
    let block = (
        (subjects(), kinds(), directions(), 0..5_usize, actors()),
        (text(), text(), text()),
        (proptest::option::weighted(0.3, times()), requested(), proptest::bool::weighted(0.3)),
    );
    let whom = (subjects(), actors(), proptest::bool::weighted(0.3));
    let unblock = (0..4_u8, whom, proptest::option::of(kinds()), directions(), requested());
    prop_oneof![
        3 => block.prop_map(|((subject, hold, directions, source, actor), texts, dates)| {
            let (label, reason, display) = texts;
            let (expires, requested, after_loss) = dates;
            Write::Block(Block {
                hold,
                source: Source::ALL[source],
                label: label.map(|text| Label::new(text).unwrap()),
                reason: reason.map(|text| Reason::new(text).unwrap()),
                display: display.map(|text| DisplayForm::new(text).unwrap()),
                expires,
                requested,
                after_loss,
                ..Block::new(subject, directions, actor)
            })
        }),
        2 => unblock.prop_map(|(covering, (subject, actor, after_loss), hold, directions, requested)| {
            let covering = Directions::from_bits(covering).unwrap();
            let unblock = Unblock::new(subject, directions, actor);
            Write::Unblock(Unblock { covering, hold, requested, after_loss, ..unblock })
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, vec(write(), 1..5)).prop_map(|(list, writes)| Step::Write { list, writes }),
        1 => times().prop_map(Step::Expire),
        1 => Just(Step::Reopen),
    ]
}

/// A list, its expected contents, and its expected contents at some sequence numbers.
struct Twin {
    list: List,
    rows: Rows,
    history: Vec<(Seq, BTreeMap<Subject, Directions>)>,
    /// The subject of each change, its outcome, and what was blocked before and after.
    trail: Vec<(Subject, Outcome, Directions, Directions)>,
    calls: usize,
}

fn blocked(rows: &Rows) -> BTreeMap<Subject, Directions> {
    let all = rows.iter().map(|(subject, row)| (*subject, row.blocked()));
    all.filter(|(_, directions)| !directions.is_none()).collect()
}

impl Twin {
    fn new(list: List) -> Self {
        let history = vec![(Seq::START, BTreeMap::new())];
        Twin { list, rows: Rows::new(), history, trail: Vec::new(), calls: 0 }
    }

    fn write(&mut self, ledger: &Ledger, writes: &[Write]) {
        self.calls += 1;
        // Later than the call before, and not in whole seconds, which are compared with others in whole seconds.
        let before = ledger.now();
        while ledger.now() == before || ledger.now().subsec_millisecond() == 0 {
            std::hint::spin_loop();
        }
        let recorded = self.trail.len();
        let written = self.list.write(writes.to_vec()).unwrap();
        for (write, written) in writes.iter().zip(&written) {
            let directions = |rows: &Rows| rows.get(&subject_of(write)).map(Row::blocked).unwrap_or_default();
            assert_eq!(written.before, directions(&self.rows));
            let (outcome, recorded) = apply(&mut self.rows, write, self.calls);
            assert_eq!(written.outcome, outcome);
            assert_eq!(written.after, directions(&self.rows));
            self.trail.extend(
                recorded.map(|recorded| (subject_of(write), recorded, written.before, written.after)),
            );
        }
        let newest = self.list.sequence().unwrap();
        assert_eq!(written.iter().map(|written| written.sequence).max(), Some(newest));
        let changed = self.trail.len() > recorded;
        assert_eq!(changed, self.history.last().is_none_or(|(before, _)| *before < newest));
    }

    /// Returns the number of entries that changed.
    fn expire(&mut self, now: Timestamp) -> usize {
        for (subject, row) in &self.rows {
            // One record per hold, in the order of the kinds.
            let mut row = row.clone();
            let due: Vec<HoldKind> = (row.holds.iter())
                .filter(|(_, held)| !held.directions.is_none() && held.expires.is_some_and(|end| end <= now))
                .map(|(kind, _)| *kind)
                .collect();
            for kind in due {
                let before = row.blocked();
                row.holds.get_mut(&kind).unwrap().directions = Directions::NONE;
                let outcome = match (row.blocked() == before, row.blocked()) {
                    (true, _) => Outcome::Lifted,
                    (_, Directions::NONE) => Outcome::Removed,
                    _ => Outcome::Narrowed,
                };
                self.trail.push((*subject, outcome, before, row.blocked()));
            }
        }
        expire(&mut self.rows, now)
    }

    /// Checks that the list's contents are as expected.
    fn check(&mut self, part: usize) {
        let list = &self.list;
        let blocked = blocked(&self.rows);
        assert_eq!(list.count().unwrap(), blocked.len() as u64);
        assert_eq!(self.members(part), blocked.clone().into_iter().collect::<Vec<_>>());
        for filter in [StatusFilter::All, StatusFilter::Active, StatusFilter::Inactive] {
            let expected: Rows = (self.rows.clone().into_iter())
                .filter(|(_, row)| match filter {
                    StatusFilter::All => true,
                    StatusFilter::Active => !row.blocked().is_none(),
                    StatusFilter::Inactive => row.blocked().is_none(),
                })
                .collect();
            let expected = expected.into_iter().map(|(subject, row)| (subject, row.stored()));
            assert_eq!(self.pages(filter, part), expected.collect::<Vec<_>>());
        }
        self.check_trail(part);
        let list = &self.list;
        self.history.push((list.sequence().unwrap(), blocked));
        for (since, state) in &self.history {
            assert_eq!(self.replay(*since, state.clone(), part), self.history.last().unwrap().1);
        }
    }

    /// Checks that the trail, read in pages, and each history contain the changes of each entry in order.
    fn check_trail(&self, part: usize) {
        let mut records = Vec::new();
        let mut before = None;
        loop {
            let trail = self.list.trail(before, limit(part)).unwrap();
            records.extend(trail.records);
            match trail.older {
                Some(older) => before = Some(older),
                None => break,
            }
        }
        records.reverse();
        assert_eq!(records.len(), self.trail.len());
        for subject in self.rows.keys() {
            let of_one: Vec<_> = records.iter().filter(|record| record.subject == *subject).collect();
            let recorded: Vec<_> = (of_one.iter())
                .map(|record| (*subject, record.outcome, record.blocked_before(), record.blocked_after()))
                .collect();
            let done: Vec<_> = self.trail.iter().filter(|change| change.0 == *subject).copied().collect();
            assert_eq!(recorded, done);
            let mut history = self.list.history(&[*subject], None, limit(1000)).unwrap().records;
            history.reverse();
            assert_eq!(history.iter().collect::<Vec<_>>(), of_one);
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
            let from = after.map_or(Paging::Start, Paging::After);
            let page = self.list.page(from, limit(part), filter).unwrap();
            assert!(page.entries.len() == part || !page.more);
            all.extend(page.entries.into_iter().map(|entry| {
                assert_eq!(Some(&entry), self.list.get(entry.subject).unwrap().as_ref());
                assert_eq!(self.list.directions(&[entry.subject]).unwrap(), [entry.directions]);
                let held = |hold: &Hold| Held {
                    directions: hold.directions,
                    source: hold.source,
                    label: hold.label.clone(),
                    actor: hold.actor.clone(),
                    lifted_by: hold.lifted_by.clone(),
                    reason: hold.reason.clone(),
                    expires: hold.expires,
                    requested: Moment::stored(hold.requested),
                };
                assert_eq!(entry.deactivated.is_some(), entry.directions.is_none());
                let row = Row {
                    holds: entry.holds.iter().map(|hold| (hold.kind, held(hold))).collect(),
                    display: entry.display,
                    ever: entry.ever,
                };
                assert_eq!(entry.directions, row.blocked());
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
    #![proptest_config(cases(40))]

    #[test]
    fn a_ledger_behaves_like_a_map_with_a_history(steps in vec(step(), 1..24), part in 1..4_usize) {
        let dir = LedgerDir::new();
        let mut ledger = dir.ledger();
        let mut twins =
            lists(&ledger).map(Twin::new);
        for step in steps {
            match step {
                Step::Write { list, writes } => twins[list].write(&ledger, &writes),
                Step::Expire(now) => {
                    let expired: usize =
                        ledger.expire_due(now).unwrap().iter().map(|list| list.count).sum();
                    let expected: usize = twins.iter_mut().map(|twin| twin.expire(now)).sum();
                    prop_assert_eq!(expired, expected);
                }
                Step::Reopen => {
                    let states = twins.map(|twin| (twin.rows, twin.history, twin.trail, twin.calls));
                    drop(ledger);
                    ledger = dir.ledger();
                    let mut reopened = lists(&ledger).into_iter();
                    twins = states.map(|(rows, history, trail, calls)| {
                        Twin { rows, history, trail, calls, ..Twin::new(reopened.next().unwrap()) }
                    });
                }
            }
            for twin in &mut twins {
                twin.check(part);
            }
            let ends = twins.iter().flat_map(|twin| twin.rows.values());
            let next = ends.filter_map(Row::next_end).min();
            prop_assert_eq!(ledger.next_expiry().unwrap(), next);
        }
    }
}
