//! Shadow runs of a tenant's candidates, each on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use portcullis_host::{EntrySource, ShadowRun, ShadowTarget, ShadowVerdict, Stage, Ticket, at_low_priority};
use tracing::{info, warn};

use super::Reload;
use super::error::ReloadError;
use super::record::ShadowReport;
use super::request::{Reloaded, ShadowTerms};

/// How long a run waits for a check before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(20);

impl Reload {
    /// Has the candidates answer beside the generations that serve.
    pub(super) fn shadow(self: &Arc<Self>, ticket: Ticket) {
        let inner = self.inner();
        let epoch = inner.epoch;
        let Some(candidates) = &inner.candidates else { return };
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
        drop(inner);
        // Without the lock, for which a check waits that finds a fault: this waits for writes that are being applied.
        let run = ShadowRun::begin(understudies);
        {
            let mut inner = self.inner();
            if inner.epoch != epoch || inner.machine.stage() != Stage::Shadowing {
                // It is over before it began. The call that ended it has answered. Ending the run waits for writes, too.
                drop(inner);
                drop(run);
                return;
            }
            inner.answer(Ok(Reloaded::Shadows));
            inner.record.shadow = Some(ShadowReport { terms, tally: run.tally().clone(), lists });
        }
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
                        tenant = %self.tenant, kind = error.kind(), error = error.reason(),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use parking_lot::Mutex;
    use portcullis_host::{Census, Change, Directions, Entry, ShadowPlan, SourceError, Subject};

    use super::*;
    use crate::ReloadRequest;
    use crate::live::FaultListener;
    use crate::testing::engine_of_acme;

    const LONG: Duration = Duration::from_secs(60);

    /// A source that says when it is read, and has no answer before it is told to.
    struct Busy(Mutex<(mpsc::Sender<()>, mpsc::Receiver<()>)>);

    impl EntrySource for Busy {
        fn census(&self) -> Result<Census, SourceError> {
            Ok(Census::default())
        }

        fn members(&self, _: Option<Subject>, _: usize) -> Result<Vec<Entry>, SourceError> {
            Ok(Vec::new())
        }

        fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, SourceError> {
            Ok(vec![Directions::NONE; subjects.len()])
        }

        fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
            let (began, end) = &*self.0.lock();
            began.send(())?;
            let _ = end.recv();
            Ok(Vec::new())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_fault_does_not_wait_for_a_write_that_the_beginning_of_a_run_waits_for() {
        let (_dir, engine, list) = engine_of_acme().await;
        let ((began, has_begun), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let blacklist = Arc::clone(list.own.blacklist());
        let write = std::thread::spawn(move || blacklist.catch_up(&Busy(Mutex::new((began, ended)))));
        has_begun.recv_timeout(LONG).unwrap();

        let terms = ShadowTerms { plan: ShadowPlan { checks: None, max_disagreements: 0 }, time: None };
        let reloading = engine.clone();
        let reload =
            tokio::spawn(
                async move { reloading.reload("acme", ReloadRequest::newest().shadow(terms)).await },
            );
        // The tenant-wide list is the first one. The other one is being written.
        let wide = Arc::clone(list.wide.as_ref().unwrap().blacklist());
        tokio::time::timeout(LONG, async {
            while !wide.is_shadowed() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        let (listener, (handled, is_handled)) = (Arc::clone(&list.tenant.reload), mpsc::channel());
        std::thread::spawn(move || handled.send(listener.fault("support", "trapped", "it trapped")));
        let is_handled = is_handled.recv_timeout(LONG);
        assert!(!write.is_finished());
        drop(end);
        assert_eq!(is_handled, Ok(false), "it is not the candidate's, and nobody waits for it");
        write.join().unwrap().unwrap();
        assert_eq!(reload.await.unwrap().unwrap(), Reloaded::Shadows);
        engine.close().await.unwrap();
    }
}
