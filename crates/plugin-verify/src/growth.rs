//! Whether a plugin's memory grows with each call, or levels off, as that of a garbage collector does.

use portcullis_host::CallError;

/// The bytes by which memory may grow in a round, for a cache.
const ALLOWED: u64 = 4 << 20;
/// Memory that grows in so many rounds of the same calls leaks.
const ROUNDS: usize = 3;

/// The memory of an instance, in rounds of the same calls.
#[derive(Debug)]
pub(crate) struct Growth {
    /// What is called.
    call: &'static str,
    /// The calls that were made.
    made: u64,
    /// The memory at first, at the start of this round, and now, in bytes.
    first: u64,
    round: u64,
    now: u64,
    /// By how many bytes it grew in each round that has ended.
    rounds: Vec<u64>,
}

impl Growth {
    /// Begins with an instance that has so many bytes.
    pub(crate) fn of(call: &'static str, bytes: u64) -> Self {
        Growth { call, made: 0, first: bytes, round: bytes, now: bytes, rounds: Vec::new() }
    }

    /// The calls that were made.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// So many calls were made, and the instance has so many bytes since.
    pub(crate) fn add(&mut self, calls: u64, bytes: u64) {
        self.made += calls;
        self.now = bytes;
    }

    /// Ends a round. Returns whether another one of the same calls is to tell whether the growth goes on.
    pub(crate) fn needs_another_round(&mut self) -> bool {
        let grown = self.now.saturating_sub(self.round);
        self.round = self.now;
        self.rounds.push(grown);
        grown > ALLOWED && self.rounds.len() < ROUNDS
    }

    /// What is wrong if a call ran out of memory, and the calls before took it.
    pub(crate) fn exhausted_by(&self, error: &CallError) -> Option<String> {
        let is_memory = matches!(error, CallError::OutOfMemory { .. } | CallError::AccountFull { .. });
        (is_memory && self.grown() > ALLOWED).then(|| self.leak("until none was left"))
    }

    /// What is worth knowing of rounds that have ended.
    ///
    /// # Errors
    /// If it leaks.
    pub(crate) fn judge(&self) -> Result<Option<String>, String> {
        match self.rounds[..] {
            [first, .., last] if last > ALLOWED && last >= first / 2 => Err(self.leak("and goes on")),
            [.., last] if last > ALLOWED => Ok(Some(format!(
                "its memory grew by {} bytes in {} {}s, more slowly in the end: whether it leaks can't be told, so watch its memory \
                 while it serves",
                self.grown(),
                self.made,
                self.call
            ))),
            [first, ..] if first > ALLOWED => Ok(Some(format!(
                "its memory grew by {} bytes and then stayed, as that of a garbage collector does: each instance comes to {} bytes",
                self.grown(),
                self.now
            ))),
            _ => Ok(None),
        }
    }

    fn grown(&self) -> u64 {
        self.now.saturating_sub(self.first)
    }

    fn leak(&self, how_long: &str) -> String {
        format!(
            "it leaks: {} {call}s took {} bytes of memory, some {} bytes each, {how_long}: free what a {call} allocates",
            self.made,
            self.grown(),
            self.grown() / self.made.max(1),
            call = self.call
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// What is said of memory that has so many MiB after each round.
    fn judged(rounds: &[u64]) -> Result<Option<String>, String> {
        let mut growth = Growth::of("check", 10 * MIB);
        for bytes in rounds {
            growth.add(1000, bytes * MIB);
            if !growth.needs_another_round() {
                break;
            }
        }
        growth.judge()
    }

    #[test]
    fn memory_that_levels_off_is_no_leak() {
        assert_eq!(judged(&[14]), Ok(None));
        for rounds in [&[133, 133][..], &[133, 266, 268]] {
            let remark = judged(rounds).unwrap().unwrap();
            assert!(remark.contains("and then stayed"), "{remark}");
        }
        let remark = judged(&[100, 130, 140]).unwrap().unwrap();
        assert!(remark.contains("whether it leaks can't be told"), "{remark}");
    }

    #[test]
    fn memory_that_grows_in_each_round_leaks() {
        let problem = judged(&[20, 30, 40]).unwrap_err();
        let shown = "it leaks: 3000 checks took 31457280 bytes of memory, some 10485 bytes each, and goes on: free what a check allocates";
        assert_eq!(problem, shown);
    }

    #[test]
    fn memory_that_calls_took_until_none_was_left_leaks() {
        let full = CallError::OutOfMemory { call: "check", limit: 64 * MIB };
        let mut growth = Growth::of("check", MIB);
        assert_eq!(growth.exhausted_by(&full), None, "the one call wants too much");
        growth.add(63, 64 * MIB);
        assert!(growth.exhausted_by(&full).unwrap().starts_with("it leaks: 63 checks took 66060288 bytes"));
        assert_eq!(growth.exhausted_by(&CallError::OutOfService), None);
    }
}
