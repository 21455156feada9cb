//! Compares a billion checks with a model.

use hashbrown::HashSet;
use portcullis_benches::{SplitMix, members, through_the_host};
use portcullis_host::{BATCH, Direction, Subject, Verdict};

use crate::results::Results;

const CHECKS: usize = 1_000_000_000;
const MEMBERS: usize = 1_000_000;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let members = members(MEMBERS);
    let model: HashSet<Subject> = members.iter().copied().collect();
    let list = through_the_host(&members);
    let mut random = SplitMix::new(5);
    let (mut positives, mut negatives, mut checks) = (0_u64, 0_u64, 0_usize);
    while checks < CHECKS {
        let mut member = || members[usize::try_from(random.bits() >> 1).unwrap_or(0) % MEMBERS];
        let mut asked: Vec<Subject> = (0..64).map(|_| member()).collect();
        // Non-members that differ from a member in a single bit, to detect a set that ignores any.
        asked.extend((0..64).filter_map(|nth| Subject::new(member().get() ^ 1 << (nth % Subject::BITS))));
        asked.resize_with(BATCH, || random.subject());
        let verdicts = list.check_many(&asked, Direction::Outbound)?;
        for (subject, verdict) in asked.iter().zip(verdicts) {
            match (verdict, model.contains(subject)) {
                (Verdict::Block, false) => positives += 1,
                (Verdict::Allow, true) => negatives += 1,
                _ => {}
            }
        }
        checks += BATCH;
    }
    results.put("exact/checks", checks as f64);
    results.put("exact/false-positives", positives as f64);
    results.put("exact/false-negatives", negatives as f64);
    Ok(())
}
