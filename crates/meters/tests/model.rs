//! The meters against a plain model that knows each message, with a clock of its own.

mod support;

use portcullis_meters::{DEFAULT_BYTES, Meter, Meters, NodeId, Position, Reservation, Time};
use proptest::prelude::*;
use support::{Model, START, any_meter, message};

#[derive(Clone, Debug)]
enum Step {
    Send {
        person: u64,
    },
    Peek {
        person: u64,
    },
    /// Releases one of those sent, by its place from the end.
    Release {
        back: usize,
    },
    Wait {
        millis: u64,
    },
    /// Declares some of the meters, in another order.
    Declare {
        meters: Vec<prop::sample::Index>,
    },
    /// Starts again from what was saved. The system's clock may be wrong by then.
    Restart {
        behind: u64,
    },
    /// Goes on with a copy.
    Fork,
    Tick,
}

fn any_step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![0..200_u64, 0..20_000_u64, 0..4_000_000_u64, 0..90_000_000_u64];
    prop_oneof![
        8 => (0..12_u64).prop_map(|person| Step::Send { person }),
        2 => (0..12_u64).prop_map(|person| Step::Peek { person }),
        3 => (0..8_usize).prop_map(|back| Step::Release { back }),
        4 => wait.prop_map(|millis| Step::Wait { millis }),
        1 => prop::collection::vec(any::<prop::sample::Index>(), 1..8).prop_map(|meters| Step::Declare { meters }),
        1 => prop_oneof![Just(0), 0..100_000_000_u64].prop_map(|behind| Step::Restart { behind }),
        1 => Just(Step::Fork),
        2 => Just(Step::Tick),
    ]
}

struct Run {
    all: Vec<Meter>,
    declared: Vec<Meter>,
    meters: Meters,
    model: Model,
    sent: Vec<(Reservation, usize)>,
    saved: Vec<Vec<u8>>,
    position: Position,
    /// The time that has passed, and how far the clock that the meters were restored with is behind it.
    now: u64,
    behind: u64,
}

impl Run {
    fn clock(&self) -> Time {
        Time::from_millis(START + self.now - self.behind)
    }

    fn truth(&self) -> Time {
        Time::from_millis(START + self.now)
    }

    fn save(&mut self) {
        let changes = self.meters.changes_since(self.position, self.clock());
        if changes.is_all {
            self.saved.clear();
        }
        self.saved.push(changes.bytes);
        self.position = changes.next;
    }

    fn check(&self, person: u64, counts: &[u32]) {
        for (meter, &count) in self.declared.iter().zip(counts) {
            assert_eq!(count, self.model.expected(meter, &message(person), self.truth()), "{meter:?}");
            assert!(self.model.allowed(meter, &message(person), self.truth()).contains(&count), "{meter:?}");
        }
    }

    fn step(&mut self, step: Step) {
        let declare = |run: &Run| run.meters.declare(&run.declared, run.clock()).unwrap();
        match step {
            Step::Send { person } => {
                let declared = declare(self);
                let mut counts = vec![0; self.declared.len()];
                let reservation = self.meters.reserve(&declared, &message(person), self.clock(), &mut counts);
                self.check(person, &counts);
                let number = self.model.count(self.truth(), &message(person), &self.declared);
                self.sent.push((reservation, number));
            }
            Step::Peek { person } => {
                let mut counts = vec![0; self.declared.len()];
                self.meters.peek(&declare(self), &message(person), self.clock(), &mut counts);
                self.check(person, &counts);
            }
            Step::Release { back } => {
                if let Some(place) = self.sent.len().checked_sub(back + 1) {
                    let (reservation, number) = self.sent.remove(place);
                    self.meters.release(&reservation);
                    self.model.release(number);
                }
            }
            Step::Wait { millis } => self.now += millis,
            Step::Declare { meters } => {
                self.declared = meters.iter().map(|index| *index.get(&self.all)).collect();
            }
            Step::Restart { behind } => {
                self.save();
                // What is on its way then stays counted.
                self.sent.clear();
                self.behind = behind;
                let saved = self.saved.iter().map(Vec::as_slice);
                self.meters = Meters::restore(saved, NodeId(2), DEFAULT_BYTES, self.clock()).unwrap();
                // The meters went on from their own time.
                self.position = Position::START;
                self.save();
            }
            Step::Fork => {
                self.sent.clear();
                self.meters = self.meters.fork();
                self.position = Position::START;
                self.save();
            }
            Step::Tick => self.save(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn meters_count_what_the_model_counts(
        all in prop::collection::vec(any_meter(), 1..6),
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
        let mut run = Run {
            declared: all.clone(),
            all,
            meters,
            model: Model::default(),
            sent: Vec::new(),
            saved: Vec::new(),
            position: Position::START,
            now: 0,
            behind: 0,
        };
        run.save();
        for step in steps {
            run.step(step);
        }
    }
}
