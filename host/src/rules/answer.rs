//! Conversion between the generated types and the host's own, with validation of what a plugin returns.

use std::collections::BTreeSet;

use portcullis_msisdn::{Direction, Directions};

use super::decision::{Decision, LONGEST_POSTPONEMENT, Reason};
use super::description::{Description, Need};
use super::message::{Channel, Purpose};
use super::meter::{Meter, Scope, Unit};
use super::set::Element;
use crate::answer::{Breach, is_name, is_version};
use crate::bindings::rules::exports::portcullis::rules::rules as wit;

/// The most bytes of a schema.
const SCHEMA_BYTES: usize = 64 << 10;
/// The most reasons.
const REASONS: usize = 64;

impl Description {
    pub(super) fn from_answer(answer: wit::Description) -> Result<Self, Breach> {
        let wit::Description { name, version, needs, reasons, options_schema } = answer;
        if !is_name(&name) || !reasons.iter().all(|reason| is_name(reason)) {
            return Err(Breach(
                "returned a name, or a name of a reason, that is not 1 to 64 characters of a-z, 0-9 and -"
                    .to_owned(),
            ));
        }
        if !is_version(&version) {
            return Err(Breach(
                "returned a version that is longer than 64 bytes or has control or invisible characters"
                    .to_owned(),
            ));
        }
        let different: BTreeSet<&String> = reasons.iter().collect();
        if !(1..=REASONS).contains(&reasons.len()) || different.len() < reasons.len() {
            return Err(Breach(format!(
                "returned {} reasons, of which {} differ: there must be 1 to {REASONS} different ones",
                reasons.len(),
                different.len()
            )));
        }
        let schema_bytes = options_schema.as_ref().map_or(0, String::len);
        if schema_bytes > SCHEMA_BYTES {
            return Err(Breach(format!(
                "returned a schema of {schema_bytes} bytes; the limit is {SCHEMA_BYTES}"
            )));
        }
        let needs = Need::ALL.iter().copied().filter(|&need| needs.contains(need.into())).collect();
        Ok(Description { name, version, needs, reasons, options_schema })
    }
}

/// Validates the meters that `configure` returned.
pub(super) fn meters(answer: &[wit::Meter]) -> Result<Vec<Meter>, Breach> {
    if answer.len() > Meter::MOST {
        return Err(Breach(format!("returned {} meters; the limit is {}", answer.len(), Meter::MOST)));
    }
    answer.iter().map(meter).collect()
}

fn meter(meter: &wit::Meter) -> Result<Meter, Breach> {
    let breach = |why: &str| Err(Breach(format!("returned a meter {why}")));
    let scope = match meter.scope {
        wit::Scope::Tenant => Scope::Tenant,
        wit::Scope::Subject => Scope::Subject,
        wit::Scope::Sender => Scope::Sender,
        wit::Scope::Country => Scope::Country,
        wit::Scope::Prefix(digits @ 1..=15) => Scope::Prefix(digits),
        wit::Scope::Prefix(_) => return breach("by a prefix that does not have 1 to 15 digits"),
    };
    let unit = match meter.unit {
        wit::Unit::Messages => Unit::Messages,
        wit::Unit::Segments => Unit::Segments,
    };
    if !(1..=Meter::LONGEST_WINDOW).contains(&meter.window) {
        return breach("whose window is not 1 to 2678400 seconds");
    }
    let directions = directions(meter.directions);
    let channels = Channel::ALL.iter().copied().filter(|&one| meter.channels.contains(one.into())).collect();
    let purposes = Purpose::ALL.iter().copied().filter(|&one| meter.purposes.contains(one.into())).collect();
    let meter = Meter { scope, unit, window: meter.window, directions, channels, purposes };
    if directions.is_none() || meter.channels.is_empty() || meter.purposes.is_empty() {
        return breach("that counts no direction, no channel or no purpose");
    }
    Ok(meter)
}

fn directions(directions: wit::Directions) -> Directions {
    let mut all = Directions::NONE;
    if directions.contains(wit::Directions::INBOUND) {
        all = all | Directions::INBOUND;
    }
    if directions.contains(wit::Directions::OUTBOUND) {
        all = all | Directions::OUTBOUND;
    }
    all
}

/// Validates what was decided about a message in `direction` at `time`, by a plugin with so many reasons.
#[inline]
pub(super) fn decision(
    decision: wit::Decision,
    reasons: usize,
    direction: Direction,
    time: u64,
) -> Result<Decision, Breach> {
    match decision {
        wit::Decision::Allow => Ok(Decision::Allow),
        wit::Decision::Block(reason) => Ok(Decision::Block(known(reason, reasons)?)),
        wit::Decision::Later(wit::Postponement { reason, until }) => {
            let reason = known(reason, reasons)?;
            if direction == Direction::Inbound {
                return Err(Breach("postponed an inbound message, which has been sent already".to_owned()));
            }
            match until.checked_sub(time) {
                Some(1..=LONGEST_POSTPONEMENT) => Ok(Decision::Later { reason, until }),
                _ => Err(Breach(format!(
                    "postponed a message of {time} to {until}, which is not within the 7 days after it"
                ))),
            }
        }
    }
}

fn known(reason: u16, reasons: usize) -> Result<Reason, Breach> {
    match usize::from(reason) < reasons {
        true => Ok(Reason(reason)),
        false => Err(Breach(format!("gave the reason {reason}, but described {reasons} only"))),
    }
}

impl From<Direction> for wit::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => wit::Direction::Inbound,
            Direction::Outbound => wit::Direction::Outbound,
        }
    }
}

impl From<Channel> for wit::Channel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Other => wit::Channel::Other,
            Channel::Sms => wit::Channel::Sms,
            Channel::Mms => wit::Channel::Mms,
            Channel::Rcs => wit::Channel::Rcs,
            Channel::WhatsApp => wit::Channel::Whatsapp,
            Channel::Voice => wit::Channel::Voice,
        }
    }
}

impl From<Channel> for wit::Channels {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Other => wit::Channels::OTHER,
            Channel::Sms => wit::Channels::SMS,
            Channel::Mms => wit::Channels::MMS,
            Channel::Rcs => wit::Channels::RCS,
            Channel::WhatsApp => wit::Channels::WHATSAPP,
            Channel::Voice => wit::Channels::VOICE,
        }
    }
}

impl From<Purpose> for wit::Purpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Unknown => wit::Purpose::Unknown,
            Purpose::Authentication => wit::Purpose::Authentication,
            Purpose::Utility => wit::Purpose::Utility,
            Purpose::Marketing => wit::Purpose::Marketing,
            Purpose::Service => wit::Purpose::Service,
        }
    }
}

impl From<Purpose> for wit::Purposes {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Unknown => wit::Purposes::UNKNOWN,
            Purpose::Authentication => wit::Purposes::AUTHENTICATION,
            Purpose::Utility => wit::Purposes::UTILITY,
            Purpose::Marketing => wit::Purposes::MARKETING,
            Purpose::Service => wit::Purposes::SERVICE,
        }
    }
}

impl From<Need> for wit::Needs {
    fn from(need: Need) -> Self {
        match need {
            Need::Number => wit::Needs::NUMBER,
            Need::Country => wit::Needs::COUNTRY,
            Need::LocalTime => wit::Needs::LOCAL_TIME,
            Need::Sender => wit::Needs::SENDER,
            Need::Listed => wit::Needs::LISTED,
        }
    }
}
