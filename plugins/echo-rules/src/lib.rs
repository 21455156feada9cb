//! Rules that tell what they are told: each outbound message is postponed by as many milliseconds as the value of the field that the
//! options name, `{"field": "NAME"}`, and one more. For tests of the host and the SDK.
//!
//! The same component exports a list, which blocks everybody and holds nobody.
#![forbid(unsafe_code)]

use portcullis_plugin_sdk::rules::{
    Decision, Description, Element as _, Message, Meter, Need, Rules, Scope, Settings,
};
use portcullis_plugin_sdk::{self as sdk, Blacklist, Direction, Directions, Entry, Outcome, Page, Subject};

/// 7 days in milliseconds, which is the longest that a message may be postponed by.
const LONGEST: u64 = 7 * 24 * 3600 * 1000;

struct Echo {
    field: String,
    senders: Vec<String>,
}

impl Echo {
    fn value(&self, subject: Subject, message: &Message, counts: &[u32]) -> u64 {
        let index = |place: Option<usize>| place.map_or(0, |place| 1 + place as u64);
        match self.field.as_str() {
            "subject" => subject.get(),
            "channel" => message.channel as u64,
            "purpose" => message.purpose as u64,
            "country" => message.country.map_or(0, |country| {
                country.as_str().bytes().fold(0, |all, letter| 100 * all + u64::from(letter))
            }),
            // Beyond 18 hours there is none.
            "offset-min" => u64::from((message.offsets.min() + 2000).unsigned_abs()),
            "offset-max" => u64::from((message.offsets.max() + 2000).unsigned_abs()),
            "sender" => index(message.sender),
            "sender-name" => {
                message.sender.and_then(|sender| self.senders.get(sender)).map_or(0, |name| name.len() as u64)
            }
            "segments" => u64::from(message.segments),
            "listed" => u64::from(message.listed),
            "counts" => counts.iter().fold(0, |all, &count| 100 * all + u64::from(count)),
            _ => 0,
        }
    }
}

impl Rules for Echo {
    fn describe() -> Description {
        Description::new("echo-rules", env!("CARGO_PKG_VERSION"), &["told"])
            .needing(Need::ALL.iter().copied())
    }

    fn configure(settings: Settings) -> Result<Self, String> {
        let field = settings.options.split('"').nth(3).unwrap_or_default().to_owned();
        Ok(Echo { field, senders: settings.senders })
    }

    fn meters(&self) -> Vec<Meter> {
        [Scope::Sender, Scope::Country, Scope::Prefix(15)]
            .map(|scope| Meter::new(scope, Meter::LONGEST_WINDOW, Directions::BOTH).in_segments())
            .to_vec()
    }

    fn decide(&self, subject: Subject, direction: Direction, message: &Message, counts: &[u32]) -> Decision {
        if direction == Direction::Inbound {
            return Decision::Allow;
        }
        let value = self.value(subject, message, counts) % LONGEST;
        Decision::Later { reason: 0, until: message.time + 1 + value }
    }
}

portcullis_plugin_sdk::export_rules!(Echo);

struct Everybody;

impl Blacklist for Everybody {
    fn describe() -> sdk::Description {
        sdk::Description::hashed("everybody", env!("CARGO_PKG_VERSION"))
    }

    fn configure(_: sdk::Settings) -> Result<Self, String> {
        Ok(Everybody)
    }

    fn blocks(&self, _: Subject, _: Direction) -> bool {
        true
    }

    fn block(&mut self, _: Entry) -> Outcome {
        Outcome::Unchanged
    }

    fn unblock(&mut self, _: Entry) -> Outcome {
        Outcome::Unchanged
    }

    fn list(&self, _: Option<Subject>, _: usize) -> Page {
        Page::default()
    }

    fn count(&self) -> u64 {
        0
    }
}

portcullis_plugin_sdk::export!(Everybody);
