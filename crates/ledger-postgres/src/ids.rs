//! Ids of rows.
//!
//! They are random. A counter goes back if a standby takes over that lacks the last commits: an id would be given to one list that another
//! gateway knows as that of a list which is lost, and what that gateway writes would get into the wrong one. The lists that are lost, and
//! those that are new, would have to be thousands for a random id to be of both: for `n` and `m` of them, the chance is `n · m` in a
//! billion. The list must also be the same tenant's, whose id is random, too.
//!
//! The columns have 32 bits, as a wider one would have every entry written again. Gateways of format 1 count, from 1 on, so random ids are
//! large. Some room is left above them: a ledger that is moved to a file counts on from the largest.

use portcullis_ledger::LedgerError;

use crate::write::random;

/// How often an id is drawn until there is one that nobody has. Of a million ids, one in a thousand is drawn in vain.
pub(crate) const DRAWS: usize = 4;

const FIRST: i32 = 1 << 30;
const ROOM: i32 = 1 << 24;

/// Draws an id.
pub(crate) fn draw() -> Result<i32, LedgerError> {
    let number = random()?.rem_euclid(i64::from(i32::MAX - FIRST - ROOM));
    i32::try_from(number).map(|number| FIRST + number).map_err(|_| LedgerError::Defect)
}

/// Ids of identities are of 46 bits. Gateways of older versions, and files, count on from the largest, for which 40 % of all subjects that
/// are reserved for identities are left.
const IDENTITIES: i64 = 1 << 46;

/// Draws an id for an identity, of which entries take their subject. A number that counts would be given to two persons if a standby takes
/// over that lacks the first: a gateway could not tell one's lost entries from the other's.
pub(crate) fn draw_identity() -> Result<i64, LedgerError> {
    Ok(random()?.rem_euclid(IDENTITIES))
}

#[cfg(test)]
mod tests {
    use portcullis_msisdn::ReservedId;

    use super::*;

    #[test]
    fn ids_of_identities_leave_room_for_those_that_are_counted() {
        assert!(IDENTITIES.cast_unsigned() < ReservedId::MAX.index() / 5 * 3);
        assert!((0..IDENTITIES).contains(&draw_identity().unwrap()));
    }

    #[test]
    fn ids_are_beyond_those_that_older_gateways_count_and_leave_room_for_files() {
        let mut ids: Vec<i32> = (0..1000).map(|_| draw().unwrap()).collect();
        assert!(ids.iter().all(|id| (FIRST..i32::MAX - ROOM).contains(id)));
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() >= 995, "{} of 1000 are different", ids.len());
    }
}
