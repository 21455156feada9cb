//! One plugin instance: one store, every call bounded, every answer checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_msisdn::{Direction, Directions, Permutation, Subject};
use wasmtime::{Store, Trap};

use crate::answer::{Breach, sentence};
use crate::bindings::exports::portcullis::blacklist::blacklist::{self as wit, Guest};
use crate::bindings::{Plugin as Exports, PluginPre};
use crate::contract::{Description, Entry, Format, Outcome, Page, Part, Progress, Settings, Verdict};
use crate::deadline::Deadline;
use crate::engine::Engine;
use crate::fault::CallError;
use crate::limits::Limits;
use crate::memory::{MemoryAccount, Meter};

/// The most subjects or entries that a plugin gets, or is asked for, in one call.
pub const BATCH: usize = 4096;

/// The least and the most bytes that a part of a saved state may be asked for.
pub const PART_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=4 << 20;

/// The eight verdicts that a byte of a bitmap stands for, lowest bit first.
static VERDICTS: [[Verdict; 8]; 256] = {
    let mut table = [[Verdict::Allow; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut i = 0;
        while i < 8 {
            if bits >> i & 1 == 1 {
                table[bits][i] = Verdict::Block;
            }
            i += 1;
        }
        bits += 1;
    }
    table
};

/// What a store knows of the instance in it.
pub(crate) struct State {
    meter: Meter,
    deadline: Deadline,
}

/// A plugin with its own memory, holding one blacklist.
///
/// Each instance has a store of its own, so that a fault in one is a fault in no other. After a fatal
/// [`CallError`] it is spent: each further call says so.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    engine: Engine,
    limits: Limits,
    /// Turns subjects into numbers for a plugin that works on those in clear, and back.
    numbers: Option<Permutation>,
    spent: bool,
}

impl Instance {
    pub(crate) fn new(
        engine: &Engine,
        pre: &PluginPre<State>,
        account: &Arc<MemoryAccount>,
        limits: &Limits,
        settings: &Settings,
        numbers: Option<Permutation>,
    ) -> Result<Self, CallError> {
        let mut instance = Self::bare(engine, pre, account, limits, numbers)?;
        let settings = wit::Settings { capacity: settings.capacity, options: settings.options.clone() };
        instance
            .call("configure", limits.configure, |guest, store| guest.call_configure(store, &settings))?
            .map_err(|why| CallError::Refused(sentence(why, 2048)))?;
        Ok(instance)
    }

    /// Asks an instance made for nothing else.
    pub(crate) fn describe(
        engine: &Engine,
        pre: &PluginPre<State>,
        account: &Arc<MemoryAccount>,
        limits: &Limits,
    ) -> Result<Description, CallError> {
        let mut instance = Self::bare(engine, pre, account, limits, None)?;
        let answer =
            instance.call("describe", limits.configure, |guest, store| guest.call_describe(store))?;
        Description::from_answer(answer).map_err(|breach| breach.of("describe"))
    }

    fn bare(
        engine: &Engine,
        pre: &PluginPre<State>,
        account: &Arc<MemoryAccount>,
        limits: &Limits,
        numbers: Option<Permutation>,
    ) -> Result<Self, CallError> {
        let meter = Meter::new(Arc::clone(account), limits.instance_bytes);
        let mut store = Store::new(engine.wasm(), State { meter, deadline: Deadline::default() });
        store.limiter(|state| &mut state.meter);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.passed()));
        store.set_hostcall_fuel(limits.result_bytes);
        // A component's own start functions run here.
        begin(&mut store, engine, limits.configure);
        let exports = pre
            .instantiate(&mut store)
            .map_err(|error| fault("its start", limits.configure, &store.data().meter, &error))?;
        let (engine, limits) = (engine.clone(), limits.clone());
        Ok(Instance { store, exports, engine, limits, numbers, spent: false })
    }

    /// Whether a message of `subject` in `direction` may pass.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    #[inline]
    pub fn check(&mut self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        let key = self.key(subject);
        let verdict = self.call("check", self.limits.check, |guest, store| {
            guest.call_check(store, key, direction.into())
        })?;
        Ok(match verdict {
            wit::Verdict::Allow => Verdict::Allow,
            wit::Verdict::Block => Verdict::Block,
        })
    }

    /// Whether messages of many subjects may pass: a verdict each, in order.
    ///
    /// The boundary to the plugin is crossed once for each [`BATCH`] of them.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn check_many(
        &mut self,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, CallError> {
        let mut verdicts = vec![Verdict::Allow; subjects.len().next_multiple_of(8)];
        // Each batch but the last is a multiple of eight, so all but the last begin and end with whole bytes.
        let mut eights = verdicts.as_chunks_mut::<8>().0.iter_mut();
        for batch in subjects.chunks(BATCH) {
            let clear: Vec<u64>;
            let keys = match &self.numbers {
                None => Subject::values(batch),
                Some(_) => {
                    clear = batch.iter().map(|&subject| self.key(subject)).collect();
                    &clear
                }
            };
            let bits = self.call("check-many", self.limits.check_batch(), |guest, store| {
                guest.call_check_many(store, keys, direction.into())
            })?;
            if bits.len() != batch.len().div_ceil(8) {
                let breach = format!("answered {} bytes for {} subjects", bits.len(), batch.len());
                return Err(self.broken("check-many", breach));
            }
            for (&bits, eight) in bits.iter().zip(&mut eights) {
                *eight = VERDICTS[usize::from(bits)];
            }
        }
        verdicts.truncate(subjects.len());
        Ok(verdicts)
    }

    /// Adds directions to entries: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal, which is the outcome of a single entry.
    pub fn block(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write("block", entries, |guest, store, entries| guest.call_block(store, entries))
    }

    /// Takes directions away from entries: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// As [`Instance::block`].
    pub fn unblock(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write("unblock", entries, |guest, store, entries| guest.call_unblock(store, entries))
    }

    fn write(
        &mut self,
        call: &'static str,
        entries: &[Entry],
        function: impl Fn(&Guest, &mut Store<State>, &[wit::Entry]) -> wasmtime::Result<Vec<wit::Outcome>>,
    ) -> Result<Vec<Outcome>, CallError> {
        let mut outcomes = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            let keyed: Vec<wit::Entry> = batch
                .iter()
                .map(|entry| wit::Entry {
                    subject: self.key(entry.subject),
                    directions: entry.directions.into(),
                })
                .collect();
            let answers = self.call(call, self.limits.call, |guest, store| function(guest, store, &keyed))?;
            if answers.len() != batch.len() {
                let breach = format!("answered {} outcomes for {} entries", answers.len(), batch.len());
                return Err(self.broken(call, breach));
            }
            outcomes.extend(answers.into_iter().map(Outcome::from));
        }
        Ok(outcomes)
    }

    /// The entries after `after`, at most `limit`, which is held to 1 to [`BATCH`].
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal: [`CallError::Broken`] where a page is too long, out of order, or does not advance.
    pub fn list(&mut self, after: Option<Subject>, limit: usize) -> Result<Page, CallError> {
        let limit = limit.clamp(1, BATCH);
        let after = after.map(|subject| self.key(subject));
        let page = self.call("list", self.limits.call, |guest, store| {
            guest.call_list(store, after, u32::try_from(limit).unwrap_or(u32::MAX))
        })?;
        self.page(after, limit, page).map_err(|Breach(breach)| self.broken("list", breach))
    }

    /// Checks a page against the contract, in the plugin's own keys, and turns those back into subjects.
    fn page(&self, after: Option<u64>, limit: usize, page: wit::Page) -> Result<Page, Breach> {
        if page.entries.len() > limit {
            return Err(Breach(format!(
                "answered {} entries where {limit} were asked for",
                page.entries.len()
            )));
        }
        let mut last = after;
        let mut entries = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            if last >= Some(entry.subject) {
                return Err(Breach(
                    "goes backwards: its entries are not in ascending order after the cursor".to_owned(),
                ));
            }
            last = Some(entry.subject);
            let directions = Directions::from(entry.directions);
            if directions.is_none() {
                return Err(Breach("names an entry without a direction".to_owned()));
            }
            entries.push(Entry { subject: self.subject(entry.subject)?, directions });
        }
        let next = match page.next {
            None => None,
            Some(next) if Some(next) > after && Some(next) >= last => Some(self.subject(next)?),
            Some(_) => return Err(Breach("does not advance: its cursor is not past its entries".to_owned())),
        };
        Ok(Page { entries, next })
    }

    /// The number of entries.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn count(&mut self) -> Result<u64, CallError> {
        self.call("count", self.limits.call, |guest, store| guest.call_count(store))
    }

    /// A part of the list's state: the first without a cursor, then each with the one before's `next`.
    ///
    /// `max_bytes` is held to [`PART_BYTES`]. Only for a plugin whose description names a format that it saves.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn save(&mut self, cursor: Option<u64>, max_bytes: u32) -> Result<Part, CallError> {
        let max_bytes = max_bytes.clamp(*PART_BYTES.start(), *PART_BYTES.end());
        let part =
            self.call("save", self.limits.call, |guest, store| guest.call_save(store, cursor, max_bytes))?;
        if part.bytes.len() > max_bytes as usize {
            let breach = format!("answered {} bytes where {max_bytes} were asked for", part.bytes.len());
            return Err(self.broken("save", breach));
        }
        if part.next.is_some() && part.next == cursor {
            return Err(
                self.broken("save", "does not advance: it answers the cursor it was asked with".to_owned())
            );
        }
        Ok(Part { bytes: part.bytes, next: part.next })
    }

    /// Hands over one part of a saved state, in a format that the description names.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] where the plugin does not take the part: throw the instance away.
    pub fn load(&mut self, format: &Format, part: &[u8]) -> Result<Progress, CallError> {
        let format = wit::Format { name: format.name.clone(), version: format.version };
        let progress = self
            .call("load", self.limits.call, |guest, store| guest.call_load(store, &format, part))?
            .map_err(|why| CallError::Refused(sentence(why, 2048)))?;
        Ok(match progress {
            wit::Progress::More => Progress::More,
            wit::Progress::Complete => Progress::Complete,
        })
    }

    /// The linear memory and tables that this instance has, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().meter.charged().load(Ordering::Relaxed)
    }

    /// The same, for whoever looks while it is called; 0 from when it is dropped.
    pub(crate) fn memory(&self) -> Arc<AtomicU64> {
        Arc::clone(self.store.data().meter.charged())
    }

    /// Calls one function, within its deadline.
    #[inline]
    fn call<R>(
        &mut self,
        name: &'static str,
        deadline: Duration,
        function: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        if self.spent {
            return Err(CallError::OutOfService);
        }
        begin(&mut self.store, &self.engine, deadline);
        self.store.data_mut().meter.forget_refusal();
        let guest = self.exports.portcullis_blacklist_blacklist();
        function(guest, &mut self.store).map_err(|error| {
            self.spent = true;
            fault(name, deadline, &self.store.data().meter, &error)
        })
    }

    /// Whether it was lost to a fault.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// For whoever found that `check` and `check-many` answer differently.
    pub(crate) fn contradicts(&mut self) -> CallError {
        self.broken("check", "does not agree with check-many".to_owned())
    }

    fn broken(&mut self, call: &'static str, breach: String) -> CallError {
        self.spent = true;
        CallError::Broken { call, breach }
    }

    /// A subject as the plugin knows it.
    #[inline]
    fn key(&self, subject: Subject) -> u64 {
        match &self.numbers {
            None => subject.get(),
            Some(permutation) => permutation.rename_back(subject).get(),
        }
    }

    /// What the plugin knows as `key`, as a subject.
    fn subject(&self, key: u64) -> Result<Subject, Breach> {
        let value =
            Subject::new(key).ok_or_else(|| Breach("names a subject of more than 50 bits".to_owned()))?;
        Ok(match &self.numbers {
            None => value,
            Some(permutation) => permutation.rename(value),
        })
    }
}

/// Sets the deadline of the call that follows.
#[inline]
fn begin(store: &mut Store<State>, engine: &Engine, deadline: Duration) {
    let ticks = store.data_mut().deadline.begin(engine.ticks(deadline), engine.tick());
    store.set_epoch_deadline(ticks);
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("memory_bytes", &self.memory_bytes())
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}

/// What a failed call says, told from the trap and from the account.
#[cold]
fn fault(call: &'static str, deadline: Duration, meter: &Meter, error: &wasmtime::Error) -> CallError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::TimedOut { call, deadline },
        _ if meter.refused() => CallError::OutOfMemory { call, limit: meter.bound() },
        Some(trap) => CallError::Trapped { call, trap: trap.to_string() },
        // Not a trap, so what the host found wrong while it read the answer: a pointer out of bounds, a text that is not
        // UTF-8, a result past its bound.
        None => CallError::Broken { call, breach: sentence(error.root_cause().to_string(), 512) },
    }
}
