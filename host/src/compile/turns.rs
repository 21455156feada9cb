//! Turns to compile: how many plugins are compiled at a time, and whose is next.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::after;
use crate::priority::lower_priority;

/// The most compilations that wait for a turn. More are refused at once.
const QUEUE: usize = 64;
/// The most names of which it is remembered when they last had a turn.
const REMEMBERED: usize = 1024;

/// Hands out turns to compile: a few at a time, one at a time to the plugins of one name, and first to the name that has
/// waited longest since its last turn. So whoever asks again and again delays nobody else by more than one compilation.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Inner>);

struct Inner {
    most: usize,
    /// Whether work has normal priority.
    is_eager: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: Vec<String>,
    waiting: Vec<Waiting>,
    /// When each name last had a turn, as a count of turns.
    served: HashMap<String, u64>,
    turns: u64,
    tickets: u64,
}

struct Waiting {
    ticket: u64,
    name: String,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// It exceeded its time, and goes on.
    TimedOut,
    /// No turn came in time, or too many wait for one.
    Busy,
    /// It panicked.
    Panicked,
    /// The operating system refused to start a thread.
    NoThread,
}

/// The stack size of a program's first thread: compilers recurse. Only the part that is used takes memory.
pub(crate) const STACK: usize = 8 << 20;

/// A turn, until dropped.
struct Turn {
    turns: Turns,
    name: String,
}

impl Turns {
    /// Hands out at most `most` turns at a time.
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Turns(Arc::new(Inner {
            most: most.get(),
            is_eager: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Sets whether work that begins from now on has normal priority.
    pub(crate) fn set_eager(&self, is_eager: bool) {
        self.0.is_eager.store(is_eager, Ordering::Relaxed);
    }

    /// The most turns at a time.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    /// Waits for a turn for at most `patience`, and then runs `work` on a new thread, with low priority unless
    /// [otherwise set](Self::set_eager), and waits for it for at most `time`. Work that exceeds its time keeps the turn until it ends.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        name: &str,
        patience: Duration,
        time: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoTurn> {
        let turn = self.take(name, patience)?;
        let (done, wait) = channel();
        let thread = thread::Builder::new().name("portcullis-load".to_owned()).stack_size(STACK);
        let is_eager = self.0.is_eager.load(Ordering::Relaxed);
        let thread = thread.spawn(move || {
            let _turn = turn;
            if !is_eager {
                // A child process inherits it.
                lower_priority();
            }
            let _ = done.send(work());
        });
        if thread.is_err() {
            return Err(NoTurn::NoThread);
        }
        wait.recv_timeout(time).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoTurn::TimedOut,
            RecvTimeoutError::Disconnected => NoTurn::Panicked,
        })
    }

    fn take(&self, name: &str, patience: Duration) -> Result<Turn, NoTurn> {
        let until = after(patience);
        let mut state = self.state();
        if state.waiting.len() >= QUEUE {
            return Err(NoTurn::Busy);
        }
        state.tickets += 1;
        let ticket = state.tickets;
        state.waiting.push(Waiting { ticket, name: name.to_owned() });
        loop {
            if state.running.len() < self.0.most && state.next() == Some(ticket) {
                state.begin(ticket, name);
                drop(state);
                // Another turn may be left.
                self.0.changed.notify_all();
                return Ok(Turn { turns: self.clone(), name: name.to_owned() });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.retain(|waiting| waiting.ticket != ticket);
                drop(state);
                self.0.changed.notify_all();
                return Err(NoTurn::Busy);
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The ticket of the one who is next.
    fn next(&self) -> Option<u64> {
        let free = self.waiting.iter().filter(|waiting| !self.running.contains(&waiting.name));
        let next = free.min_by_key(|waiting| (self.served.get(&waiting.name).copied(), waiting.ticket));
        next.map(|waiting| waiting.ticket)
    }

    fn begin(&mut self, ticket: u64, name: &str) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.running.push(name.to_owned());
        self.turns += 1;
        self.served.insert(name.to_owned(), self.turns);
        if self.served.len() > REMEMBERED {
            let long_ago = self.turns.saturating_sub(REMEMBERED as u64 / 2);
            self.served.retain(|_, turn| *turn > long_ago);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        if let Some(at) = state.running.iter().position(|running| *running == self.name) {
            state.running.swap_remove(at);
        }
        drop(state);
        self.turns.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn turns(most: usize) -> Turns {
        Turns::new(NonZeroUsize::new(most).unwrap())
    }

    /// Occupies a turn until the sender is dropped.
    fn occupy(turns: &Turns, name: &str) -> Sender<()> {
        let (end, ended) = channel::<()>();
        let endless = turns.within(name, LONG, Duration::ZERO, move || ended.recv().is_ok());
        assert_eq!(endless, Err(NoTurn::TimedOut));
        end
    }

    /// Waits for a turn on another thread, and reports its name when it has it.
    fn queue(turns: &Turns, name: &'static str, order: &Sender<&'static str>) {
        let (waiting, order, queued) = (turns.state().waiting.len(), order.clone(), turns.clone());
        thread::spawn(move || queued.within(name, LONG, LONG, move || order.send(name)));
        let state = turns.state();
        // Whoever queues notifies nobody, so look again and again.
        let mut state = state;
        while state.waiting.len() == waiting {
            drop(state);
            thread::yield_now();
            state = turns.state();
        }
    }

    fn order(received: &Receiver<&'static str>, count: usize) -> Vec<&'static str> {
        (0..count).map(|_| received.recv_timeout(LONG).unwrap()).collect()
    }

    #[test]
    fn work_that_times_out_keeps_its_turn_until_it_ends() {
        let turns = turns(1);
        let end = occupy(&turns, "a");
        assert_eq!(turns.within("b", Duration::ZERO, LONG, || 5), Err(NoTurn::Busy));
        drop(end);
        assert_eq!(turns.within("b", LONG, LONG, || 5), Ok(5));
    }

    #[test]
    fn a_panic_is_reported_and_ends_the_turn() {
        let turns = turns(1);
        assert_eq!(turns.within("a", LONG, LONG, || panic!("on purpose")), Err::<(), _>(NoTurn::Panicked));
        assert_eq!(turns.within("a", LONG, LONG, || 5), Ok(5));
    }

    #[test]
    fn an_endless_compilation_delays_only_its_own_name() {
        let turns = turns(2);
        let end = occupy(&turns, "a");
        assert_eq!(turns.within("a", Duration::ZERO, LONG, || 5), Err(NoTurn::Busy));
        assert_eq!(turns.within("b", Duration::ZERO, LONG, || 5), Ok(5));
        drop(end);
        assert_eq!(turns.within("a", LONG, LONG, || 5), Ok(5));
    }

    #[test]
    fn whoever_asks_again_and_again_comes_after_whoever_asks_once() {
        let turns = turns(1);
        let end = occupy(&turns, "greedy");
        let (sender, received) = channel();
        for name in ["greedy", "greedy", "new", "other"] {
            queue(&turns, name, &sender);
        }
        drop(end);
        assert_eq!(order(&received, 4), ["new", "other", "greedy", "greedy"]);
        // The one that was served least recently is first.
        let end = occupy(&turns, "last");
        for name in ["greedy", "other", "new"] {
            queue(&turns, name, &sender);
        }
        drop(end);
        assert_eq!(order(&received, 3), ["new", "other", "greedy"]);
    }

    #[test]
    fn only_so_many_wait() {
        let turns = turns(1);
        let end = occupy(&turns, "a");
        let (sender, received) = channel();
        for _ in 0..QUEUE {
            queue(&turns, "b", &sender);
        }
        assert_eq!(turns.within("c", LONG, LONG, || 5), Err(NoTurn::Busy), "at once");
        drop(end);
        order(&received, QUEUE);
    }

    #[test]
    fn names_are_not_remembered_for_ever() {
        let turns = turns(1);
        for n in 0..2 * REMEMBERED {
            drop(turns.take(&n.to_string(), LONG).unwrap());
        }
        assert!(turns.state().served.len() <= REMEMBERED);
    }
}
