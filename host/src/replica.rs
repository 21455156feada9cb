//! Replicas: the instances that share a generation's checks.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use crate::call_error::CallError;
use crate::sandbox::Sandboxed;

/// One of the instances that share a generation's checks.
///
/// A fatal error drops the instance at once, so that its memory is available for its replacement.
pub(crate) struct Replica<I> {
    instance: Mutex<Option<I>>,
    /// Whether the instance is gone. Readable without taking the lock.
    is_lost: AtomicBool,
    /// The instance's memory in bytes; 0 once it is gone.
    memory: ArcSwap<AtomicU64>,
}

impl<I: Sandboxed> Replica<I> {
    pub(crate) fn new(instance: I) -> Self {
        let memory = ArcSwap::new(instance.sandbox().memory());
        Replica { instance: Mutex::new(Some(instance)), is_lost: AtomicBool::new(false), memory }
    }

    /// Calls the instance, waiting for a call in progress.
    #[inline]
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut I) -> Result<R, CallError>) -> Result<R, CallError> {
        self.call_guarded(&mut self.instance.lock(), call)
    }

    /// Calls the instance. Hands `call` back if the instance is lost, or busy for longer than `patience`.
    #[inline]
    fn try_call<R, F>(&self, patience: Duration, call: F) -> Result<Result<R, CallError>, F>
    where
        F: FnOnce(&mut I) -> Result<R, CallError>,
    {
        let wait = || match patience {
            Duration::ZERO => None,
            patience => self.instance.try_lock_for(patience),
        };
        match self.instance.try_lock().or_else(wait) {
            Some(mut instance) if instance.is_some() => Ok(self.call_guarded(&mut instance, call)),
            _ => Err(call),
        }
    }

    /// Calls the instance, waiting for a call in progress. Hands `call` back if the instance is lost, before or during
    /// the wait.
    fn wait_and_call<R, F>(&self, call: F) -> Result<Result<R, CallError>, F>
    where
        F: FnOnce(&mut I) -> Result<R, CallError>,
    {
        if self.is_lost() {
            return Err(call);
        }
        let mut instance = self.instance.lock();
        if instance.is_some() { Ok(self.call_guarded(&mut instance, call)) } else { Err(call) }
    }

    #[inline]
    fn call_guarded<R>(
        &self,
        guard: &mut Option<I>,
        call: impl FnOnce(&mut I) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Some(instance) = guard.as_mut() else { return Err(CallError::OutOfService) };
        let answer = call(instance);
        if instance.sandbox().is_poisoned() {
            self.is_lost.store(true, Ordering::Release);
            *guard = None;
        }
        answer
    }

    /// Like [`call`](Self::call), for one step of a long write: a waiting call goes before the write's next step.
    pub(crate) fn step<R>(&self, call: impl FnOnce(&mut I) -> Result<R, CallError>) -> Result<R, CallError> {
        let mut guard = self.instance.lock();
        let answer = self.call_guarded(&mut guard, call);
        MutexGuard::unlock_fair(guard);
        answer
    }

    /// Puts an instance in the place of the one that was lost.
    pub(crate) fn restore(&self, instance: I) {
        self.memory.store(instance.sandbox().memory());
        let before = self.instance.lock().replace(instance);
        self.is_lost.store(false, Ordering::Release);
        drop(before);
    }

    /// Drops the instance.
    pub(crate) fn retire(&self) {
        self.is_lost.store(true, Ordering::Release);
        drop(self.instance.lock().take());
    }

    /// Locks the instance unless it is being called. Dropping the guard unlocks it.
    fn try_hold(&self) -> Option<MutexGuard<'_, Option<I>>> {
        self.instance.try_lock()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// The instance's memory in bytes. Never waits.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.load().load(Ordering::Relaxed)
    }
}

/// Drops all instances, or none and returns `false` if any of them is being called.
pub(crate) fn retire_idle<I: Sandboxed>(replicas: &[Replica<I>]) -> bool {
    let held: Option<Vec<_>> = replicas.iter().map(Replica::try_hold).collect();
    let Some(held) = held else { return false };
    for (replica, mut instance) in replicas.iter().zip(held) {
        replica.is_lost.store(true, Ordering::Release);
        drop(instance.take());
    }
    true
}

/// Calls one of several replicas: this thread's own if it is idle, else another idle one, else waits for its own.
#[inline]
pub(crate) fn call_any<I: Sandboxed, R>(
    replicas: &[Replica<I>],
    call: impl FnOnce(&mut I) -> Result<R, CallError>,
) -> Result<R, CallError> {
    if let [only] = replicas {
        return only.call(call);
    }
    let own = THREAD.with(|number| number % replicas.len().max(1));
    let (before, after) = replicas.split_at(own);
    let mut call = call;
    for replica in after.iter().chain(before) {
        match replica.try_call(Duration::ZERO, call) {
            Ok(answer) => return answer,
            Err(handed_back) => call = handed_back,
        }
    }
    // All replicas are busy or lost.
    for replica in after.iter().chain(before) {
        match replica.wait_and_call(call) {
            Ok(answer) => return answer,
            Err(handed_back) => call = handed_back,
        }
    }
    Err(CallError::OutOfService)
}

/// Like [`call_any`], but waits for this thread's own replica for at most `patience`. Returns `None` if all are busy.
#[inline]
pub(crate) fn try_call_any<I: Sandboxed, R>(
    replicas: &[Replica<I>],
    patience: Duration,
    call: impl FnOnce(&mut I) -> Result<R, CallError>,
) -> Option<Result<R, CallError>> {
    let mut call = call;
    let own = match replicas {
        [only] => only,
        replicas => {
            let own = THREAD.with(|number| number % replicas.len().max(1));
            let (before, after) = replicas.split_at(own);
            for replica in after.iter().chain(before) {
                match replica.try_call(Duration::ZERO, call) {
                    Ok(answer) => return Some(answer),
                    Err(handed_back) => call = handed_back,
                }
            }
            after.first()?
        }
    };
    match own.try_call(patience, call) {
        Ok(answer) => Some(answer),
        Err(_) => replicas.iter().all(Replica::is_lost).then_some(Err(CallError::OutOfService)),
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Numbers threads in the order of their first check, so that up to as many threads as replicas each have their
    /// own.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}
