//! Rules plugins, called through the host.

mod support;

use portcullis_host::rules::{Decision, Message, Meter, Person, Recipe, RuleSet, Scope, Unit};
use portcullis_host::{Component, Direction, Directions, Limits};
use support::{MIB, account, engine, subject};

const OUT: Direction = Direction::Outbound;
const NOW: u64 = 1_780_000_000_000;

fn rules(options: &str) -> RuleSet {
    RuleSet::new(recipe(options)).expect("the plugin starts")
}

fn recipe(options: &str) -> Recipe {
    let component =
        Component::load(engine(), portcullis_plugin_bundle::EVIL_RULES.component, Limits::default());
    let plugin = component.expect("it loads").rules().expect("it exports rules").clone();
    Recipe { options: options.to_owned(), ..Recipe::new(plugin, account(256 * MIB)) }
}

fn person(value: u64) -> Person {
    Person::new(subject(value))
}

#[test]
fn a_message_is_allowed_blocked_or_postponed() {
    let rules = rules("{}");
    let decide = |value, direction, count| {
        let decision =
            rules.decide(direction, &Message::at(NOW), &person(value), &[count]).expect("it decides");
        (decision.reason().map(|reason| rules.reason(reason).to_owned()), decision)
    };
    assert_eq!(decide(1, OUT, 0), (None, Decision::Allow));
    assert_eq!(decide(17, OUT, 0).0.as_deref(), Some("seven"));
    assert_eq!(decide(1, OUT, 3).0.as_deref(), Some("too-many"));
    let (reason, decision) = decide(8, OUT, 0);
    assert_eq!(reason.as_deref(), Some("not-yet"));
    assert!(matches!(decision, Decision::Later { until, .. } if until == NOW + 3_600_000));
    assert_eq!(decide(8, Direction::Inbound, 0).1, Decision::Allow);
    let [meter] = rules.meters() else { panic!("it reads one meter") };
    assert_eq!((meter.scope, meter.unit, meter.window), (Scope::Subject, Unit::Messages, 60));
    assert_eq!(meter.directions, Directions::OUTBOUND);
    assert!(meter.counts(OUT, &Message::at(NOW)) && !meter.counts(Direction::Inbound, &Message::at(NOW)));
    assert!(rules.meters().len() <= Meter::MOST);
}
