//! The policy against a plain model that knows each message, with a clock of its own.

mod support;

use portcullis_msisdn::Msisdn;
use portcullis_plugin_sdk::rules::Purpose;
use portcullis_policy::Reason;
use portcullis_zones::Place;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Gateway, Outcome, millis};

const PURPOSES: [(&str, Purpose); 5] = [
    ("unknown", Purpose::Unknown),
    ("authentication", Purpose::Authentication),
    ("utility", Purpose::Utility),
    ("marketing", Purpose::Marketing),
    ("service", Purpose::Service),
];
const COUNTRIES: [&str; 4] = ["SE", "US", "AU", "LV"];
const NUMBERS: [u64; 8] = [
    46_732_001_122,
    46_732_001_123,
    12_125_550_123,
    16_055_550_123,
    18_005_550_123,
    61_412_345_678,
    37_190_012_345,
    881_612_345_678,
];
const MINUTE: u64 = 60_000;

fn any_purposes() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(PURPOSES.map(|(name, _)| name).to_vec(), 1..5).prop_map(|names| json!(names))
}

/// To whom a rule applies.
fn any_reach() -> impl Strategy<Value = Value> {
    let countries = prop::sample::subsequence(COUNTRIES.to_vec(), 1..4);
    (prop::option::of(any_purposes()), 0..3, countries).prop_map(|(purposes, which, countries)| {
        let mut reach = json!({});
        if let Some(purposes) = purposes {
            reach["purposes"] = purposes;
        }
        match which {
            0 => reach["countries"] = json!(countries),
            1 => reach["except"] = json!(countries),
            _ => {}
        }
        reach
    })
}

fn any_ceiling() -> impl Strategy<Value = Value> {
    (any_reach(), 0..3, 1..10_u32, prop::option::of(0..4_u32), 0..8_u32).prop_map(
        |(mut rule, by, digits, minute, hour)| {
            match by {
                0 => rule["count_by"] = json!("tenant"),
                1 => {
                    rule["count_by"] = json!("prefix");
                    rule["digits"] = json!(digits);
                }
                _ => {}
            }
            minute.inspect(|&minute| rule["per_minute"] = json!(minute));
            rule["per_hour"] = json!(hour);
            rule
        },
    )
}

fn any_cap() -> impl Strategy<Value = Value> {
    (any_reach(), prop::option::of(0..3_u32), 0..5_u32).prop_map(|(mut rule, day, week)| {
        day.inspect(|&day| rule["per_day"] = json!(day));
        rule["per_week"] = json!(week);
        rule
    })
}

fn any_quiet() -> impl Strategy<Value = Value> {
    let time = (0..24_u32, prop::sample::select(vec![0, 30, 59]));
    (any_reach(), time.clone(), time, any::<bool>()).prop_filter_map(
        "empty",
        |(mut rule, from, to, is_later)| {
            let text = |(hour, minute)| format!("{hour:02}:{minute:02}");
            rule["from"] = json!(text(from));
            rule["to"] = json!(text(to));
            rule["then"] = json!(if is_later { "later" } else { "block" });
            (from != to).then_some(rule)
        },
    )
}

fn any_options() -> impl Strategy<Value = Value> {
    let rules = (
        prop::collection::vec(any_ceiling(), 0..3),
        prop::collection::vec(any_cap(), 0..3),
        prop::collection::vec(any_quiet(), 0..3),
    );
    let countries =
        (any::<bool>(), prop::sample::subsequence(COUNTRIES.to_vec(), 1..4), prop::option::of(any::<bool>()));
    let unknown = prop::sample::select(PURPOSES.to_vec());
    (rules, prop::option::of(countries), prop::option::of(any_purposes()), prop::option::of(unknown))
        .prop_map(|((ceilings, caps, quiet), countries, hold, unknown)| {
            let mut options = json!({});
            for (name, rules) in [("ceilings", ceilings), ("caps", caps), ("quiet_hours", quiet)] {
                if !rules.is_empty() {
                    options[name] = json!(rules);
                }
            }
            if let Some((is_allowed, countries, unknown)) = countries {
                options["countries"] = json!({ if is_allowed { "allow" } else { "block" }: countries });
                unknown.inspect(|&allow| {
                    options["countries"]["unknown"] = json!(if allow { "allow" } else { "block" });
                });
            }
            if let Some(hold) = hold {
                options["hold"] = hold;
            }
            // What is said to be something else can't be meant by itself.
            if let Some((name, _)) =
                unknown.filter(|(name, _)| *name == "unknown" || !mentions_unknown(&options))
            {
                options["unknown_purpose_is"] = json!(name);
            }
            options
        })
}

fn mentions_unknown(options: &Value) -> bool {
    match options {
        Value::String(text) => text == "unknown",
        Value::Array(items) => items.iter().any(mentions_unknown),
        Value::Object(fields) => fields.values().any(mentions_unknown),
        _ => false,
    }
}

/// What was sent: when, to whom, for what.
struct Model {
    options: Value,
    sent: Vec<(u64, Msisdn, Purpose)>,
}

impl Model {
    fn name_of(&self, purpose: Purpose) -> &str {
        let name = PURPOSES.iter().find(|(_, other)| *other == purpose).unwrap().0;
        match (name, self.options["unknown_purpose_is"].as_str()) {
            ("unknown", Some(other)) => PURPOSES.iter().find(|(name, _)| *name == other).unwrap().0,
            _ => name,
        }
    }

    fn has(&self, list: &Value, purpose: Purpose) -> bool {
        list.as_array().is_some_and(|names| names.contains(&json!(self.name_of(purpose))))
    }

    /// Whether a rule is about a message, by default of these purposes.
    fn is_about(&self, rule: &Value, default: &[&str], number: Msisdn, purpose: Purpose) -> bool {
        let default = json!(default);
        let purposes = if rule["purposes"].is_null() { &default } else { &rule["purposes"] };
        let country = Place::of(number).country().map(|country| json!(country.to_string()));
        let is_in = |list: &Value| {
            list.as_array().is_some_and(|list| country.as_ref().is_some_and(|it| list.contains(it)))
        };
        self.has(purposes, purpose)
            && (rule["countries"].is_null() || is_in(&rule["countries"]))
            && !is_in(&rule["except"])
    }

    /// How many messages count with one, of the last so many milliseconds. The rule's purposes count, to all countries.
    fn count(
        &self,
        rule: &Value,
        default: &[&str],
        group: impl Fn(Msisdn) -> String,
        number: Msisdn,
        now: u64,
        millis: u64,
    ) -> u64 {
        let all = json!({ "purposes": rule["purposes"] });
        let counted = self.sent.iter().filter(|(at, to, purpose)| {
            now < at + millis && group(*to) == group(number) && self.is_about(&all, default, *to, *purpose)
        });
        counted.count() as u64
    }

    /// Whether it is, or may be, a quiet hour.
    fn is_quiet(rule: &Value, number: Msisdn, now: u64) -> bool {
        let minutes = |name: &str| {
            let (hour, minute) = rule[name].as_str().unwrap().split_once(':').unwrap();
            hour.parse::<i64>().unwrap() * 60 + minute.parse::<i64>().unwrap()
        };
        let (from, to) = (minutes("from"), minutes("to"));
        let offsets = Place::of(number).offsets(now);
        (offsets.least..=offsets.greatest).any(|offset| {
            let local = ((now / MINUTE).cast_signed() + i64::from(offset)).rem_euclid(24 * 60);
            if from < to { (from..to).contains(&local) } else { local >= from || local < to }
        })
    }

    fn rules(&self, name: &str) -> Vec<Value> {
        self.options[name].as_array().cloned().unwrap_or_default()
    }

    /// The reasons for which a message must be stopped, and those for which it may be: a message may count an eighth longer.
    fn reasons(&self, number: Msisdn, purpose: Purpose, now: u64) -> [Vec<Reason>; 2] {
        let mut reasons = [Vec::new(), Vec::new()];
        let mut add = |must: bool, may: bool, reason| {
            reasons[0].extend(must.then_some(reason));
            reasons[1].extend(may.then_some(reason));
        };
        let held = self.has(&self.options["hold"], purpose);
        add(held, held, Reason::PurposeHeld);
        let countries = &self.options["countries"];
        if !countries.is_null() {
            let is_allowed = !countries["allow"].is_null();
            let list = if is_allowed { &countries["allow"] } else { &countries["block"] };
            let unknown = countries["unknown"].as_str().map_or(is_allowed, |unknown| unknown == "block");
            let stops = Place::of(number).country().map_or(unknown, |country| {
                list.as_array().unwrap().contains(&json!(country.to_string())) != is_allowed
            });
            add(stops, stops, Reason::Country);
        }
        let all = PURPOSES.map(|(name, _)| name);
        for rule in self.rules("ceilings") {
            let by = rule["count_by"].as_str().unwrap_or("country").to_owned();
            let digits = usize::try_from(rule["digits"].as_u64().unwrap_or_default()).unwrap();
            let group = |number: Msisdn| match by.as_str() {
                "country" => format!("{:?}", Place::of(number).country()),
                "prefix" => number.digits().to_string().chars().take(digits).collect(),
                _ => String::new(),
            };
            for (name, window, reason) in [
                ("per_minute", MINUTE, Reason::CeilingMinute),
                ("per_hour", 60 * MINUTE, Reason::CeilingHour),
            ] {
                if let Some(most) =
                    rule[name].as_u64().filter(|_| self.is_about(&rule, &all, number, purpose))
                {
                    let count = |window| self.count(&rule, &all, group, number, now, window);
                    add(count(window) >= most, count(window + window / 8 + 1) >= most, reason);
                }
            }
        }
        for rule in self.rules("caps") {
            let day = 24 * 60 * MINUTE;
            for (name, window, reason) in
                [("per_day", day, Reason::CapDay), ("per_week", 7 * day, Reason::CapWeek)]
            {
                if let Some(most) =
                    rule[name].as_u64().filter(|_| self.is_about(&rule, &["marketing"], number, purpose))
                {
                    let group = |number: Msisdn| number.digits().to_string();
                    let count = |window| self.count(&rule, &["marketing"], group, number, now, window);
                    add(count(window) >= most, count(window + window / 8 + 1) >= most, reason);
                }
            }
        }
        let default = ["unknown", "utility", "marketing", "service"];
        for rule in self.rules("quiet_hours") {
            let is_quiet =
                self.is_about(&rule, &default, number, purpose) && Model::is_quiet(&rule, number, now);
            add(is_quiet, is_quiet, Reason::QuietHours);
        }
        reasons
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_policy_decides_as_the_model(
        options in any_options(),
        start in 0..63_072_000_u64,
        steps in prop::collection::vec(
            (prop_oneof![0..30_u64, 0..4_000_u64, 0..200_000_u64], prop::sample::select(NUMBERS.to_vec()), 0..5_usize), 1..60,
        ),
    ) {
        let mut now = millis("2026-01-01T00:00:00Z") + start * 1000;
        let gateway = Gateway::new(&options.to_string(), now);
        let mut model = Model { options: options.clone(), sent: Vec::new() };
        for (seconds, number, purpose) in steps {
            now += seconds * 1000;
            let (number, purpose) = (Msisdn::try_from(number).unwrap(), PURPOSES[purpose].1);
            let [must, may] = model.reasons(number, purpose, now);
            match gateway.send(number, purpose, now) {
                Outcome::Sent => {
                    prop_assert!(must.is_empty(), "{must:?} by {options} at {now}");
                    model.sent.push((now, number, purpose));
                }
                Outcome::Blocked(reason) => prop_assert!(may.contains(&reason), "{reason:?} by {options} at {now}"),
                Outcome::Later(reason, until) => {
                    prop_assert_eq!(reason, Reason::QuietHours);
                    prop_assert!(must.iter().all(|reason| *reason == Reason::QuietHours), "{must:?} is stronger");
                    prop_assert!(until > now && until <= now + 7 * 24 * 60 * MINUTE);
                    // No sooner than the quiet hours may end.
                    let is_quiet_at = |at: u64| {
                        model.rules("quiet_hours").iter().any(|rule| {
                            let default = ["unknown", "utility", "marketing", "service"];
                            let offsets = (Place::of(number).offsets(now), Place::of(number).offsets(at));
                            model.is_about(rule, &default, number, purpose)
                                && (offsets.0 != offsets.1 || Model::is_quiet(rule, number, at))
                        })
                    };
                    prop_assert!(is_quiet_at(until - 1), "{options} at {now}");
                }
            }
        }
    }
}
