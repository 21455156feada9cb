//! A page of packed integers that can be rotated.

use alloc::boxed::Box;

/// The size of a page in bytes. With the word that an allocator prepends, it is 1 KiB.
const PAGE: usize = 1024 - size_of::<usize>();

/// The number of entries compared at once.
pub(crate) const WINDOW: usize = 8;

/// Up to [`per_page`] integers of `WIDTH` bytes. The caller must use the same width in every call.
///
/// A full page is a ring buffer: its entries may begin anywhere and wrap around. So an entry can be pushed at one end
/// while another is popped at the other, without moving any others. A page that is not full begins at its front.
pub(crate) struct Page {
    bytes: Box<[u8; PAGE]>,
    /// The index of the first entry. Below [`per_page`].
    head: usize,
}

/// The number of entries of this width that fit into a page.
pub(crate) const fn per_page<const WIDTH: usize>() -> usize {
    PAGE / WIDTH
}

#[inline]
pub(crate) fn unpack<const WIDTH: usize>(entry: [u8; WIDTH]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..WIDTH].copy_from_slice(&entry);
    u64::from_le_bytes(bytes)
}

#[inline]
pub(crate) fn pack<const WIDTH: usize>(value: u64) -> [u8; WIDTH] {
    let mut entry = [0; WIDTH];
    entry.copy_from_slice(&value.to_le_bytes()[..WIDTH]);
    entry
}

impl Page {
    pub(crate) fn new() -> Self {
        Page { bytes: Box::new([0; PAGE]), head: 0 }
    }

    /// The entries from `at` on, in two parts: those up to the end of the page, and those that wrapped around. In a
    /// page that is not full, unused entries follow the last.
    #[inline]
    pub(crate) fn parts<const WIDTH: usize>(&self, at: usize) -> [&[[u8; WIDTH]]; 2] {
        let entries = self.entries::<WIDTH>();
        let at = self.head + at;
        if at < entries.len() {
            [&entries[at..], &entries[..self.head]]
        } else {
            [&entries[at - entries.len()..self.head], &[]]
        }
    }

    #[inline]
    pub(crate) fn get<const WIDTH: usize>(&self, at: usize) -> [u8; WIDTH] {
        self.entries()[self.index::<WIDTH>(at)]
    }

    #[inline]
    pub(crate) fn set<const WIDTH: usize>(&mut self, at: usize, entry: [u8; WIDTH]) {
        let index = self.index::<WIDTH>(at);
        self.entries_mut()[index] = entry;
    }

    /// Pushes an entry to the front of a full page. Returns the former last entry.
    #[inline]
    pub(crate) fn push_front<const WIDTH: usize>(&mut self, entry: [u8; WIDTH]) -> [u8; WIDTH] {
        self.head = self.index::<WIDTH>(per_page::<WIDTH>() - 1);
        let head = self.head;
        core::mem::replace(&mut self.entries_mut()[head], entry)
    }

    /// Pushes an entry to the back of a full page. Returns the former first entry.
    #[inline]
    pub(crate) fn push_back<const WIDTH: usize>(&mut self, entry: [u8; WIDTH]) -> [u8; WIDTH] {
        let head = self.head;
        self.head = self.index::<WIDTH>(1);
        core::mem::replace(&mut self.entries_mut()[head], entry)
    }

    /// Inserts an entry at `at` in a full page. Returns the former last entry.
    pub(crate) fn insert_full<const WIDTH: usize>(&mut self, at: usize, entry: [u8; WIDTH]) -> [u8; WIDTH] {
        let last = per_page::<WIDTH>() - 1;
        let beyond = self.get(last);
        let (start, end) = (self.head + at, self.head + last);
        let entries = self.entries_mut::<WIDTH>();
        let page = entries.len();
        if end < page {
            entries.copy_within(start..end, start + 1);
        } else if start >= page {
            entries.copy_within(start - page..end - page, start - page + 1);
        } else {
            entries.copy_within(..end - page, 1);
            entries[0] = entries[page - 1];
            entries.copy_within(start..page - 1, start + 1);
        }
        self.set(at, entry);
        beyond
    }

    /// Removes the entry at `at` from a full page, and appends `last`.
    pub(crate) fn remove_full<const WIDTH: usize>(&mut self, at: usize, last: [u8; WIDTH]) {
        let (start, end) = (self.head + at, self.head + per_page::<WIDTH>());
        let entries = self.entries_mut::<WIDTH>();
        let page = entries.len();
        if start >= page {
            entries.copy_within(start - page + 1..end - page, start - page);
        } else {
            entries.copy_within(start + 1.., start);
            if end > page {
                entries[page - 1] = entries[0];
                entries.copy_within(1..end - page, 0);
            }
        }
        self.set(per_page::<WIDTH>() - 1, last);
    }

    /// Inserts an entry at `at` in a page with `len` entries that is not full.
    pub(crate) fn insert<const WIDTH: usize>(&mut self, at: usize, len: usize, entry: [u8; WIDTH]) {
        let entries = self.entries_mut();
        entries.copy_within(at..len, at + 1);
        entries[at] = entry;
    }

    /// Removes the entry at `at` from a page with `len` entries, full or not.
    pub(crate) fn remove<const WIDTH: usize>(&mut self, at: usize, len: usize) {
        let head = core::mem::take(&mut self.head);
        let entries = self.entries_mut::<WIDTH>();
        entries.rotate_left(head);
        entries.copy_within(at + 1..len, at);
    }

    #[inline]
    fn entries<const WIDTH: usize>(&self) -> &[[u8; WIDTH]] {
        self.bytes.as_chunks().0
    }

    #[inline]
    fn entries_mut<const WIDTH: usize>(&mut self) -> &mut [[u8; WIDTH]] {
        self.bytes.as_chunks_mut().0
    }

    #[inline]
    fn index<const WIDTH: usize>(&self, at: usize) -> usize {
        let index = self.head + at;
        if index < per_page::<WIDTH>() { index } else { index - per_page::<WIDTH>() }
    }
}
