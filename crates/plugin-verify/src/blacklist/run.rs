//! A plugin, and the list that it should have.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portcullis_host::{
    BATCH, CallError, Direction, Directions, Entry, Instance, Keyspace, Outcome, Permutation, Plugin,
    Progress, Subject, Verdict,
};

use super::operation::Operation;
use super::{numbers, start};
use crate::conformance::shown;
use crate::growth::Growth;
use crate::split_mix::SplitMix;

/// The entries of a long list.
const MANY: u64 = 20_000;
/// The checks of a long list, by themselves and again in batches.
const CHECKS: u64 = 30_000;
/// After so many, it is looked at how fast they are.
const SOME: u64 = 500;
/// How long one check of a plugin may take that is not slow: see `Pace` of the host.
const FAST: Duration = Duration::from_micros(20);
/// How long a round of checks may take. A slow plugin makes fewer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A plugin, and the list that it should have, in the subjects that the plugin sees.
pub(super) struct Run<'a> {
    plugin: &'a Plugin,
    options: &'a str,
    numbers: Permutation,
    instance: Instance,
    model: BTreeMap<u64, Directions>,
    /// Why it did not load what it had saved.
    pub(super) refused_state: Option<String>,
}

fn failed(error: &CallError) -> String {
    error.to_string()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Block => "block",
    }
}

impl<'a> Run<'a> {
    pub(super) fn of(plugin: &'a Plugin, options: &'a str) -> Result<Self, String> {
        let instance = start(plugin, options, 100).map_err(|error| failed(&error))?;
        Ok(Run { plugin, options, numbers: numbers(), instance, model: BTreeMap::new(), refused_state: None })
    }

    /// Does the operations, and at last looks at all of the list.
    pub(super) fn all(&mut self, operations: &[Operation]) -> Result<(), String> {
        for operation in operations {
            self.one(operation)?;
        }
        self.list(BATCH)?;
        self.count()
    }

    fn one(&mut self, operation: &Operation) -> Result<(), String> {
        match operation {
            Operation::Block(entries) => self.write("block", entries, |before, written| before | written),
            Operation::Unblock(entries) => {
                self.write("unblock", entries, |before, written| before & !written)
            }
            Operation::Check(subject, direction) => self.check(*subject, *direction).map(drop),
            Operation::CheckMany(subjects, direction) => self.check_many(subjects, *direction),
            Operation::List(limit) => self.list(*limit),
            Operation::Count => self.count(),
            Operation::SaveAndLoad => self.save_and_load(),
        }
    }

    fn is_hashed(&self) -> bool {
        self.plugin.description().keyspace == Keyspace::Hashed
    }

    /// The host's subject of what the plugin sees.
    fn subject(&self, seen: u64) -> Subject {
        let seen = Subject::new(seen).unwrap_or(Subject::MIN);
        if self.is_hashed() { seen } else { self.numbers.permute(seen) }
    }

    /// What the plugin sees of the host's subject.
    fn seen(&self, subject: Subject) -> u64 {
        if self.is_hashed() { subject.get() } else { self.numbers.invert(subject).get() }
    }

    fn write(
        &mut self,
        call: &str,
        entries: &[(u64, Directions)],
        change: impl Fn(Directions, Directions) -> Directions,
    ) -> Result<(), String> {
        let written: Vec<Entry> = entries
            .iter()
            .map(|&(seen, directions)| Entry { subject: self.subject(seen), directions })
            .collect();
        let outcomes = match call {
            "block" => self.instance.block(&written),
            _ => self.instance.unblock(&written),
        };
        let outcomes = outcomes.map_err(|error| failed(&error))?;
        for (&(seen, directions), outcome) in entries.iter().zip(outcomes) {
            let before = self.model.get(&seen).copied().unwrap_or_default();
            let after = change(before, directions);
            let expected = if before == after { "unchanged" } else { "changed" };
            let said = match outcome {
                Outcome::Changed => "changed",
                Outcome::Unchanged => "unchanged",
                Outcome::Refused(why) => {
                    return Err(format!(
                        "{call} refused the entry of {seen}: {why}. A list with a refused entry can't be filled: accept \
                         each entry unless it can't be stored"
                    ));
                }
            };
            if said != expected {
                return Err(format!("{call} said `{said}` for {seen}, where the entry was {expected}"));
            }
            match after.is_none() {
                true => self.model.remove(&seen),
                false => self.model.insert(seen, after),
            };
        }
        Ok(())
    }

    fn check(&mut self, seen: u64, direction: Direction) -> Result<Verdict, String> {
        let subject = self.subject(seen);
        let verdict = self.instance.check(subject, direction).map_err(|error| failed(&error))?;
        let again = self.instance.check(subject, direction).map_err(|error| failed(&error))?;
        if verdict != again {
            return Err(format!(
                "check of {seen} said `{}` and then `{}`, and nothing had changed",
                word(verdict),
                word(again)
            ));
        }
        self.is_right(seen, direction, verdict, "check").map(|()| verdict)
    }

    /// Whether that is the answer about this person.
    fn is_right(&self, seen: u64, direction: Direction, verdict: Verdict, call: &str) -> Result<(), String> {
        let is_entry = self.model.get(&seen).is_some_and(|directions| directions.covers(direction));
        match (is_entry, verdict) {
            (true, Verdict::Allow) => {
                Err(format!("{call} allowed {seen} {direction}, who has an entry: it forgets people"))
            }
            // A plugin that works on clear numbers has rules of its own.
            (false, Verdict::Block) if self.is_hashed() => Err(format!(
                "{call} blocked {seen} {direction}, who has no entry: it blocks strangers, which only a plugin on clear numbers \
                 may do by a rule"
            )),
            _ => Ok(()),
        }
    }

    fn check_many(&mut self, seen: &[u64], direction: Direction) -> Result<(), String> {
        let subjects: Vec<Subject> = seen.iter().map(|&seen| self.subject(seen)).collect();
        let verdicts = self.instance.check_many(&subjects, direction).map_err(|error| failed(&error))?;
        for (&seen, verdict) in seen.iter().zip(verdicts) {
            let single = self.check(seen, direction)?;
            if single != verdict {
                return Err(format!(
                    "check-many said `{}` of {seen} {direction}, and check said `{}`",
                    word(verdict),
                    word(single)
                ));
            }
        }
        Ok(())
    }

    /// Reads all pages. A plugin on clear numbers lists in the order of numbers, which the host checks.
    fn list(&mut self, limit: usize) -> Result<(), String> {
        let (mut listed, mut after) = (BTreeMap::new(), None);
        let mut pages = 0..=self.model.len() + 8;
        loop {
            if pages.next().is_none() {
                return Err(format!("list goes on after {} pages of {limit}", self.model.len() + 8));
            }
            let page = self.instance.list(after, limit).map_err(|error| failed(&error))?;
            for entry in page.entries {
                let seen = self.seen(entry.subject);
                if listed.insert(seen, entry.directions).is_some() {
                    return Err(format!("list returned {seen} twice"));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let missing = self.model.keys().find(|seen| !listed.contains_key(seen));
        let extra = listed.keys().find(|seen| !self.model.contains_key(seen));
        let wrong = self.model.iter().find(|(seen, directions)| listed.get(seen) != Some(directions));
        match (missing, extra, wrong) {
            (Some(seen), ..) => Err(format!("list in pages of {limit} left out the entry of {seen}")),
            (_, Some(seen), _) => Err(format!("list returned {seen}, who has no entry")),
            (_, _, Some((seen, _))) => Err(format!("list returned {seen} with other directions")),
            _ => Ok(()),
        }
    }

    fn count(&mut self) -> Result<(), String> {
        let counted = self.instance.count().map_err(|error| failed(&error))?;
        match counted == self.model.len() as u64 {
            true => Ok(()),
            false => Err(format!("count said {counted}, and there are {} entries", self.model.len())),
        }
    }

    fn save_and_load(&mut self) -> Result<(), String> {
        let description = self.plugin.description();
        let Some(format) = description.saves.clone().filter(|format| description.loads.contains(format))
        else {
            return Ok(());
        };
        // As many as the host takes.
        let most = 64 + self.model.len() / 256;
        let (mut parts, mut cursor) = (Vec::new(), None);
        loop {
            if parts.len() == most {
                return Err(format!("save goes on after {most} parts"));
            }
            let part = self.instance.save(cursor, 64 << 10).map_err(|error| failed(&error))?;
            parts.push(part.bytes);
            match part.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let mut copy = start(self.plugin, self.options, 100).map_err(|error| failed(&error))?;
        let last = parts.len() - 1;
        for (n, part) in parts.iter().enumerate() {
            match (copy.load(&format, part), n == last) {
                (Ok(Progress::Complete), true) | (Ok(Progress::More), false) => {}
                (Ok(Progress::More), true) => return Err("load wants more after the last part".to_owned()),
                (Ok(Progress::Complete), false) => {
                    return Err("load says `complete` before the last part".to_owned());
                }
                // The contract allows it: the list is filled from the ledger then.
                (Err(CallError::Refused(why)), _) => {
                    self.refused_state = Some(why);
                    return Ok(());
                }
                (Err(error), _) => return Err(failed(&error)),
            }
        }
        self.instance = copy;
        self.list(BATCH)
    }
}

/// How a round of checks went.
struct Round {
    /// How long one of the first took.
    each: Duration,
    /// Whether all could be made in time.
    is_complete: bool,
}

fn with_many(error: &CallError) -> String {
    format!("with {MANY} entries: {error}")
}

impl Run<'_> {
    /// Checks one person again and again, and all others.
    fn checks(&mut self, people: &[u64], growth: &mut Growth) -> Result<Round, String> {
        let (begun, mut each) = (Instant::now(), Duration::ZERO);
        for n in 0..CHECKS {
            let place = if n % 3 == 0 { 0 } else { usize::try_from(n).unwrap_or(0) % people.len() };
            // Two in a row the same way, as every other person has an entry.
            let (seen, direction) = (people[place], way(n / 2));
            let subject = self.subject(seen);
            let verdict = self
                .instance
                .check(subject, direction)
                .map_err(|error| growth.exhausted_by(&error).unwrap_or_else(|| with_many(&error)))?;
            self.is_right(seen, direction, verdict, "check")
                .map_err(|why| format!("after {} checks: {why}", growth.made()))?;
            growth.add(1, self.instance.memory_bytes());
            if n % SOME != SOME - 1 {
                continue;
            }
            if n == SOME - 1 {
                each = begun.elapsed() / u32::try_from(SOME).unwrap_or(u32::MAX);
            }
            if begun.elapsed() > PATIENCE {
                return Ok(Round { each, is_complete: false });
            }
        }
        Ok(Round { each, is_complete: true })
    }
}

/// What shows only with many entries and checks: whether calls end in time, answers stay right, and memory stays. Returns what is worth
/// knowing.
pub(super) fn long_list(plugin: &Plugin, options: &str) -> Result<Vec<String>, String> {
    let mut run = Run::of(plugin, options)?;
    run.instance = start(plugin, options, MANY).map_err(|error| match error {
        CallError::Refused(why) => format!("it refuses a list of {MANY} entries: {why}"),
        error => with_many(&error),
    })?;
    let people = people();
    let entries: Vec<(u64, Directions)> =
        people.iter().step_by(2).map(|&seen| (seen, Directions::BOTH)).collect();
    for some in entries.chunks(BATCH) {
        run.write("block", some, |before, written| before | written)?;
    }
    run.list(BATCH).map_err(|why| format!("with {MANY} entries: {why}"))?;
    run.count().map_err(|why| format!("with {MANY} entries: {why}"))?;
    let (mut remarks, mut growth) = (Vec::new(), Growth::of("check", run.instance.memory_bytes()));
    let first = run.checks(&people, &mut growth)?;
    if first.each > FAST {
        remarks.push(format!(
            "a check takes {} µs: from {} µs on a plugin is slow, and its checks wait in turn for threads of low priority",
            first.each.as_micros(),
            FAST.as_micros()
        ));
    }
    while growth.needs_another_round() {
        run.checks(&people, &mut growth)?;
    }
    remarks.extend(growth.judge()?);
    if !first.is_complete {
        return Ok(remarks);
    }
    let mut blocked = 0;
    for (n, some) in people.chunks(BATCH).enumerate() {
        let subjects: Vec<Subject> = some.iter().map(|&seen| run.subject(seen)).collect();
        let direction = way(n as u64);
        let verdicts = run.instance.check_many(&subjects, direction).map_err(|error| with_many(&error))?;
        for (&seen, verdict) in some.iter().zip(verdicts) {
            run.is_right(seen, direction, verdict, "check-many")
                .map_err(|why| format!("in a large batch: {why}"))?;
            blocked += u64::from(verdict == Verdict::Block && !run.model.contains_key(&seen));
        }
    }
    // Half of the people are strangers.
    match (blocked * 100 + MANY / 2) / MANY {
        _ if blocked == 0 => {}
        0 => remarks.push("its rules block less than 1 % of random numbers, besides its entries".to_owned()),
        share @ 50.. => {
            return Err(format!(
                "with the options {} its rules block {share} % of random numbers, besides its entries: a tenant's messages would \
                 mostly stop",
                shown(options)
            ));
        }
        share => remarks.push(format!("its rules block {share} % of random numbers, besides its entries")),
    }
    if plugin.description().saves.is_none() {
        remarks.push(
            "it saves no state: after each start and fault it is filled from the ledger, entry by entry"
                .to_owned(),
        );
    }
    Ok(remarks)
}

/// People with an entry at even places, and strangers between them. Nothing in their digits tells one from the other: rules may look at
/// any digit.
fn people() -> Vec<u64> {
    let mut random = SplitMix::default();
    (0..2 * MANY).map(|_| 10_000_000 + random.below(1_000_000_000_000)).collect()
}

fn way(n: u64) -> Direction {
    if n.is_multiple_of(2) { Direction::Inbound } else { Direction::Outbound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_strangers_as_expected_have_each_last_digit_and_each_remainder() {
        let people = people();
        for divisor in 2..=16 {
            let mut counts = vec![0_u64; 16];
            for seen in people.iter().skip(1).step_by(2) {
                counts[usize::try_from(seen % divisor).unwrap()] += 1;
            }
            let expected = MANY / divisor;
            for (remainder, count) in (0..divisor).zip(counts) {
                assert!(count.abs_diff(expected) < MANY / 50, "{count} with {remainder} modulo {divisor}");
            }
        }
    }
}
