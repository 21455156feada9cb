//! Violates the contract of rules in one way, chosen by its options: `{"mode": "NAME"}`. For tests of the host's limits.
//!
//! It needs what `needs` lists, and where it is well-behaved it decides by the last digit of the subject and by its counts.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::hint::black_box;

use portcullis_plugin_sdk::rules_bindings::export_rules_component;
use portcullis_plugin_sdk::rules_bindings::exports::portcullis::rules::rules as contract;

/// Generates the modes and the table of their names from the list in `modes.rs`.
macro_rules! modes {
    ($($(#[doc = $doc:literal])+ $name:literal => $mode:ident,)+) => {
        /// What the plugin does wrong.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Mode {
            $($(#[doc = $doc])+ $mode,)+
        }

        impl Mode {
            const ALL: &[(&str, Mode)] = &[$(($name, Mode::$mode),)+];
        }
    };
}

include!("modes.rs");

const DAY: u64 = 24 * 3600 * 1000;

thread_local! {
    // A component has a single thread, so these are plain statics.
    static MODE: Cell<Mode> = const { Cell::new(Mode::WellBehaved) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
    static SEEN: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Uses no linear memory, so that it exhausts the host's stack.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_mul(3) ^ depth }
}

fn meter(scope: contract::Scope, window: u32) -> contract::Meter {
    contract::Meter {
        scope,
        unit: contract::Unit::Messages,
        window,
        directions: contract::Directions::OUTBOUND,
        channels: contract::Channels::all(),
        purposes: contract::Purposes::all(),
    }
}

/// Stops subjects that end in 7, and everybody whose count is 3 or more; postpones subjects that end in 8 by an hour.
fn rule(subject: u64, direction: contract::Direction, time: u64, counts: &[u32]) -> contract::Decision {
    let is_outbound = direction == contract::Direction::Outbound;
    match subject % 10 {
        _ if counts.iter().any(|&count| count >= 3) => contract::Decision::Block(1),
        7 => contract::Decision::Block(0),
        8 if is_outbound => later(2, time + DAY / 24),
        _ => contract::Decision::Allow,
    }
}

fn later(reason: u16, until: u64) -> contract::Decision {
    contract::Decision::Later(contract::Postponement { reason, until })
}

/// Whether a message says more than a plugin without needs may know.
fn tells_more(message: &contract::Message) -> bool {
    let contract::Message { country, offset_min, offset_max, sender, listed, .. } = *message;
    (country, offset_min, offset_max, sender, listed) != (0, -720, 840, u32::MAX, false)
}

struct Evil;

impl contract::Guest for Evil {
    fn describe() -> contract::Description {
        contract::Description {
            name: "evil-rules".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            needs: contract::Needs::empty(),
            reasons: ["seven", "too-many", "not-yet"].map(str::to_owned).to_vec(),
            options_schema: Some(SCHEMA.to_owned()),
        }
    }

    fn configure(settings: contract::Settings) -> Result<Vec<contract::Meter>, String> {
        let chosen = settings.options.split('"').nth(3).unwrap_or("well-behaved");
        let mode = Mode::ALL.iter().find(|(name, _)| *name == chosen).map(|(_, mode)| *mode);
        let mode = mode.ok_or("the option `mode` is not the name of a mode")?;
        MODE.set(mode);
        let one = meter(contract::Scope::Subject, 60);
        Ok(match mode {
            Mode::SpinInConfigure => spin(),
            Mode::ManyMeters => vec![one; 17],
            Mode::LongWindow => vec![meter(contract::Scope::Tenant, 32 * 24 * 3600)],
            Mode::LongPrefix => vec![meter(contract::Scope::Prefix(16), 60)],
            Mode::EmptyFilter => vec![contract::Meter { channels: contract::Channels::empty(), ..one }],
            _ => vec![one],
        })
    }

    fn decide(
        subject: u64,
        direction: contract::Direction,
        message: contract::Message,
        counts: Vec<u32>,
    ) -> contract::Decision {
        ASKED.set(ASKED.get() + 1);
        let decision = rule(subject, direction, message.time, &counts);
        match MODE.get() {
            Mode::SpinInDecide => spin(),
            Mode::SlowDecide => {
                for turn in 0..10_000_000 {
                    black_box(turn);
                }
                decision
            }
            Mode::Panic => panic!("on purpose"),
            Mode::PanicLater if ASKED.get() >= 8000 => panic!("on purpose"),
            Mode::PanicAt13 if subject == 13 => panic!("on purpose"),
            Mode::Recurse => match black_box(recurse(0)) {
                0 => contract::Decision::Allow,
                _ => decision,
            },
            Mode::Leak => {
                HOARD.with_borrow_mut(|hoard| hoard.push(black_box(vec![1; 1 << 20])));
                decision
            }
            Mode::UnknownReason => contract::Decision::Block(3),
            Mode::LaterAtOnce => later(0, message.time),
            Mode::LaterForLong => later(0, message.time + 7 * DAY + 1),
            Mode::LaterInbound => later(0, message.time + 7 * DAY),
            Mode::CountByItself if ASKED.get().is_multiple_of(3) => contract::Decision::Block(0),
            Mode::Remember if !SEEN.with_borrow_mut(|seen| seen.insert(subject)) => {
                contract::Decision::Block(0)
            }
            Mode::CountLater if ASKED.get() >= 8000 && ASKED.get().is_multiple_of(3) => {
                contract::Decision::Block(0)
            }
            Mode::Nosy if tells_more(&message) => contract::Decision::Block(0),
            Mode::StopAll => contract::Decision::Block(0),
            _ => decision,
        }
    }

    fn decide_many(batch: contract::Batch) -> contract::Answers {
        let bytes = batch.subjects.len().div_ceil(8);
        let mut answers = contract::Answers { stopped: vec![0; bytes], decisions: Vec::new() };
        let mode = MODE.get();
        if mode == Mode::Nosy {
            let of_people = [batch.countries.len(), batch.offsets_min.len(), batch.offsets_max.len()];
            assert!(of_people == [0; 3] && batch.listed.is_empty(), "it is told more than it needs");
        }
        let width = batch.counts.len() / batch.subjects.len();
        for (i, &subject) in batch.subjects.iter().enumerate() {
            let counts = batch.counts[i * width..(i + 1) * width].to_vec();
            let decision = match mode {
                Mode::SpinInDecideMany => spin(),
                Mode::Disagree => match rule(subject, batch.direction, batch.message.time, &counts) {
                    contract::Decision::Allow => contract::Decision::Block(0),
                    _ => contract::Decision::Allow,
                },
                _ => Self::decide(subject, batch.direction, batch.message, counts),
            };
            if !matches!(decision, contract::Decision::Allow) {
                answers.stopped[i / 8] |= 1 << (i % 8);
                answers.decisions.push(decision);
            }
        }
        match mode {
            Mode::ShortBitmap => answers.stopped.truncate(bytes - 1),
            Mode::HugeBitmap => answers.stopped = vec![0; 2 << 20],
            Mode::BitsPastTheEnd => {
                answers.stopped = vec![u8::MAX; bytes];
                answers.decisions = vec![contract::Decision::Block(0); 8 * bytes];
            }
            Mode::MissingDecisions => answers.stopped[0] = u8::MAX,
            Mode::SpareDecisions => answers.decisions.push(contract::Decision::Block(0)),
            Mode::AllowWithABit => {
                answers.stopped = vec![1; 1];
                answers.stopped.resize(bytes, 0);
                answers.decisions = vec![contract::Decision::Allow];
            }
            _ => {}
        }
        answers
    }
}

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": { "mode": { "type": "string" } },
    "additionalProperties": false
}"#;

export_rules_component!(Evil with_types_in portcullis_plugin_sdk::rules_bindings);
