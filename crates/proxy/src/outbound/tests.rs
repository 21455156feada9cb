//! Whatever the gate admits is harmless to the most lenient upstream, and every rule is needed for that.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use super::admission::{Expected, Gate, Head};
use super::edges::SendingEdge;
use super::multipart::Scanner;
use super::owners::{Owner, Owners, Reach};
use super::rules::{Rule, Rules};
use super::scanned::Scan as _;
use super::upload::UploadScanner;
use super::{may_pass, recipients};
use portcullis_edge::token::TokenDigest;
use portcullis_edge::vendor::graph;
use portcullis_engine::Identity;
use portcullis_numbers::NumberReader;
use upstream::model::{Harm, harms};
use upstream::{
    BLOCKED, BLOCKED_USER, HELD, OTHER, OTHER_ACCOUNT, OWN, OWN_ACCOUNT, PROMOTION, Raw, SECOND, SENDER,
    TENANT, generator, seeds,
};

#[path = "../../../gateway/tests/upstream/mod.rs"]
mod upstream;

/// Two tenants. The caller's tenant has two senders of one account.
#[derive(Clone, Copy)]
struct Two {
    is_sender: bool,
}

impl Owners for Two {
    fn owner(&self, id: &str) -> Owner {
        match id {
            OWN => Owner::Number,
            SECOND if !self.is_sender => Owner::Number,
            OWN_ACCOUNT if !self.is_sender => Owner::Account,
            SECOND | OWN_ACCOUNT | OTHER | OTHER_ACCOUNT => Owner::Another,
            _ => Owner::Nobody,
        }
    }

    fn reach(&self) -> Reach {
        if self.is_sender { Reach::Sender(Some(OWN.to_owned())) } else { Reach::Tenant }
    }
}

/// Returns the request that is sent upstream, if the gate admits it.
fn onward(request: &Raw, rules: Rules) -> Option<Raw> {
    // The server would reject these before they reach the gate.
    let uri: Uri = request.target.parse().ok()?;
    let method: Method = request.method.parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    if !may_pass(&method, uri.path(), &headers) {
        return None;
    }
    let token = graph::token(&headers, &uri)?;
    let is_sender = token == TokenDigest::of(SENDER.as_bytes());
    if !is_sender && token != TokenDigest::of(TENANT.as_bytes()) {
        return None;
    }
    let owners = Two { is_sender };
    let gate = Gate { owners: &owners, allowed: &[], rules };
    let head = Head { method: &method, path: uri.path(), query: uri.query(), headers: &headers };
    let admitted = gate.admit(head).ok()?;
    let message = gate.check(&admitted.body, &request.body).ok()?;
    match (&admitted.body, message) {
        (Expected::Message(edge), Some(message)) => {
            let people = recipients(&message, NumberReader { default_region: None }, None).ok()?;
            let is_marketing =
                *edge == SendingEdge::MarketingMessages || message.template.as_deref() == Some(PROMOTION);
            let stops = |person: &Identity| match person {
                Identity::User(id) => id.as_str() == BLOCKED_USER,
                Identity::Number(number) => {
                    let digits = number.digits().to_string();
                    digits == BLOCKED || (digits == HELD && is_marketing)
                }
            };
            if people.iter().any(stops) {
                return None;
            }
        }
        (Expected::Multipart(boundary), _) => {
            let mut scanner = Scanner::new(boundary, owners, rules);
            request.body.chunks(7).try_for_each(|chunk| scanner.push(chunk).map(drop)).ok()?;
            scanner.finish().ok()?;
        }
        (Expected::Upload, _) => {
            let mut scanner = UploadScanner::new(rules);
            request.body.chunks(7).try_for_each(|chunk| scanner.push(chunk).map(drop)).ok()?;
            scanner.finish().ok()?;
        }
        _ => {}
    }
    let query = admitted.query.onward(true);
    let separator = if query.is_empty() { "" } else { "?" };
    Some(Raw { target: format!("{}{separator}{query}", admitted.path), ..request.clone() })
}

/// Number of generated requests. `PORTCULLIS_SOAK` selects the long run.
fn cases() -> u32 {
    if std::env::var_os("PORTCULLIS_SOAK").is_some() { 100_000 } else { 4_000 }
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if std::env::var_os("PORTCULLIS_SOAK").is_some() {
        return TestRunner::new(config);
    }
    // Deterministic, so that failures are reproducible.
    TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng())
}

#[test]
fn whatever_passes_is_harmless_to_the_most_lenient_upstream() {
    let passed = std::cell::Cell::new(0);
    let result = runner(cases()).run(&generator::requests(), |request| {
        if let Some(onward) = onward(&request, Rules::ALL) {
            passed.set(passed.get() + 1);
            let harms = harms(&onward);
            proptest::prop_assert!(harms.is_empty(), "{harms:?}: {onward:?}");
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // The test proves nothing if almost everything is rejected.
    assert!(passed.get() > cases() / 20, "{} of {} passed", passed.get(), cases());
}

#[test]
fn what_clients_send_passes_as_it_came() {
    for request in seeds::ordinary() {
        let onward = onward(&request, Rules::ALL);
        assert_eq!(onward.as_ref(), Some(&request), "{request:?}");
    }
}

#[test]
fn what_went_round_the_gate_does_not_pass() {
    for request in seeds::attacks() {
        assert_eq!(onward(&request, Rules::ALL), None, "{request:?}");
    }
}

/// Every rule, with the harm that is possible without it.
const RULES: &[(Rule, Harm)] = &[
    (Rule::PathGrammar, Harm::Batch),
    (Rule::ForeignPath, Harm::Another),
    (Rule::SenderScope, Harm::BeyondSender),
    (Rule::SenderFields, Harm::BeyondSender),
    (Rule::KnownEdges, Harm::Unreadable),
    (Rule::NoBodyToAsk, Harm::Batch),
    (Rule::QueryNames, Harm::Batch),
    (Rule::QueryControls, Harm::Batch),
    (Rule::SendingQuery, Harm::Reaches),
    (Rule::ForeignValues, Harm::Another),
    (Rule::OneCredential, Harm::TwoTokens),
    (Rule::OverrideHeaders, Harm::Method),
    (Rule::PlainBody, Harm::Unreadable),
    (Rule::OneContentType, Harm::Reaches),
    (Rule::DeclaredBody, Harm::Batch),
    (Rule::JsonMessage, Harm::Reaches),
    (Rule::WholeJson, Harm::Reaches),
    (Rule::UniqueMembers, Harm::Reaches),
    (Rule::LookalikeMembers, Harm::Reaches),
    (Rule::ScalarTo, Harm::Reaches),
    (Rule::GroupId, Harm::Reaches),
    (Rule::UserIdShape, Harm::Reaches),
    (Rule::TemplateName, Harm::Marketing),
    (Rule::JsonControls, Harm::Batch),
    (Rule::FormControls, Harm::Batch),
    (Rule::PartNames, Harm::Batch),
    (Rule::PartDelimiters, Harm::Batch),
    (Rule::RawUploads, Harm::Batch),
    (Rule::UploadParameters, Harm::Batch),
];

#[test]
fn without_any_one_of_the_rules_the_generator_finds_what_it_is_for() {
    let mut runner = runner(1);
    let requests = generator::requests();
    let mut missing: Vec<(Rule, Harm)> = RULES.to_vec();
    for _ in 0..100_000 {
        let request = requests.new_tree(&mut runner).unwrap().current();
        missing.retain(|&(rule, harm)| {
            onward(&request, Rules::without(rule)).is_none_or(|onward| !harms(&onward).contains(&harm))
        });
        if missing.is_empty() {
            return;
        }
    }
    panic!("nothing was found without {missing:?}");
}
