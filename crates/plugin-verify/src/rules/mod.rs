//! Whether a plugin keeps the contract `portcullis:rules`: random messages, about which it must always decide the same, one by one and in
//! batches.

mod costs;
mod question;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_host::rules::{Grants, Plugin, Recipe, RuleSet};
use portcullis_host::{CallError, MemoryAccount, Permutation, PermutationKey};
use portcullis_rules::strangers;

pub use costs::RuleCosts;

use crate::conformance::Conformance;
use crate::growth::Growth;
use question::{Question, Questions};

/// Memory of one instance, in bytes.
const MEMORY: u64 = 1 << 30;
/// The messages that are tried.
const QUESTIONS: usize = 400;
/// The decisions about one message, after which it is looked at whether memory grew, and how fast they were.
const MANY: u32 = 20_000;
/// How long one decision of a plugin may take that is not slow: see `Pace` of the host.
const FAST: Duration = Duration::from_micros(20);
/// How long a round of decisions may take. A slow plugin makes fewer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who stops this share of the messages to strangers is asked whether that is meant.
const REMARKABLE_SHARE: f64 = 0.5;

/// Starts a plugin, as a gateway does. It is granted what it needs.
fn start(plugin: &Plugin, options: &str) -> Result<RuleSet, CallError> {
    RuleSet::new(Recipe {
        options: options.to_owned(),
        senders: ["shop", "support"].map(str::to_owned).to_vec(),
        grants: Grants {
            numbers: Some(numbers()),
            country: true,
            local_time: true,
            sender: true,
            listed: true,
        },
        ..Recipe::new(plugin.clone(), MemoryAccount::new(MEMORY))
    })
}

/// Any key does, and the same one gives the same counter-example.
fn numbers() -> Permutation {
    Permutation::new(PermutationKey::from_bytes(*b"portcullis check"))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Tries a plugin.
pub(crate) fn conformance(plugin: &Plugin, options: &str) -> Conformance {
    let mut found = Conformance::default();
    let rules = match start(plugin, options) {
        Ok(rules) => rules,
        Err(CallError::Refused(why)) => return Conformance::refusing(options, &why),
        Err(error) => {
            found.problems.push(format!("an instance does not start: {error}"));
            return found;
        }
    };
    match try_all(&rules) {
        Ok(remarks) => found.remarks.extend(remarks),
        Err(problem) => found.problems.push(problem),
    }
    found
}

fn try_all(rules: &RuleSet) -> Result<Vec<String>, String> {
    let now = now();
    let strangers = strangers(&numbers(), rules.needs(), now);
    let mut questions = Questions::new(rules, &strangers, now);
    let mut remarks = random(rules, &mut questions)?;
    remarks.extend(many(rules, &questions.next())?);
    let proof = rules.prove(now, &strangers).map_err(|error| error.to_string())?;
    let share = proof.share();
    if share >= REMARKABLE_SHARE {
        remarks.push(format!(
            "it stops {:.0} % of messages to strangers of whom nothing was counted: make sure that it is to",
            share * 100.0
        ));
    }
    Ok(remarks)
}

/// Random messages: whether decisions are the same each time, and whether memory grows.
fn random(rules: &RuleSet, questions: &mut Questions<'_>) -> Result<Vec<String>, String> {
    let questions: Vec<Question> = (0..QUESTIONS).map(|_| questions.next()).collect();
    let mut growth = Growth::of("decision", rules.memory_bytes());
    loop {
        let begun = Instant::now();
        for question in &questions {
            question.ask(rules, &mut growth)?;
            if begun.elapsed() > PATIENCE {
                break;
            }
        }
        if !growth.needs_another_round() {
            break;
        }
    }
    Ok(growth.judge()?.into_iter().collect())
}

/// Many decisions about one message: whether they stay the same, how long they take, and whether memory grows.
fn many(rules: &RuleSet, question: &Question) -> Result<Vec<String>, String> {
    let mut growth = Growth::of("decision", rules.memory_bytes());
    let first = question.decide_first(rules, &mut growth)?;
    let mut each = Duration::MAX;
    loop {
        let (begun, mut decisions) = (Instant::now(), 0);
        while decisions < MANY && begun.elapsed() < PATIENCE {
            if question.decide_first(rules, &mut growth)? != first {
                return Err(question.changed(growth.made()));
            }
            decisions += 1;
        }
        each = each.min(begun.elapsed() / decisions.max(1));
        if !growth.needs_another_round() {
            break;
        }
    }
    let mut remarks: Vec<String> = growth.judge()?.into_iter().collect();
    if each > FAST {
        remarks.push(format!(
            "a decision takes {} µs: messages to a slow plugin wait for their turn on threads of their own",
            each.as_micros()
        ));
    }
    Ok(remarks)
}
