//! The components, called by the host: they decide as the library does.

use std::sync::OnceLock;

use portcullis_host::rules::{Country, Decision, Grants, Message, Offsets, Person, Purpose, Recipe, RuleSet};
use portcullis_host::{
    Component, Direction, Engine, Limits, MemoryAccount, Permutation, PermutationKey, Subject,
};
use portcullis_msisdn::Msisdn;
use portcullis_plugin_bundle::{Bundled, POLICY, POLICY_NUMBERS};
use portcullis_plugin_sdk::rules as sdk;
use portcullis_policy::{Policy, Reason};
use proptest::prelude::*;

const NOW: u64 = 1_790_000_000_000;
const OPTIONS: &str = r#"{
    "hold": ["service"],
    "countries": {"block": ["LV"]},
    "ceilings": [{"per_minute": 30, "per_hour": 300}, {"count_by": "prefix", "digits": 6, "per_minute": 20}],
    "caps": [{"per_day": 2, "per_week": 5}],
    "quiet_hours": [{"from": "21:00", "to": "08:00"}]
}"#;

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().expect("this machine runs WebAssembly"))
}

fn permutation() -> Permutation {
    Permutation::new(PermutationKey::from_bytes([7; 16]))
}

fn rules(bundled: Bundled, options: &str, numbers: Option<Permutation>) -> Result<RuleSet, String> {
    let component = Component::load(engine(), bundled.component, Limits::default()).expect("it loads");
    let plugin = component.rules().expect("it exports rules").clone();
    let recipe = Recipe {
        options: options.to_owned(),
        grants: Grants { country: true, local_time: true, numbers, ..Grants::default() },
        ..Recipe::new(plugin, MemoryAccount::new(256 << 20))
    };
    RuleSet::new(recipe).map_err(|error| error.to_string())
}

/// A decision by the name of its reason.
fn named(rules: &RuleSet, decision: Decision) -> (Option<String>, Option<u64>) {
    let until = match decision {
        Decision::Later { until, .. } => Some(until),
        Decision::Allow | Decision::Block(_) => None,
    };
    (decision.reason().map(|reason| rules.reason(reason).to_owned()), until)
}

fn expected(decision: sdk::Decision) -> (Option<String>, Option<u64>) {
    let name = |reason: u16| Some(Reason::ALL[usize::from(reason)].name().to_owned());
    match decision {
        sdk::Decision::Allow => (None, None),
        sdk::Decision::Block { reason } => (name(reason), None),
        sdk::Decision::Later { reason, until } => (name(reason), Some(until)),
    }
}

const PURPOSES: [(Purpose, sdk::Purpose); 5] = [
    (Purpose::Unknown, sdk::Purpose::Unknown),
    (Purpose::Authentication, sdk::Purpose::Authentication),
    (Purpose::Utility, sdk::Purpose::Utility),
    (Purpose::Marketing, sdk::Purpose::Marketing),
    (Purpose::Service, sdk::Purpose::Service),
];

proptest! {
    #[test]
    fn the_component_decides_as_the_library(
        purpose in prop::sample::select(PURPOSES.to_vec()),
        later in 0..200_000_000_u64,
        people in prop::collection::vec(
            (0..1_u64 << 50, prop::option::of("SE|LV|US"), -720..=840_i16, 0..400_i16, prop::array::uniform5(0..40_u32)), 1..20,
        ),
    ) {
        static RULES: OnceLock<RuleSet> = OnceLock::new();
        let rules = RULES.get_or_init(|| rules(POLICY, OPTIONS, None).expect("it starts"));
        let policy = Policy::parse(OPTIONS, false).unwrap();
        prop_assert_eq!(rules.meters().len(), 5);
        let time = NOW + later;
        let message = Message { purpose: purpose.0, ..Message::at(time) };
        let (mut all, mut rows, mut decisions) = (Vec::new(), Vec::new(), Vec::new());
        for (subject, country, least, more, counts) in people {
            let subject = Subject::new(subject).unwrap();
            let greatest = (least + more).min(840);
            let person = Person {
                country: country.as_deref().and_then(Country::new),
                offsets: Offsets::new(least, greatest).unwrap(),
                ..Person::new(subject)
            };
            let told = sdk::Message {
                purpose: purpose.1,
                country: country.as_deref().and_then(sdk::Country::new),
                offsets: sdk::Offsets::new(least, greatest).unwrap(),
                ..sdk::Message::at(time)
            };
            for direction in [Direction::Inbound, Direction::Outbound] {
                let decision = rules.decide(direction, &message, &person, &counts).expect("it decides");
                prop_assert_eq!(named(rules, decision), expected(policy.decide(subject, direction, &told, &counts)));
                decisions.extend((direction == Direction::Outbound).then_some(decision));
            }
            all.push(person);
            rows.extend(counts);
        }
        prop_assert_eq!(rules.decide_many(Direction::Outbound, &message, &all, &rows).expect("it decides"), decisions);
    }
}

#[test]
fn prefixes_are_for_the_plugin_that_gets_numbers() {
    let options = r#"{"prefixes": {"block": ["46900"]}}"#;
    let refusal = rules(POLICY, options, None).expect_err("it does not get numbers");
    assert!(refusal.contains("`prefixes` needs numbers in clear"), "{refusal}");
    let refusal = rules(POLICY_NUMBERS, options, None).expect_err("it needs them");
    assert!(refusal.contains("number"), "{refusal}");
    let rules = rules(POLICY_NUMBERS, options, Some(permutation())).expect("it starts");
    let decide = |number: u64| {
        let subject = permutation().subject(Msisdn::try_from(number).unwrap());
        let decision = rules.decide(Direction::Outbound, &Message::at(NOW), &Person::new(subject), &[]);
        named(&rules, decision.expect("it decides")).0
    };
    assert_eq!(decide(46_900_123_456).as_deref(), Some("prefix"));
    assert_eq!(decide(46_732_001_122), None);
}

#[test]
fn options_that_are_wrong_are_refused() {
    for options in
        [r#"{"caps": [{"per_day": "two"}]}"#, r#"{"quiet_hours": [{"from": "21:00", "to": "21:00"}]}"#]
    {
        let refusal = rules(POLICY, options, None).expect_err("it is wrong");
        assert!(refusal.contains("caps") || refusal.contains("quiet_hours"), "{refusal}");
    }
}
