//! Batches of rows, each sent as one request.

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

/// The approximate size of the rows in a request, in bytes. Even if JSON escapes every character, the
/// request stays far below the gateway's default limit of 16 MiB.
const HEAVIEST: usize = 1 << 20;

/// Consecutive rows of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// At least one.
    rows: Vec<Row>,
}

/// The result of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Opt-outs that changed nothing, because the gateway knows a newer request of that person.
    pub(super) outdated: u64,
    /// Holds lifted by rows that say that the person withdrew them.
    pub(super) taken_back: u64,
    /// Rows that the gateway refused, by index.
    pub(super) refused: BTreeMap<usize, Refusal>,
}

/// The change to make, with defaults for rows that do not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) change: Change,
    pub(super) directions: Directions,
    pub(super) hold: Option<HoldKind>,
    pub(super) source: GivenSource,
    pub(super) reason: Option<String>,
    pub(super) dry_run: bool,
}

/// What the numbers of one unblock request have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lift {
    directions: Directions,
    hold: Option<HoldKind>,
    requested: Option<Time>,
}

impl Batch {
    /// The line on which the first row starts.
    pub(super) fn first_line(&self) -> u64 {
        self.rows.first().map_or(1, |row| row.line)
    }

    /// The number of rows, including those that could not be read.
    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The refused rows, with the line of each, in order.
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

    /// Sends the rows that could be read to the gateway. Sends nothing if there are none.
    pub(super) fn send(&self, client: &Client, target: &Target, wish: &Plan) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        if wish.change == Change::Block {
            let (indices, entries): (Vec<_>, Vec<_>) =
                self.good().filter(|(_, wanted)| !wanted.taken_back).unzip();
            let body = BlockRequest {
                // Outdated requests are only visible in the results per number.
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
        // An unblock request has one set of directions, one hold and one time for all its numbers.
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
    /// The lift that a row asks for, if any.
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
    /// Sends a request for the rows at `indices`, and adds its result. Does nothing if there are none.
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
        // The gateway counts outdated rows as unchanged.
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

/// Adding or removing directions commutes. For details such as a reason or an expiry, the last row of
/// a number has to win, so batches with such rows must not overlap with others.
impl Together for Batch {
    fn must_go_alone(&self) -> bool {
        self.good().any(|(_, wanted)| wanted.has_details())
    }
}

/// Groups rows into batches, starting at line `from`.
pub(super) struct Batches<'a> {
    rows: Box<dyn Rows + 'a>,
    most: NonZeroUsize,
    from: u64,
    /// The error that ended the input. It is returned after the rows before it.
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

    /// Yields as many rows as it says, then an error.
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
        assert_eq!(refused, [(2, "the number is missing".to_owned()), (4, "no number".to_owned())]);
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
