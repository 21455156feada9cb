//! Messages that were counted before they are sent.

use std::sync::Arc;

use portcullis_meters::Meters;

/// The place of a message among those that rules count. Dropping it takes the message off again, unless it has
/// [set out](Self::set_out).
#[derive(Default)]
#[must_use = "dropping it takes the message off the counts"]
pub struct Reservation {
    /// `None` where nothing is counted.
    meters: Option<Arc<Meters>>,
    counted: Vec<portcullis_meters::Reservation>,
    has_set_out: bool,
}

impl Reservation {
    pub(crate) fn new(meters: &Arc<Meters>) -> Self {
        Reservation { meters: Some(Arc::clone(meters)), counted: Vec::new(), has_set_out: false }
    }

    pub(crate) fn add(&mut self, counted: portcullis_meters::Reservation) {
        self.counted.push(counted);
    }

    /// Says that the message is on its way, so that it counts from now on even if nobody hears what becomes of it.
    pub fn set_out(&mut self) {
        self.has_set_out = true;
    }

    /// Takes the message off the counts: it was not delivered.
    pub fn release(mut self) {
        self.has_set_out = false;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let (Some(meters), false) = (&self.meters, self.has_set_out) {
            self.counted.iter().for_each(|counted| meters.release(counted));
        }
    }
}
