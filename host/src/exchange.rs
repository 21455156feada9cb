//! The state machine of a plugin exchange.
//!
//! ```text
//!                  request                                                      done
//!   Resting ────────────────► Preparing ─► Filling ─► Proving ──────► Swapping ──────► Watching ──► Resting
//!      ▲                          │           │          │   ╲        ▲    │             │   ╲ end_watch
//!      │                          │           │          │    ╲      ╱     │             │
//!      │      failed, or rolled back          │          │   Shadowing     │             │ fault, or rolled back
//!      └──────────────────────────┴───────────┴──────────┴───────┴─────────┘             ▼
//!      ▲                                                                             RollingBack
//!      └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The state machine knows no plugin, clock or thread. It returns the [`Task`]s to do next, and its driver reports
//! their results. The driver executes tasks in order, one at a time.

/// The current stage of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Idle: no exchange is in progress.
    Resting,
    /// The plugin is located, validated, compiled and instantiated, off the message path.
    Preparing,
    /// The plugin is filled with the entries, from a saved state or from the source.
    Filling,
    /// The plugin's contents are verified against the source.
    Proving,
    /// The candidate answers live checks next to the serving plugin; its answers are only compared.
    Shadowing,
    /// The candidate catches up once more and replaces the serving plugin.
    Swapping,
    /// The new plugin serves. The previous one is kept for a rollback.
    Watching,
    /// The new plugin failed or was rolled back: the previous one is being restored.
    RollingBack,
}

impl Stage {
    /// The stage's name in logs, metrics and the API.
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

/// What the driver must do next.
///
/// After `Prepare`, `Fill`, `Prove`, `Swap` and `RollBack` the state machine waits for [`done`](Exchange::done) or
/// [`failed`](Exchange::failed); after `Shadow`, for [`end_shadow`](Exchange::end_shadow); after `Watch`, for
/// [`end_watch`](Exchange::end_watch). `Discard` and `Release` need no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task<W> {
    /// Create a candidate from the request.
    Prepare(W),
    /// Fill the candidate.
    Fill,
    /// Verify the candidate.
    Prove,
    /// Start a shadow run, and pass the ticket to [`end_shadow`](Exchange::end_shadow) when it ends.
    Shadow(Ticket),
    /// Replace the serving plugin with the candidate, and keep the previous one.
    Swap,
    /// Restore the previous plugin.
    RollBack,
    /// Pass the ticket to [`end_watch`](Exchange::end_watch) when the new plugin has served for a while.
    Watch(Ticket),
    /// Drop the candidate.
    Discard,
    /// Drop the previous plugin.
    Release,
}

/// Identifies one shadow run or watch, so that late reports of earlier ones are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// A request for an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRequest<W> {
    /// What to exchange the plugin for.
    pub to: W,
    /// Whether to run the candidate as a shadow first.
    pub shadow: bool,
}

/// Why a command can't be carried out in the current stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// [`Exchange::promote`] without a shadow run.
    #[error("no shadow run is under way, so there is nothing to promote")]
    NoShadow,
    /// [`Exchange::roll_back`] when no exchange is in progress and no previous plugin is kept.
    #[error(
        "no exchange is under way and the previous plugin is no longer kept, so there is nothing to roll back to"
    )]
    NothingToRollBackTo,
}

/// The state machine of a plugin exchange. `W` describes the requested plugin: for example its name, version and
/// options.
#[derive(Debug)]
pub struct Exchange<W> {
    stage: Stage,
    /// Whether the current exchange includes a shadow run.
    shadow: bool,
    /// Whether the current exchange was rolled back while a task was running.
    cancelled: bool,
    /// The latest request received during an exchange. It supersedes earlier ones.
    queued: Option<ExchangeRequest<W>>,
    tickets: u64,
}

impl<W> Default for Exchange<W> {
    fn default() -> Self {
        Exchange { stage: Stage::Resting, shadow: false, cancelled: false, queued: None, tickets: 0 }
    }
}

impl<W> Exchange<W> {
    /// Returns the current stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns the request to be carried out after the current exchange, if any.
    pub fn queued(&self) -> Option<&ExchangeRequest<W>> {
        self.queued.as_ref()
    }

    /// Requests an exchange. If another one is in progress the request is queued, and supersedes a request that is
    /// already queued. A shadow run is aborted in its favour.
    pub fn request(&mut self, request: ExchangeRequest<W>) -> Vec<Task<W>> {
        match self.stage {
            Stage::Resting => vec![self.begin(request)],
            // The serving plugin has not failed so far, and the new request takes precedence over a rollback.
            Stage::Watching => vec![Task::Release, self.begin(request)],
            Stage::Shadowing => vec![Task::Discard, self.begin(request)],
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping | Stage::RollingBack => {
                self.queued = Some(request);
                Vec::new()
            }
        }
    }

    /// Reports that the current task succeeded.
    pub fn done(&mut self) -> Vec<Task<W>> {
        let cancelled = self.cancelled;
        match self.stage {
            Stage::Preparing | Stage::Filling | Stage::Proving if cancelled => {
                self.then_rest(vec![Task::Discard])
            }
            Stage::Preparing => self.enter(Stage::Filling, Task::Fill),
            Stage::Filling => self.enter(Stage::Proving, Task::Prove),
            // The queued request would abort a shadow run at once.
            Stage::Proving if self.shadow && self.queued.is_some() => self.then_rest(vec![Task::Discard]),
            Stage::Proving if self.shadow => {
                let ticket = self.ticket();
                self.enter(Stage::Shadowing, Task::Shadow(ticket))
            }
            Stage::Proving => self.enter(Stage::Swapping, Task::Swap),
            Stage::Swapping if cancelled => self.enter(Stage::RollingBack, Task::RollBack),
            Stage::Swapping if self.queued.is_some() => self.then_rest(vec![Task::Release]),
            Stage::Swapping => {
                let ticket = self.ticket();
                self.enter(Stage::Watching, Task::Watch(ticket))
            }
            Stage::RollingBack => self.then_rest(Vec::new()),
            // No task was running.
            Stage::Resting | Stage::Shadowing | Stage::Watching => Vec::new(),
        }
    }

    /// Reports that the current task failed. The serving plugin keeps serving, unless the failed task was a rollback.
    pub fn failed(&mut self) -> Vec<Task<W>> {
        match self.stage {
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping => {
                self.then_rest(vec![Task::Discard])
            }
            Stage::RollingBack => self.then_rest(vec![Task::Release]),
            Stage::Resting | Stage::Shadowing | Stage::Watching => Vec::new(),
        }
    }

    /// Reports the end of a shadow run. `promote` says whether the candidate is to serve.
    pub fn end_shadow(&mut self, ticket: Ticket, promote: bool) -> Vec<Task<W>> {
        match self.stage {
            Stage::Shadowing if self.is_current(ticket) && promote => self.enter(Stage::Swapping, Task::Swap),
            Stage::Shadowing if self.is_current(ticket) => self.then_rest(vec![Task::Discard]),
            _ => Vec::new(),
        }
    }

    /// Promotes the candidate without waiting for the end of its shadow run.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::NoShadow`] if no shadow run is in progress.
    pub fn promote(&mut self) -> Result<Vec<Task<W>>, ExchangeError> {
        match self.stage {
            Stage::Shadowing => Ok(self.enter(Stage::Swapping, Task::Swap)),
            _ => Err(ExchangeError::NoShadow),
        }
    }

    /// Cancels the exchange in progress, or undoes the latest one while its previous plugin is kept. Also drops the
    /// queued request.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::NothingToRollBackTo`] if no exchange is in progress and no previous plugin is kept.
    pub fn roll_back(&mut self) -> Result<Vec<Task<W>>, ExchangeError> {
        self.queued = None;
        match self.stage {
            Stage::Resting => Err(ExchangeError::NothingToRollBackTo),
            Stage::Preparing | Stage::Filling | Stage::Proving | Stage::Swapping => {
                self.cancelled = true;
                Ok(Vec::new())
            }
            Stage::Shadowing => Ok(self.then_rest(vec![Task::Discard])),
            Stage::Watching => Ok(self.enter(Stage::RollingBack, Task::RollBack)),
            Stage::RollingBack => Ok(Vec::new()),
        }
    }

    /// Reports that the serving plugin failed. Returns `None` if the fault is unrelated to an exchange: the caller
    /// recovers it.
    pub fn fault(&mut self) -> Option<Vec<Task<W>>> {
        match self.stage {
            Stage::Watching => Some(self.enter(Stage::RollingBack, Task::RollBack)),
            _ => None,
        }
    }

    /// Reports that the new plugin has served long enough.
    pub fn end_watch(&mut self, ticket: Ticket) -> Vec<Task<W>> {
        match self.stage {
            Stage::Watching if self.is_current(ticket) => self.then_rest(vec![Task::Release]),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, request: ExchangeRequest<W>) -> Task<W> {
        self.stage = Stage::Preparing;
        self.shadow = request.shadow;
        self.cancelled = false;
        Task::Prepare(request.to)
    }

    fn enter(&mut self, stage: Stage, task: Task<W>) -> Vec<Task<W>> {
        self.stage = stage;
        vec![task]
    }

    /// Becomes idle after these tasks, or begins the queued request.
    fn then_rest(&mut self, mut tasks: Vec<Task<W>>) -> Vec<Task<W>> {
        self.stage = Stage::Resting;
        self.cancelled = false;
        if let Some(request) = self.queued.take() {
            tasks.push(self.begin(request));
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
