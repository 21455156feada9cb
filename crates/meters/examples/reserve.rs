//! What a message costs: `cargo run --release -p portcullis-meters --example reserve`.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::time::Instant;

use portcullis_meters::{
    Digits, Kind, Kinds, Message, Meter, Meters, NodeId, Position, Scope, Time, Unit, Window,
};
use portcullis_msisdn::{Direction, Directions, Msisdn, Subject};

const PEOPLE: u64 = 1_000_000;
const MESSAGES: u64 = 2_000_000;
/// A day in 2026, in milliseconds.
const NOW: u64 = 1_790_000_000_000;

fn main() {
    let day = |scope| Meter {
        scope,
        unit: Unit::Messages,
        window: Window::from_seconds(86_400).expect("a day is within 31"),
        directions: Directions::BOTH,
        channels: Kinds::ALL,
        purposes: Kinds::ALL,
    };
    let digits = Digits::new(7).expect("it is within 15");
    for (name, declared) in [
        ("tenant", vec![day(Scope::Tenant)]),
        ("subject", vec![day(Scope::Subject)]),
        (
            "tenant, sender, country, subject",
            vec![day(Scope::Tenant), day(Scope::Sender), day(Scope::Country), day(Scope::Subject)],
        ),
        (
            "tenant, country, prefix of 7, subject",
            vec![day(Scope::Tenant), day(Scope::Country), day(Scope::Prefix(digits)), day(Scope::Subject)],
        ),
    ] {
        let meters = Meters::new(NodeId(1), 256 << 20);
        let declared = meters.declare(&declared, Time::from_millis(NOW)).expect("there are few");
        let mut counts = vec![0; declared.len()];
        let mut send = |person: u64, now: u64| {
            let number = Msisdn::try_from(46_700_000_000 + person * 7919 % 99_999_989).ok();
            let message = Message {
                direction: Direction::Outbound,
                channel: Kind::default(),
                purpose: Kind::default(),
                subject: Subject::new(person * 0x2_5989_87f1_4103 % (1 << 50)).expect("it is below 2^50"),
                number,
                sender: None,
                country: 0x5345,
                segments: 1,
            };
            meters.reserve(&declared, &message, Time::from_millis(now), &mut counts)
        };
        for person in 0..PEOPLE {
            send(person, NOW);
        }
        let started = Instant::now();
        for message in 0..MESSAGES {
            send(message * 777_767_777 % PEOPLE, NOW + message / 100);
        }
        let reserved = started.elapsed();
        let usage = meters.usage();
        let started = Instant::now();
        let all = meters.changes_since(Position::START, Time::from_millis(NOW + MESSAGES / 100));
        println!(
            "{name}: {:.0} ns a message; {} counters in {:.0} bytes each; all of them told in {:.0} ms, {:.1} bytes each",
            reserved.as_nanos() as f64 / MESSAGES as f64,
            usage.counters,
            usage.bytes as f64 / usage.counters as f64,
            started.elapsed().as_millis(),
            all.bytes.len() as f64 / all.counters.max(1) as f64,
        );
    }
}
