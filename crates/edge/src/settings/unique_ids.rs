//! Conflicts between tenants: names, tokens and vendors' ids that must be unique.

use std::sync::Arc;

use portcullis_tokens::TokenConfig;
use rpds::{HashTrieMapSync, HashTrieSetSync};

use super::problem::{FieldPath, Problem};
use super::tenant::{SenderConfig, TenantConfig};
use crate::token::TokenDigest;

/// The unique names, tokens and ids that are in use, with their owners in words, such as "sender support of tenant acme". Cheap to clone:
/// clones share what they have in common.
#[derive(Clone, Default)]
pub struct UniqueIds {
    tenants: HashTrieSetSync<String>,
    tokens: HashTrieMapSync<TokenDigest, Arc<str>>,
    /// By field name and value.
    ids: HashTrieMapSync<(&'static str, String), Arc<str>>,
}

impl UniqueIds {
    /// Creates a set that contains administrators' tokens only: those in force, and those that will be.
    pub fn new(admin_tokens: impl IntoIterator<Item = TokenDigest>) -> Self {
        let mut unique_ids = UniqueIds::default();
        unique_ids.claim_admin_tokens(admin_tokens);
        unique_ids
    }

    /// Claims tokens for administrators.
    pub fn claim_admin_tokens(&mut self, tokens: impl IntoIterator<Item = TokenDigest>) {
        for token in tokens {
            self.tokens.insert_mut(token, "the administrator".into());
        }
    }

    /// Takes back everything that was [claimed](Self::claim) for this tenant.
    pub fn release(&mut self, tenant: &TenantConfig) {
        self.tenants.remove_mut(tenant.id.as_str());
        for token in tenant.tokens.iter().chain(tenant.senders.iter().flat_map(|sender| &sender.tokens)) {
            self.tokens.remove_mut(&token.digest);
        }
        let of_senders = tenant.senders.iter().flat_map(ids_of);
        for (field, value) in [("sid", tenant.sid.clone())].into_iter().chain(of_senders) {
            if let Some(value) = value {
                self.ids.remove_mut(&(field, value));
            }
        }
    }

    /// Claims everything of `tenant` that must be unique: its name, tokens and `sid`, and its senders' names, tokens,
    /// `number`s, `bot_id`s and `phone_number_id`s. Returns a problem for each that is in use already. `place` is the
    /// tenant's place.
    pub fn claim(&mut self, tenant: &TenantConfig, place: &FieldPath) -> Vec<Problem> {
        let mut problems = Vec::new();
        let id = &tenant.id;
        if self.tenants.contains(id.as_str()) {
            let what = format!("there are two tenants {id}; give one another id, or merge them");
            problems.push(Problem::conflict(place.key("id"), what));
        }
        self.tenants.insert_mut(id.to_string());
        let owner = format!("tenant {id}").into();
        problems.extend(self.take_tokens(&tenant.tokens, &owner, place));
        problems.extend(self.take("sid", tenant.sid.clone(), &owner, place));
        for (index, sender) in tenant.senders.iter().enumerate() {
            let place = place.key("senders").index(index);
            let owner = format!("sender {} of tenant {id}", sender.id).into();
            if tenant.senders[..index].iter().any(|other| other.id == sender.id) {
                let what = format!("tenant {id} has two senders {}; give one another id", sender.id);
                problems.push(Problem::conflict(place.key("id"), what));
            }
            problems.extend(self.take_tokens(&sender.tokens, &owner, &place));
            for (field, value) in ids_of(sender) {
                problems.extend(self.take(field, value, &owner, &place));
            }
        }
        problems
    }

    fn take_tokens(&mut self, tokens: &[TokenConfig], owner: &Arc<str>, place: &FieldPath) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let other = self.tokens.get(&token.digest).cloned();
            self.tokens.insert_mut(token.digest, Arc::clone(owner));
            if let Some(owner) = other {
                let what = format!(
                    "this token is {owner}'s already; a token identifies the caller, so give each its own"
                );
                problems.push(Problem::conflict(place.key("tokens").index(index), what));
            }
        }
        problems
    }

    fn take(
        &mut self,
        field: &'static str,
        value: Option<String>,
        owner: &Arc<str>,
        place: &FieldPath,
    ) -> Option<Problem> {
        let id = (field, value?);
        let other = self.ids.get(&id).cloned();
        self.ids.insert_mut(id, Arc::clone(owner));
        let other = other?;
        let what = format!(
            "{other} has this {field} already; it says whom a message is for, so it can belong to one only"
        );
        Some(Problem::conflict(place.key(field), what))
    }
}

/// The fields of a sender whose values must be unique.
fn ids_of(sender: &SenderConfig) -> [(&'static str, Option<String>); 3] {
    [
        ("number", sender.number.map(|number| number.digits().to_string())),
        ("bot_id", sender.bot_id.clone()),
        ("phone_number_id", sender.phone_number_id.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(json: &str) -> TenantConfig {
        let mut problems = Vec::new();
        let typed = serde_json::from_str(json).unwrap();
        TenantConfig::check(&typed, &FieldPath::default(), &mut problems).unwrap()
    }

    #[test]
    fn what_is_released_can_be_claimed_by_another_and_clones_are_apart() {
        let sender =
            r#"{"id": "support", "number": "+46732001122", "bot_id": "b", "tokens": ["sender-token"]}"#;
        let acme = tenant(&format!(
            r#"{{"id": "acme", "tokens": ["acme-token"], "sid": "s", "senders": [{sender}]}}"#
        ));
        let globex = tenant(&format!(
            r#"{{"id": "globex", "tokens": ["acme-token"], "sid": "s", "senders": [{sender}]}}"#
        ));
        let place = FieldPath::default();
        let mut unique_ids = UniqueIds::new([TokenDigest::of(b"admin")]);
        assert!(unique_ids.claim(&acme, &place).is_empty());
        let mut copy = unique_ids.clone();
        copy.release(&acme);
        assert!(copy.claim(&globex, &place).is_empty());
        // Both tokens, the sid, the number and the bot.
        assert_eq!(unique_ids.claim(&globex, &place).len(), 5);
        let admin = tenant(r#"{"id": "b", "tokens": ["admin"]}"#);
        assert_eq!(copy.claim(&admin, &place).len(), 1);
    }
}
