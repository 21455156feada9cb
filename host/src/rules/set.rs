//! Sets of the values of a small enum.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitOr, Not};

/// A value that can be in a [`Set`]: one of at most eight.
pub trait Element: Copy + PartialEq + fmt::Debug + 'static {
    /// All values, in the order of the contract.
    const ALL: &'static [Self];
}

/// A set of values of a small enum.
pub struct Set<T>(u8, PhantomData<T>);

impl<T: Element> Set<T> {
    /// The empty set.
    pub const NONE: Set<T> = Set(0, PhantomData);
    /// The set of all values.
    pub const ALL: Set<T> = Set(u8::MAX >> (8 - T::ALL.len()), PhantomData);

    /// Whether `value` is in the set.
    pub fn contains(self, value: T) -> bool {
        T::ALL.iter().position(|&one| one == value).is_some_and(|bit| self.0 >> bit & 1 == 1)
    }

    /// The values in the set, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL.iter().copied().filter(move |&one| self.contains(one))
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The values of this set that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Set(self.0 & !other.0, PhantomData)
    }
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Set<T> {}

impl<T> PartialEq for Set<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Set<T> {}

impl<T> std::hash::Hash for Set<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> Default for Set<T> {
    /// The empty set.
    fn default() -> Self {
        Set(0, PhantomData)
    }
}

impl<T: Element> BitOr for Set<T> {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Set(self.0 | other.0, PhantomData)
    }
}

impl<T: Element> Not for Set<T> {
    type Output = Self;

    fn not(self) -> Self {
        Self::ALL.without(self)
    }
}

impl<T: Element> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut bits = 0;
        for value in values {
            bits |= T::ALL.iter().position(|&one| one == value).map_or(0, |bit| 1 << bit);
        }
        Set(bits, PhantomData)
    }
}

impl<T: Element> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
