//! Rules that stop nothing, and read four meters: measures the cost of a decision itself.
#![forbid(unsafe_code)]

use portcullis_plugin_sdk::rules::{Decision, Description, Message, Meter, Rules, Scope, Settings};
use portcullis_plugin_sdk::{Direction, Directions, Subject};

struct Trivial;

impl Rules for Trivial {
    fn describe() -> Description {
        Description::new("trivial-rules", env!("CARGO_PKG_VERSION"), &["never"])
    }

    fn configure(_: Settings) -> Result<Self, String> {
        Ok(Trivial)
    }

    fn meters(&self) -> Vec<Meter> {
        let scopes = [Scope::Tenant, Scope::Subject, Scope::Country, Scope::Prefix(4)];
        scopes.map(|scope| Meter::new(scope, 3600, Directions::OUTBOUND)).to_vec()
    }

    fn decide(&self, _: Subject, _: Direction, _: &Message, counts: &[u32]) -> Decision {
        match counts {
            [u32::MAX, ..] => Decision::Block { reason: 0 },
            _ => Decision::Allow,
        }
    }
}

portcullis_plugin_sdk::export_rules!(Trivial);
