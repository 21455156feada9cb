//! Authors of changes, whose ids a node remembers.

use portcullis_ledger::{Block, LedgerError, UserId, Whom, Write};
use portcullis_msisdn::Directions;

use crate::contract::fixture::{actor, list};
use crate::ledger_dir::LedgerDir;

/// A block of a user id that was never used: its transaction holds the tenant's lock.
fn by(name: &str, user: &str) -> Write {
    let whom = Whom::User(user.parse::<UserId>().unwrap());
    Write::Block(Block::new(whom, Directions::BOTH, actor(name)))
}

#[test]
fn an_author_whose_first_change_was_rolled_back_is_known_with_the_next() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    dir.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON records EXECUTE FUNCTION refuse()",
    );
    let refused = list.write(vec![by("newcomer", "US.1")]);
    assert!(matches!(refused, Err(LedgerError::Storage(_))), "{refused:?}");
    assert_eq!(dir.sql("SELECT count(*) FROM actors WHERE name = 'newcomer'").trim(), "0");
    dir.sql("DROP TRIGGER refuse ON records");
    for user in ["US.1", "US.2"] {
        let written = list.write(vec![by("newcomer", user)]).unwrap();
        let entry = list.get(written[0].subject.unwrap()).unwrap().unwrap();
        assert_eq!(entry.holds.first.actor, actor("newcomer"));
    }
}
