//! The store of a plugin instance: a deadline for every call, a limit for its memory, and what its calls cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::{ResourceLimiter as _, Store, Trap};

use crate::call_error::CallError;
use crate::cpu_time::cpu_time;
use crate::deadline::Deadline;
use crate::engine::Engine;
use crate::foreign_text::ForeignText;
use crate::last_words::last_words;
use crate::memory::{Exceeded, MemoryAccount, Meter};
use crate::pace::Pace;
use crate::stopwatch::Stopwatch;

/// Data attached to an instance's store.
pub(crate) struct State {
    meter: Meter,
    deadline: Deadline,
}

/// What a plugin instance runs in, whatever it exports.
///
/// After a fatal [`CallError`], every later call fails with [`CallError::OutOfService`].
pub(crate) struct Sandbox {
    store: Store<State>,
    engine: Engine,
    stopwatch: Stopwatch,
    /// What its calls cost, together with the other instances of its plugin.
    pace: Arc<Pace>,
    /// Set by the first fatal error.
    poisoned: bool,
}

/// An instance that runs in a [`Sandbox`].
pub(crate) trait Sandboxed {
    fn sandbox(&self) -> &Sandbox;
}

impl Sandbox {
    /// Creates a sandbox, and the instance in it. Instantiation runs the component's start functions, for at most `limit`.
    pub(crate) fn start<E>(
        engine: &Engine,
        account: &Arc<MemoryAccount>,
        instance_bytes: u64,
        memories: usize,
        result_bytes: usize,
        limit: Duration,
        instantiate: impl FnOnce(&mut Store<State>) -> wasmtime::Result<E>,
    ) -> Result<(Self, E), CallError> {
        let meter = Meter::new(Arc::clone(account), instance_bytes, memories);
        let mut store = Store::new(engine.wasm(), State { meter, deadline: Deadline::default() });
        store.limiter(|state| &mut state.meter);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.passed()));
        store.set_hostcall_fuel(result_bytes);
        begin(&mut store, engine, limit, engine.ticks(limit), Some(cpu_time()));
        let exports = instantiate(&mut store).map_err(|error| fault("its start", limit, &store, &error))?;
        let (stopwatch, pace) = (Stopwatch::default(), Arc::default());
        Ok((Sandbox { store, engine: engine.clone(), stopwatch, pace, poisoned: false }, exports))
    }

    /// Has the costs of its calls charged to `pace`, and the next one timed.
    pub(crate) fn charge_to(&mut self, pace: &Arc<Pace>) {
        self.pace = Arc::clone(pace);
        self.stopwatch.sample_next();
    }

    /// The linear memory and tables of this instance, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().meter.charged().load(Ordering::Relaxed)
    }

    /// A live counter of [`memory_bytes`](Self::memory_bytes), readable during calls. It is 0 after the instance is
    /// dropped.
    pub(crate) fn memory(&self) -> Arc<AtomicU64> {
        Arc::clone(self.store.data().meter.charged())
    }

    /// Whether the instance was lost to a fatal error.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Discards the instance because a result violates the contract.
    pub(crate) fn broken(&mut self, call: &'static str, breach: String) -> CallError {
        self.poisoned = true;
        CallError::Broken { call, breach }
    }

    /// Calls one function with a deadline, and charges what it costs.
    #[inline]
    pub(crate) fn call<R>(
        &mut self,
        name: &'static str,
        cost: Cost,
        function: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        if self.poisoned {
            return Err(CallError::OutOfService);
        }
        let started = self.stopwatch.start(cost.heavy, &self.pace);
        let start = self.engine.ticked();
        begin(&mut self.store, &self.engine, cost.limit, cost.ticks, started.cpu_time());
        self.store.data_mut().meter.clear_refusal();
        let answer = function(&mut self.store);
        let ticked = self.engine.ticked().wrapping_sub(start);
        if let Some(used) = self.stopwatch.stop(started, ticked > 1, cost.allowed, &self.pace) {
            self.pace.charge(used.saturating_sub(cost.allowed));
        }
        match answer {
            Ok(answer) if ticked < cost.ticks || !self.is_overrun() => Ok(answer),
            Ok(_) => {
                self.poisoned = true;
                Err(CallError::TimedOut { call: name, deadline: cost.limit })
            }
            Err(error) => {
                self.poisoned = true;
                Err(fault(name, cost.limit, &self.store, &error))
            }
        }
    }

    #[cold]
    fn is_overrun(&self) -> bool {
        self.store.data().deadline.is_overrun(cpu_time())
    }
}

/// What a call may take.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// The CPU time after which it is interrupted.
    limit: Duration,
    /// The same, in ticks.
    ticks: u64,
    /// The CPU time that a fast plugin needs at most.
    allowed: Duration,
    /// Whether it is so much work that measuring it costs nothing in comparison.
    heavy: bool,
}

/// The CPU time that a fast plugin needs for a call, by a wide margin.
const CALL: Duration = Duration::from_micros(20);
/// The items from which a call is always measured.
const HEAVY: u32 = 64;

impl Cost {
    /// That of a call that each message waits for. `ticks` is `limit` in ticks, which are not worth a division for each.
    #[inline]
    pub(crate) fn of_one(limit: Duration, ticks: u64) -> Self {
        Cost { limit, ticks, allowed: CALL, heavy: false }
    }

    /// That of a call on `items`, at `each` of CPU time.
    pub(crate) fn of_many(engine: &Engine, limit: Duration, items: usize, each: Duration) -> Self {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let allowed = CALL.saturating_add(each.saturating_mul(items));
        Cost { limit, ticks: engine.ticks(limit), allowed, heavy: items >= HEAVY }
    }
}

/// Sets the deadline of the next call. `now` is the thread's CPU time, if it was read.
#[inline]
fn begin(store: &mut Store<State>, engine: &Engine, limit: Duration, ticks: u64, now: Option<Duration>) {
    let ticks = store.data_mut().deadline.begin(limit, ticks, engine.tick(), now);
    store.set_epoch_deadline(ticks);
}

/// Classifies a failed call by its trap and the memory meter.
#[cold]
fn fault(call: &'static str, deadline: Duration, store: &Store<State>, error: &wasmtime::Error) -> CallError {
    match (error.downcast_ref::<Trap>(), store.data().meter.refusal()) {
        (Some(Trap::Interrupt), _) => CallError::TimedOut { call, deadline },
        (_, Some(Exceeded::Instance(limit))) => CallError::OutOfMemory { call, limit },
        (_, Some(Exceeded::Account(limit))) => CallError::AccountFull { call, limit },
        (_, Some(Exceeded::Pool(limit))) => CallError::MemoryExhausted { call, limit },
        (Some(trap), None) => {
            CallError::Trapped { call, trap: trap.to_string(), last_words: last_words(store, error) }
        }
        // Not a trap: the host rejected the result while reading it, for a pointer out of bounds, invalid UTF-8, or a
        // result past its size limit. Or it did not create the instance.
        (None, None) => {
            let cause = ForeignText(&error.root_cause().to_string()).within(512);
            CallError::Broken { call, breach: breach(call, cause, store.data().meter.memories()) }
        }
    }
}

/// The words of wasmtime about a result that can't be read, with what it does not name.
fn breach(call: &str, cause: String, memories: usize) -> String {
    if cause.contains("memory count too high") {
        return format!(
            "creates more than {memories} linear memories: `memories` of [plugins.limits] allows more"
        );
    }
    let chosen = match call {
        "describe" => "keyspace",
        "check" => "verdict",
        "block" | "unblock" => "case of outcome",
        "load" => "progress",
        "configure" => "scope or unit of a meter",
        "decide" | "decide-many" => "decision",
        _ => return cause,
    };
    match cause.contains("unexpected discriminant") {
        true => format!("returned a {chosen} that the contract does not have: {cause}"),
        false => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_names_what_can_t_be_read() {
        let shown = |call, cause: &str| breach(call, cause.to_owned(), 8);
        assert_eq!(
            shown("describe", "unexpected discriminant: 7"),
            "returned a keyspace that the contract does not have: unexpected discriminant: 7"
        );
        assert!(shown("block", "unexpected discriminant: 7").starts_with("returned a case of outcome "));
        assert_eq!(shown("list", "pointer not aligned"), "pointer not aligned");
    }
}
