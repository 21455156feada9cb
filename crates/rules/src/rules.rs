//! The rules of a tenant in service.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use portcullis_host::rules::Need;
use portcullis_host::{BATCH, CallError, TryCheckError};
use portcullis_meters::{Clock, Count, Declared, Meter, Meters, SenderKey, Time, TooManyMeters, Unknown};

use crate::chain::{Asked, Chain, Link, meter, person_of};
use crate::message::{Message, Party};
use crate::recording::{Recorded, RecordedPage, Recording};
use crate::reservation::Reservation;
use crate::rule::Rule;
use crate::senders::Senders;
use crate::shadow::{Shadow, ShadowRun};
use crate::stop::Stop;

/// Called with each failure of a rule.
pub type OnFault = Box<dyn Fn(&Rule, &CallError) + Send + Sync>;

/// The rules of a tenant in service. They are asked in order, and the first that stops a message decides.
pub struct Rules {
    chain: ArcSwap<Chain>,
    /// Held while the chain is replaced.
    changing: Mutex<()>,
    meters: Arc<Meters>,
    senders: ArcSwap<Senders>,
    clock: Clock,
    on_fault: OnFault,
    /// While somebody reads it.
    recording: ArcSwapOption<Recording>,
}

/// How long a call may wait for a plugin that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// For at most 100 µs, and not at all for one that is slow: on a thread that must not be held up.
    AnInstant,
    /// For as long as the calls of others take, and for one that has to be started.
    CallsOfOthers,
}

/// A rule is slow, or busy for longer than the call may wait. Nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rule is slow or busy")]
pub struct Busy;

/// What the meters of all rules have for each of several people.
#[derive(Clone, Copy)]
struct Counted<'a> {
    /// Those of one person after the other.
    counts: &'a [u32],
    /// For each person.
    unknown: &'a [Unknown],
}

/// How a tenant's rules are asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The sender that the messages are from, or to; `None` for none in particular.
    pub sender: Option<&'a str>,
    /// How long to wait.
    pub within: Within,
    /// Whether a message is stopped if a rule fails.
    pub is_closed: bool,
    /// Set to true if a rule fails, so that the failure policy answers in its place.
    pub by_policy: Option<&'a Cell<bool>>,
}

impl Rules {
    /// Declares the meters of rules that are to be put into service. While this is held, there is room for them.
    ///
    /// # Errors
    /// If they declare too many meters.
    pub fn declare(rules: &[Arc<Rule>], meters: &Meters, clock: Clock) -> Result<Declared, TooManyMeters> {
        let all: Vec<Meter> = rules.iter().flat_map(|rule| rule.meters().iter().map(meter)).collect();
        meters.declare(&all, clock.now())
    }

    /// Puts rules into service, in this order.
    ///
    /// # Errors
    /// If they declare too many meters.
    pub fn new(
        rules: Vec<Arc<Rule>>,
        meters: Arc<Meters>,
        clock: Clock,
        senders: Senders,
        on_fault: OnFault,
    ) -> Result<Self, TooManyMeters> {
        let chain = Chain::new(rules.into_iter().map(|rule| (rule, None)), &meters, clock.now())?;
        let (chain, changing) = (ArcSwap::from_pointee(chain), Mutex::default());
        let senders = ArcSwap::from_pointee(senders);
        let recording = ArcSwapOption::empty();
        Ok(Rules { chain, changing, meters, senders, clock, on_fault, recording })
    }

    /// The rules, in their order.
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        self.chain.load().links.iter().map(|link| Arc::clone(&link.rule)).collect()
    }

    /// Names the senders anew.
    pub fn set_senders(&self, senders: Senders) {
        self.senders.store(Arc::new(senders));
    }

    /// The meters that the rules read, each with the rules' names, in their order.
    pub fn declared(&self) -> Vec<(Meter, Vec<String>)> {
        let mut declared: Vec<(Meter, Vec<String>)> = Vec::new();
        for link in &self.chain.load().links {
            for one in link.rule.meters().iter().map(meter) {
                let name = link.rule.name().to_owned();
                match declared.iter_mut().find(|(other, _)| *other == one) {
                    Some((_, rules)) if rules.contains(&name) => {}
                    Some((_, rules)) => rules.push(name),
                    None => declared.push((one, vec![name])),
                }
            }
        }
        declared
    }

    /// The name of a sender; `None` if the tenant has no such sender any more.
    pub fn sender_of(&self, key: SenderKey) -> Option<String> {
        self.senders.load().name_of(key).map(str::to_owned)
    }

    /// The highest counts of a meter at all nodes, the highest first, at most `most`. Scans all counters.
    pub fn highest(&self, meter: &Meter, most: usize) -> Vec<Count> {
        self.meters.highest(meter, most, self.clock.now())
    }

    /// What is counted.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Records the messages that the rules are asked about, for as long as this is called each few seconds, and returns those since the last
    /// page, which gave `from` as [`next`](RecordedPage::next). The first page has none.
    pub fn record(&self, from: Option<u64>) -> RecordedPage {
        let _alone = self.changing.lock();
        let recording = self.recording.load_full().unwrap_or_else(|| {
            let begun = Arc::new(Recording::begin());
            self.recording.store(Some(Arc::clone(&begun)));
            begun
        });
        recording.read(from)
    }

    /// Records messages to or from these people, if somebody reads that.
    #[inline]
    fn note<'a>(
        &self,
        asked: impl Iterator<Item = (&'a Party, Option<&'a Stop>)>,
        message: &Message,
        sender: Option<&str>,
        is_sent: bool,
    ) {
        // What somebody asks about another time is no message.
        if message.at.is_none()
            && let Some(recording) = &*self.recording.load()
        {
            self.note_in(recording, asked, message, sender, is_sent);
        }
    }

    #[cold]
    fn note_in<'a>(
        &self,
        recording: &Recording,
        asked: impl Iterator<Item = (&'a Party, Option<&'a Stop>)>,
        message: &Message,
        sender: Option<&str>,
        is_sent: bool,
    ) {
        if !recording.is_read() {
            self.recording.store(None);
            return;
        }
        let time = unix_millis();
        let needs = [Need::Country, Need::LocalTime].into_iter().collect();
        for (party, stop) in asked {
            let (person, _) = person_of(party.subject, party.number, needs, time);
            recording.add(Recorded {
                time,
                message: *message,
                subject: party.subject,
                person: party.key,
                country: person.country,
                offsets: person.offsets,
                sender: sender.map(str::to_owned),
                is_sent,
                stop: stop.cloned(),
            });
        }
    }

    /// Puts a rule in the place of the one of the same name. Returns that one; `None` if there is none. A shadow run beside it ends.
    ///
    /// # Errors
    /// If the rules declare too many meters then. Nothing is changed.
    pub fn exchange(&self, rule: Arc<Rule>) -> Result<Option<Arc<Rule>>, TooManyMeters> {
        let mut before = None;
        self.change(|link| {
            if link.rule.name() == rule.name() {
                before = Some(Arc::clone(&link.rule));
                return (Arc::clone(&rule), None);
            }
            (link.rule, link.shadow)
        })?;
        Ok(before)
    }

    /// Begins a shadow run of a candidate beside the rule of the same name. From now on messages are observed.
    ///
    /// # Errors
    /// If the candidate declares too many meters.
    pub fn begin_shadow(&self, candidate: Arc<Rule>) -> Result<ShadowRun, TooManyMeters> {
        let run = ShadowRun::begin(candidate, &self.meters, self.clock.now())?;
        let name = run.candidate().name().to_owned();
        self.set_shadow(&name, Some(run.shadow()))?;
        Ok(run)
    }

    /// Ends the shadow run beside a rule.
    pub fn end_shadow(&self, name: &str) {
        // The meters are the same.
        let _ = self.set_shadow(name, None);
    }

    fn set_shadow(&self, name: &str, shadow: Option<&Arc<Shadow>>) -> Result<(), TooManyMeters> {
        self.change(|link| match link.rule.name() == name {
            true => (link.rule, shadow.cloned()),
            false => (link.rule, link.shadow),
        })
    }

    fn change(
        &self,
        mut change: impl FnMut(Link) -> (Arc<Rule>, Option<Arc<Shadow>>),
    ) -> Result<(), TooManyMeters> {
        let _alone = self.changing.lock();
        let chain = self.chain.load_full();
        let links: Vec<_> = chain.links.iter().cloned().map(&mut change).collect();
        // The meters of the chain that serves stay declared until no message needs them.
        self.chain.store(Arc::new(Chain::new(links, &self.meters, self.clock.now())?));
        Ok(())
    }

    /// Asks the rules about a message to or from each of these people, and counts nothing. Returns what stops each, in order. Some
    /// microseconds a person, or a fraction of one if they are many.
    ///
    /// # Errors
    /// [`Busy`] if a rule is, for longer than the call may wait.
    pub fn ask(
        &self,
        parties: &[Party],
        message: &Message,
        asking: Asking<'_>,
    ) -> Result<Vec<Option<Stop>>, Busy> {
        let (chain, now) = (self.chain.load(), self.clock.now());
        let time = message.at.unwrap_or_else(unix_millis);
        let sender = asking.sender.and_then(|name| self.senders.load().get(name));
        let mut stops = vec![None; parties.len()];
        for (parties, stops) in parties.chunks(BATCH).zip(stops.chunks_mut(BATCH)) {
            let asked: Vec<Asked> =
                parties.iter().map(|party| chain.asked(party, sender, message, time)).collect();
            let width = chain.declared.len();
            let mut counts = vec![0; parties.len() * width];
            let mut unknown = vec![Unknown::default(); parties.len()];
            if width > 0 {
                for ((one, counts), unknown) in asked.iter().zip(counts.chunks_mut(width)).zip(&mut unknown) {
                    *unknown = self.meters.peek(&chain.declared, &one.counted, now, counts);
                }
            }
            for link in &chain.links {
                self.ask_one(
                    link,
                    &asked,
                    Counted { counts: &counts, unknown: &unknown },
                    now,
                    asking,
                    stops,
                )?;
            }
        }
        self.note(parties.iter().zip(stops.iter().map(Option::as_ref)), message, asking.sender, false);
        Ok(stops)
    }

    /// Asks one rule about those whom no rule before it stops.
    fn ask_one(
        &self,
        link: &Link,
        asked: &[Asked],
        Counted { counts, unknown }: Counted<'_>,
        now: Time,
        asking: Asking<'_>,
        stops: &mut [Option<Stop>],
    ) -> Result<(), Busy> {
        let mut open: Vec<usize> =
            stops.iter().enumerate().filter(|(_, stop)| stop.is_none()).map(|(place, _)| place).collect();
        let lacking = open.extract_if(.., |place| unknown[*place].is_any(link.counts.clone()));
        for place in lacking {
            stops[place] = self.uncounted(link, asking);
        }
        let width = counts.len().checked_div(asked.len()).unwrap_or_default();
        let of_link = |place: usize| &counts[place * width..][link.counts.clone()];
        match open[..] {
            [] => return Ok(()),
            [place] => {
                stops[place] = self.decide(link, &asked[place], of_link(place), asking)?;
            }
            _ => {
                let people: Vec<_> = open.iter().map(|&place| asked[place].person).collect();
                let rows: Vec<u32> = open.iter().flat_map(|&place| of_link(place).iter().copied()).collect();
                let Asked { direction, message, .. } = asked[open[0]];
                let set = link.rule.present().map_err(TryCheckError::Failed);
                let decided = set.and_then(|set| match asking.within {
                    Within::AnInstant => set.try_decide_many(direction, &message, &people, &rows),
                    Within::CallsOfOthers => {
                        set.decide_many(direction, &message, &people, &rows).map_err(TryCheckError::Failed)
                    }
                });
                match decided {
                    Ok(decisions) => {
                        for (&place, decision) in open.iter().zip(decisions) {
                            stops[place] = link.rule.stop(decision);
                        }
                    }
                    Err(error) => {
                        let failed = self.failed(link, error, asking)?;
                        open.iter().for_each(|&place| stops[place].clone_from(&failed));
                    }
                }
            }
        }
        if let Some(shadow) = &link.shadow {
            open.iter().for_each(|&place| shadow.observe(&asked[place], now, false, stops[place].is_some()));
        }
        Ok(())
    }

    /// Counts a message to or from one person, known by several names, and asks the rules about it under each. If none stops it, it stays
    /// counted for as long as the reservation does.
    ///
    /// # Errors
    /// [`Busy`] if a rule is, for longer than the call may wait.
    pub fn reserve(
        &self,
        parties: &[Party],
        message: &Message,
        asking: Asking<'_>,
    ) -> Result<Result<Reservation, Stop>, Busy> {
        let answer = self.reserve_unnoted(parties, message, asking)?;
        let stop = answer.as_ref().err();
        self.note(parties.first().map(|party| (party, stop)).into_iter(), message, asking.sender, true);
        Ok(answer)
    }

    fn reserve_unnoted(
        &self,
        parties: &[Party],
        message: &Message,
        asking: Asking<'_>,
    ) -> Result<Result<Reservation, Stop>, Busy> {
        let (chain, now, time) = (self.chain.load(), self.clock.now(), unix_millis());
        let sender = asking.sender.and_then(|name| self.senders.load().get(name));
        let mut reservation = Reservation::new(&self.meters);
        let (mut counts, mut unknown) = (vec![0; chain.declared.len()], Unknown::default());
        for (place, party) in parties.iter().enumerate() {
            let asked = chain.asked(party, sender, message, time);
            // Other names of one person are asked about with the same counts.
            let is_new = !parties[..place].iter().any(|other| other.key == party.key);
            if is_new && !counts.is_empty() {
                let counted = self.meters.reserve(&chain.declared, &asked.counted, now, &mut counts);
                unknown = counted.unknown();
                reservation.add(counted);
            }
            for link in &chain.links {
                let stop = match unknown.is_any(link.counts.clone()) {
                    true => self.uncounted(link, asking),
                    false => self.decide(link, &asked, &counts[link.counts.clone()], asking)?,
                };
                if let Some(shadow) = &link.shadow {
                    shadow.observe(&asked, now, true, stop.is_some());
                }
                if let Some(stop) = stop {
                    return Ok(Err(stop));
                }
            }
        }
        Ok(Ok(reservation))
    }

    #[inline]
    fn decide(
        &self,
        link: &Link,
        asked: &Asked,
        counts: &[u32],
        asking: Asking<'_>,
    ) -> Result<Option<Stop>, Busy> {
        let Asked { direction, message, person, .. } = asked;
        let set = link.rule.present().map_err(TryCheckError::Failed);
        let decided = set.and_then(|set| match asking.within {
            Within::AnInstant => set.try_decide(*direction, message, person, counts),
            Within::CallsOfOthers => {
                set.decide(*direction, message, person, counts).map_err(TryCheckError::Failed)
            }
        });
        match decided {
            Ok(decision) => Ok(link.rule.stop(decision)),
            Err(error) => self.failed(link, error, asking),
        }
    }

    fn failed(&self, link: &Link, error: TryCheckError, asking: Asking<'_>) -> Result<Option<Stop>, Busy> {
        match error {
            TryCheckError::Busy => Err(Busy),
            TryCheckError::Failed(error) => Ok(self.by_policy(link, &error, asking)),
        }
    }

    /// What the failure policy says of a message for whose counters there is no room.
    #[cold]
    fn uncounted(&self, link: &Link, asking: Asking<'_>) -> Option<Stop> {
        let limit = u64::try_from(self.meters.usage().limit).unwrap_or(u64::MAX);
        self.by_policy(link, &CallError::Uncounted { limit }, asking)
    }

    /// What the failure policy says.
    #[cold]
    fn by_policy(&self, link: &Link, error: &CallError, asking: Asking<'_>) -> Option<Stop> {
        (self.on_fault)(&link.rule, error);
        if let Some(by_policy) = asking.by_policy {
            by_policy.set(true);
        }
        self.overdue_of(link, asking.is_closed)
    }

    fn overdue_of(&self, link: &Link, is_closed: bool) -> Option<Stop> {
        is_closed.then(|| link.rule.failed())
    }

    /// What the failure policy says about a message on which the rules did not decide in time. Nothing is counted.
    pub fn overdue(&self, is_closed: bool) -> Option<Stop> {
        self.chain.load().links.first().and_then(|link| self.overdue_of(link, is_closed))
    }
}

/// Milliseconds since 1970, by the system's clock.
fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
