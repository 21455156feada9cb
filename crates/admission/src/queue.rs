//! A bounded queue for turns.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::turn::{Turn, turn_in_time};
use crate::unfinished::Unfinished;
use crate::waiting_room::WaitingRoom;

/// Hands out a number of turns in order, and bounds how many wait for one.
pub(crate) struct Queue {
    turns: Arc<Semaphore>,
    room: WaitingRoom,
}

impl Queue {
    pub(crate) fn new(turns: u32, most_waiting: usize) -> Self {
        Queue { turns: Arc::new(Semaphore::new(turns as usize)), room: WaitingRoom::new(most_waiting) }
    }

    /// Waits for so many turns.
    pub(crate) async fn turn(&self, turns: u32) -> Result<Turn, Unfinished> {
        let _place = self.room.enter()?;
        turn_in_time(&self.turns, turns).await
    }

    /// So many turns, if they are free.
    pub(crate) fn try_turn(&self, turns: u32) -> Option<Turn> {
        Arc::clone(&self.turns).try_acquire_many_owned(turns).ok()
    }

    /// How many turns are free.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.turns.available_permits()
    }
}
