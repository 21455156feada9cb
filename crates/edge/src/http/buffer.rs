//! The memory of one body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use memmap2::MmapMut;
use portcullis_admission::{Budget, Owner, Reserved};

use super::body::BodyFault;

/// A body as it arrives: the bytes, and what they take of a budget.
///
/// Bytes over 64 KiB are in a memory map of their own, whose pages go back to the system as soon as it is dropped. From the
/// allocator they would not: it keeps them for later, and a thousand large bodies would stay in the process for good.
pub(super) struct Buffer {
    content: Content,
    length: usize,
    /// How many bytes may be stored: those that are not counted, or those reserved.
    allowed: usize,
    /// How many bytes there will be: those declared, or the limit.
    most: usize,
    limit: usize,
    reserved: Option<Reserved>,
}

enum Content {
    /// Nothing, or one piece, which needs no copy.
    Piece(Bytes),
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

/// Larger bodies are in a memory map.
const MOST_ON_HEAP: usize = 64 << 10;

/// Bytes that give back what they took of a budget when they are dropped.
struct Counted {
    content: Content,
    length: usize,
    _reserved: Option<Reserved>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        match &self.content {
            Content::Piece(piece) => piece,
            Content::Heap(bytes) => bytes,
            Content::Mapped(map) => &map[..self.length],
        }
    }
}

impl Buffer {
    /// Creates a buffer for at most `limit` bytes, of which `free` are not counted.
    pub(super) fn new(limit: usize, free: usize) -> Self {
        let content = Content::Piece(Bytes::new());
        Buffer { content, length: 0, allowed: free, most: limit, limit, reserved: None }
    }

    /// Says how long the body will be; `None` if that is not known.
    ///
    /// Reserves nothing: anybody can declare a length, and then send no more.
    pub(super) fn expect(&mut self, declared: Option<usize>) {
        self.most = declared.map_or(self.limit, |declared| declared.min(self.limit));
    }

    /// Appends a piece, after which there must be no more than the limit. Sets `starved` if it has to wait for memory.
    pub(super) async fn push(
        &mut self,
        piece: Bytes,
        budget: &Arc<Budget>,
        owner: Owner<'_>,
        starved: &AtomicBool,
    ) -> Result<(), BodyFault> {
        let length = self.length + piece.len();
        self.most = self.most.max(length);
        if length > self.allowed {
            let reserved = self.reserved.get_or_insert_with(|| budget.reserve(owner));
            // Twice what has arrived: few steps, and a client has to send half of what it takes from others.
            let wanted = (2 * length).max(MOST_ON_HEAP).min(self.most);
            let more = wanted - reserved.bytes();
            if !reserved.try_grow(more) {
                starved.store(true, Ordering::Relaxed);
                if !reserved.grow(more).await {
                    return Err(BodyFault::NoMemory);
                }
            }
            self.allowed = wanted;
        }
        match &mut self.content {
            Content::Piece(first) if first.is_empty() && length <= MOST_ON_HEAP => *first = piece,
            Content::Heap(bytes) if length <= MOST_ON_HEAP => bytes.extend_from_slice(&piece),
            Content::Mapped(map) => map[self.length..length].copy_from_slice(&piece),
            Content::Piece(before) if length <= MOST_ON_HEAP => {
                self.content = Content::Heap([&before[..], &piece[..]].concat());
            }
            Content::Piece(_) | Content::Heap(_) => {
                // Only pages that are written to take memory.
                let mut map = MmapMut::map_anon(self.most).map_err(|_| BodyFault::NoMemory)?;
                let before: &[u8] = match &self.content {
                    Content::Piece(before) => before,
                    Content::Heap(before) => before,
                    Content::Mapped(_) => &[],
                };
                map[..self.length].copy_from_slice(before);
                map[self.length..length].copy_from_slice(&piece);
                self.content = Content::Mapped(map);
            }
        }
        self.length = length;
        Ok(())
    }

    /// Drops what was stored, and gives back its memory.
    pub(super) fn discard(&mut self) {
        *self = Buffer::new(self.limit, 0);
    }

    /// The bytes, which stay counted until they are dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        let Buffer { content, length, reserved, .. } = self;
        match (content, reserved) {
            (Content::Piece(piece), None) => piece,
            (Content::Heap(bytes), None) => bytes.into(),
            (content, reserved) => Bytes::from_owner(Counted { content, length, _reserved: reserved }),
        }
    }

    /// The bytes, which are no longer counted.
    pub(super) fn into_uncounted(self) -> Bytes {
        Buffer { reserved: None, ..self }.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    const OWNER: Owner<'_> = Owner::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const OTHER: Owner<'_> = Owner::Address(IpAddr::V6(Ipv6Addr::LOCALHOST));

    /// Whether so many bytes are free for another client.
    fn has(budget: &Arc<Budget>, bytes: usize) -> bool {
        budget.reserve(OTHER).try_grow(bytes)
    }

    async fn filled(
        pieces: &[usize],
        declared: Option<usize>,
        budget: &Arc<Budget>,
    ) -> Result<Buffer, BodyFault> {
        let mut buffer = Buffer::new(1 << 20, 0);
        buffer.expect(declared);
        for (index, &length) in pieces.iter().enumerate() {
            let fill = u8::try_from(index).unwrap();
            buffer.push(vec![fill; length].into(), budget, OWNER, &AtomicBool::new(false)).await?;
        }
        Ok(buffer)
    }

    #[tokio::test]
    async fn a_body_is_its_pieces_wherever_it_is_kept() {
        for pieces in [&[][..], &[10], &[10, 20], &[70_000], &[10, 65_530], &[40_000, 40_000, 40_000, 5]] {
            let budget = Budget::of_addresses(2 << 20, 2 << 20);
            let expected: Vec<u8> =
                (0_u8..).zip(pieces).flat_map(|(fill, &length)| vec![fill; length]).collect();
            for declared in [None, Some(expected.len())] {
                let bytes = filled(pieces, declared, &budget).await.unwrap().into_bytes();
                assert_eq!(bytes, expected, "{pieces:?}");
            }
            // All of it was given back.
            assert!(has(&budget, 2 << 20));
        }
    }

    #[tokio::test]
    async fn bytes_take_memory_of_the_budget_until_they_are_dropped_or_verified() {
        let budget = Budget::of_addresses(100_000, 100_000);
        let bytes = filled(&[80_000], Some(80_000), &budget).await.unwrap().into_bytes();
        let copy = bytes.clone();
        drop(bytes);
        assert!(has(&budget, 20_000) && !has(&budget, 20_001));
        drop(copy);
        let bytes = filled(&[80_000], Some(80_000), &budget).await.unwrap().into_uncounted();
        assert!(has(&budget, 100_000));
        assert_eq!(bytes.len(), 80_000);
    }
}
