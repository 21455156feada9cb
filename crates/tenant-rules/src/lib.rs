#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod counting;
mod error;
mod exchange;
mod setup;
mod sharing;
mod status;
mod surroundings;
mod tenant_rules;

pub use error::{RuleError, RuleExchangeError, Unprepared};
pub use exchange::{ExchangedRule, RuleOutcome, RuleRequest, RuleTerms};
pub use setup::RuleSetup;
pub use sharing::Sharing;
pub use status::{MeterStatus, RuleShadow, RuleStatus, Running, TenantMeters};
pub use surroundings::{OnRuleFault, Surroundings};
pub use tenant_rules::{PreparedRules, TenantRules};
