//! The plugin `policy`, with rules by the first digits of numbers, which a tenant must grant.
//!
//! `docs/policy.md` describes the options, and `crates/policy` has the rules.
#![forbid(unsafe_code)]

use portcullis_plugin_sdk::rules::{Decision, Description, Message, Meter, Need, Rules, Settings};
use portcullis_plugin_sdk::{Direction, Subject};
use portcullis_policy::{Policy, Reason, SCHEMA};

struct Plugin(Policy);

impl Rules for Plugin {
    fn describe() -> Description {
        Description::new("policy-numbers", env!("CARGO_PKG_VERSION"), &Reason::ALL.map(Reason::name))
            .needing([Need::Number, Need::Country, Need::LocalTime])
            .with_options_schema(SCHEMA)
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        Policy::parse(&settings.options, true).map(Plugin)
    }

    fn meters(&self) -> Vec<Meter> {
        self.0.meters()
    }

    fn decide(&self, subject: Subject, direction: Direction, message: &Message, counts: &[u32]) -> Decision {
        self.0.decide(subject, direction, message, counts)
    }
}

portcullis_plugin_sdk::export_rules!(Plugin);
