//! A rule in service.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_host::CallError;
use portcullis_host::rules::{Decision, Meter, Needs, Proof, RuleSet};

use crate::stop::Stop;

/// A rules plugin that is configured and ready to decide, or that is missing, so that the failure policy decides.
pub struct Rule {
    name: Arc<str>,
    set: Option<RuleSet>,
    proof: Proof,
    reasons: Vec<Arc<str>>,
    last_fault: Mutex<Option<RuleFault>>,
}

/// A fault of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// When it was.
    pub at: Timestamp,
    /// Its kind, as of [`CallError::kind`].
    pub kind: &'static str,
    /// What was wrong, in words that may be logged.
    pub why: String,
}

impl Rule {
    /// The rule of a plugin that was proven, by the name that the tenant knows it by.
    pub fn new(name: &str, set: RuleSet, proof: Proof) -> Self {
        let reasons = set.recipe().plugin.description().reasons.iter();
        let reasons = reasons.map(|reason| Arc::from(reason.as_str())).collect();
        Rule { name: name.into(), set: Some(set), proof, reasons, last_fault: Mutex::default() }
    }

    /// A rule whose plugin can't be loaded.
    pub fn missing(name: &str) -> Self {
        Rule {
            name: name.into(),
            set: None,
            proof: Proof::default(),
            reasons: Vec::new(),
            last_fault: Mutex::default(),
        }
    }

    /// The name that the tenant knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin, as it is configured; `None` if it is missing.
    pub fn set(&self) -> Option<&RuleSet> {
        self.set.as_ref()
    }

    /// The same, for calls, which fail if it is missing.
    pub(crate) fn present(&self) -> Result<&RuleSet, CallError> {
        self.set.as_ref().ok_or(CallError::OutOfService)
    }

    /// Whether the plugin decides. If not, it is missing or has failed, and the failure policy answers.
    pub fn is_serving(&self) -> bool {
        self.set.as_ref().is_some_and(|set| set.left() > 0)
    }

    /// Why it failed last; `None` if it has not since it began to serve.
    pub fn last_fault(&self) -> Option<RuleFault> {
        self.last_fault.lock().clone()
    }

    /// Remembers why it failed. That it is out of service follows from the fault before, which stays.
    pub fn note_fault(&self, error: &CallError) {
        if *error != CallError::OutOfService {
            let fault = RuleFault { at: Timestamp::now(), kind: error.kind(), why: error.reason() };
            *self.last_fault.lock() = Some(fault);
        }
    }

    /// What is wrong, on one line, for the log. If it is out of service, that is what has put it there.
    pub fn why(&self, error: &CallError) -> String {
        match (error, &self.set) {
            (CallError::OutOfService, None) => {
                "its plugin is missing, or does not start: ask for the status of the tenant's plugin"
                    .to_owned()
            }
            (CallError::OutOfService, Some(_)) => {
                self.last_fault().map_or_else(|| error.reason(), |fault| fault.why)
            }
            _ => error.reason(),
        }
    }

    /// How many messages to strangers it stopped when it was proven.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// What is counted for it.
    pub fn meters(&self) -> &[Meter] {
        self.set.as_ref().map_or(&[], RuleSet::meters)
    }

    /// What it must know.
    pub fn needs(&self) -> Needs {
        self.set.as_ref().map_or(Needs::NONE, RuleSet::needs)
    }

    /// What a decision means for a message.
    pub(crate) fn stop(&self, decision: Decision) -> Option<Stop> {
        let reason = Some(Arc::clone(self.reasons.get(decision.reason()?.index())?));
        let until = match decision {
            Decision::Later { until, .. } => {
                i64::try_from(until).ok().and_then(|until| Timestamp::from_millisecond(until).ok())
            }
            Decision::Allow | Decision::Block(_) => None,
        };
        Some(Stop { rule: Arc::clone(&self.name), reason, until })
    }

    /// What stops a message if the plugin fails, and the tenant's failure policy is to block.
    pub(crate) fn failed(&self) -> Stop {
        Stop { rule: Arc::clone(&self.name), reason: None, until: None }
    }
}
