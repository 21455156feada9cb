//! Messages that the lists let pass: whether the tenant's rules do.

use std::cell::Cell;
use std::sync::Arc;

use portcullis_entries::Identity;
use portcullis_ledger::Scope;
use portcullis_msisdn::ReservedId;
use portcullis_rules::{Asking, Busy, Message, Party, Reservation, Rules, Stop, Within};
use portcullis_tenant_settings::OnFailure;

use super::List;
use super::check::{AnsweredBy, CheckError, Obstacle};
use crate::error::WriteError;

/// The most people about whom rules are asked on a thread that must not be held up: some ten microseconds.
const MAX_AT_ONCE: usize = 256;

impl List {
    /// Whether the tenant has rules. Costs some nanoseconds.
    #[inline]
    pub fn has_rules(&self) -> bool {
        self.tenant.rules.is_any()
    }

    /// Asks the tenant's rules about a message to or from each of these people, whom the lists let pass. Returns what stops each, in order,
    /// and whether the rules answered or, for any of the people, the failure policy. Counts no message: see [`reserve`](Self::reserve).
    ///
    /// Answers on this thread if that takes microseconds, else on one that may block, in turn with the tenant's checks. If the rules don't
    /// answer within the engine's [patience](crate::Builder::check_patience), the tenant's failure policy does, for which
    /// [`OnFailure::Ledger`] lets messages pass, as the ledger knows of no rules.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn ask_rules(
        &self,
        identities: Vec<Identity>,
        message: Message,
    ) -> Result<(Vec<Option<Stop>>, AnsweredBy), CheckError> {
        let Some(rules) = self.tenant.rules.serving() else {
            return Ok((vec![None; identities.len()], AnsweredBy::Plugin));
        };
        let obstacle = match self.parties_at_once(&identities) {
            Some(parties) if parties.len() <= MAX_AT_ONCE => {
                match self.ask(&rules, &parties, &message, Within::AnInstant) {
                    Ok(answer) => return Ok(answer),
                    Err(Busy) => Obstacle::Busy,
                }
            }
            _ => Obstacle::Disk,
        };
        let (list, people, of_call) = (self.clone(), identities.len(), Arc::clone(&rules));
        let call = move || {
            let parties = list.parties(&identities, false)?;
            list.ask(&of_call, &parties, &message, Within::CallsOfOthers).map_err(|Busy| CheckError::Overdue)
        };
        match self.in_turn(obstacle, call).await {
            Some(answer) => answer,
            None => Ok((vec![rules.overdue(self.stops_on_failure()); people], AnsweredBy::Policy)),
        }
    }

    /// Asks the tenant's rules about a message to or from one person, whom the lists let pass, and counts it. Each of the names is asked about,
    /// and those of one person count once. If a rule stops the message, it is not counted. Otherwise call
    /// [`set_out`](Reservation::set_out) when it is sent.
    ///
    /// A user id that was never named is stored, so that its messages are counted. Answers as [`ask_rules`](Self::ask_rules) does; a message
    /// about which the failure policy decides is not counted.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn reserve(
        &self,
        identities: Vec<Identity>,
        message: Message,
    ) -> Result<Result<Reservation, Stop>, CheckError> {
        let Some(rules) = self.tenant.rules.serving() else { return Ok(Ok(Reservation::default())) };
        let obstacle = match self.parties_at_once(&identities) {
            Some(parties) => match rules.reserve(&parties, &message, self.asking(Within::AnInstant)) {
                Ok(answer) => return Ok(answer),
                Err(Busy) => Obstacle::Busy,
            },
            None => Obstacle::Disk,
        };
        let (list, of_call) = (self.clone(), Arc::clone(&rules));
        let call = move || list.reserve_with(&of_call, &identities, &message);
        match self.in_turn(obstacle, call).await {
            Some(answer) => answer,
            None => {
                Ok(rules.overdue(self.stops_on_failure()).map_or_else(|| Ok(Reservation::default()), Err))
            }
        }
    }

    /// The blocking form of [`reserve`](Self::reserve). Waits for as long as the calls of others to the rules take.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn blocking_reserve(
        &self,
        identities: &[Identity],
        message: Message,
    ) -> Result<Result<Reservation, Stop>, CheckError> {
        match self.tenant.rules.serving() {
            Some(rules) => self.reserve_with(&rules, identities, &message),
            None => Ok(Ok(Reservation::default())),
        }
    }

    fn reserve_with(
        &self,
        rules: &Rules,
        identities: &[Identity],
        message: &Message,
    ) -> Result<Result<Reservation, Stop>, CheckError> {
        let parties = self.parties(identities, true)?;
        let answer = rules.reserve(&parties, message, self.asking(Within::CallsOfOthers));
        answer.map_err(|Busy| CheckError::Overdue)
    }

    fn ask(
        &self,
        rules: &Rules,
        parties: &[Party],
        message: &Message,
        within: Within,
    ) -> Result<(Vec<Option<Stop>>, AnsweredBy), Busy> {
        let by_policy = Cell::new(false);
        let asking = Asking { by_policy: Some(&by_policy), ..self.asking(within) };
        let stops = rules.ask(parties, message, asking)?;
        Ok((stops, if by_policy.get() { AnsweredBy::Policy } else { AnsweredBy::Plugin }))
    }

    fn asking(&self, within: Within) -> Asking<'_> {
        let sender = match self.scope() {
            Scope::Sender(sender) => Some(sender.as_str()),
            Scope::Tenant => None,
        };
        Asking { sender, within, is_closed: self.stops_on_failure(), by_policy: None }
    }

    fn stops_on_failure(&self) -> bool {
        self.on_failure() == OnFailure::Closed
    }

    /// `None` if the ledger has to be asked for a user id.
    fn parties_at_once(&self, identities: &[Identity]) -> Option<Vec<Party>> {
        let mut parties = Vec::with_capacity(identities.len());
        for identity in identities {
            let Identity::Number(number) = *identity else { return None };
            let person = self.permutation().person(number);
            parties.push(Party { subject: person.first(), key: person.key(), number: Some(number) });
        }
        Some(parties)
    }

    /// Blocks for user ids.
    fn parties(&self, identities: &[Identity], stores: bool) -> Result<Vec<Party>, CheckError> {
        if let Some(parties) = self.parties_at_once(identities) {
            return Ok(parties);
        }
        let mut parties = Vec::with_capacity(identities.len());
        for identity in identities {
            let person = match stores {
                true => Some(self.ensure_person(identity).map_err(not_stored)?),
                false => self.person(identity)?,
            };
            let number = match identity {
                Identity::Number(number) => Some(*number),
                Identity::User(_) => None,
            };
            // Nobody has counted messages of one that was never named.
            let nobody = || self.permutation().reserved(ReservedId::MAX);
            let (subject, key) = match person {
                Some(person) => (person.first(), person.key()),
                None => (nobody(), nobody()),
            };
            parties.push(Party { subject, key, number });
        }
        Ok(parties)
    }
}

fn not_stored(error: WriteError) -> CheckError {
    match error {
        WriteError::NotServed(error) => error.into(),
        WriteError::Ledger(error) => error.into(),
        _ => CheckError::Cancelled,
    }
}
