//! Rules plugins, called through the host.

mod support;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use portcullis_host::rules::{
    Channel, Country, Decision, Grants, Message, Meter, OPTIONS_BYTES, Offsets, Person, Proof, Purpose,
    Recipe, RuleSet, Scope, SenderIndex, Unit,
};
use portcullis_host::{
    BreakerState, CallError, Component, Direction, Directions, InvalidComponent, Limits, LoadError, Msisdn,
    Permutation, PermutationKey, Plugin, TryCheckError, Verdict,
};
use support::{MIB, account, empty, engine, exact, subject};

/// Defines the names of the modes that `evil-rules` has.
macro_rules! modes {
    ($($(#[doc = $doc:literal])+ $name:literal => $mode:ident,)+) => {
        const MODES: &[&str] = &[$($name,)+];
    };
}

include!("../../plugins/evil-rules/src/modes.rs");

const OUT: Direction = Direction::Outbound;
const NOW: u64 = 1_780_000_000_000;

fn recipe(options: &str) -> Recipe {
    let limits = Limits {
        check: Duration::from_millis(20),
        configure: Duration::from_millis(200),
        ..Limits::default()
    };
    let component = Component::load(engine(), portcullis_plugin_bundle::EVIL_RULES.component, limits);
    let plugin = component.expect("it loads").rules().expect("it exports rules").clone();
    Recipe { options: options.to_owned(), ..Recipe::new(plugin, account(256 * MIB)) }
}

fn rules(mode: &str) -> RuleSet {
    RuleSet::new(recipe(&format!(r#"{{"mode": "{mode}"}}"#))).expect("the plugin starts")
}

fn two_replicas(mode: &str) -> RuleSet {
    let recipe = recipe(&format!(r#"{{"mode": "{mode}"}}"#));
    RuleSet::new(Recipe { replicas: NonZeroUsize::new(2).unwrap(), ..recipe }).expect("the plugin starts")
}

fn person(value: u64) -> Person {
    Person::new(subject(value))
}

fn decide(rules: &RuleSet, value: u64, direction: Direction, count: u32) -> Result<Decision, CallError> {
    rules.decide(direction, &Message::at(NOW), &person(value), &[count])
}

fn decide_many(rules: &RuleSet, people: u64) -> Result<Vec<Decision>, CallError> {
    let people: Vec<Person> = (0..people).map(person).collect();
    rules.decide_many(OUT, &Message::at(NOW), &people, &vec![0; people.len()])
}

#[test]
fn a_message_is_allowed_blocked_or_postponed() {
    let rules = rules("well-behaved");
    let named = |value, direction, count| {
        let decision = decide(&rules, value, direction, count).expect("it decides");
        (decision.reason().map(|reason| rules.reason(reason).to_owned()), decision)
    };
    assert_eq!(named(1, OUT, 0), (None, Decision::Allow));
    assert_eq!(named(17, OUT, 0).0.as_deref(), Some("seven"));
    assert_eq!(named(1, OUT, 3).0.as_deref(), Some("too-many"));
    let (reason, decision) = named(8, OUT, 0);
    assert_eq!(reason.as_deref(), Some("not-yet"));
    assert!(matches!(decision, Decision::Later { until, .. } if until == NOW + 3_600_000));
    assert_eq!(named(8, Direction::Inbound, 0).1, Decision::Allow);
    assert_eq!(rules.try_decide(OUT, &Message::at(NOW), &person(1), &[0]), Ok(Decision::Allow));
}

#[test]
fn meters_say_what_counts() {
    let rules = rules("well-behaved");
    let [meter] = rules.meters() else { panic!("it reads one meter") };
    assert_eq!((meter.scope, meter.unit, meter.window), (Scope::Subject, Unit::Messages, 60));
    assert_eq!(meter.directions, Directions::OUTBOUND);
    let message = Message { segments: 3, ..Message::at(NOW) };
    assert!(meter.counts(OUT, &message) && !meter.counts(Direction::Inbound, &message));
    let only = Meter { channels: [Channel::Sms].into_iter().collect(), unit: Unit::Segments, ..*meter };
    assert!(!only.counts(OUT, &message) && only.counts(OUT, &Message { channel: Channel::Sms, ..message }));
    assert_eq!((meter.amount(&message), only.amount(&message)), (1, 3));
}

#[test]
fn a_batch_decides_as_its_messages_one_by_one() {
    let rules = two_replicas("well-behaved");
    for size in [0, 1, 7, 8, 9, 64, 1000, 4096, 4097, 10_000] {
        let people: Vec<Person> = (0..size).map(|n| person(n * 7919)).collect();
        let counts: Vec<u32> = (0..size).map(|n| u32::try_from(n % 5).unwrap()).collect();
        let message = Message { channel: Channel::WhatsApp, purpose: Purpose::Marketing, ..Message::at(NOW) };
        let together = rules.decide_many(OUT, &message, &people, &counts).expect("it decides");
        let one = |(person, &count)| rules.decide(OUT, &message, person, &[count]).expect("it decides");
        assert!(people.iter().zip(&counts).map(one).eq(together.iter().copied()), "{size}");
        assert!(size < 64 || together.iter().any(|decision| matches!(decision, Decision::Later { .. })));
        let tried = rules.try_decide_many(
            OUT,
            &message,
            &people[..people.len().min(64)],
            &counts[..people.len().min(64)],
        );
        assert_eq!(tried.as_deref(), Ok(&together[..people.len().min(64)]));
    }
    assert!(matches!(rules.decide(OUT, &Message::at(NOW), &person(1), &[]), Err(CallError::Refused(_))));
    assert!(matches!(
        rules.decide_many(OUT, &Message::at(NOW), &[person(1)], &[0, 0]),
        Err(CallError::Refused(_))
    ));
    assert!(rules.is_whole());
}

/// Each misbehaviour of one call, and the kind of its error.
const FAULTS: &[(&str, &str)] = &[
    ("spin-in-decide", "timed-out"),
    ("panic", "trapped"),
    ("recurse", "trapped"),
    ("unknown-reason", "broken"),
    ("later-at-once", "broken"),
    ("later-for-long", "broken"),
];

const BATCH_FAULTS: &[(&str, &str)] = &[
    ("spin-in-decide-many", "timed-out"),
    ("short-bitmap", "broken"),
    ("huge-bitmap", "broken"),
    ("bits-past-the-end", "broken"),
    ("missing-decisions", "broken"),
    ("spare-decisions", "broken"),
    ("allow-with-a-bit", "broken"),
];

const BROKEN_METERS: &[&str] = &["many-meters", "long-window", "long-prefix", "empty-filter"];

const PROOFS: &[&str] = &["disagree", "count-by-itself", "remember"];

const OTHERS: &[&str] = &[
    "well-behaved",
    "spin-in-configure",
    "slow-decide",
    "panic-at-13",
    "panic-later",
    "count-later",
    "leak",
    "later-inbound",
    "stop-all",
    "nosy",
];

#[test]
fn every_mode_has_a_test() {
    let names = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let mut tested = [names(FAULTS), names(BATCH_FAULTS)].concat();
    tested.extend(BROKEN_METERS.iter().chain(PROOFS).chain(OTHERS));
    tested.sort_unstable();
    let mut all = MODES.to_vec();
    all.sort_unstable();
    assert_eq!(tested, all);
}

#[test]
fn a_fault_costs_its_instance_and_memory_and_others_go_on() {
    for (mode, kind) in FAULTS.iter().chain(BATCH_FAULTS) {
        let rules = rules(mode);
        let account = Arc::clone(&rules.recipe().account);
        assert!(account.used() > 0 && rules.memory_bytes() == account.used());
        let failed = match BATCH_FAULTS.iter().any(|(batch, _)| batch == mode) {
            true => decide_many(&rules, 17).map(drop),
            false => decide(&rules, 1, OUT, 0).map(drop),
        };
        assert_eq!(failed.expect_err("it fails").kind(), *kind, "{mode}");
        assert_eq!(
            (rules.left(), rules.faults(), account.used(), rules.memory_bytes()),
            (0, 1, 0, 0),
            "{mode}"
        );
        assert_eq!(rules.state(), BreakerState::Open);
    }
    assert_eq!(decide(&rules("well-behaved"), 1, OUT, 0), Ok(Decision::Allow));
}

#[test]
fn a_lost_instance_is_replaced_at_once_and_then_later_and_later() {
    let rules = rules("panic-at-13");
    assert_eq!(decide(&rules, 13, OUT, 0).expect_err("it traps").kind(), "trapped");
    let tried = rules.try_decide(OUT, &Message::at(NOW), &person(1), &[0]);
    assert_eq!(tried, Err(TryCheckError::Busy), "starting an instance may take long");
    assert_eq!(decide(&rules, 1, OUT, 0), Ok(Decision::Allow), "the first replacement starts at once");
    assert_eq!((rules.left(), rules.state()), (1, BreakerState::Probation));
    assert_eq!(decide(&rules, 13, OUT, 0).expect_err("it traps").kind(), "trapped");
    assert_eq!((rules.left(), rules.state()), (0, BreakerState::Open), "the second one waits");
    let tried = rules.try_decide(OUT, &Message::at(NOW), &person(1), &[0]);
    assert!(matches!(tried, Err(TryCheckError::Busy | TryCheckError::Failed(CallError::OutOfService))));
    while decide(&rules, 1, OUT, 0) == Err(CallError::OutOfService) {
        std::thread::yield_now();
    }
    assert_eq!((decide(&rules, 1, OUT, 0), rules.faults()), (Ok(Decision::Allow), 2));
}

#[test]
fn the_other_replica_decides_while_one_is_lost() {
    let rules = two_replicas("panic-at-13");
    for _ in 0..2 {
        assert_eq!(decide(&rules, 13, OUT, 0).expect_err("it traps").kind(), "trapped");
    }
    // One was replaced at once, the other one is waited for.
    assert_eq!(decide(&rules, 1, OUT, 0), Ok(Decision::Allow));
}

#[test]
fn an_inbound_message_is_not_postponed() {
    let rules = rules("later-inbound");
    assert!(
        matches!(decide(&rules, 1, OUT, 0), Ok(Decision::Later { until, .. }) if until == NOW + 7 * 86_400_000)
    );
    let error = decide(&rules, 1, Direction::Inbound, 0).expect_err("it was sent already");
    assert!(error.to_string().contains("postponed an inbound message"), "{error}");
}

#[test]
fn meters_are_validated() {
    for mode in BROKEN_METERS {
        let error =
            RuleSet::new(recipe(&format!(r#"{{"mode": "{mode}"}}"#))).expect_err("its meters are wrong");
        assert_eq!(error.kind(), "broken", "{mode}");
    }
    let error = RuleSet::new(recipe(r#"{"mode": "spin-in-configure"}"#)).expect_err("it is interrupted");
    assert_eq!(error.kind(), "timed-out");
}

#[test]
fn memory_is_bounded_by_the_instance_and_the_account() {
    let rules = rules("leak");
    let error = (0..100).find_map(|_| decide(&rules, 1, OUT, 0).err()).expect("it is stopped");
    assert_eq!(error, CallError::OutOfMemory { call: "decide", limit: 64 * MIB });
    let poor = Recipe { account: account(1000), ..recipe("{}") };
    assert_eq!(RuleSet::new(poor).expect_err("it has no room").kind(), "out-of-memory");
}

#[test]
fn a_slow_plugin_is_not_called_on_a_thread_that_others_wait_for() {
    let recipe = recipe(r#"{"mode": "slow-decide"}"#);
    let plugin = Component::load(engine(), portcullis_plugin_bundle::EVIL_RULES.component, Limits::default());
    let plugin = plugin.expect("it loads").rules().cloned().expect("it exports rules");
    let rules = RuleSet::new(Recipe { plugin, ..recipe }).expect("it starts");
    while !rules.is_slow() {
        assert_eq!(decide(&rules, 1, OUT, 0), Ok(Decision::Allow));
    }
    assert_eq!(rules.try_decide(OUT, &Message::at(NOW), &person(1), &[0]), Err(TryCheckError::Busy));
    assert_eq!(decide(&rules, 1, OUT, 0), Ok(Decision::Allow));
}

#[test]
fn rules_that_are_no_function_are_found() {
    for mode in PROOFS {
        for rules in [rules(mode), two_replicas(mode)] {
            let error = rules.prove(NOW, &[]).expect_err("they are asked twice");
            assert_eq!((error.kind(), rules.faults()), ("broken", 1), "{mode}");
        }
    }
    // While they serve, by what they decided about messages.
    let rules = two_replicas("remember");
    decide(&rules, 1, OUT, 0).expect("it decides");
    assert_eq!(rules.spot_check().expect_err("it is asked again").kind(), "broken");
    let rules = self::rules("count-later");
    rules.prove(NOW, &[]).expect("it is repeatable at first");
    let lies = || {
        decide(&rules, 1, OUT, 0).expect("it decides");
        rules.spot_check().err()
    };
    assert_eq!((0..10_000).find_map(|_| lies()).expect("it is found").kind(), "broken");
}

#[test]
fn slow_rules_are_proven_unless_a_batch_takes_too_long() {
    // It depends on the machine.
    match rules("slow-decide").prove(NOW, &[]) {
        Ok(proof) => assert!(proof.asked > 0),
        Err(error) => assert_eq!(error.kind(), "timed-out"),
    }
}

#[test]
fn a_fault_after_the_proof_costs_one_instance() {
    let rules = rules("panic-later");
    rules.prove(NOW, &[]).expect("it is repeatable at first");
    let fault = (0..10_000).find_map(|_| decide(&rules, 1, OUT, 0).err()).expect("it panics");
    assert_eq!((fault.kind(), rules.faults()), ("trapped", 1));
    assert_eq!(decide(&rules, 1, OUT, 0), Ok(Decision::Allow), "another instance takes its place");
}

#[test]
fn a_proof_tells_how_many_strangers_are_stopped() {
    let share = |rules: &RuleSet, strangers: &[Person]| {
        rules.prove(NOW, strangers).expect("it is repeatable").share()
    };
    // Subjects that end in 7 or 8, of messages with nothing counted so far.
    let some = share(&two_replicas("well-behaved"), &[]);
    assert!((0.02..0.6).contains(&some), "{some}");
    assert!((share(&rules("well-behaved"), &[person(7)]) - 1.0).abs() < f64::EPSILON);
    assert!(share(&rules("well-behaved"), &[person(1)]) < f64::EPSILON);
    assert!((share(&rules("stop-all"), &[]) - 1.0).abs() < f64::EPSILON);
    let rules = two_replicas("well-behaved");
    for value in [1, 7, 8, 9] {
        decide(&rules, value, OUT, 0).expect("it decides");
    }
    assert_eq!(rules.spot_check(), Ok(Proof { asked: 4, stopped: 2 }));
    assert_eq!(rules.spot_check(), Ok(Proof::default()), "each is verified once");
}

#[test]
fn options_are_checked_before_the_plugin_gets_them() {
    let refused = |options: &str| RuleSet::new(recipe(options)).expect_err("they are wrong").to_string();
    let unknown = refused(r#"{"mood": "panic"}"#);
    assert!(unknown.contains("'mood' was unexpected"), "{unknown}");
    assert!(refused(r#"{"mode": 15551234567}"#).ends_with(r#"/mode: the value is not of type "string""#));
    assert!(refused("[]").contains("not a JSON object"));
    assert!(refused(&format!("{{}}{}", " ".repeat(OPTIONS_BYTES))).contains("65536 are allowed"));
    assert!(
        refused(r#"{"mode": "unheard-of"}"#).contains("is not the name of a mode"),
        "the plugin's own words"
    );
}

#[test]
fn a_component_is_told_by_what_it_exports() {
    let list = Component::load(engine(), portcullis_plugin_bundle::EXACT.component, Limits::default());
    let list = list.expect("it loads");
    assert!(list.list().is_some() && list.rules().is_none());
    assert_eq!(list.list().map(Plugin::description), Some(exact().description()));
    let both = Component::load(engine(), portcullis_plugin_bundle::ECHO_RULES.component, Limits::default());
    let both = both.expect("it loads");
    assert_eq!(both.rules().map(|rules| rules.description().name.as_str()), Some("echo-rules"));
    let list = both.list().expect("it exports a list, too").clone();
    assert_eq!(empty(list).check(subject(1), OUT), Ok(Verdict::Block));
    let not_a_list =
        Plugin::load(engine(), portcullis_plugin_bundle::EVIL_RULES.component, Limits::default());
    let Err(LoadError::Invalid(InvalidComponent::World(why))) = not_a_list else { panic!("it is no list") };
    assert_eq!(why, "portcullis:blacklist@0.1.0: it does not export `portcullis:blacklist/blacklist@0.1.0`");
    let neither =
        Component::load(engine(), &wat::parse_str("(component)").expect("valid text"), Limits::default());
    let error = neither.expect_err("it is no plugin").to_string();
    assert!(error.contains("it exports neither"), "{error}");
}

fn permutation() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"a key for a test"))
}

/// Rules that tell what they are told of a field.
fn echo(field: &str, grants: Grants) -> Result<RuleSet, CallError> {
    RuleSet::new(echo_recipe(field, grants))
}

fn echo_recipe(field: &str, grants: Grants) -> Recipe {
    let component =
        Component::load(engine(), portcullis_plugin_bundle::ECHO_RULES.component, Limits::default());
    let plugin = component.expect("it loads").rules().cloned().expect("it exports rules");
    let options = format!(r#"{{"field": "{field}"}}"#);
    let senders = ["shop", "support"].map(str::to_owned).to_vec();
    Recipe { options, senders, grants, ..Recipe::new(plugin, account(64 * MIB)) }
}

fn all_grants() -> Grants {
    Grants { numbers: Some(permutation()), country: true, local_time: true, sender: true, listed: true }
}

#[test]
fn what_a_plugin_needs_must_be_granted() {
    let one_missing = [
        ("number", Grants { numbers: None, ..all_grants() }),
        ("country", Grants { country: false, ..all_grants() }),
        ("local-time", Grants { local_time: false, ..all_grants() }),
        ("sender", Grants { sender: false, ..all_grants() }),
        ("listed", Grants { listed: false, ..all_grants() }),
    ];
    for (name, grants) in one_missing {
        let error = echo("subject", grants).expect_err("it is not granted").to_string();
        assert!(error.contains(&format!("echo-rules needs {name}, which")), "{error}");
    }
    let error = echo("subject", Grants::default()).expect_err("nothing is granted").to_string();
    assert!(error.contains("needs number, country, local-time, sender, listed"), "{error}");
}

#[test]
fn senders_are_limited_for_a_plugin_that_is_told_of_them_and_for_no_other() {
    let of =
        |senders: &[String]| Recipe { senders: senders.to_vec(), ..echo_recipe("subject", all_grants()) };
    let crowd = vec!["x".to_owned(); 4097];
    assert!(RuleSet::new(of(&crowd)).expect_err("too many").to_string().contains("at most 4096"));
    assert!(RuleSet::new(of(&crowd[1..])).is_ok());
    let unnamed = vec![String::new()];
    assert!(RuleSet::new(of(&unnamed)).is_err());
    for senders in [crowd, unnamed] {
        assert!(RuleSet::new(Recipe { senders, ..recipe("{}") }).is_ok());
    }
}

#[test]
fn what_is_granted_arrives_as_it_is() {
    let number = Msisdn::try_from(15_551_234_567).expect("it is a number");
    let known = Person {
        subject: permutation().subject(number),
        country: Country::new("US"),
        offsets: Offsets::new(-300, 60).expect("a range"),
        listed: true,
    };
    let unknown = Person::new(known.subject);
    let message = Message {
        channel: Channel::Voice,
        purpose: Purpose::Service,
        time: NOW,
        sender: SenderIndex::new(1),
        segments: 7,
    };
    let counts = [1, 20, 3];
    for (field, told, told_of_unknown) in [
        ("subject", 15_551_234_567 % (7 * 86_400_000), 15_551_234_567 % (7 * 86_400_000)),
        ("channel", 5, 5),
        ("purpose", 4, 4),
        ("country", 100 * u64::from(b'U') + u64::from(b'S'), 0),
        ("offset-min", 1700, 1280),
        ("offset-max", 2060, 2840),
        ("sender", 2, 2),
        ("sender-name", "support".len() as u64, "support".len() as u64),
        ("segments", 7, 7),
        ("listed", 1, 0),
        ("counts", 12_003, 12_003),
    ] {
        let rules = echo(field, all_grants()).expect("all is granted");
        let value = |decision| match decision {
            Decision::Later { until, .. } => until - NOW - 1,
            other => panic!("{field}: {other:?}"),
        };
        let one = |person| value(rules.decide(OUT, &message, person, &counts).expect("it decides"));
        assert_eq!((one(&known), one(&unknown)), (told, told_of_unknown), "{field}");
        // One who is known at places that begin, end and cross a byte of the bitmap.
        let people: Vec<Person> =
            (0..41).map(|n| if n % 8 == 0 || n == 15 { known } else { unknown }).collect();
        let rows = counts.repeat(people.len());
        let together = rules.decide_many(OUT, &message, &people, &rows).expect("it decides");
        let expected = people.iter().map(|person| if *person == known { told } else { told_of_unknown });
        assert!(together.into_iter().map(value).eq(expected), "{field}");
        rules.prove(NOW, &[known, unknown]).expect("it is repeatable");
    }
}

#[test]
fn what_is_not_needed_is_not_told() {
    let recipe = Recipe { grants: all_grants(), ..recipe(r#"{"mode": "nosy"}"#) };
    let rules = RuleSet::new(recipe).expect("more is granted than it needs");
    let known = Person {
        subject: subject(1),
        country: Country::new("US"),
        offsets: Offsets::new(60, 60).expect("a range"),
        listed: true,
    };
    let message = Message { sender: SenderIndex::new(0), ..Message::at(NOW) };
    assert_eq!(rules.decide(OUT, &message, &known, &[0]), Ok(Decision::Allow));
    assert_eq!(rules.decide_many(OUT, &message, &[known; 9], &[0; 9]), Ok(vec![Decision::Allow; 9]));
}
