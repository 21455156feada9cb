//! Some of the answers that an instance gave last, kept to be compared with the source afterwards.

use portcullis_msisdn::{Direction, Subject};

use crate::contract::{Entry, Verdict};
use crate::random::Xorshift;

/// An answer of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) subject: Subject,
    pub(crate) direction: Direction,
    pub(crate) verdict: Verdict,
}

/// Keeps some of the answers that an instance gave last.
///
/// They are answers to anybody's calls, so a plugin can't tell which of them are verified. It is part of the instance,
/// which each call holds anyway: a call costs one more decrement. Of a list, each answer stands: the entry of its subject
/// was not written to the instance since.
#[derive(Debug)]
pub(crate) struct Witness<A> {
    answers: Vec<A>,
    /// How many more answers are not kept.
    skipped: usize,
    random: Xorshift,
}

/// The most answers that are kept. The first ones after they were taken, and then random ones replace each other.
const MOST: u32 = 32;
/// One answer in so many is kept then, on average.
const SAMPLE: u32 = 64;

impl<A> Default for Witness<A> {
    fn default() -> Self {
        Witness { answers: Vec::new(), skipped: 0, random: Xorshift::default() }
    }
}

impl<A: Clone> Witness<A> {
    /// Hears the answer to a call.
    #[inline]
    pub(crate) fn hear(&mut self, answer: impl FnOnce() -> A) {
        match self.skipped.checked_sub(1) {
            Some(left) => self.skipped = left,
            None => self.keep(answer()),
        }
    }

    /// Hears so many answers at once.
    pub(crate) fn hear_many(&mut self, count: usize, answer: impl Fn(usize) -> A) {
        let mut place = self.skipped;
        while place < count {
            self.keep(answer(place));
            place += 1 + self.skipped;
        }
        self.skipped = place - count;
    }

    #[cold]
    fn keep(&mut self, answer: A) {
        if self.answers.len() < MOST as usize {
            self.answers.reserve_exact(MOST as usize - self.answers.len());
            self.answers.push(answer);
        } else if let Some(kept) = self.answers.get_mut(self.random.below(MOST) as usize) {
            *kept = answer;
        }
        if self.answers.len() == MOST as usize {
            self.skipped = self.random.below(2 * SAMPLE - 1) as usize;
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&mut self) {
        self.answers.clear();
        self.skipped = 0;
    }

    /// Takes the answers, and keeps the next ones.
    pub(crate) fn take(&mut self) -> Vec<A> {
        let answers = self.answers.clone();
        self.forget_all();
        answers
    }
}

impl Witness<Answer> {
    /// Forgets what was answered for these entries, which are about to change.
    pub(crate) fn forget(&mut self, entries: &[Entry]) {
        if !self.answers.is_empty() {
            self.answers.retain(|answer| entries.iter().all(|entry| entry.subject != answer.subject));
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_msisdn::Directions;

    use super::*;

    const OUT: Direction = Direction::Outbound;

    fn subject(value: u64) -> Subject {
        Subject::new(value).unwrap()
    }

    fn answer(value: u64, verdict: Verdict) -> Answer {
        Answer { subject: subject(value), direction: OUT, verdict }
    }

    fn heard(witness: &mut Witness<Answer>) -> Vec<u64> {
        witness.take().iter().map(|answer| answer.subject.get()).collect()
    }

    #[test]
    fn the_first_answers_are_kept_and_then_random_ones() {
        let mut witness = Witness::default();
        for _ in 0..2 {
            (0..5).for_each(|value| witness.hear(|| answer(value, Verdict::Allow)));
            assert_eq!(heard(&mut witness), [0, 1, 2, 3, 4]);
        }
        (0..100_000).for_each(|value| witness.hear(|| answer(value, Verdict::Block)));
        let kept = heard(&mut witness);
        assert_eq!(kept.len(), MOST as usize);
        assert!(kept.iter().any(|&value| value > 90_000), "{kept:?}");
    }

    #[test]
    fn answers_of_batches_are_kept_from_any_place() {
        let verdict = |value: usize| if value.is_multiple_of(2) { Verdict::Allow } else { Verdict::Block };
        let mut witness = Witness::default();
        for size in [1000, 3, 1000, 1, 64, 1000] {
            witness.hear_many(size, |value| answer(value as u64, verdict(value)));
        }
        let kept = witness.take();
        assert_eq!(kept.len(), MOST as usize);
        assert!(kept.iter().any(|answer| answer.subject.get() > 500), "{kept:?}");
        assert!(
            kept.iter().all(|answer| (answer.verdict == Verdict::Block) == (answer.subject.get() % 2 == 1))
        );
        witness.hear_many(0, |_| answer(0, Verdict::Allow));
        assert_eq!(heard(&mut witness), [0; 0]);
    }

    #[test]
    fn an_answer_is_forgotten_when_its_entry_changes() {
        let mut witness = Witness::default();
        (0..5).for_each(|value| witness.hear(|| answer(value, Verdict::Allow)));
        let entry = |value| Entry { subject: subject(value), directions: Directions::BOTH };
        witness.forget(&[entry(1), entry(3), entry(9)]);
        assert_eq!(heard(&mut witness), [0, 2, 4]);
    }
}
