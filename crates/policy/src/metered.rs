//! The meters that the options ask for.

use portcullis_plugin_sdk::Directions;
use portcullis_plugin_sdk::rules::{Meter, Purposes, Scope};

/// The most meters of a rules plugin.
pub(crate) const MOST: usize = 16;

/// Meters, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metered {
    meters: Vec<Meter>,
}

/// The place of a meter among the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Place {
    pub(crate) fn count(self, counts: &[u32]) -> u32 {
        // The host passes one count for each meter.
        counts.get(self.0).copied().unwrap_or(u32::MAX)
    }
}

impl Metered {
    /// The meter of outbound messages of these purposes. `None` if there would be too many.
    pub(crate) fn meter(&mut self, scope: Scope, window: u32, purposes: Purposes) -> Option<Place> {
        let meter = Meter::new(scope, window, Directions::OUTBOUND).of_purposes(purposes.iter());
        if let Some(place) = self.meters.iter().position(|other| *other == meter) {
            return Some(Place(place));
        }
        (self.meters.len() < MOST).then(|| {
            self.meters.push(meter);
            Place(self.meters.len() - 1)
        })
    }

    pub(crate) fn all(&self) -> &[Meter] {
        &self.meters
    }
}
