//! Tests of the state machine alone: single scenarios, and random sequences of events against a model driver.

use proptest::prelude::*;

use super::*;

fn request(to: u32) -> ExchangeRequest<u32> {
    ExchangeRequest { to, shadow: false }
}

fn shadow(to: u32) -> ExchangeRequest<u32> {
    ExchangeRequest { to, shadow: true }
}

/// A state machine that was asked for `to` and has swapped it in.
fn watching(to: u32) -> (Exchange<u32>, Ticket) {
    let mut machine = Exchange::default();
    machine.request(request(to));
    for _ in 0..3 {
        machine.done();
    }
    match machine.done()[..] {
        [Task::Watch(ticket)] => (machine, ticket),
        ref tasks => panic!("{tasks:?}"),
    }
}

fn shadowing(to: u32) -> (Exchange<u32>, Ticket) {
    let mut machine = Exchange::default();
    machine.request(shadow(to));
    machine.done();
    machine.done();
    match machine.done()[..] {
        [Task::Shadow(ticket)] => (machine, ticket),
        ref tasks => panic!("{tasks:?}"),
    }
}

#[test]
fn an_exchange_goes_through_its_stages_in_order() {
    let mut machine = Exchange::default();
    assert_eq!(machine.request(request(1)), [Task::Prepare(1)]);
    assert_eq!((machine.stage(), machine.done()), (Stage::Preparing, vec![Task::Fill]));
    assert_eq!((machine.stage(), machine.done()), (Stage::Filling, vec![Task::Prove]));
    assert_eq!((machine.stage(), machine.done()), (Stage::Proving, vec![Task::Swap]));
    let tasks = machine.done();
    let [Task::Watch(ticket)] = tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(machine.stage(), Stage::Watching);
    assert_eq!(machine.end_watch(ticket), [Task::Release]);
    assert_eq!(machine.stage(), Stage::Resting);
}

#[test]
fn the_latest_of_several_queued_requests_wins() {
    let mut machine = Exchange::default();
    machine.request(request(1));
    for later in 2..5 {
        assert!(machine.request(request(later)).is_empty());
    }
    machine.done();
    machine.done();
    machine.done();
    assert_eq!(machine.done(), [Task::Release, Task::Prepare(4)]);
}

#[test]
fn a_failure_discards_the_candidate_and_starts_the_queued_request() {
    let mut machine = Exchange::default();
    machine.request(request(1));
    machine.done();
    machine.request(request(2));
    assert_eq!(machine.failed(), [Task::Discard, Task::Prepare(2)]);
    assert_eq!(machine.failed(), [Task::Discard]);
    assert_eq!(machine.stage(), Stage::Resting);
}

#[test]
fn a_fault_while_watching_rolls_back() {
    let (mut machine, _) = watching(1);
    assert_eq!(machine.fault(), Some(vec![Task::RollBack]));
    assert_eq!(machine.done(), []);
    assert_eq!(machine.stage(), Stage::Resting);
    assert_eq!(machine.fault(), None, "a later fault is unrelated to the exchange");
}

#[test]
fn reports_of_an_earlier_watch_or_shadow_run_are_ignored() {
    let (mut machine, earlier) = watching(1);
    machine.request(request(2));
    for _ in 0..4 {
        machine.done();
    }
    assert_eq!(machine.stage(), Stage::Watching);
    assert_eq!(machine.end_watch(earlier), []);
    assert_eq!(machine.stage(), Stage::Watching);

    let (mut machine, earlier) = shadowing(1);
    assert_eq!(machine.request(shadow(2)), [Task::Discard, Task::Prepare(2)]);
    for _ in 0..3 {
        machine.done();
    }
    assert_eq!(machine.end_shadow(earlier, true), []);
    assert_eq!(machine.stage(), Stage::Shadowing);
}

#[test]
fn a_shadow_run_ends_with_or_without_a_promotion() {
    let (mut machine, ticket) = shadowing(1);
    assert_eq!(machine.end_shadow(ticket, true), [Task::Swap]);
    let (mut machine, ticket) = shadowing(1);
    assert_eq!(machine.end_shadow(ticket, false), [Task::Discard]);
    let (mut machine, _) = shadowing(1);
    assert_eq!(machine.promote(), Ok(vec![Task::Swap]));
    assert_eq!(machine.promote(), Err(ExchangeError::NoShadow));
}

#[test]
fn rolling_back_during_an_exchange_keeps_the_serving_plugin() {
    let mut machine = Exchange::default();
    assert_eq!(machine.roll_back(), Err(ExchangeError::NothingToRollBackTo));
    machine.request(request(1));
    machine.request(request(2));
    assert_eq!(machine.roll_back(), Ok(vec![]));
    assert_eq!(machine.done(), [Task::Discard]);
    assert_eq!(machine.stage(), Stage::Resting);

    machine.request(request(3));
    for _ in 0..3 {
        machine.done();
    }
    assert_eq!(machine.stage(), Stage::Swapping);
    assert_eq!(machine.roll_back(), Ok(vec![]));
    assert_eq!(machine.done(), [Task::RollBack], "the swap has happened by now and is undone");
}

/// An event in the life of a state machine.
#[derive(Clone, Copy, Debug)]
enum Event {
    Requested { shadow: bool },
    Done,
    Failed,
    ShadowEnded { promote: bool },
    Promote,
    RollBack,
    Fault,
    WatchEnded,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        2 => any::<bool>().prop_map(|shadow| Event::Requested { shadow }),
        6 => Just(Event::Done),
        1 => Just(Event::Failed),
        2 => any::<bool>().prop_map(|promote| Event::ShadowEnded { promote }),
        1 => Just(Event::Promote),
        1 => Just(Event::RollBack),
        1 => Just(Event::Fault),
        1 => Just(Event::WatchEnded),
    ];
    prop::collection::vec(one, 0..200)
}

/// A model of the driver. Instead of plugins it handles the numbers of requests.
#[derive(Default)]
struct Driver {
    machine: Exchange<u32>,
    serving: u32,
    kept: Option<u32>,
    candidate: Option<u32>,
    ticket: Option<Ticket>,
    /// The task that `done` or `failed` has yet to report on.
    running: Option<Task<u32>>,
    prepared: Vec<u32>,
}

impl Driver {
    fn run(&mut self, tasks: Vec<Task<u32>>) {
        for task in tasks {
            assert!(self.running.is_none(), "two tasks at a time: {:?} and {task:?}", self.running);
            match task {
                Task::Prepare(to) => {
                    assert!(self.candidate.is_none() && self.kept.is_none(), "three generations at a time");
                    self.candidate = Some(to);
                    self.prepared.push(to);
                    self.running = Some(task);
                }
                Task::Fill | Task::Prove => {
                    assert!(self.candidate.is_some());
                    self.running = Some(task);
                }
                Task::Swap | Task::RollBack => self.running = Some(task),
                Task::Shadow(ticket) | Task::Watch(ticket) => self.ticket = Some(ticket),
                Task::Discard => self.candidate = None,
                Task::Release => self.kept = None,
            }
        }
    }

    fn handle(&mut self, event: Event, to: u32) {
        let tasks = match event {
            Event::Requested { shadow } => self.machine.request(ExchangeRequest { to, shadow }),
            Event::Done => {
                match self.running.take() {
                    Some(Task::Swap) => {
                        let candidate = self.candidate.take().expect("`Swap` follows `Prepare`");
                        self.kept = Some(std::mem::replace(&mut self.serving, candidate));
                    }
                    Some(Task::RollBack) => {
                        self.serving = self.kept.take().expect("`RollBack` follows `Swap`");
                    }
                    Some(_) => {}
                    None => return,
                }
                self.machine.done()
            }
            Event::Failed => {
                if self.running.take().is_none() {
                    return;
                }
                self.machine.failed()
            }
            Event::ShadowEnded { promote } => {
                self.ticket.map_or_else(Vec::new, |ticket| self.machine.end_shadow(ticket, promote))
            }
            Event::WatchEnded => self.ticket.map_or_else(Vec::new, |ticket| self.machine.end_watch(ticket)),
            Event::Promote => self.machine.promote().unwrap_or_default(),
            Event::RollBack => self.machine.roll_back().unwrap_or_default(),
            Event::Fault => self.machine.fault().unwrap_or_default(),
        };
        self.run(tasks);
    }
}

proptest! {
    #[test]
    fn no_request_is_lost_or_carried_out_twice(events in events()) {
        let mut driver = Driver::default();
        let (mut requests, mut rolled_back) = (0, 0);
        for event in events {
            if matches!(event, Event::Requested { .. }) {
                requests += 1;
            }
            if matches!(event, Event::RollBack) {
                rolled_back = requests;
            }
            driver.handle(event, requests);
            let works = driver.running.is_some();
            let waits = matches!(driver.machine.stage(), Stage::Resting | Stage::Shadowing | Stage::Watching);
            prop_assert_eq!(works, !waits, "{:?}", driver.machine.stage());
            prop_assert_eq!(driver.kept.is_some() && !works, driver.machine.stage() == Stage::Watching);
            prop_assert!(waits <= driver.machine.queued().is_none(), "a queued request starts as soon as it can");
        }
        // Finish everything, without further failures.
        while driver.machine.stage() != Stage::Resting {
            for event in [Event::Done, Event::ShadowEnded { promote: true }, Event::WatchEnded] {
                driver.handle(event, requests);
            }
        }
        prop_assert!(driver.candidate.is_none() && driver.kept.is_none() && driver.running.is_none());
        // Requests are prepared in order, each at most once, and the last one always, unless it was rolled back.
        prop_assert!(driver.prepared.is_sorted_by(|a, b| a < b), "{:?}", driver.prepared);
        if requests > rolled_back {
            prop_assert_eq!(driver.prepared.last(), Some(&requests));
        }
    }
}
