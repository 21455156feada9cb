//! An instance of a list plugin, and validation of every result.

use std::sync::Arc;
use std::time::Duration;

use portcullis_msisdn::{Direction, Directions, Permutation, Subject};
use wasmtime::Store;

use crate::answer::Breach;
use crate::bindings::list::exports::portcullis::blacklist::blacklist::{self as wit, Guest};
use crate::bindings::list::{Plugin as Exports, PluginPre};
use crate::call_error::CallError;
use crate::contract::{Description, Entry, Format, Outcome, Page, Part, Progress, Settings, Verdict};
use crate::engine::Engine;
use crate::foreign_text::ForeignText;
use crate::limits::Limits;
use crate::memory::MemoryAccount;
use crate::pace::Pace;
use crate::sandbox::{Cost, Sandbox, Sandboxed, State};
use crate::witness::{Answer, Witness};

/// The most subjects or entries passed to or requested from a plugin in one call.
pub const BATCH: usize = 4096;

/// The range that the requested size of a saved state's parts is clamped to, in bytes: 64 KiB to 4 MiB.
pub const PART_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=4 << 20;

/// The eight verdicts encoded by each byte of a `check-many` bitmap, least significant bit first.
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

/// A plugin instance with its own memory, holding one blacklist.
///
/// Each instance has its own store, so a fault in one does not affect others. After a fatal [`CallError`], every later
/// call fails with [`CallError::OutOfService`].
pub struct Instance {
    sandbox: Sandbox,
    exports: Exports,
    engine: Engine,
    limits: Limits,
    /// [`Limits::check`] in ticks, which are not worth a division for each check.
    check_ticks: u64,
    /// Some of its answers, to be verified.
    witness: Witness,
    /// Converts between subjects and phone numbers, for a plugin that works in the clear.
    numbers: Option<Permutation>,
}

impl Sandboxed for Instance {
    #[inline]
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
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
            .map_err(|why| CallError::Refused(ForeignText(&why).within(2048)))?;
        Ok(instance)
    }

    /// Gets a plugin's description, from a temporary instance.
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
        let (bytes, result) = (limits.instance_bytes, limits.result_bytes);
        let (sandbox, exports) =
            Sandbox::start(engine, account, bytes, result, limits.configure, |store| pre.instantiate(store))?;
        let check_ticks = engine.ticks(limits.check);
        let (engine, limits) = (engine.clone(), limits.clone());
        Ok(Instance { sandbox, exports, engine, limits, check_ticks, witness: Witness::default(), numbers })
    }

    /// Has the costs of its calls charged to `pace`, and the next one timed.
    pub(crate) fn charge_to(&mut self, pace: &Arc<Pace>) {
        self.sandbox.charge_to(pace);
    }

    /// Checks whether a message to or from `subject` may pass.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    #[inline]
    pub fn check(&mut self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        let key = self.key(subject);
        let cost = Cost::of_one(self.limits.check, self.check_ticks);
        let verdict =
            self.timed_call("check", cost, |guest, store| guest.call_check(store, key, direction.into()))?;
        let verdict = match verdict {
            wit::Verdict::Allow => Verdict::Allow,
            wit::Verdict::Block => Verdict::Block,
        };
        self.witness.hear(subject, direction, verdict);
        Ok(verdict)
    }

    /// Checks many subjects in one direction. Returns one verdict per subject, in order.
    ///
    /// The plugin is called once per [`BATCH`] subjects.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn check_many(
        &mut self,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, CallError> {
        let mut verdicts = vec![Verdict::Allow; subjects.len().next_multiple_of(8)];
        // `BATCH` is a multiple of eight, so each batch starts at a whole byte.
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
            let cost = self.cost(self.limits.check_batch(), batch.len(), PER_CHECK);
            let bits = self.timed_call("check-many", cost, |guest, store| {
                guest.call_check_many(store, keys, direction.into())
            })?;
            if bits.len() != batch.len().div_ceil(8) {
                let breach = format!("returned {} bytes for {} subjects", bits.len(), batch.len());
                return Err(self.broken("check-many", breach));
            }
            for (&bits, eight) in bits.iter().zip(&mut eights) {
                *eight = VERDICTS[usize::from(bits)];
            }
        }
        verdicts.truncate(subjects.len());
        self.witness.hear_many(subjects, direction, &verdicts);
        Ok(verdicts)
    }

    /// Takes some of the answers that checks got since this was last called. Each stands: the entry of its subject was
    /// not written since.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        self.witness.take()
    }

    /// Forgets the answers that checks got.
    pub(crate) fn forget_answers(&mut self) {
        self.witness.forget_all();
    }

    /// Blocks entries. Returns one outcome per entry, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`]: a refusal concerns one entry and is its [`Outcome`].
    pub fn block(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write("block", entries, |guest, store, entries| guest.call_block(store, entries))
    }

    /// Unblocks entries. Returns one outcome per entry, in order.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::block`].
    pub fn unblock(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write("unblock", entries, |guest, store, entries| guest.call_unblock(store, entries))
    }

    fn write(
        &mut self,
        call: &'static str,
        entries: &[Entry],
        function: impl Fn(&Guest, &mut Store<State>, &[wit::Entry]) -> wasmtime::Result<Vec<wit::Outcome>>,
    ) -> Result<Vec<Outcome>, CallError> {
        self.witness.forget(entries);
        let mut outcomes = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            let keyed: Vec<wit::Entry> = batch
                .iter()
                .map(|entry| wit::Entry {
                    subject: self.key(entry.subject),
                    directions: entry.directions.into(),
                })
                .collect();
            let cost = self.cost(self.limits.call, batch.len(), PER_WRITE);
            let answers = self.timed_call(call, cost, |guest, store| function(guest, store, &keyed))?;
            if answers.len() != batch.len() {
                let breach = format!("returned {} outcomes for {} entries", answers.len(), batch.len());
                return Err(self.broken(call, breach));
            }
            outcomes.extend(answers.into_iter().map(Outcome::from));
        }
        Ok(outcomes)
    }

    /// Lists at most `limit` entries after `after`. `limit` is clamped to 1 to [`BATCH`].
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`]; [`CallError::Broken`] if the page is too long, out of order, or
    /// does not advance.
    pub fn list(&mut self, after: Option<Subject>, limit: usize) -> Result<Page, CallError> {
        let limit = limit.clamp(1, BATCH);
        let after = after.map(|subject| self.key(subject));
        let page = self.call("list", self.limits.call, |guest, store| {
            guest.call_list(store, after, u32::try_from(limit).unwrap_or(u32::MAX))
        })?;
        self.page(after, limit, page).map_err(|Breach(breach)| self.broken("list", breach))
    }

    /// Validates a page in the plugin's own keys, and converts the keys to subjects.
    fn page(&self, after: Option<u64>, limit: usize, page: wit::Page) -> Result<Page, Breach> {
        if page.entries.len() > limit {
            return Err(Breach(format!(
                "returned {} entries, but at most {limit} were requested",
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
                return Err(Breach("returned an entry without a direction".to_owned()));
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

    /// The number of entries that the plugin reports.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn count(&mut self) -> Result<u64, CallError> {
        self.call("count", self.limits.call, |guest, store| guest.call_count(store))
    }

    /// Saves one part of the list's state. Pass `None` as the cursor for the first part, then each part's `next`.
    ///
    /// `max_bytes` is clamped to [`PART_BYTES`]. Call this only if the plugin's description names a format that it
    /// saves.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn save(&mut self, cursor: Option<u64>, max_bytes: u32) -> Result<Part, CallError> {
        let max_bytes = max_bytes.clamp(*PART_BYTES.start(), *PART_BYTES.end());
        let part =
            self.call("save", self.limits.call, |guest, store| guest.call_save(store, cursor, max_bytes))?;
        if part.bytes.len() > max_bytes as usize {
            let breach =
                format!("returned {} bytes, but at most {max_bytes} were requested", part.bytes.len());
            return Err(self.broken("save", breach));
        }
        if part.next.is_some() && part.next == cursor {
            return Err(
                self.broken("save", "does not advance: it returned the cursor it was called with".to_owned())
            );
        }
        Ok(Part { bytes: part.bytes, next: part.next })
    }

    /// Loads one part of a saved state, in a format that the plugin's description names.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]. After [`CallError::Refused`] the state is partly loaded: drop the instance.
    pub fn load(&mut self, format: &Format, part: &[u8]) -> Result<Progress, CallError> {
        self.witness.forget_all();
        let format = wit::Format { name: format.name.clone(), version: format.version };
        let progress = self
            .call("load", self.limits.call, |guest, store| guest.call_load(store, &format, part))?
            .map_err(|why| CallError::Refused(ForeignText(&why).within(2048)))?;
        Ok(match progress {
            wit::Progress::More => Progress::More,
            wit::Progress::Complete => Progress::Complete,
        })
    }

    /// The linear memory and tables of this instance, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.sandbox.memory_bytes()
    }

    /// Calls one function with a deadline. The call is measured: it is made seldom, and not while others wait.
    fn call<R>(
        &mut self,
        name: &'static str,
        limit: Duration,
        function: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        // A page, or a part of a saved state, is as much work as a batch.
        let cost = self.cost(limit, BATCH, PER_WRITE);
        self.timed_call(name, cost, function)
    }

    /// What a call on `items` may cost, at `each` of CPU time.
    fn cost(&self, limit: Duration, items: usize, each: Duration) -> Cost {
        Cost::of_many(&self.engine, limit, items, each)
    }

    #[inline]
    fn timed_call<R>(
        &mut self,
        name: &'static str,
        cost: Cost,
        function: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let guest = self.exports.portcullis_blacklist_blacklist();
        self.sandbox.call(name, cost, |store| function(guest, store))
    }

    /// Discards the instance because `check` and `check-many` returned different verdicts.
    pub(crate) fn contradicts(&mut self) -> CallError {
        self.broken("check", "does not agree with check-many".to_owned())
    }

    fn broken(&mut self, call: &'static str, breach: String) -> CallError {
        self.sandbox.broken(call, breach)
    }

    /// The plugin's key for a subject.
    #[inline]
    fn key(&self, subject: Subject) -> u64 {
        match &self.numbers {
            None => subject.get(),
            Some(permutation) => permutation.invert(subject).get(),
        }
    }

    /// The subject for a plugin's key.
    fn subject(&self, key: u64) -> Result<Subject, Breach> {
        let value =
            Subject::new(key).ok_or_else(|| Breach("returned a subject of more than 50 bits".to_owned()))?;
        Ok(match &self.numbers {
            None => value,
            Some(permutation) => permutation.permute(value),
        })
    }
}

/// The CPU time that a fast plugin needs for each subject of a batch of checks, by a wide margin.
const PER_CHECK: Duration = Duration::from_nanos(500);
/// The same for each entry that is written, listed or saved.
const PER_WRITE: Duration = Duration::from_micros(4);
impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("memory_bytes", &self.memory_bytes())
            .field("poisoned", &self.sandbox.is_poisoned())
            .finish_non_exhaustive()
    }
}
