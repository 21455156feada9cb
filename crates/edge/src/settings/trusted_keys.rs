//! The keys by which plugins must be signed.

use portcullis_api::settings as typed;
use portcullis_engine::plugin_store::{TrustedKey, TrustedKeyError, TrustedKeys};

use super::problem::{FieldPath, Problem};

/// The most keys of the gateway or of a tenant.
const MOST: usize = 16;

/// Validates the keys, and adds each mistake to `problems`. `place` is the place of the list.
pub fn trusted_keys(
    typed: &[typed::TrustedKey],
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> TrustedKeys {
    if typed.len() > MOST {
        problems.push(Problem::new(place.clone(), format!("{} keys; name at most {MOST}", typed.len())));
    }
    let mut keys: Vec<TrustedKey> = Vec::with_capacity(typed.len());
    for (index, typed) in typed.iter().enumerate() {
        let place = place.index(index);
        let key = match TrustedKey::parse(&typed.name, &typed.key, typed.not_after.as_deref()) {
            Ok(key) => key,
            Err(error) => {
                let setting = match error {
                    TrustedKeyError::Name => "name",
                    TrustedKeyError::NotAfter => "not_after",
                    TrustedKeyError::Key | TrustedKeyError::Secret => "key",
                };
                problems.push(Problem::new(place.key(setting), error.to_string()));
                continue;
            }
        };
        if keys.iter().any(|other| other.text() == key.text()) {
            problems.push(Problem::new(place.key("key"), "this key stands here already; name it once"));
        } else if keys.iter().any(|other| other.name() == key.name()) {
            problems.push(Problem::new(place.key("name"), "another key has this name; give it its own"));
        }
        keys.push(key);
    }
    keys.into_iter().collect()
}

/// The keys as they would be written.
pub(crate) fn typed(keys: &TrustedKeys) -> Vec<typed::TrustedKey> {
    let typed = |key: &TrustedKey| typed::TrustedKey {
        name: key.name().to_owned(),
        key: key.text().to_owned(),
        not_after: key.not_after().map(str::to_owned),
    };
    keys.iter().map(typed).collect()
}
