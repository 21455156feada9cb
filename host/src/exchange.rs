//! The exchange of a plugin, as a state machine.
//!
//! ```text
//!                    ask                                                        done
//!   Resting ────────────────► Preparing ─► Filling ─► Proving ──────► Swapping ──────► Watching ──► Resting
//!      ▲                          │           │          │   ╲        ▲    │             │   ╲ watch_over
//!      │                          │           │          │    ╲      ╱     │             │
//!      │        failed, or gone back          │          │   Shadowing     │             │ fault, or gone back
//!      └──────────────────────────┴───────────┴──────────┴───────┴─────────┘             ▼
//!      ▲                                                                             RollingBack
//!      └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The machine knows no plugin, no clock and no thread. It says what is to be done next ([`Task`]), and is told what came
//! of it. Whoever drives it does one task after the other, in their order, and never two at a time.

/// What an exchange is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: what serves has served for a while.
    Resting,
    /// The plugin is found, checked, compiled and started, off the path of messages.
    Preparing,
    /// It takes the entries: from a saved state, or from the record.
    Filling,
    /// What it holds is compared with the record.
    Proving,
    /// It answers live checks beside the one that serves, and is heard by nobody.
    Shadowing,
    /// It catches up once more, and takes the other's place.
    Swapping,
    /// It serves. The one before is kept, so that a fault costs nothing but the way back.
    Watching,
    /// It failed, or was not wanted after all: the one before takes its place again.
    RollingBack,
}

impl Stage {
    /// Its name, for people, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Resting => "resting",
            Stage::Preparing => "preparing",
            Stage::Filling => "filling",
            Stage::Proving => "proving",
            Stage::Shadowing => "shadowing",
            Stage::Swapping => "swapping",
            Stage::Watching => "watching",
            Stage::RollingBack => "rolling-back",
        }
    }
}

/// What is to be done next. After each of the first six, and `RollBack`, the machine waits for [`done`](Exchange::done) or
/// [`failed`](Exchange::failed) (for `Shadow`, [`shadow_over`](Exchange::shadow_over)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task<W> {
    /// Make a candidate of what is wished for.
    Prepare(W),
    /// Fill it.
    Fill,
    /// Prove it.
    Prove,
    /// Have it answer beside the one that serves, and hand the ticket back when that is over.
    Shadow(Ticket),
    /// Put it in the place of the one that serves, and keep that.
    Swap,
    /// Put the one that was kept back in its place.
    RollBack,
    /// Hand the ticket back, in [`watch_over`](Exchange::watch_over), when the new one has served for a while.
    Watch(Ticket),
    /// Throw the candidate away.
    Discard,
    /// Let go of the one that was kept.
    Release,
}

/// Tells one shadow run or watch from others, as word of it may come late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// A wish for an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask<W> {
    /// What is wished for.
    pub to: W,
    /// Whether it is to run as a shadow first.
    pub shadow: bool,
}

/// Why the machine does not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// [`Exchange::promote`] without a shadow run.
    #[error("no shadow run is under way, so there is nothing to promote")]
    NoShadow,
    /// [`Exchange::go_back`] with nothing under way and nothing kept.
    #[error("no exchange is under way, and the plugin before is not kept any more")]
    NothingToGoBackTo,
}

/// The exchange of a plugin, as a state machine. `W` is what is wished for: a plugin, a version, options.
#[derive(Debug)]
pub struct Exchange<W> {
    stage: Stage,
    /// Whether what is under way is to run as a shadow.
    shadow: bool,
    /// Whether what is under way is not wanted any more.
    unwanted: bool,
    /// The latest wish of those that came while something was under way: the ones before it are overtaken.
    queued: Option<Ask<W>>,
    tickets: u64,
}

impl<W> Default for Exchange<W> {
    fn default() -> Self {
        Exchange { stage: Stage::Resting, shadow: false, unwanted: false, queued: None, tickets: 0 }
    }
}

impl<W> Exchange<W> {
    /// What it is doing.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What is to be done after that, if anything is.
    pub fn queued(&self) -> Option<&Ask<W>> {
        self.queued.as_ref()
    }

    /// An exchange is wished for. While another one is under way it waits, and overtakes whatever waits already; a shadow run
    /// is given up for it.
    pub fn ask(&mut self, ask: Ask<W>) -> Vec<Task<W>> {
        match self.stage {
            Stage::Resting => vec![self.begin(ask)],
            // What serves has not failed so far, and the new wish is what counts: no way leads back any more.
            Stage::Watching => vec![Task::Release, self.begin(ask)],
            Stage::Shadowing => vec![Task::Discard, self.begin(ask)],
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping | Stage::RollingBack => {
                self.queued = Some(ask);
                Vec::new()
            }
        }
    }

    /// The task under way is done.
    pub fn done(&mut self) -> Vec<Task<W>> {
        let unwanted = self.unwanted;
        match self.stage {
            Stage::Preparing | Stage::Filling | Stage::Proving if unwanted => {
                self.then_rest(vec![Task::Discard])
            }
            Stage::Preparing => self.enter(Stage::Filling, Task::Fill),
            Stage::Filling => self.enter(Stage::Proving, Task::Prove),
            // It would be given up at once.
            Stage::Proving if self.shadow && self.queued.is_some() => self.then_rest(vec![Task::Discard]),
            Stage::Proving if self.shadow => {
                let ticket = self.ticket();
                self.enter(Stage::Shadowing, Task::Shadow(ticket))
            }
            Stage::Proving => self.enter(Stage::Swapping, Task::Swap),
            Stage::Swapping if unwanted => self.enter(Stage::RollingBack, Task::RollBack),
            Stage::Swapping if self.queued.is_some() => self.then_rest(vec![Task::Release]),
            Stage::Swapping => {
                let ticket = self.ticket();
                self.enter(Stage::Watching, Task::Watch(ticket))
            }
            Stage::RollingBack => self.then_rest(Vec::new()),
            // Nothing was under way.
            Stage::Resting | Stage::Shadowing | Stage::Watching => Vec::new(),
        }
    }

    /// The task under way failed. What served goes on serving, unless it was a way back that failed.
    pub fn failed(&mut self) -> Vec<Task<W>> {
        match self.stage {
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping => {
                self.then_rest(vec![Task::Discard])
            }
            Stage::RollingBack => self.then_rest(vec![Task::Release]),
            Stage::Resting | Stage::Shadowing | Stage::Watching => Vec::new(),
        }
    }

    /// A shadow run is over: whether the candidate is to serve.
    pub fn shadow_over(&mut self, ticket: Ticket, promote: bool) -> Vec<Task<W>> {
        match self.stage {
            Stage::Shadowing if self.is_current(ticket) && promote => self.enter(Stage::Swapping, Task::Swap),
            Stage::Shadowing if self.is_current(ticket) => self.then_rest(vec![Task::Discard]),
            _ => Vec::new(),
        }
    }

    /// The candidate is to serve, without waiting for its shadow run's end.
    ///
    /// # Errors
    ///
    /// [`NotNow::NoShadow`].
    pub fn promote(&mut self) -> Result<Vec<Task<W>>, NotNow> {
        match self.stage {
            Stage::Shadowing => Ok(self.enter(Stage::Swapping, Task::Swap)),
            _ => Err(NotNow::NoShadow),
        }
    }

    /// What is under way, or was done last, is not wanted any more; nor is what waits.
    ///
    /// # Errors
    ///
    /// [`NotNow::NothingToGoBackTo`].
    pub fn go_back(&mut self) -> Result<Vec<Task<W>>, NotNow> {
        self.queued = None;
        match self.stage {
            Stage::Resting => Err(NotNow::NothingToGoBackTo),
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping => {
                self.unwanted = true;
                Ok(Vec::new())
            }
            Stage::Shadowing => Ok(self.then_rest(vec![Task::Discard])),
            Stage::Watching => Ok(self.enter(Stage::RollingBack, Task::RollBack)),
            Stage::RollingBack => Ok(Vec::new()),
        }
    }

    /// What serves failed. `None` where that has nothing to do with the exchange: then it is for whoever keeps it to recover.
    pub fn fault(&mut self) -> Option<Vec<Task<W>>> {
        match self.stage {
            Stage::Watching => Some(self.enter(Stage::RollingBack, Task::RollBack)),
            _ => None,
        }
    }

    /// The new one has served for a while.
    pub fn watch_over(&mut self, ticket: Ticket) -> Vec<Task<W>> {
        match self.stage {
            Stage::Watching if self.is_current(ticket) => self.then_rest(vec![Task::Release]),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, ask: Ask<W>) -> Task<W> {
        self.stage = Stage::Preparing;
        self.shadow = ask.shadow;
        self.unwanted = false;
        Task::Prepare(ask.to)
    }

    fn enter(&mut self, stage: Stage, task: Task<W>) -> Vec<Task<W>> {
        self.stage = stage;
        vec![task]
    }

    /// Rests after these tasks, or begins with what waits.
    fn then_rest(&mut self, mut tasks: Vec<Task<W>>) -> Vec<Task<W>> {
        self.stage = Stage::Resting;
        self.unwanted = false;
        if let Some(ask) = self.queued.take() {
            tasks.push(self.begin(ask));
        }
        tasks
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn is_current(&self, ticket: Ticket) -> bool {
        ticket.0 == self.tickets
    }
}

#[cfg(test)]
mod tests;
