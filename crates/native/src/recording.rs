//! `/admin/tenants/{tenant}/messages`: the messages that a tenant's rules are asked about, without numbers.

use jiff::Timestamp;
use portcullis_api::{Channel, ErrorCode, Purpose, RecordedMessage, RecordingAnswer, Verdict};
use portcullis_engine::{Recorded, RecordedPage};
use serde::Deserialize;

use portcullis_edge::gateway::AdminError;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Admin, Named};
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::wire;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Place {
    from: Option<u64>,
}

pub(super) async fn read(Admin(gateway): Admin, named: Named, Query(query): Query<Place>) -> Answer {
    let id = named.tenant.parse().map_err(|_| AdminError::UnknownTenant)?;
    let page = gateway.engine.record(&id, query.from).map_err(AdminError::from)?;
    let Some(RecordedPage { messages, next, skipped }) = page else {
        let why = "the tenant has no rules, so there is nothing to record: add a rule that lets all pass, such as policy without options";
        return Err(ApiError::new(ErrorCode::UnknownRule, why.to_owned()));
    };
    let page = RecordingAnswer { messages: messages.into_iter().map(message).collect(), next, skipped };
    Ok(answer::to_operator(&gateway.pools.answers, &page)?)
}

fn message(recorded: Recorded) -> RecordedMessage {
    let Recorded { time, message, subject, person, country, offsets, sender, is_sent, stop } = recorded;
    let at = i64::try_from(time).ok().and_then(|time| Timestamp::from_millisecond(time).ok());
    let verdict = match &stop {
        None => Verdict::Allow,
        Some(stop) if stop.until.is_some() => Verdict::Later,
        Some(_) => Verdict::Block,
    };
    RecordedMessage {
        at: wire::time(at.unwrap_or_default()),
        direction: message.direction,
        channel: channel(message.channel),
        purpose: purpose(message.purpose),
        segments: message.segments,
        subject: subject.get(),
        person: person.get(),
        country: country.map(|country| country.as_str().to_owned()),
        offsets: [offsets.min(), offsets.max()],
        sender,
        sent: is_sent,
        verdict,
        rule: stop.as_ref().map(|stop| stop.rule.to_string()),
        reason: stop.and_then(|stop| stop.reason).map(|reason| reason.to_string()),
    }
}

fn channel(channel: portcullis_engine::Channel) -> Channel {
    match channel {
        portcullis_engine::Channel::Other => Channel::Other,
        portcullis_engine::Channel::Sms => Channel::Sms,
        portcullis_engine::Channel::Mms => Channel::Mms,
        portcullis_engine::Channel::Rcs => Channel::Rcs,
        portcullis_engine::Channel::WhatsApp => Channel::Whatsapp,
        portcullis_engine::Channel::Voice => Channel::Voice,
    }
}

fn purpose(purpose: portcullis_engine::Purpose) -> Purpose {
    match purpose {
        portcullis_engine::Purpose::Unknown => Purpose::Unknown,
        portcullis_engine::Purpose::Authentication => Purpose::Authentication,
        portcullis_engine::Purpose::Utility => Purpose::Utility,
        portcullis_engine::Purpose::Marketing => Purpose::Marketing,
        portcullis_engine::Purpose::Service => Purpose::Service,
    }
}
