//! A million phone numbers behind the permutation, in a real component: every verdict is right.

mod support;

use std::collections::HashSet;

use portcullis_host::{
    Direction, Directions, Entry, Generation, MemoryAccount, Msisdn, Permutation, PermutationKey, Recipe,
    Subject, Verdict,
};
use support::exact;

const MEMBERS: usize = 1_000_000;
const CHECKS: usize = 10_000_000;

/// Generates numbers like real assignments: a few prefixes followed by random digits.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> Msisdn {
        const PREFIXES: [u64; 8] = [4673, 4179, 4477, 9198, 97254, 1212, 55119, 49151];
        // Marsaglia's xorshift. Its quality suffices for test data.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let prefix = PREFIXES[usize::try_from(self.0 % 8).unwrap_or(0)];
        Msisdn::try_from(prefix * 10_000_000 + (self.0 >> 8) % 10_000_000).expect("the prefixes are assigned")
    }
}

#[test]
fn ten_million_checks_of_a_million_numbers_are_all_right() {
    let hidden = Permutation::new(PermutationKey::from_bytes(*b"a key for a test"));
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut members = HashSet::with_capacity(MEMBERS);
    while members.len() < MEMBERS {
        members.insert(numbers.next());
    }

    let account = MemoryAccount::new(64 * support::MIB);
    let list = Generation::empty(Recipe::new(exact(), account)).expect("it starts");
    let entries: Vec<Entry> = members
        .iter()
        .map(|&number| Entry { subject: hidden.subject(number), directions: Directions::BOTH })
        .collect();
    list.block(&entries).expect("entries are taken");
    assert_eq!(list.count(), Ok(MEMBERS as u64));

    let (mut asked, mut blocked) = (Vec::with_capacity(4096), 0);
    let mut check = |asked: &[Msisdn]| {
        let subjects: Vec<Subject> = asked.iter().map(|&number| hidden.subject(number)).collect();
        let verdicts = list.check_many(&subjects, Direction::Outbound).expect("checks are answered");
        for (number, verdict) in asked.iter().zip(verdicts) {
            assert_eq!(verdict == Verdict::Block, members.contains(number), "{number:?}");
            blocked += usize::from(verdict == Verdict::Block);
        }
    };
    // Every member, and enough other numbers to make ten million.
    let mut all = members.iter().copied();
    for _ in 0..CHECKS.div_ceil(4096) {
        asked.clear();
        asked.extend(all.by_ref().take(409));
        while asked.len() < 4096 {
            asked.push(numbers.next());
        }
        check(&asked);
    }
    asked.clear();
    asked.extend(all);
    check(&asked);
    assert!(blocked >= MEMBERS, "every member was asked about");

    // Total linear memory, including the plugin's stack and data: at most six bytes per number plus 128 KiB.
    assert!(list.memory_bytes() <= 6 * MEMBERS as u64 + (128 << 10), "{} bytes", list.memory_bytes());
}
