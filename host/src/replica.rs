//! One of the instances that share a generation's checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::fault::CallError;
use crate::instance::Instance;

/// One of the instances that share a generation's checks.
///
/// A fatal fault throws the instance away at once: so its memory is the tenant's again, for the one that takes its place.
pub(crate) struct Replica {
    instance: Mutex<Option<Instance>>,
    /// Whether there is no instance any more: for whoever does not want to wait for the one who calls it.
    is_lost: AtomicBool,
    /// What the instance has of memory, in bytes: 0 where there is none any more.
    memory: Arc<AtomicU64>,
}

impl Replica {
    pub(crate) fn new(instance: Instance) -> Self {
        let memory = instance.memory();
        Replica { instance: Mutex::new(Some(instance)), is_lost: AtomicBool::new(false), memory }
    }

    /// Calls the instance, waiting for whoever calls it now.
    #[inline]
    pub(crate) fn call<R>(
        &self,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        self.call_guarded(&mut self.instance.lock(), call)
    }

    /// Calls the instance, unless somebody else does or it is lost: then the call is handed back.
    #[inline]
    fn try_call<R, F>(&self, call: F) -> Result<Result<R, CallError>, F>
    where
        F: FnOnce(&mut Instance) -> Result<R, CallError>,
    {
        match self.instance.try_lock() {
            Some(mut instance) if instance.is_some() => Ok(self.call_guarded(&mut instance, call)),
            _ => Err(call),
        }
    }

    /// Calls the instance, waiting for whoever calls it now, unless it is lost, or comes to be meanwhile: then the call is
    /// handed back.
    fn wait_and_call<R, F>(&self, call: F) -> Result<Result<R, CallError>, F>
    where
        F: FnOnce(&mut Instance) -> Result<R, CallError>,
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
        guard: &mut Option<Instance>,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Some(instance) = guard.as_mut() else { return Err(CallError::OutOfService) };
        let answer = call(instance);
        if instance.is_spent() {
            self.is_lost.store(true, Ordering::Release);
            *guard = None;
        }
        answer
    }

    /// As [`call`](Self::call), for one step of a long write: whoever waits comes next, and not the write's next step.
    pub(crate) fn step<R>(
        &self,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut guard = self.instance.lock();
        let answer = self.call_guarded(&mut guard, call);
        MutexGuard::unlock_fair(guard);
        answer
    }

    /// Throws the instance away.
    pub(crate) fn retire(&self) {
        self.is_lost.store(true, Ordering::Release);
        drop(self.instance.lock().take());
    }

    /// The instance, kept from being called, unless it is being called now. Dropping the guard gives it back.
    fn try_hold(&self) -> Option<MutexGuard<'_, Option<Instance>>> {
        self.instance.try_lock()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Without waiting for whoever calls the instance.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }
}

/// Throws all instances away, unless one is being called now: then none.
pub(crate) fn retire_idle(replicas: &[Replica]) -> bool {
    let held: Option<Vec<_>> = replicas.iter().map(Replica::try_hold).collect();
    let Some(held) = held else { return false };
    for (replica, mut instance) in replicas.iter().zip(held) {
        replica.is_lost.store(true, Ordering::Release);
        drop(instance.take());
    }
    true
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
    for replica in after.iter().chain(before) {
        match replica.wait_and_call(call) {
            Ok(answer) => return answer,
            Err(handed_back) => call = handed_back,
        }
    }
    Err(CallError::OutOfService)
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Numbers threads in the order in which they first check, so that as many threads as replicas have one each.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}
