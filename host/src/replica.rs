//! One of the instances that share a generation's checks.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::fault::CallError;
use crate::instance::Instance;

/// One of the instances that share a generation's checks.
///
/// A fatal fault throws the instance away at once: so its memory is the tenant's again, for the one that takes its place.
pub(crate) struct Replica(Mutex<Option<Instance>>);

impl Replica {
    pub(crate) fn new(instance: Instance) -> Self {
        Replica(Mutex::new(Some(instance)))
    }

    /// Calls the instance, waiting for whoever calls it now.
    #[inline]
    pub(crate) fn call<R>(
        &self,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        Self::call_guarded(&mut self.0.lock(), call)
    }

    /// Calls the instance, unless somebody else does or it is lost: then the call is handed back.
    #[inline]
    fn try_call<R, F>(&self, call: F) -> Result<Result<R, CallError>, F>
    where
        F: FnOnce(&mut Instance) -> Result<R, CallError>,
    {
        match self.0.try_lock() {
            Some(mut instance) if instance.is_some() => Ok(Self::call_guarded(&mut instance, call)),
            _ => Err(call),
        }
    }

    #[inline]
    fn call_guarded<R>(
        guard: &mut Option<Instance>,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Some(instance) = guard.as_mut() else { return Err(CallError::OutOfService) };
        let answer = call(instance);
        if instance.is_spent() {
            *guard = None;
        }
        answer
    }

    /// As [`call`](Self::call), for one step of a long write: whoever waits comes next, and not the write's next step.
    pub(crate) fn step<R>(
        &self,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut guard = self.0.lock();
        let answer = Self::call_guarded(&mut guard, call);
        MutexGuard::unlock_fair(guard);
        answer
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.0.lock().is_none()
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.0.lock().as_ref().map_or(0, Instance::memory_bytes)
    }
}

/// Calls one of several replicas: this thread's own if it is free, another one that is, or else waits for its own.
#[inline]
pub(crate) fn call_any<R>(
    replicas: &[Replica],
    call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
) -> Result<R, CallError> {
    if let [only] = replicas {
        return only.call(call);
    }
    let own = THREAD.with(|number| number % replicas.len());
    let (before, after) = replicas.split_at(own);
    let mut call = call;
    for replica in after.iter().chain(before) {
        match replica.try_call(call) {
            Ok(answer) => return answer,
            Err(handed_back) => call = handed_back,
        }
    }
    // All are at work, or lost.
    let waited_for = after.iter().chain(before).find(|replica| !replica.is_lost());
    waited_for.map_or(Err(CallError::OutOfService), |replica| replica.call(call))
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Numbers threads in the order in which they first check, so that as many threads as replicas have one each.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}
