//! The messages that rules were asked about lately, for somebody who records them. Without numbers.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use portcullis_host::rules::{Country, Offsets};
use portcullis_msisdn::Subject;

use crate::message::Message;
use crate::stop::Stop;

/// A message that rules were asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// What its sender said of it.
    pub message: Message,
    /// The person as a plugin sees them that gets no numbers: a pseudonym under the tenant's key.
    pub subject: Subject,
    /// The pseudonym by which messages to the person are counted, however the number is spelled.
    pub person: Subject,
    /// The country of the number.
    pub country: Option<Country>,
    /// The offsets from UTC that the person's clock may have had.
    pub offsets: Offsets,
    /// The sender's name.
    pub sender: Option<String>,
    /// Whether it was on its way, rather than only asked about.
    pub is_sent: bool,
    /// What stopped it.
    pub stop: Option<Stop>,
}

/// Some of what is recorded.
#[derive(Clone, Debug, Default)]
pub struct RecordedPage {
    /// The messages, in order.
    pub messages: Vec<Recorded>,
    /// Where the next page begins.
    pub next: u64,
    /// How many messages before these were dropped, as nobody read them in time.
    pub skipped: u64,
}

/// The most messages that wait to be read: those of half a second, of a busy gateway.
const MOST: usize = 1 << 14;
/// The most messages of a page.
pub const RECORDED_PAGE: usize = 1 << 12;
/// After so long without a reader, nothing is recorded any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// The last messages, as long as somebody reads them.
pub(crate) struct Recording {
    /// Greater than any place of an earlier recording, also of one before a restart.
    start: u64,
    state: Mutex<State>,
}

struct State {
    /// The place of the first message.
    first: u64,
    messages: VecDeque<Recorded>,
    read: Instant,
}

impl Recording {
    pub(crate) fn begin() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Recording::begin_at(u64::try_from(since.as_micros()).unwrap_or_default())
    }

    fn begin_at(start: u64) -> Self {
        let state = State { first: start, messages: VecDeque::new(), read: Instant::now() };
        Recording { start, state: Mutex::new(state) }
    }

    /// Whether somebody still reads.
    pub(crate) fn is_read(&self) -> bool {
        self.state.lock().read.elapsed() < PATIENCE
    }

    pub(crate) fn add(&self, message: Recorded) {
        let mut state = self.state.lock();
        if state.messages.len() >= MOST {
            state.messages.pop_front();
            state.first += 1;
        }
        state.messages.push_back(message);
    }

    /// The messages from `from` on, which an earlier page gave as [`next`](RecordedPage::next). Without it, those from now on.
    pub(crate) fn read(&self, from: Option<u64>) -> RecordedPage {
        let mut state = self.state.lock();
        state.read = Instant::now();
        let end = state.first + state.messages.len() as u64;
        let Some(from) = from else { return RecordedPage { next: end, ..RecordedPage::default() } };
        let begin = from.clamp(state.first, end);
        let skipped = if from < self.start { 0 } else { begin.saturating_sub(from) };
        // What was read is not read again.
        let read = usize::try_from(begin - state.first).unwrap_or(usize::MAX).min(state.messages.len());
        state.messages.drain(..read);
        state.first = begin;
        let messages: Vec<Recorded> = state.messages.iter().take(RECORDED_PAGE).cloned().collect();
        RecordedPage { next: begin + messages.len() as u64, messages, skipped }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_msisdn::Direction;

    use super::*;

    fn message(time: u64) -> Recorded {
        Recorded {
            time,
            message: Message::new(Direction::Outbound),
            subject: Subject::MIN,
            person: Subject::MIN,
            country: None,
            offsets: Offsets::UNKNOWN,
            sender: None,
            is_sent: true,
            stop: None,
        }
    }

    #[test]
    fn each_message_is_read_once_in_order_and_what_nobody_read_in_time_is_told() {
        let recording = Recording::begin_at(1000);
        recording.add(message(0));
        let begun = recording.read(None);
        assert_eq!((begun.messages.len(), begun.next), (0, 1001));
        for time in 1..=MOST as u64 + 10 {
            recording.add(message(time));
        }
        let (mut from, mut times, mut skipped) = (begun.next, Vec::new(), 0);
        loop {
            let page = recording.read(Some(from));
            assert!(page.messages.len() <= RECORDED_PAGE);
            skipped += page.skipped;
            times.extend(page.messages.iter().map(|message| message.time));
            if page.next == from {
                break;
            }
            from = page.next;
        }
        assert_eq!(skipped, 10);
        assert!(times.iter().copied().eq(11..=MOST as u64 + 10));
        // A place of an earlier recording, or of none.
        assert_eq!(recording.read(Some(3)).skipped, 0);
        assert_eq!(recording.read(Some(u64::MAX)).messages.len(), 0);
    }
}
