//! The machine by itself: single stories, and whatever else may happen, against a driver that keeps the books.

use proptest::prelude::*;

use super::*;

fn ask(to: u32) -> Ask<u32> {
    Ask { to, shadow: false }
}

fn shadow(to: u32) -> Ask<u32> {
    Ask { to, shadow: true }
}

/// A machine in which `to` was asked for and swapped in.
fn watching(to: u32) -> (Exchange<u32>, Ticket) {
    let mut machine = Exchange::default();
    machine.ask(ask(to));
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
    machine.ask(shadow(to));
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
    assert_eq!(machine.ask(ask(1)), [Task::Prepare(1)]);
    assert_eq!((machine.stage(), machine.done()), (Stage::Preparing, vec![Task::Fill]));
    assert_eq!((machine.stage(), machine.done()), (Stage::Filling, vec![Task::Prove]));
    assert_eq!((machine.stage(), machine.done()), (Stage::Proving, vec![Task::Swap]));
    let tasks = machine.done();
    let [Task::Watch(ticket)] = tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(machine.stage(), Stage::Watching);
    assert_eq!(machine.watch_over(ticket), [Task::Release]);
    assert_eq!(machine.stage(), Stage::Resting);
}

#[test]
fn several_wishes_in_a_row_become_the_last_one() {
    let mut machine = Exchange::default();
    machine.ask(ask(1));
    for later in 2..5 {
        assert!(machine.ask(ask(later)).is_empty());
    }
    machine.done();
    machine.done();
    machine.done();
    assert_eq!(machine.done(), [Task::Release, Task::Prepare(4)]);
}

#[test]
fn a_failure_discards_the_candidate_and_goes_on_with_what_waits() {
    let mut machine = Exchange::default();
    machine.ask(ask(1));
    machine.done();
    machine.ask(ask(2));
    assert_eq!(machine.failed(), [Task::Discard, Task::Prepare(2)]);
    assert_eq!(machine.failed(), [Task::Discard]);
    assert_eq!(machine.stage(), Stage::Resting);
}

#[test]
fn a_fault_while_it_is_watched_leads_back() {
    let (mut machine, _) = watching(1);
    assert_eq!(machine.fault(), Some(vec![Task::RollBack]));
    assert_eq!(machine.done(), []);
    assert_eq!(machine.stage(), Stage::Resting);
    assert_eq!(machine.fault(), None, "afterwards a fault is the keeper's");
}

#[test]
fn word_of_an_earlier_watch_or_run_means_nothing() {
    let (mut machine, earlier) = watching(1);
    machine.ask(ask(2));
    for _ in 0..4 {
        machine.done();
    }
    assert_eq!(machine.stage(), Stage::Watching);
    assert_eq!(machine.watch_over(earlier), []);
    assert_eq!(machine.stage(), Stage::Watching);

    let (mut machine, earlier) = shadowing(1);
    assert_eq!(machine.ask(shadow(2)), [Task::Discard, Task::Prepare(2)]);
    for _ in 0..3 {
        machine.done();
    }
    assert_eq!(machine.shadow_over(earlier, true), []);
    assert_eq!(machine.stage(), Stage::Shadowing);
}

#[test]
fn a_shadow_run_ends_with_a_promotion_or_without() {
    let (mut machine, ticket) = shadowing(1);
    assert_eq!(machine.shadow_over(ticket, true), [Task::Swap]);
    let (mut machine, ticket) = shadowing(1);
    assert_eq!(machine.shadow_over(ticket, false), [Task::Discard]);
    let (mut machine, _) = shadowing(1);
    assert_eq!(machine.promote(), Ok(vec![Task::Swap]));
    assert_eq!(machine.promote(), Err(NotNow::NoShadow));
}

#[test]
fn whoever_goes_back_while_it_is_under_way_gets_what_served() {
    let mut machine = Exchange::default();
    assert_eq!(machine.go_back(), Err(NotNow::NothingToGoBackTo));
    machine.ask(ask(1));
    machine.ask(ask(2));
    assert_eq!(machine.go_back(), Ok(vec![]));
    assert_eq!(machine.done(), [Task::Discard]);
    assert_eq!(machine.stage(), Stage::Resting);

    machine.ask(ask(3));
    for _ in 0..3 {
        machine.done();
    }
    assert_eq!(machine.stage(), Stage::Swapping);
    assert_eq!(machine.go_back(), Ok(vec![]));
    assert_eq!(machine.done(), [Task::RollBack], "it is in place by now, and taken out again");
}

/// What may happen to a machine.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Asked { shadow: bool },
    Done,
    Failed,
    ShadowOver { promote: bool },
    Promote,
    GoBack,
    Fault,
    WatchOver,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        2 => any::<bool>().prop_map(|shadow| Happening::Asked { shadow }),
        6 => Just(Happening::Done),
        1 => Just(Happening::Failed),
        2 => any::<bool>().prop_map(|promote| Happening::ShadowOver { promote }),
        1 => Just(Happening::Promote),
        1 => Just(Happening::GoBack),
        1 => Just(Happening::Fault),
        1 => Just(Happening::WatchOver),
    ];
    prop::collection::vec(one, 0..200)
}

/// Does what the machine says, as far as it can be done without plugins: by the numbers of wishes.
#[derive(Default)]
struct Driver {
    machine: Exchange<u32>,
    serving: u32,
    kept: Option<u32>,
    candidate: Option<u32>,
    ticket: Option<Ticket>,
    /// The task that waits for `done` or `failed`.
    at_work: Option<Task<u32>>,
    prepared: Vec<u32>,
}

impl Driver {
    fn run(&mut self, tasks: Vec<Task<u32>>) {
        for task in tasks {
            assert!(self.at_work.is_none(), "two tasks at a time: {:?} and {task:?}", self.at_work);
            match task {
                Task::Prepare(to) => {
                    assert!(self.candidate.is_none() && self.kept.is_none(), "three generations at a time");
                    self.candidate = Some(to);
                    self.prepared.push(to);
                    self.at_work = Some(task);
                }
                Task::Fill | Task::Prove => {
                    assert!(self.candidate.is_some());
                    self.at_work = Some(task);
                }
                Task::Swap | Task::RollBack => self.at_work = Some(task),
                Task::Shadow(ticket) | Task::Watch(ticket) => self.ticket = Some(ticket),
                Task::Discard => self.candidate = None,
                Task::Release => self.kept = None,
            }
        }
    }

    fn happen(&mut self, happening: Happening, wish: u32) {
        let tasks = match happening {
            Happening::Asked { shadow } => self.machine.ask(Ask { to: wish, shadow }),
            Happening::Done => {
                match self.at_work.take() {
                    Some(Task::Swap) => {
                        let candidate = self.candidate.take().expect("a candidate is swapped in");
                        self.kept = Some(std::mem::replace(&mut self.serving, candidate));
                    }
                    Some(Task::RollBack) => {
                        self.serving = self.kept.take().expect("the one before was kept");
                    }
                    Some(_) => {}
                    None => return,
                }
                self.machine.done()
            }
            Happening::Failed => {
                if self.at_work.take().is_none() {
                    return;
                }
                self.machine.failed()
            }
            Happening::ShadowOver { promote } => {
                self.ticket.map_or_else(Vec::new, |ticket| self.machine.shadow_over(ticket, promote))
            }
            Happening::WatchOver => {
                self.ticket.map_or_else(Vec::new, |ticket| self.machine.watch_over(ticket))
            }
            Happening::Promote => self.machine.promote().unwrap_or_default(),
            Happening::GoBack => self.machine.go_back().unwrap_or_default(),
            Happening::Fault => self.machine.fault().unwrap_or_default(),
        };
        self.run(tasks);
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_lost_or_done_twice(happenings in happenings()) {
        let mut driver = Driver::default();
        let (mut wishes, mut went_back) = (0, 0);
        for happening in happenings {
            if matches!(happening, Happening::Asked { .. }) {
                wishes += 1;
            }
            if matches!(happening, Happening::GoBack) {
                went_back = wishes;
            }
            driver.happen(happening, wishes);
            let works = driver.at_work.is_some();
            let waits = matches!(driver.machine.stage(), Stage::Resting | Stage::Shadowing | Stage::Watching);
            prop_assert_eq!(works, !waits, "{:?}", driver.machine.stage());
            prop_assert_eq!(driver.kept.is_some() && !works, driver.machine.stage() == Stage::Watching);
            prop_assert!(waits <= driver.machine.queued().is_none(), "what waits is begun at once");
        }
        // Let everything come to its end, with nothing failing.
        while driver.machine.stage() != Stage::Resting {
            for happening in [Happening::Done, Happening::ShadowOver { promote: true }, Happening::WatchOver] {
                driver.happen(happening, wishes);
            }
        }
        prop_assert!(driver.candidate.is_none() && driver.kept.is_none() && driver.at_work.is_none());
        // Wishes are begun in their order, each once, and the last of them always unless it was taken back.
        prop_assert!(driver.prepared.is_sorted_by(|a, b| a < b), "{:?}", driver.prepared);
        if wishes > went_back {
            prop_assert_eq!(driver.prepared.last(), Some(&wishes));
        }
    }
}
