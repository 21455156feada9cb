//! The tokens in settings: mistakes in them, with their places, and what two of them must not have in common.

use std::collections::HashSet;

use portcullis_api::Token;
use portcullis_api::settings::Secret;
use portcullis_tokens::{AdminTokens, Bearer, Mistake, TokenConfig, too_many};

use super::problem::{FieldPath, Problem};
use super::tenant::TenantConfig;

/// The problem with a token at this place.
pub(crate) fn problem_of(mistake: Mistake, place: &FieldPath) -> Problem {
    let place = FieldPath(place.0.iter().copied().chain(mistake.place).collect());
    Problem { place, what: mistake.what, conflict: mistake.is_conflict }
}

/// Validates the tokens of a tenant or sender, each by itself, and adds each mistake to `problems`. `place` is the place of the list.
pub(super) fn tokens(typed: &[Token], place: &FieldPath, problems: &mut Vec<Problem>) -> Vec<TokenConfig> {
    let mut tokens = Vec::with_capacity(typed.len());
    for (index, token) in typed.iter().enumerate() {
        match TokenConfig::check(token, Bearer::Client) {
            Ok(token) => tokens.push(token),
            Err(mistakes) => {
                let place = place.index(index);
                problems.extend(mistakes.into_iter().map(|mistake| problem_of(mistake, &place)));
            }
        }
    }
    tokens
}

/// Validates `admin_token` and `admin_tokens`, and adds each mistake to `problems`. `place` is the place of `[server]`.
pub fn admin_tokens(
    one: Option<&Secret>,
    more: &[Token],
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> AdminTokens {
    AdminTokens::check(one, more).unwrap_or_else(|mistakes| {
        problems.extend(mistakes.into_iter().map(|mistake| problem_of(mistake, place)));
        AdminTokens::default()
    })
}

/// The lists of tokens of a tenant and its senders, with the places of these lists. `place` is the tenant's place.
fn lists<'a>(
    tenant: &'a TenantConfig,
    place: &FieldPath,
) -> impl Iterator<Item = (&'a [TokenConfig], FieldPath)> {
    let senders = place.key("senders");
    let of_sender = move |(index, sender): (usize, &'a super::SenderConfig)| {
        (sender.tokens.as_slice(), senders.index(index).key("tokens"))
    };
    let own = (tenant.tokens.as_slice(), place.key("tokens"));
    std::iter::once(own).chain(tenant.senders.iter().enumerate().map(of_sender))
}

/// The names that two tokens of the tenant have. `place` is the tenant's place.
pub(super) fn twice_named(tenant: &TenantConfig, place: &FieldPath) -> Vec<Problem> {
    let mut known = HashSet::new();
    let mut problems = Vec::new();
    for (tokens, place) in lists(tenant, place) {
        for (index, token) in tokens.iter().enumerate() {
            if let Some(name) = &token.name
                && !known.insert(name)
            {
                let what = format!(
                    "another token of the tenant is named {name} already; give each a name of its own"
                );
                problems.push(Problem::conflict(place.index(index).key("name"), what));
            }
        }
    }
    problems
}

/// The lists of tokens that are too long to be set up now. Not checked of settings that are stored already. `place` is the tenant's place.
pub fn too_many_tokens(tenant: &TenantConfig, place: &FieldPath) -> Vec<Problem> {
    let lists = lists(tenant, place);
    lists.filter_map(|(tokens, place)| too_many(tokens.len()).map(|what| Problem::new(place, what))).collect()
}
