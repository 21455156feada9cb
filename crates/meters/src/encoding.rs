//! Counts as bytes: for the disk, and for other nodes.

use crate::clock::Time;
use crate::message::Key;
use crate::meter::Meter;
use crate::ring::{Ring, SLOTS};

/// A node's counts since it had none: one that starts without its earlier counts is another node to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u128);

/// The bytes are not counts that this version can read. They change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these counts can't be read: {0}")]
pub struct DamagedChanges(pub(crate) &'static str);

const VERSION: u8 = 1;

/// The counts of a node at a time, or those that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) node: NodeId,
    /// The tick in which they were like this: a later one wins.
    pub(crate) tick: u64,
    /// The time at the node.
    pub(crate) now: Time,
    pub(crate) meters: Vec<Meter>,
    pub(crate) counts: Vec<Row>,
}

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// An index into the batch's meters.
    pub(crate) meter: u16,
    pub(crate) key: Key,
    pub(crate) ring: Ring,
}

impl Batch {
    /// Some 20 bytes a counter.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.meters.len() * Meter::ENCODED + self.counts.len() * 20);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.node.0.to_le_bytes());
        put(&mut bytes, self.tick);
        put(&mut bytes, self.now.as_millis());
        put(&mut bytes, self.meters.len() as u64);
        for meter in &self.meters {
            bytes.extend_from_slice(&meter.encode());
        }
        put(&mut bytes, self.counts.len() as u64);
        for row in &self.counts {
            row.encode(&mut bytes);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DamagedChanges> {
        let mut reader = Reader { rest: bytes };
        match reader.array()? {
            [VERSION] => {}
            _ => return Err(DamagedChanges("a newer version wrote them")),
        }
        let node = NodeId(u128::from_le_bytes(reader.array()?));
        let tick = reader.number()?;
        let now = Time::from_millis(reader.number()?);
        let meters = reader.several(Meter::ENCODED, |reader| {
            Meter::decode(reader.array()?).ok_or(DamagedChanges("there is no such meter"))
        })?;
        let rows = reader.several(Row::SHORTEST, |reader| Row::decode(reader, &meters, now))?;
        let counts = rows.into_iter().flatten().collect();
        match reader.rest {
            [] => Ok(Batch { node, tick, now, meters, counts }),
            _ => Err(DamagedChanges("more follows than there should be")),
        }
    }
}

impl Row {
    /// The bytes of the shortest.
    const SHORTEST: usize = 4;

    fn encode(&self, bytes: &mut Vec<u8>) {
        put(bytes, self.meter.into());
        match self.key {
            Key::Value(value) => put(bytes, value + 2),
            Key::Person(subject) => put(bytes, subject + 2 + (1 << Key::BITS)),
            Key::Without => put(bytes, 0),
        }
        put(bytes, self.ring.head());
        let latest = self.ring.latest();
        let mask =
            (0..).zip(latest).filter(|&(_, count)| count > 0).fold(0, |mask, (slot, _)| mask | 1_u64 << slot);
        put(bytes, mask);
        latest.into_iter().filter(|&count| count > 0).for_each(|count| put(bytes, count.into()));
    }

    /// `None` of one that is of no counter: earlier versions counted together what found no room.
    fn decode(reader: &mut Reader<'_>, meters: &[Meter], now: Time) -> Result<Option<Self>, DamagedChanges> {
        let index = reader.number()?;
        let meter = usize::try_from(index).ok().and_then(|index| meters.get(index));
        let meter = meter.ok_or(DamagedChanges("a count is of no meter"))?;
        let key = match reader.number()? {
            0 => Some(Key::Without),
            1 => None,
            value if value - 2 < 1 << Key::BITS => Some(Key::Value(value - 2)),
            value if value - 2 < 2 << Key::BITS => Some(Key::Person(value - 2 - (1 << Key::BITS))),
            _ => return Err(DamagedChanges("a key is too large")),
        };
        let head = reader.number()?;
        if head > now.as_millis() / meter.window.slot_millis() {
            return Err(DamagedChanges("a count is later than the others"));
        }
        let mask = reader.number()?;
        if mask >> SLOTS != 0 {
            return Err(DamagedChanges("a count has more slots than there are"));
        }
        let mut latest = [0; SLOTS];
        for (slot, count) in latest.iter_mut().enumerate() {
            if mask >> slot & 1 == 1 {
                *count =
                    u32::try_from(reader.number()?).map_err(|_| DamagedChanges("a count is too large"))?;
            }
        }
        let meter = u16::try_from(index).map_err(|_| DamagedChanges("there are too many meters"))?;
        Ok(key.map(|key| Row { meter, key, ring: Ring::from_latest(head, latest) }))
    }
}

/// Seven bits a byte, the lowest first (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
    bytes.push(number as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

const TRUNCATED: DamagedChanges = DamagedChanges("they are truncated");

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DamagedChanges> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u64, DamagedChanges> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DamagedChanges("a number is too large"))
    }

    /// Several, each at least so many bytes long.
    fn several<T>(
        &mut self,
        shortest: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, DamagedChanges>,
    ) -> Result<Vec<T>, DamagedChanges> {
        let count = usize::try_from(self.number()?).map_err(|_| TRUNCATED)?;
        if count > self.rest.len() / shortest {
            return Err(TRUNCATED);
        }
        (0..count).map(|_| one(self)).collect()
    }
}
