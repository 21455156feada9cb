//! Shadow runs of a tenant's candidates, each on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use portcullis_host::{EntrySource, ShadowRun, ShadowTarget, ShadowVerdict, Ticket, at_low_priority};
use tracing::{info, warn};

use super::Reload;
use super::error::ReloadError;
use super::record::ShadowReport;
use super::request::{Reloaded, ShadowTerms};
use crate::reason;

/// How long a run waits for a check before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(20);

impl Reload {
    /// Has the candidates answer beside the generations that serve.
    pub(super) fn shadow(self: &Arc<Self>, ticket: Ticket) {
        let mut inner = self.inner();
        let epoch = inner.epoch;
        let Some(candidates) = &mut inner.candidates else { return };
        let Some(terms) = candidates.shadow else { return };
        let understudies = candidates
            .lists
            .iter()
            .map(|list| ShadowTarget {
                list: Arc::clone(list.list.blacklist()),
                source: Arc::clone(list.list.entries()) as Arc<dyn EntrySource + Send + Sync>,
                candidate: Arc::clone(&list.generation),
            })
            .collect();
        let lists = candidates.lists.iter().map(|list| list.list.name().to_owned()).collect();
        let wanted = Arc::clone(&candidates.wanted);
        let run = ShadowRun::begin(understudies);
        inner.answer(Ok(Reloaded::Shadows));
        inner.record.shadow = Some(ShadowReport { terms, tally: run.tally().clone(), lists });
        drop(inner);
        // It is abandoned before the engine waits for it.
        let Ok(operation) = self.context.lifecycle.begin() else { return };
        let reload = Arc::clone(self);
        let thread = std::thread::Builder::new().name("portcullis-shadow".to_owned());
        let begun = thread.spawn(move || {
            let _operation = operation;
            let refused = at_low_priority(|| reload.run(run, terms, || wanted.load(Ordering::Acquire)));
            if let Some(refused) = refused {
                reload.shadow_over(epoch, ticket, refused.err());
            }
        });
        if let Err(error) = begun {
            self.shadow_over(epoch, ticket, Some(ReloadError::Thread(error)));
        }
    }

    /// Runs to the end. Returns whether the candidates may serve, or why not; `None` if they are no longer wanted.
    fn run(
        &self,
        mut run: ShadowRun,
        terms: ShadowTerms,
        is_wanted: impl Fn() -> bool,
    ) -> Option<Result<(), ReloadError>> {
        let start = Instant::now();
        while is_wanted() {
            let tally = match run.compare(PAUSE) {
                Ok(tally) => tally.clone(),
                Err(error) => {
                    warn!(
                        tenant = %self.tenant, kind = error.kind(), error = reason::of_fill(&error),
                        "the plugin failed in its shadow run"
                    );
                    return Some(Err(ReloadError::FailedInShadow(error)));
                }
            };
            let time_is_up = terms.time.is_some_and(|time| start.elapsed() >= time);
            let verdict = terms.plan.verdict(&tally, time_is_up);
            let (compared, disagreements) = (tally.compared, tally.disagreements);
            if let Some(report) = &mut self.inner().record.shadow {
                report.tally = tally;
            }
            match verdict {
                None => {}
                Some(ShadowVerdict::Promote) => {
                    info!(tenant = %self.tenant, compared, disagreements, "the shadow run succeeded: the plugin is promoted");
                    return Some(Ok(()));
                }
                Some(ShadowVerdict::Discard) => {
                    warn!(tenant = %self.tenant, compared, disagreements, "the shadow run failed: the plugin is discarded");
                    let allowed = terms.plan.max_disagreements;
                    return Some(Err(ReloadError::Disagreed { disagreements, compared, allowed }));
                }
            }
        }
        None
    }
}
