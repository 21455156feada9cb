//! Conflicts between tenants: names, tokens and vendors' ids that must be unique.

use std::collections::HashMap;

use super::problem::{FieldPath, Problem};
use super::tenant::TenantConfig;
use crate::token::TokenDigest;

/// The unique names, tokens and ids that are in use, with their owners in words, such as "sender support of tenant acme".
#[derive(Default)]
pub struct UniqueIds {
    tenants: HashMap<String, ()>,
    tokens: HashMap<TokenDigest, String>,
    /// By field name and value.
    ids: HashMap<(&'static str, String), String>,
}

impl UniqueIds {
    /// Creates a set that contains the administrator's token only: none, the one in force, or also the one that will be.
    pub fn new(admin_tokens: impl IntoIterator<Item = TokenDigest>) -> Self {
        let mut unique_ids = UniqueIds::default();
        let tokens = admin_tokens.into_iter().map(|token| (token, "the administrator".to_owned()));
        unique_ids.tokens.extend(tokens);
        unique_ids
    }

    /// Claims everything of `tenant` that must be unique: its name, tokens and `sid`, and its senders' names, tokens,
    /// `number`s, `bot_id`s and `phone_number_id`s. Returns a problem for each that is in use already. `place` is the
    /// tenant's place.
    pub fn claim(&mut self, tenant: &TenantConfig, place: &FieldPath) -> Vec<Problem> {
        let mut problems = Vec::new();
        let id = &tenant.id;
        if self.tenants.insert(id.to_string(), ()).is_some() {
            let what = format!("there are two tenants {id}; give one another id, or merge them");
            problems.push(Problem::conflict(place.key("id"), what));
        }
        problems.extend(self.take_tokens(&tenant.tokens, &format!("tenant {id}"), place));
        problems.extend(self.take("sid", tenant.sid.clone(), &format!("tenant {id}"), place));
        for (index, sender) in tenant.senders.iter().enumerate() {
            let place = place.key("senders").index(index);
            let owner = format!("sender {} of tenant {id}", sender.id);
            if tenant.senders[..index].iter().any(|other| other.id == sender.id) {
                let what = format!("tenant {id} has two senders {}; give one another id", sender.id);
                problems.push(Problem::conflict(place.key("id"), what));
            }
            problems.extend(self.take_tokens(&sender.tokens, &owner, &place));
            let number = sender.number.map(|number| number.digits().to_string());
            problems.extend(self.take("number", number, &owner, &place));
            problems.extend(self.take("bot_id", sender.bot_id.clone(), &owner, &place));
            problems.extend(self.take("phone_number_id", sender.phone_number_id.clone(), &owner, &place));
        }
        problems
    }

    fn take_tokens(&mut self, tokens: &[TokenDigest], owner: &str, place: &FieldPath) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            if let Some(owner) = self.tokens.insert(*token, owner.to_owned()) {
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
        owner: &str,
        place: &FieldPath,
    ) -> Option<Problem> {
        let other = self.ids.insert((field, value?), owner.to_owned())?;
        let what = format!(
            "{other} has this {field} already; it says whom a message is for, so it can belong to one only"
        );
        Some(Problem::conflict(place.key(field), what))
    }
}
