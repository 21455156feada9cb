//! Settings of tenants, and the configuration file.

use portcullis_api::settings as typed;
use portcullis_edge::http::body::{Misread, parse};
use portcullis_edge::settings::{FieldPath, TenantConfig};
use portcullis_gateway::fuzz::parse as parse_file;

use crate::support::assert_shows_no_number;

fn checked(typed: &typed::Tenant) -> Option<TenantConfig> {
    let mut problems = Vec::new();
    let config = TenantConfig::check(typed, &FieldPath::default(), &mut problems);
    assert_eq!(config.is_some(), problems.is_empty(), "what is refused is told why");
    config
}

/// What is kept of a tenant means the same again.
fn assert_kept(config: &TenantConfig) {
    let typed = config.to_typed();
    assert_eq!(checked(&typed).as_ref(), Some(config));
    let json = serde_json::to_vec(&typed).expect("it can be written");
    let again: typed::Tenant = serde_json::from_slice(&json).expect("it reads what it writes");
    assert_eq!(checked(&again).as_ref(), Some(config));
}

/// The settings of a tenant are kept as they are meant, and what is said of wrong ones shows no number.
pub fn tenant(data: &[u8]) {
    match parse::<typed::Tenant>(data) {
        Ok(typed) => {
            if let Some(config) = checked(&typed) {
                assert_kept(&config);
            }
        }
        Err(Misread::Wrong { place, what }) => {
            assert_shows_no_number(&place, data);
            assert_shows_no_number(&what, data);
        }
        Err(Misread::Empty | Misread::NotJson { .. }) => {}
    }
}

/// A configuration file is taken, and its tenants are kept as they are meant; or each line of what is said of it names one of its
/// lines, and shows no number.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match parse_file(text) {
        Ok(tenants) => tenants.iter().for_each(assert_kept),
        Err(message) => {
            assert_shows_no_number(&message, data);
            for line in message.lines() {
                let number =
                    line.strip_prefix("p.toml:").and_then(|rest| rest.split(':').next()?.parse().ok());
                let lines = text.split('\n').count();
                assert!(
                    number.is_some_and(|number: usize| (1..=lines).contains(&number)),
                    "{line:?} of {lines}"
                );
            }
        }
    }
}
