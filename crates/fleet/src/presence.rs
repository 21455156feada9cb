//! That this gateway is live, and which writes the others have.

use std::time::{Duration, Instant};

use portcullis_ledger::{Ledger, LedgerError};

use crate::acknowledgements::Acknowledgements;
use crate::staleness::Staleness;
use crate::{EVERY, TELL_EVERY};

/// How long the others wait for this gateway if it says no more. Shorter than a [write may take](crate::DEADLINE) that waits for it.
const ALIVE_FOR: Duration = Duration::from_secs(4);

/// What the others are told of this gateway, and what they tell.
#[derive(Debug, Default)]
pub struct Presence {
    /// When the others were told last that it is live.
    told: Option<Instant>,
}

impl Presence {
    /// Tells the others that this gateway is live, if that is due, and finds out which of the writes that wait they have. Returns how long
    /// to wait for the next step.
    ///
    /// # Errors
    /// If the others can't be told.
    pub fn step(
        &mut self,
        ledger: &Ledger,
        staleness: &Staleness,
        acknowledgements: &Acknowledgements,
    ) -> Result<Duration, LedgerError> {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.tell(ledger, staleness)?;
        }
        let awaited = acknowledgements.awaited();
        if !awaited.is_empty() {
            // Otherwise the writes wait on.
            if let Ok(known) = ledger.followed_by_all(&awaited) {
                acknowledgements.are_known(&known);
            }
        }
        Ok(EVERY)
    }

    /// Tells the others that this gateway is live.
    ///
    /// # Errors
    /// If they can't be told.
    pub fn tell(&mut self, ledger: &Ledger, staleness: &Staleness) -> Result<(), LedgerError> {
        let now = Instant::now();
        self.told = None;
        ledger.stay_alive(ALIVE_FOR, staleness.age().unwrap_or_default())?;
        self.told = Some(now);
        Ok(())
    }
}
