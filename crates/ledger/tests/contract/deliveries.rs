//! What is done once: deliveries, and confirmations of opt-outs.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use portcullis_ledger::{Claim, ClaimId, DeliveryKey, Ledger, LedgerError};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixture::{list, sender, subject, tenant};
use crate::ledger_dir::LedgerDir;

const LONG: Duration = Duration::from_secs(3600);

fn key(number: u8) -> DeliveryKey {
    DeliveryKey([number; 16])
}

/// Claims these for an hour.
fn claim(ledger: &Ledger, keys: &[u8]) -> (ClaimId, Vec<Claim>) {
    claim_for(ledger, keys, LONG)
}

fn claim_for(ledger: &Ledger, keys: &[u8], lasting: Duration) -> (ClaimId, Vec<Claim>) {
    let keys: Vec<DeliveryKey> = keys.iter().map(|number| key(*number)).collect();
    let claims = ledger.deliveries().claim(&keys, lasting).unwrap();
    (claims.id, claims.each)
}

#[test]
fn a_delivery_is_one_claimant_s_until_it_is_given_up_and_nobody_s_once_it_is_made() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (first, granted) = claim(&ledger, &[2, 1]);
    assert_eq!(granted, [Claim::Granted, Claim::Granted]);
    let (second, granted) = claim(&ledger, &[3, 2]);
    assert_eq!(granted, [Claim::Granted, Claim::Pending]);
    ledger.deliveries().release(&[key(2), key(3)], second).unwrap();
    assert_eq!(claim(&ledger, &[3, 2]).1, [Claim::Granted, Claim::Pending]);
    ledger.deliveries().finish(&[key(1)]).unwrap();
    ledger.deliveries().release(&[key(1), key(2)], first).unwrap();
    assert_eq!(claim(&ledger, &[1, 2]).1, [Claim::Done, Claim::Granted]);
    // Of what nobody claimed, somebody may say that it was made.
    ledger.deliveries().finish(&[key(9), key(2)]).unwrap();
    assert_eq!(claim(&ledger, &[9, 2, 1]).1, [Claim::Done; 3]);
    assert_eq!(claim(&ledger, &[]).1, []);
}

#[test]
fn another_takes_over_what_was_claimed_too_long_ago() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (late, granted) = claim_for(&ledger, &[1], Duration::ZERO);
    assert_eq!(granted, [Claim::Granted]);
    assert_eq!(claim(&ledger, &[1]).1, [Claim::Granted]);
    ledger.deliveries().release(&[key(1)], late).unwrap();
    assert_eq!(claim(&ledger, &[1]).1, [Claim::Pending], "it was no longer the first one's to give up");
    ledger.deliveries().finish(&[key(1)]).unwrap();
    assert_eq!(claim(&ledger, &[1]).1, [Claim::Done], "made is made, by the one or the other");
}

#[test]
fn the_same_delivery_twice_in_a_call_is_one() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let (id, granted) = claim(&ledger, &[1, 1]);
    assert_eq!(granted, [Claim::Granted; 2]);
    ledger.deliveries().release(&[key(1), key(1)], id).unwrap();
    ledger.deliveries().finish(&[key(1), key(1)]).unwrap();
    assert_eq!(claim(&ledger, &[1, 1]).1, [Claim::Done; 2]);
}

#[test]
fn of_many_at_the_same_time_one_is_granted_each_delivery() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    for round in 0..10 {
        // In orders that would wait for each other.
        let granted: Vec<Vec<(u8, Claim)>> = thread::scope(|scope| {
            let claimants: Vec<_> = (0..8)
                .map(|nth| {
                    let ledger = &ledger;
                    scope.spawn(move || {
                        let mut keys: Vec<u8> = (10 * round..10 * round + 10).collect();
                        keys.rotate_left(nth);
                        let granted = claim(ledger, &keys).1;
                        keys.into_iter().zip(granted).collect()
                    })
                })
                .collect();
            claimants.into_iter().map(|claimant| claimant.join().unwrap()).collect()
        });
        let granted = granted.iter().flatten().filter(|(_, claim)| *claim == Claim::Granted);
        let mut keys: Vec<u8> = granted.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, (10 * round..10 * round + 10).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_delivered_is_known_after_a_restart() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    ledger.deliveries().finish(&[key(1), key(2)]).unwrap();
    let bot = list(&ledger);
    bot.remember_message(subject(7), "wamid.1").unwrap();
    ledger.deliveries().keep_deliveries().unwrap();
    drop((bot, ledger));
    let ledger = dir.ledger();
    ledger.deliveries().trim_deliveries().unwrap();
    assert_eq!(claim(&ledger, &[1, 2, 3]).1, [Claim::Done, Claim::Done, Claim::Granted]);
    assert!(list(&ledger).remembers_message(subject(7), "wamid.1").unwrap());
}

#[test]
fn a_message_is_known_by_its_id_its_author_and_its_list() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let bot = list(&ledger);
    assert!(!bot.remembers_message(subject(7), "1").unwrap());
    bot.remember_message(subject(7), "1").unwrap();
    bot.remember_message(subject(7), "1").unwrap();
    assert!(bot.remembers_message(subject(7), "1").unwrap());
    assert!(!bot.remembers_message(subject(8), "1").unwrap());
    assert!(!bot.remembers_message(subject(7), "2").unwrap());
    let others = [("acme", "desk"), ("globex", "bot")];
    for (owner, name) in others {
        let other = ledger.list(&tenant(owner), sender(name)).unwrap();
        assert!(!other.remembers_message(subject(7), "1").unwrap(), "{owner} {name}");
    }
}

#[test]
fn one_confirmation_can_be_taken_in_time() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let bot = list(&ledger);
    let who = subject(7);
    assert!(!bot.take_confirmation(who).unwrap());
    bot.allow_confirmation(who, LONG).unwrap();
    assert!(!bot.take_confirmation(subject(8)).unwrap());
    assert!(bot.take_confirmation(who).unwrap());
    assert!(!bot.take_confirmation(who).unwrap());
    bot.renew_confirmation(who, LONG).unwrap();
    assert!(!bot.take_confirmation(who).unwrap(), "one has gone out");
    bot.allow_confirmation(who, Duration::ZERO).unwrap();
    assert!(!bot.take_confirmation(who).unwrap(), "it is too late");
    bot.renew_confirmation(who, LONG).unwrap();
    let desk = ledger.list(&tenant("acme"), sender("desk")).unwrap();
    assert!(!desk.take_confirmation(who).unwrap());
    ledger.deliveries().trim_deliveries().unwrap();
    drop((bot, desk, ledger));
    let bot = list(&dir.ledger());
    assert!(bot.take_confirmation(who).unwrap(), "nobody had heard of it in time");
    bot.allow_confirmation(who, LONG).unwrap();
    bot.withdraw_confirmation(who).unwrap();
    bot.withdraw_confirmation(who).unwrap();
    assert!(!bot.take_confirmation(who).unwrap());
}

#[test]
fn of_many_at_the_same_time_one_takes_the_confirmation() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let bot = list(&ledger);
    for _ in 0..20 {
        bot.allow_confirmation(subject(7), LONG).unwrap();
        let taken = thread::scope(|scope| {
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| bot.take_confirmation(subject(7)))).collect();
            takers.into_iter().map(|taker| taker.join().unwrap().unwrap()).filter(|taken| *taken).count()
        });
        assert_eq!(taken, 1);
    }
}

#[test]
fn confirmations_go_with_their_tenant() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let bot = list(&ledger);
    bot.allow_confirmation(subject(7), LONG).unwrap();
    ledger.forget_tenant(&tenant("acme")).unwrap();
    assert!(!bot.take_confirmation(subject(7)).unwrap());
    let refused = bot.allow_confirmation(subject(7), LONG).unwrap_err();
    assert!(matches!(refused, LedgerError::TenantForgotten), "{refused}");
    bot.renew_confirmation(subject(7), LONG).unwrap();
    bot.withdraw_confirmation(subject(7)).unwrap();
    assert!(!bot.take_confirmation(subject(7)).unwrap(), "nothing is stored for a tenant who is gone");
}

/// What somebody does.
#[derive(Clone, Debug)]
enum Deed {
    Claim {
        keys: Vec<u8>,
        ends: bool,
    },
    Finish(Vec<u8>),
    /// Of the claim with this position, as far as there are any.
    Release(Vec<u8>, usize),
    Keep,
    Allow {
        who: u64,
        ends: bool,
    },
    Renew {
        who: u64,
        ends: bool,
    },
    Take(u64),
    Withdraw(u64),
    Trim,
}

fn deed() -> impl Strategy<Value = Deed> {
    let keys = || vec(0_u8..4, 1..4);
    let who = 1_u64..4;
    prop_oneof![
        4 => (keys(), any::<bool>()).prop_map(|(keys, ends)| Deed::Claim { keys, ends }),
        1 => keys().prop_map(Deed::Finish),
        2 => (keys(), any::<usize>()).prop_map(|(keys, nth)| Deed::Release(keys, nth)),
        1 => Just(Deed::Keep),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, ends)| Deed::Allow { who, ends }),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, ends)| Deed::Renew { who, ends }),
        3 => who.clone().prop_map(Deed::Take),
        1 => who.prop_map(Deed::Withdraw),
        1 => Just(Deed::Trim),
    ]
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    ClaimedBy(usize),
    Done,
}

fn lasting(ends: bool) -> Duration {
    if ends { Duration::ZERO } else { LONG }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_done_once_is_as_in_the_model(deeds in vec(deed(), 1..60)) {
        let dir = LedgerDir::new();
        let ledger = dir.ledger();
        let bot = list(&ledger);
        let mut fates: HashMap<u8, Fate> = HashMap::new();
        let mut claims: Vec<ClaimId> = Vec::new();
        // Whether the time of each is to come.
        let mut confirmations: HashMap<u64, bool> = HashMap::new();
        for deed in deeds {
            match deed {
                Deed::Claim { keys, ends } => {
                    let (id, each) = claim_for(&ledger, &keys, lasting(ends));
                    prop_assert!(!claims.contains(&id));
                    claims.push(id);
                    let nth = claims.len() - 1;
                    for (key, claim) in keys.iter().zip(each) {
                        let expected = match fates.get(key) {
                            Some(Fate::Done) => Claim::Done,
                            Some(Fate::ClaimedBy(other)) if *other != nth => Claim::Pending,
                            _ => Claim::Granted,
                        };
                        prop_assert_eq!(claim, expected);
                        if claim == Claim::Granted && !ends {
                            fates.insert(*key, Fate::ClaimedBy(nth));
                        }
                    }
                }
                Deed::Finish(keys) => {
                    ledger.deliveries().finish(&keys.iter().map(|number| key(*number)).collect::<Vec<_>>()).unwrap();
                    fates.extend(keys.into_iter().map(|key| (key, Fate::Done)));
                }
                Deed::Release(keys, nth) => {
                    let Some(nth) = nth.checked_rem(claims.len()) else { continue };
                    let of: Vec<DeliveryKey> = keys.iter().map(|number| key(*number)).collect();
                    ledger.deliveries().release(&of, claims[nth]).unwrap();
                    fates.retain(|key, fate| !keys.contains(key) || *fate != Fate::ClaimedBy(nth));
                }
                Deed::Keep => ledger.deliveries().keep_deliveries().unwrap(),
                Deed::Allow { who, ends } => {
                    bot.allow_confirmation(subject(who), lasting(ends)).unwrap();
                    confirmations.insert(who, !ends);
                }
                Deed::Renew { who, ends } => {
                    bot.renew_confirmation(subject(who), lasting(ends)).unwrap();
                    if let Some(is_to_come) = confirmations.get_mut(&who) {
                        *is_to_come = !ends;
                    }
                }
                Deed::Take(who) => {
                    let expected = confirmations.get(&who) == Some(&true);
                    prop_assert_eq!(bot.take_confirmation(subject(who)).unwrap(), expected);
                    if expected {
                        confirmations.remove(&who);
                    }
                }
                Deed::Withdraw(who) => {
                    bot.withdraw_confirmation(subject(who)).unwrap();
                    confirmations.remove(&who);
                }
                Deed::Trim => ledger.deliveries().trim_deliveries().unwrap(),
            }
        }
    }
}
