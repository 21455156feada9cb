//! The meters that are counted, each with an index.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Time;
use crate::counters::{Counter, Id, PARTS};
use crate::encoding::Row;
use crate::meter::Meter;
use crate::ring::{Ring, SLOTS};

/// What others have counted is swept once in so many ticks.
pub(crate) const SWEEP_OTHERS: u64 = 16;

/// What may have been counted in a meter after it was last seen to be used, in milliseconds.
const UNSEEN: u64 = 60_000;

/// The meters by their index.
pub(crate) struct Known {
    pub(crate) meters: Vec<Option<Tracked>>,
}

pub(crate) struct Tracked {
    pub(crate) meter: Meter,
    /// Shared with each declaration that names it.
    pub(crate) declared: Arc<()>,
    /// Until when counts of others may be missing for which there was no room.
    pub(crate) lacks_until: Time,
    /// When it was last seen to be declared here, or counted elsewhere.
    pub(crate) used: Time,
    /// The tick in which nothing of it counted any more.
    pub(crate) expired: Option<u64>,
}

impl Known {
    /// Whether a counter counts nothing any more.
    pub(crate) fn is_idle(&self, counter: &Counter, now: Time) -> bool {
        self.tracked(counter.id.meter())
            .is_none_or(|tracked| counter.ring.is_idle(now.as_millis() / tracked.meter.window.slot_millis()))
    }

    pub(crate) fn find(&self, meter: &Meter) -> Option<u16> {
        let is_it =
            |tracked: &Option<Tracked>| tracked.as_ref().is_some_and(|tracked| tracked.meter == *meter);
        u16::try_from(self.meters.iter().position(is_it)?).ok()
    }

    pub(crate) fn tracked(&self, index: u16) -> Option<&Tracked> {
        self.meters.get(usize::from(index))?.as_ref()
    }

    pub(crate) fn tracked_mut(&mut self, index: u16) -> Option<&mut Tracked> {
        self.meters.get_mut(usize::from(index))?.as_mut()
    }
}

impl Tracked {
    /// Whether nobody declares it, and all parts were swept since nothing of it counted any more: its index may be another's.
    pub(crate) fn is_forgotten(&mut self, now: Time, tick: u64) -> bool {
        if Arc::strong_count(&self.declared) > 1 {
            self.used = self.used.max(now);
        }
        let slot_millis = self.meter.window.slot_millis();
        if now < self.used.later(SLOTS as u64 * slot_millis + UNSEEN) {
            self.expired = None;
            return false;
        }
        tick > *self.expired.get_or_insert(tick) + PARTS as u64 + SWEEP_OTHERS
    }
}

/// Counters with the meters that they are of.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) meters: Vec<Meter>,
    /// The place in `meters` of each index.
    places: HashMap<u16, u16>,
    pub(crate) counts: Vec<Row>,
}

impl Rows {
    pub(crate) fn add(&mut self, known: &Known, id: Id, ring: Ring) {
        let Some(tracked) = known.tracked(id.meter()) else { return };
        let place = *self.places.entry(id.meter()).or_insert_with(|| {
            self.meters.push(tracked.meter);
            u16::try_from(self.meters.len() - 1).unwrap_or_default()
        });
        self.counts.push(Row { meter: place, key: id.key(), ring });
    }
}
