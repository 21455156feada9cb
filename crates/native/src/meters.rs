//! `/admin/tenants/{tenant}/meters`: what a tenant's rules count.

use portcullis_api::{Channel, CountAnswer, MeterAnswer, MetersAnswer, Purpose};
use portcullis_engine::meters::{Count, Key, Kind, Kinds, Scope, Unit};
use portcullis_engine::{MeterStatus, TenantMeters};
use portcullis_msisdn::{Permutation, Revealed, Subject};
use serde::Deserialize;

use portcullis_edge::gateway::{AdminError, Gateway};
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::wire;

/// How many counts of each meter are shown, if the client does not say.
const USUAL: usize = 20;
/// The most.
const MOST: usize = 1000;
/// The most leading digits that are shown: more may be a number.
const SHOWN_DIGITS: usize = 6;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shown {
    most: Option<usize>,
}

pub(super) async fn show(Admin(gateway): Admin, named: Named, Query(query): Query<Shown>) -> Answer {
    let most = query.most.unwrap_or(USUAL);
    if most > MOST {
        return Err(ApiError::invalid_request("most", "must be at most 1000"));
    }
    blocking(move || meters_of(&gateway, &named.tenant, most)).await
}

fn meters_of(gateway: &Gateway, name: &str, most: usize) -> Answer {
    let id = name.parse().map_err(|_| AdminError::UnknownTenant)?;
    let meters = gateway.engine.blocking_meters(&id, most).map_err(AdminError::from)?;
    let list = gateway.engine.tenant_list(name).map_err(AdminError::from)?;
    let meters = meters.map_or_else(
        || MetersAnswer {
            tenant: name.to_owned(),
            memory_bytes: 0,
            memory_limit_bytes: 0,
            counters: 0,
            uncounted: 0,
            unmerged: 0,
            meters: Vec::new(),
        },
        |meters| answer_of(name, &meters, list.permutation()),
    );
    Ok(answer::to_operator(&gateway.pools.answers, &meters)?)
}

fn answer_of(name: &str, meters: &TenantMeters, permutation: &Permutation) -> MetersAnswer {
    let TenantMeters { usage, meters, .. } = meters;
    MetersAnswer {
        tenant: name.to_owned(),
        memory_bytes: usage.bytes as u64,
        memory_limit_bytes: usage.limit as u64,
        counters: usage.counters as u64,
        uncounted: usage.uncounted,
        unmerged: usage.unmerged,
        meters: meters.iter().map(|status| meter(status, permutation)).collect(),
    }
}

fn meter(status: &MeterStatus, permutation: &Permutation) -> MeterAnswer {
    let MeterStatus { meter, rules, highest, .. } = status;
    let (scope, digits) = match meter.scope {
        Scope::Tenant => ("tenant", None),
        Scope::Subject => ("subject", None),
        Scope::Sender => ("sender", None),
        Scope::Country => ("country", None),
        Scope::Prefix(digits) => ("prefix", Some(digits.get())),
    };
    let count = |(count, sender): &(Count, Option<String>)| CountAnswer {
        of: sender.clone().unwrap_or_else(|| of(count.key, meter.scope, permutation)),
        count: count.count,
    };
    MeterAnswer {
        rules: rules.clone(),
        scope: scope.to_owned(),
        digits,
        unit: match meter.unit {
            Unit::Messages => "messages",
            Unit::Segments => "segments",
        }
        .to_owned(),
        window_seconds: meter.window.as_seconds(),
        directions: wire::directions(meter.directions),
        channels: kinds(meter.channels, &CHANNELS),
        purposes: kinds(meter.purposes, &PURPOSES),
        highest: highest.iter().map(count).collect(),
    }
}

/// In the order of the contract.
const CHANNELS: [Channel; 6] =
    [Channel::Other, Channel::Sms, Channel::Mms, Channel::Rcs, Channel::Whatsapp, Channel::Voice];
/// In the order of the contract.
const PURPOSES: [Purpose; 5] =
    [Purpose::Unknown, Purpose::Authentication, Purpose::Utility, Purpose::Marketing, Purpose::Service];

fn kinds<T: Copy>(counted: Kinds, all: &[T]) -> Vec<T> {
    let is_counted = |index: u8| Kind::new(index).is_some_and(|kind| counted.contain(kind));
    (0..).zip(all).filter(|(index, _)| is_counted(*index)).map(|(_, kind)| *kind).collect()
}

/// What a count is of, without a number.
fn of(key: Key, scope: Scope, permutation: &Permutation) -> String {
    let person = |subject: u64| match Subject::new(subject).map(|subject| permutation.reveal(subject)) {
        Some(Revealed::Number(number)) => number.masked().to_string(),
        _ => "not a number".to_owned(),
    };
    match (key, scope) {
        (Key::Without, _) => "none".to_owned(),
        (Key::Person(subject), _) | (Key::Value(subject), Scope::Subject) => person(subject),
        (Key::Value(_), Scope::Tenant) => "all".to_owned(),
        (Key::Value(_), Scope::Sender) => "a sender that is no longer there".to_owned(),
        (Key::Value(country), Scope::Country) => {
            let letters = u16::try_from(country).unwrap_or_default().to_be_bytes();
            letters
                .map(|letter| if letter.is_ascii_uppercase() { char::from(letter) } else { '?' })
                .iter()
                .collect()
        }
        (Key::Value(digits), Scope::Prefix(_)) => {
            let digits = digits.to_string();
            match digits.get(..SHOWN_DIGITS).filter(|shown| shown.len() < digits.len()) {
                Some(shown) => format!("{shown}{}", "*".repeat(digits.len() - SHOWN_DIGITS)),
                None => digits,
            }
        }
    }
}
