//! Rows, gathered for one request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use portcullis_api::{
    BlockRequest, GivenSource, HoldKind, NumberText, OnInvalid, Outcome, UnblockRequest, WriteAnswer,
};

use super::super::client::{Client, Error, Target};
use super::super::directions::Directions;
use super::super::time::Time;
use super::flight::Together;
use super::refusal::Refusal;
use super::row::{Row, Rows, Wanted};
use super::rules::Change;

/// The most bytes of rows in a request, about: far below what the gateway takes by default (16
/// MiB), even where JSON escapes every character.
const HEAVIEST: usize = 1 << 20;

/// Rows that follow each other in the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// At least one.
    rows: Vec<Row>,
}

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Wishes that changed nothing, as the person asked for something else later.
    pub(super) outdated: u64,
    /// Wishes that the person took back.
    pub(super) taken_back: u64,
    /// By index of the row.
    pub(super) refused: BTreeMap<usize, Refusal>,
}

/// What holds for all rows that do not say otherwise, and what to do with them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) change: Change,
    pub(super) directions: Directions,
    pub(super) hold: Option<HoldKind>,
    pub(super) source: GivenSource,
    pub(super) reason: Option<String>,
    pub(super) dry_run: bool,
}

/// What all numbers have in common that are unblocked by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lift {
    directions: Directions,
    hold: Option<HoldKind>,
    requested: Option<Time>,
}

impl Batch {
    /// The line that the first row begins in.
    pub(super) fn first_line(&self) -> u64 {
        self.rows.first().map_or(1, |row| row.line)
    }

    /// How many rows there are, good and bad.
    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The rows that were not taken, in order.
    pub(super) fn refused<'a>(
        &'a self,
        applied: &'a Applied,
    ) -> impl Iterator<Item = (u64, &'a Refusal)> + 'a {
        self.rows.iter().enumerate().filter_map(|(index, row)| {
            let refusal = row.wanted.as_ref().err().or_else(|| applied.refused.get(&index))?;
            Some((row.line, refusal))
        })
    }

    fn good(&self) -> impl Iterator<Item = (usize, &Wanted)> {
        self.rows.iter().enumerate().filter_map(|(index, row)| Some((index, row.wanted.as_ref().ok()?)))
    }

    /// Asks the gateway to do it. Says nothing to the gateway where no row is good.
    pub(super) fn send(&self, client: &Client, target: &Target, wish: &Plan) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        if wish.change == Change::Block {
            let (indices, entries): (Vec<_>, Vec<_>) =
                self.good().filter(|(_, wanted)| !wanted.taken_back).unzip();
            let body = BlockRequest {
                // Of which wishes are outdated, only the single results tell.
                brief: entries.iter().all(|wanted| wanted.requested.is_none()),
                entries: Some(entries.into_iter().map(Wanted::entry).collect()),
                directions: Some(wish.directions.list()),
                reason: wish.reason.as_deref().map(Cow::from),
                source: Some(wish.source),
                hold: wish.hold,
                on_invalid: OnInvalid::Skip,
                dry_run: wish.dry_run,
                ..BlockRequest::default()
            };
            applied.ask(&indices, || client.block(target, &body))?;
        }
        // To unblock takes one set of directions, one hold and one time a request.
        let mut lifts: BTreeMap<Lift, (Vec<usize>, Vec<&str>)> = BTreeMap::new();
        for (index, wanted) in self.good() {
            if let Some(lift) = wish.lift(wanted) {
                let (indices, numbers) = lifts.entry(lift).or_default();
                indices.push(index);
                numbers.push(&wanted.number);
            }
        }
        for (lift, (indices, numbers)) in lifts {
            let body = UnblockRequest {
                numbers: Some(numbers.into_iter().map(NumberText::from).collect()),
                directions: Some(lift.directions.list()),
                hold: lift.hold.unwrap_or(HoldKind::Operator).into(),
                requested: lift.requested.map(|time| time.to_string().into()),
                brief: lift.requested.is_none(),
                on_invalid: OnInvalid::Skip,
                dry_run: wish.dry_run,
                ..UnblockRequest::default()
            };
            let changed = applied.changed;
            applied.ask(&indices, || client.unblock(target, &body))?;
            if wish.change == Change::Block {
                applied.taken_back += applied.changed - changed;
                applied.changed = changed;
            }
        }
        Ok(applied)
    }
}

impl Plan {
    /// What a row lifts, if it lifts anything.
    fn lift(&self, wanted: &Wanted) -> Option<Lift> {
        let requested = wanted.requested;
        match self.change {
            Change::Block if wanted.taken_back => {
                Some(Lift { directions: Directions::Both, hold: wanted.hold, requested })
            }
            Change::Block => None,
            Change::Unblock => {
                let directions = wanted.directions.unwrap_or(self.directions);
                Some(Lift { directions, hold: self.hold, requested })
            }
        }
    }
}

impl Applied {
    /// Adds what came of the rows at `indices`.
    fn ask(
        &mut self,
        indices: &[usize],
        change: impl FnOnce() -> Result<WriteAnswer, Error>,
    ) -> Result<(), Error> {
        if indices.is_empty() {
            return Ok(());
        }
        let changed = change()?;
        let outdated =
            changed.results.iter().flatten().filter(|result| result.outcome == Outcome::Outdated).count()
                as u64;
        self.changed += changed.changed as u64;
        // The gateway counts these among the unchanged.
        self.unchanged += (changed.unchanged as u64).saturating_sub(outdated);
        self.outdated += outdated;
        self.refused.extend(
            changed
                .invalid
                .into_iter()
                .filter_map(|invalid| Some((*indices.get(invalid.index)?, Refusal::Gateway(invalid.reason)))),
        );
        Ok(())
    }
}

/// Adding a direction to an entry and taking one away can be done in any order; of two reasons or
/// expiry times for one number the later has to win.
impl Together for Batch {
    fn must_go_alone(&self) -> bool {
        self.good().any(|(_, wanted)| wanted.has_details())
    }
}

/// Gathers rows to batches, from the line `from` on.
pub(super) struct Batches<'a> {
    rows: Box<dyn Rows + 'a>,
    most: NonZeroUsize,
    from: u64,
    /// Why there are no more rows, until it is told.
    failed: Option<anyhow::Error>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(rows: Box<dyn Rows + 'a>, most: NonZeroUsize, from: u64) -> Self {
        Batches { rows, most, from, failed: None }
    }
}

impl Iterator for Batches<'_> {
    type Item = anyhow::Result<Batch>;

    fn next(&mut self) -> Option<anyhow::Result<Batch>> {
        let mut rows = Vec::new();
        let mut weight = 0;
        while self.failed.is_none() && rows.len() < self.most.get() && weight < HEAVIEST {
            match self.rows.next() {
                Ok(Some(row)) if row.line < self.from => {}
                Ok(Some(row)) => {
                    weight += row.wanted.as_ref().map_or(0, Wanted::weight);
                    rows.push(row);
                }
                Ok(None) => break,
                Err(error) => self.failed = Some(error),
            }
        }
        if rows.is_empty() {
            return self.failed.take().map(Err);
        }
        Some(Ok(Batch { rows }))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::super::super::lines::Lines;
    use super::super::plain::PlainRows;
    use super::super::rules::Rules;
    use super::*;

    /// Good rows in the lines 1, 2, 3 …, then an error.
    struct Broken(u64);

    impl Rows for Broken {
        fn next(&mut self) -> anyhow::Result<Option<Row>> {
            if self.0 == 0 {
                bail!("unreadable");
            }
            self.0 -= 1;
            Ok(Some(Row { line: 1, wanted: Err(Refusal::NoNumber) }))
        }
    }

    fn batches(text: &'static str, most: usize, from: u64) -> Vec<(u64, u64)> {
        let rules = Rules::default();
        let rows = Box::new(PlainRows::new(Lines::new(text.as_bytes()), &rules).unwrap());
        Batches::new(rows, NonZeroUsize::new(most).unwrap(), from)
            .map(|batch| batch.unwrap())
            .map(|batch| (batch.first_line(), batch.count()))
            .collect()
    }

    #[test]
    fn a_batch_begins_at_the_line_of_its_first_row() {
        let text = "1\n# comment\n2\n\n3\n4\nx\n";
        assert_eq!(batches(text, 2, 1), [(1, 2), (5, 2), (7, 1)]);
        assert_eq!(batches(text, 100, 2), [(3, 4)]);
        assert_eq!(batches(text, 100, 8), []);
    }

    #[test]
    fn rows_before_an_error_are_not_lost() {
        let mut batches = Batches::new(Box::new(Broken(3)), NonZeroUsize::new(2).unwrap(), 1);
        let mut next =
            || batches.next().map(|batch| batch.map(|batch| batch.count()).map_err(|e| e.to_string()));
        assert_eq!(next(), Some(Ok(2)));
        assert_eq!(next(), Some(Ok(1)));
        assert_eq!(next(), Some(Err("unreadable".to_owned())));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes() {
        let rows = (0..10_000).map(|index| format!("{index},{}", "x".repeat(500)));
        let text = format!("number,reason\n{}", rows.collect::<Vec<_>>().join("\n"));
        let lines = Lines::new(std::io::Cursor::new(text));
        let rules = Rules::default();
        let rows = super::super::csv::CsvRows::new(lines, &rules).unwrap();
        let counts: Vec<u64> = Batches::new(Box::new(rows), NonZeroUsize::new(10_000).unwrap(), 1)
            .map(|batch| batch.unwrap().count())
            .collect();
        assert_eq!(counts.iter().sum::<u64>(), 10_000);
        assert!(counts.iter().all(|count| *count < 2_000), "{counts:?}");
    }

    #[test]
    fn a_batch_goes_alone_where_the_order_matters() {
        for (wanted, alone) in [
            (Wanted::default(), false),
            (Wanted { directions: Some(Directions::Inbound), ..Wanted::default() }, false),
            (Wanted { reason: Some("r".to_owned()), ..Wanted::default() }, true),
            (Wanted { expires: Some("2030-01-01T00:00:00Z".parse().unwrap()), ..Wanted::default() }, true),
            (Wanted { requested: Some("2024-01-01T00:00:00Z".parse().unwrap()), ..Wanted::default() }, true),
        ] {
            let batch = Batch { rows: vec![Row { line: 1, wanted: Ok(wanted) }] };
            assert_eq!(batch.must_go_alone(), alone, "{batch:?}");
        }
    }

    #[test]
    fn refusals_of_both_sides_are_told_in_order_of_lines() {
        let good = |line| Row { line, wanted: Ok(Wanted::default()) };
        let bad = |line| Row { line, wanted: Err(Refusal::NoNumber) };
        let batch = Batch { rows: vec![good(1), bad(2), good(4), good(7)] };
        let mut applied = Applied::default();
        let indices: Vec<usize> = batch.good().map(|(index, _)| index).collect();
        let answer = serde_json::from_str(
            r#"{"changed":1,"unchanged":1,"invalid":[{"index":1,"reason":"no number"}],"sequence":1,"dry_run":false}"#,
        );
        applied.ask(&indices, || Ok(answer.unwrap())).unwrap();
        let refused: Vec<_> =
            batch.refused(&applied).map(|(line, refusal)| (line, refusal.to_string())).collect();
        assert_eq!(refused, [(2, "there is no number".to_owned()), (4, "no number".to_owned())]);
    }

    #[test]
    fn outdated_wishes_are_counted_apart() {
        let answer = serde_json::from_str(
            r#"{"changed":1,"unchanged":2,"invalid":[],"sequence":1,"dry_run":false,"results":[
                {"number":"+1","outcome":"added"},{"number":"+2","outcome":"outdated"},{"number":"+3","outcome":"already"}]}"#,
        );
        let mut applied = Applied::default();
        applied.ask(&[0, 1, 2], || Ok(answer.unwrap())).unwrap();
        assert_eq!((applied.changed, applied.unchanged, applied.outdated), (1, 1, 1));
    }

    #[test]
    fn what_was_taken_back_is_lifted_whatever_the_others_do() {
        let requested = Some("2024-01-01T00:00:00Z".parse().unwrap());
        let taken_back =
            Wanted { hold: Some(HoldKind::OptOut), requested, taken_back: true, ..Wanted::default() };
        let mut wish = Plan {
            change: Change::Block,
            directions: Directions::Inbound,
            hold: None,
            source: GivenSource::Import,
            reason: None,
            dry_run: false,
        };
        let lift = Lift { directions: Directions::Both, hold: Some(HoldKind::OptOut), requested };
        assert_eq!(wish.lift(&taken_back), Some(lift));
        assert_eq!(wish.lift(&Wanted::default()), None);
        wish.change = Change::Unblock;
        wish.hold = Some(HoldKind::Marketing);
        let lift = Lift { directions: Directions::Inbound, hold: Some(HoldKind::Marketing), requested: None };
        assert_eq!(wish.lift(&Wanted::default()), Some(lift));
    }
}
