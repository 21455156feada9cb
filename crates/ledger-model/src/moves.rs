//! Changes of number, and when.

use jiff::Timestamp;
use portcullis_msisdn::{Permutation, Person, Subject};

use crate::tables::Tables;
use crate::time::is_older;

/// The changes of number in one tenant.
pub(crate) struct Moves<'a, T> {
    tables: &'a T,
    permutation: &'a Permutation,
}

impl<'a, T: Tables> Moves<'a, T> {
    pub(crate) fn new(tables: &'a T, permutation: &'a Permutation) -> Self {
        Moves { tables, permutation }
    }

    /// The numbers that `left` was given up for, and when.
    fn from(&self, left: &Person) -> Result<Vec<(Subject, Timestamp)>, T::Error> {
        let mut found = Vec::new();
        for &from in left.iter() {
            found.extend(self.tables.moves_from(from)?);
        }
        Ok(found)
    }

    /// Whether this change of number is known to have happened at `at` or later; at any time, if `at` is `None`.
    pub(crate) fn is_known(
        &self,
        left: Subject,
        reached: Subject,
        at: Option<Timestamp>,
    ) -> Result<bool, T::Error> {
        let reached = self.permutation.person_of(reached);
        let moves = self.from(&self.permutation.person_of(left))?;
        Ok(moves.iter().any(|(to, when)| reached.contains(to) && at.is_none_or(|at| !is_older(*when, at))))
    }

    /// Records a change of number.
    pub(crate) fn remember(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), T::Error> {
        self.tables.put_move(self.permutation.person_of(left).key(), reached, at)
    }

    /// The persons that the owner of this number at `at` may have become, ordered by when they last got their number.
    pub(crate) fn since(&self, person: &Person, at: Timestamp) -> Result<Vec<Person>, T::Error> {
        let mut reached: Vec<(Person, Timestamp)> = Vec::new();
        let mut open = vec![(*person, at)];
        while let Some((left, at)) = open.pop() {
            for (to, when) in self.from(&left)? {
                let before = reached.iter().position(|(known, _)| known.contains(&to));
                let is_new = before.is_none_or(|before| reached[before].1 < when);
                if !is_new || is_older(when, at) {
                    continue;
                }
                if let Some(before) = before {
                    reached.remove(before);
                }
                let next = self.permutation.person_of(to);
                open.push((next, when));
                reached.push((next, when));
            }
        }
        reached.sort_by_key(|(_, when)| *when);
        Ok(reached.into_iter().map(|(person, _)| person).collect())
    }
}
