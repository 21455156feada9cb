//! Rounds of background work that tenants share equally.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use portcullis_keys::TenantId;

/// Rounds of background work on the lists of tenants. Tenants share the time equally, so that one whose plugin is slow, which takes long for
/// each of its lists, does not postpone the others' by more than one of these.
///
/// A plain value without a clock: the caller says what a list took.
#[derive(Debug, Default)]
pub struct Rounds {
    accounts: HashMap<TenantId, Account>,
    /// The least that a tenant had taken which waited, at the last turn. Who did not wait meanwhile has saved nothing up.
    least: Duration,
}

/// What a tenant has had.
#[derive(Debug, Default)]
struct Account {
    /// The time that it has taken.
    taken: Duration,
    /// The place among its lists where its next turn begins.
    place: usize,
}

impl Rounds {
    /// Has the tenants that wait take turns until `budget` is spent. `work` does the work on the next list of a tenant, from the place that it
    /// gets and moves on, and returns what that took; `None` if there is none.
    pub fn round<'a>(
        &mut self,
        waiting: impl Iterator<Item = &'a TenantId>,
        budget: Duration,
        mut work: impl FnMut(&TenantId, &mut usize) -> Option<Duration>,
    ) {
        let least = self.least;
        let mut queue: BTreeSet<(Duration, &TenantId)> = waiting
            .map(|id| {
                let account = self.accounts.entry(id.clone()).or_default();
                account.taken = account.taken.max(least);
                (account.taken, id)
            })
            .collect();
        let mut spent = Duration::ZERO;
        while spent < budget
            && let Some((taken, id)) = queue.pop_first()
        {
            self.least = taken;
            let Some(account) = self.accounts.get_mut(id) else { continue };
            let Some(took) = work(id, &mut account.place) else { continue };
            account.taken = taken + took;
            spent += took;
            queue.insert((account.taken, id));
        }
    }

    /// Forgets tenants that are no longer there.
    pub fn forget_others(&mut self, is_there: impl Fn(&TenantId) -> bool) {
        self.accounts.retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(2);
    const SLOW: Duration = Duration::from_millis(240);
    const FAST: Duration = Duration::from_micros(200);

    fn id(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    /// Has tenants with so many lists, all of which wait, take turns in `times` rounds. Returns whose lists were verified, in order.
    fn verified(
        rounds: &mut Rounds,
        tenants: &[(&TenantId, usize, Duration)],
        times: usize,
    ) -> Vec<(TenantId, usize)> {
        let mut verified = Vec::new();
        for _ in 0..times {
            rounds.round(tenants.iter().map(|(id, ..)| *id), BUDGET, |id, place| {
                let (_, lists, took) = tenants.iter().find(|(other, ..)| *other == id).unwrap();
                verified.push((id.clone(), *place % lists));
                *place = *place % lists + 1;
                Some(*took)
            });
        }
        verified
    }

    #[test]
    fn a_tenant_waits_for_one_slow_list_of_another_and_not_for_all_of_them() {
        let (a, b) = (id("a"), id("b"));
        let (slow, lying) = ((&a, 100, SLOW), (&b, 1, FAST));
        let mut rounds = Rounds::default();
        assert_eq!(verified(&mut rounds, &[slow, lying], 2).last(), Some(&(b.clone(), 0)));
        // Also if it was not checked for long.
        assert!(verified(&mut rounds, &[slow], 50).iter().all(|(id, _)| *id == a));
        let both = verified(&mut rounds, &[slow, lying], 2);
        assert!(both.iter().any(|(id, _)| *id == b), "{both:?}");
        // It is not owed for the time in which it had nothing to verify.
        let both = verified(&mut rounds, &[slow, lying], 200);
        assert!(both.iter().any(|(id, _)| *id == a), "{both:?}");
    }

    #[test]
    fn a_tenant_s_lists_take_turns() {
        let (a, b) = (id("a"), id("b"));
        let mut rounds = Rounds::default();
        let verified = verified(&mut rounds, &[(&a, 3, SLOW), (&b, 1, SLOW)], 8);
        let of_a: Vec<usize> = verified.iter().filter(|(id, _)| *id == a).map(|(_, list)| *list).collect();
        assert_eq!(of_a, [0, 1, 2, 0]);
    }

    #[test]
    fn tenants_that_are_gone_are_forgotten() {
        let (a, mut rounds) = (id("a"), Rounds::default());
        verified(&mut rounds, &[(&a, 1, FAST)], 1);
        rounds.forget_others(|_| false);
        assert!(rounds.accounts.is_empty());
    }
}
