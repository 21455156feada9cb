//! What rules would have stopped of recorded messages.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use portcullis_api::{Channel, Purpose, RecordedMessage, Verdict};
use portcullis_host::rules::{Country, Grants, Need, Offsets, Proof, Recipe, RuleSet, Scope};
use portcullis_host::{CallError, Component, Engine, Limits, LoadError, MemoryAccount, Subject};
use portcullis_rules::{Message, Recorded, Replay, Rule, Senders};
use serde::Serialize;

use crate::time;

/// Memory of one instance, in bytes.
const MEMORY: u64 = 1 << 30;

/// What to replay.
#[derive(Clone, Debug)]
pub struct ReplayRequest<'a> {
    /// The component.
    pub component: &'a [u8],
    /// The name of the plugin.
    pub name: &'a str,
    /// The plugin's options, as JSON.
    pub options: &'a str,
    /// The recording: a line of JSON for each message.
    pub recording: &'a str,
}

/// Why messages can't be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A line of the recording can't be read.
    #[error(
        "line {line} of the recording is no recorded message: {why}; portcullis plugin record writes them"
    )]
    Line {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The plugin does not load.
    #[error("the plugin does not load")]
    Load(#[from] LoadError),
    /// The plugin has no rules.
    #[error("the plugin is a list: only rules decide about messages")]
    NoRules,
    /// The plugin needs what is not recorded.
    #[error(
        "the plugin needs {0}, which a recording does not have: replay one that does without, such as policy"
    )]
    Needs(&'static str),
    /// The plugin does not start, or fails.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The plugin declares too many meters.
    #[error(transparent)]
    Meters(#[from] portcullis_rules::TooManyMeters),
}

/// What rules would have stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Replayed {
    /// When the first message was, RFC 3339.
    pub from: Option<String>,
    /// When the last message was, RFC 3339.
    pub to: Option<String>,
    /// The messages.
    pub messages: u64,
    /// Those that were on their way, rather than only asked about.
    pub sent: u64,
    /// Those that the plugin stops.
    pub stopped: u64,
    /// Those of them that were on their way.
    pub stopped_sent: u64,
    /// The share of all messages that the plugin stops, 0 to 1.
    pub stopped_share: f64,
    /// Those that the plugin stops, by its reasons.
    pub reasons: BTreeMap<String, u64>,
    /// Those that the rules in service stopped.
    pub stopped_before: u64,
    /// Those that the rules in service let pass, and the plugin stops.
    pub newly_stopped: u64,
    /// Those that the rules in service stopped, and the plugin lets pass.
    pub newly_allowed: u64,
    /// Whether the plugin counts by prefix, for which a recording lacks the numbers.
    pub counts_by_prefix: bool,
}

/// Replays recorded messages to a rules plugin, in the order of their times, beginning with nothing counted. Takes some microseconds a
/// message.
///
/// # Errors
/// If the recording can't be read, or the plugin does not load, does not start, or fails.
pub fn replay(engine: &Engine, request: &ReplayRequest<'_>) -> Result<Replayed, ReplayError> {
    let ReplayRequest { component, name, options, recording } = request;
    let lines = recording.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read =
        lines.map(|(place, line)| read(line).map_err(|why| ReplayError::Line { line: place + 1, why }));
    let mut messages: Vec<(Recorded, Verdict)> = read.collect::<Result<_, _>>()?;
    messages.sort_by_key(|(message, _)| message.time);
    let component = Component::load(engine, component, Limits::default())?;
    let plugin = component.rules().ok_or(ReplayError::NoRules)?.clone();
    let needs = plugin.description().needs;
    if let Some(missing) = [Need::Number, Need::Listed].into_iter().find(|need| needs.contains(*need)) {
        return Err(ReplayError::Needs(missing.as_str()));
    }
    let senders: BTreeSet<&str> =
        messages.iter().filter_map(|(message, _)| message.sender.as_deref()).collect();
    let set = RuleSet::new(Recipe {
        options: (*options).to_owned(),
        senders: senders.iter().map(|&name| name.to_owned()).collect(),
        grants: Grants { country: true, local_time: true, sender: true, ..Grants::default() },
        ..Recipe::new(plugin, MemoryAccount::new(MEMORY))
    })?;
    let mut found = Replayed {
        counts_by_prefix: set.meters().iter().any(|meter| matches!(meter.scope, Scope::Prefix(_))),
        from: messages.first().map(|(message, _)| time::in_words(message.time)),
        to: messages.last().map(|(message, _)| time::in_words(message.time)),
        ..Replayed::default()
    };
    let rule = Rule::new(name, set, Proof::default());
    let mut replay = Replay::begin(rule, Senders::new(senders.iter().copied()))?;
    for (message, before) in &messages {
        let stop = replay.decide(message)?;
        found.add(message.is_sent, *before != Verdict::Allow, stop.as_ref().map(|stop| stop.reason()));
    }
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact beyond 52 bits")]
    {
        found.stopped_share = found.stopped as f64 / found.messages.max(1) as f64;
    }
    Ok(found)
}

impl Replayed {
    fn add(&mut self, is_sent: bool, was_stopped: bool, reason: Option<&str>) {
        self.messages += 1;
        self.sent += u64::from(is_sent);
        self.stopped_before += u64::from(was_stopped);
        match reason {
            Some(reason) => {
                self.stopped += 1;
                self.stopped_sent += u64::from(is_sent);
                self.newly_stopped += u64::from(!was_stopped);
                *self.reasons.entry(reason.to_owned()).or_default() += 1;
            }
            None => self.newly_allowed += u64::from(was_stopped),
        }
    }

    /// The result as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let Replayed { messages, sent, stopped, stopped_sent, stopped_before, .. } = self;
        let (Some(from), Some(to)) = (&self.from, &self.to) else {
            return vec!["the recording has no messages".to_owned()];
        };
        let mut lines = vec![
            format!(
                "{messages} messages from {from} to {to}: {sent} on their way, the others only asked about"
            ),
            format!(
                "it stops {stopped} of them ({:.2} %), {stopped_sent} on their way; the rules in service stopped {stopped_before}",
                self.stopped_share * 100.0
            ),
            format!(
                "it stops {} that went, and lets {} pass that were stopped",
                self.newly_stopped, self.newly_allowed
            ),
        ];
        lines.extend(self.reasons.iter().map(|(reason, count)| format!("  {reason}: {count}")));
        if self.counts_by_prefix {
            lines.push(
                "note: it counts by prefix, and a recording has no numbers: each person is counted alone"
                    .to_owned(),
            );
        }
        if *sent == 0 {
            lines.push("note: no message was on its way, so nothing was counted".to_owned());
        }
        lines
    }
}

fn read(line: &str) -> Result<(Recorded, Verdict), String> {
    let message: RecordedMessage = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let time = message.at.parse::<Timestamp>().map_err(|error| format!("`at`: {error}"))?;
    let subject = |value: u64, field: &str| Subject::new(value).ok_or(format!("`{field}` is 2^50 or more"));
    let country = message
        .country
        .as_deref()
        .map(|country| Country::new(country).ok_or_else(|| "`country` is not two capitals".to_owned()));
    let [least, greatest] = message.offsets;
    let recorded = Recorded {
        time: u64::try_from(time.as_millisecond()).map_err(|_| "`at` is before 1970".to_owned())?,
        message: Message {
            channel: channel(message.channel),
            purpose: purpose(message.purpose),
            segments: message.segments,
            ..Message::new(message.direction)
        },
        subject: subject(message.subject, "subject")?,
        person: subject(message.person, "person")?,
        country: country.transpose()?,
        offsets: Offsets::new(least, greatest)
            .ok_or("`offsets` are not two within 18 hours, the lesser first")?,
        sender: message.sender,
        is_sent: message.sent,
        stop: None,
    };
    Ok((recorded, message.verdict))
}

fn channel(channel: Channel) -> portcullis_rules::Channel {
    match channel {
        Channel::Other => portcullis_rules::Channel::Other,
        Channel::Sms => portcullis_rules::Channel::Sms,
        Channel::Mms => portcullis_rules::Channel::Mms,
        Channel::Rcs => portcullis_rules::Channel::Rcs,
        Channel::Whatsapp => portcullis_rules::Channel::WhatsApp,
        Channel::Voice => portcullis_rules::Channel::Voice,
    }
}

fn purpose(purpose: Purpose) -> portcullis_rules::Purpose {
    match purpose {
        Purpose::Unknown => portcullis_rules::Purpose::Unknown,
        Purpose::Authentication => portcullis_rules::Purpose::Authentication,
        Purpose::Utility => portcullis_rules::Purpose::Utility,
        Purpose::Marketing => portcullis_rules::Purpose::Marketing,
        Purpose::Service => portcullis_rules::Purpose::Service,
    }
}
