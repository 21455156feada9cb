//! Damage to the file: noticed, or without effect.

use std::collections::BTreeMap;
use std::fs;

use jiff::{Timestamp, ToSpan as _};
use portcullis_ledger::{
    Block, HoldKind, Ledger, LedgerError, Link, List, Opening, Reason, Scope, Seq, UserId, Whom,
};
use portcullis_msisdn::{Directions, Msisdn, Person, Subject};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::contract::fixture::{actor, block, limit, list, of_block, one, sender, subject, tenant, unblock};
use crate::ledger_dir::LedgerDir;

/// How often the tests that damage files at random do so: enough to notice a mistake, or many times with `cargo xtask soak`.
fn rounds(few: u64, many: u64) -> u64 {
    match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => many,
        None => few,
    }
}

/// Random numbers that a failing test can repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound
    }
}

const LISTS: [(&str, &str); 4] = [("acme", ""), ("acme", "bot"), ("acme", "desk"), ("globex", "bot")];

fn scope(name: &str) -> Scope {
    if name.is_empty() { Scope::Tenant } else { sender(name) }
}

fn open_list(ledger: &Ledger, (of, name): (&str, &str)) -> List {
    ledger.list(&tenant(of), scope(name)).unwrap()
}

fn user(n: u64) -> UserId {
    format!("SE.{n}").parse().unwrap()
}

const USERS: u64 = 12;

/// What a ledger says, as far as it decides verdicts.
#[derive(Debug, PartialEq)]
struct Record {
    members: BTreeMap<usize, Vec<(Subject, Directions)>>,
    people: Vec<Option<Person>>,
    settings: usize,
}

/// Why it says nothing of some of that.
type Said = Vec<String>;

impl Record {
    /// Reads like a start does. What can't be relied on is left out, and said.
    fn read(ledger: &Ledger) -> Result<(Record, Said), LedgerError> {
        let mut said = Said::new();
        let mut record =
            Record { members: BTreeMap::new(), people: Vec::new(), settings: ledger.settings()?.len() };
        for (n, &(of, name)) in LISTS.iter().enumerate() {
            let list = ledger.list(&tenant(of), scope(name))?;
            match list.members(None, limit(100_000)) {
                Ok(members) => {
                    // Who asks the ledger gets the same answer, or none.
                    let subjects: Vec<Subject> = members.iter().map(|(subject, _)| *subject).collect();
                    let directions: Vec<Directions> =
                        members.iter().map(|(_, directions)| *directions).collect();
                    match list.directions(&subjects) {
                        Ok(found) => assert_eq!(found, directions),
                        Err(error) => said.push(format!("{of}/{name}: {error}")),
                    }
                    record.members.insert(n, members);
                }
                Err(error) => {
                    said.push(format!("{of}/{name}: {error}"));
                    if let LedgerError::Damaged { .. } = error {
                        assert!(list.is_damaged());
                        assert!(list.directions(&[subject(1)]).is_err(), "nobody relies on a damaged list");
                    }
                }
            }
        }
        let list = ledger.list(&tenant("acme"), Scope::Tenant)?;
        match list.check_user_ids() {
            Ok(()) => {
                for n in 0..USERS {
                    record.people.push(list.person_of_user(&user(n))?);
                }
            }
            Err(error) => {
                assert!(list.person_of_user(&user(0)).is_err(), "nobody relies on damaged user ids");
                said.push(format!("user ids: {error}"));
            }
        }
        Ok((record, said))
    }

    /// What differs from the record of a whole ledger without being left out.
    fn differs(&self, whole: &Record) -> bool {
        let members = self.members.iter().any(|(n, members)| whole.members.get(n) != Some(members));
        members || !(self.people.is_empty() || self.people == whole.people) || self.settings != whole.settings
    }
}

/// A ledger with all kinds of rows.
fn filled() -> (LedgerDir, Record) {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    for (n, of) in LISTS.into_iter().enumerate() {
        let list = open_list(&ledger, of);
        let mut random = Random(n as u64);
        let later = Timestamp::now() + 1000.hours();
        let mut writes = Vec::new();
        for _ in 0..300 {
            let value = random.below(1 << 50);
            let directions = Directions::from_bits(u8::try_from(random.below(3) + 1).unwrap()).unwrap();
            writes.push(match random.below(8) {
                0 => of_block(block(value, directions), |block| block.expires = Some(later)),
                1 => of_block(block(value, directions), |block| {
                    block.hold = HoldKind::OptOut;
                    block.reason = Some(Reason::new("wrote STOP").unwrap());
                }),
                _ => block(value, directions),
            });
            if random.below(6) == 0 {
                writes.push(of_block(block(value, Directions::OUTBOUND), |block| {
                    block.hold = HoldKind::OptOut;
                }));
            }
            if random.below(6) == 0 {
                writes.push(unblock(value, Directions::INBOUND));
            }
        }
        list.write(writes).unwrap();
    }
    let list = open_list(&ledger, LISTS[0]);
    for n in 0..USERS {
        let block = Block::new(Whom::User(user(n)), Directions::BOTH, actor("crm"));
        one(&list, block.into());
        if n % 2 == 0 {
            link(&list, n, None);
        }
    }
    link(&list, 0, Some(2));
    ledger.put_settings(&tenant("globex"), b"settings").unwrap();
    let (record, said) = Record::read(&ledger).unwrap();
    assert_eq!(said, [""; 0]);
    (dir, record)
}

fn number(n: u64) -> Msisdn {
    Msisdn::try_from(46_732_000_000 + n).unwrap()
}

/// Links a user to a number, which may be that of somebody who gave up another one.
fn link(list: &List, n: u64, left: Option<u64>) {
    let subject = |n| list.keys().permutation().subject(number(n));
    list.link(Link {
        users: vec![user(n)],
        number: Some(subject(n + 100 * u64::from(left.is_some()))),
        left: left.map(subject),
        at: None,
        actor: actor("webhook"),
    })
    .unwrap();
}

#[test]
fn the_sums_are_those_of_the_rows_whatever_is_written() {
    let (dir, record) = filled();
    assert_eq!(dir.findings(), [""; 0]);
    let ledger = dir.ledger();
    assert_eq!(Record::read(&ledger).unwrap().0, record);
    let list = list(&ledger);
    list.keep_state([7; 16], list.sequence().unwrap()).unwrap();
    one(&list, block(1, Directions::BOTH));
    one(&list, block(2, Directions::OUTBOUND));
    one(&list, unblock(1, Directions::BOTH));
    let soon = Timestamp::now() + 1.milliseconds();
    one(&list, of_block(block(3, Directions::BOTH), |block| block.expires = Some(soon)));
    one(
        &list,
        of_block(block(2, Directions::BOTH), |block| {
            block.hold = HoldKind::Marketing;
            block.expires = Some(soon);
        }),
    );
    ledger.expire_due(Timestamp::now() + 1.hour()).unwrap();
    ledger.put_settings(&tenant("acme"), b"settings").unwrap();
    ledger.put_settings(&tenant("acme"), b"other settings").unwrap();
    ledger.put_settings(&tenant("initech"), b"settings").unwrap();
    ledger.remove_settings(&tenant("initech")).unwrap();
    list.check_changes_since_state(Seq::new(list.sequence().unwrap().get() - 6)).unwrap_err();
    ledger.list(&tenant("umbrella"), sender("bot")).unwrap();
    ledger.forget_tenant(&tenant("globex")).unwrap();
    drop((list, ledger));
    assert_eq!(dir.findings(), [""; 0]);
}

/// A write of the test below.
#[derive(Clone, Debug)]
enum Step {
    Block { value: u64, directions: Directions, hold: HoldKind, expires: bool },
    Unblock { value: u64, directions: Directions },
    Keep,
    Expire,
    Link { user: u64, left: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let directions = || (1_u8..4).prop_map(|bits| Directions::from_bits(bits).unwrap());
    let hold = prop_oneof![Just(HoldKind::Operator), Just(HoldKind::OptOut), Just(HoldKind::Marketing)];
    prop_oneof![
        8 => (1_u64..9, directions(), hold, any::<bool>())
            .prop_map(|(value, directions, hold, expires)| Step::Block { value, directions, hold, expires }),
        4 => (1_u64..9, directions()).prop_map(|(value, directions)| Step::Unblock { value, directions }),
        1 => Just(Step::Keep),
        1 => Just(Step::Expire),
        2 => (0_u64..4, any::<bool>()).prop_map(|(user, left)| Step::Link { user, left }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_sums_stay_right(steps in proptest::collection::vec(step(), 1..40)) {
        let dir = LedgerDir::new();
        let ledger = dir.ledger();
        let list = list(&ledger);
        let soon = Timestamp::now() + 1.seconds();
        let mut saved = None;
        for step in steps {
            match step {
                Step::Block { value, directions, hold, expires } => {
                    one(&list, of_block(block(value << 44, directions), |block| {
                        block.hold = hold;
                        block.expires = expires.then_some(soon);
                    }));
                }
                Step::Unblock { value, directions } => {
                    one(&list, unblock(value << 44, directions));
                }
                Step::Keep => {
                    let sequence = list.sequence().unwrap();
                    list.keep_state([1; 16], sequence).unwrap();
                    saved = Some(sequence);
                }
                Step::Expire => drop(ledger.expire_due(Timestamp::now() + 1.hour()).unwrap()),
                Step::Link { user, left } => link(&list, user, left.then_some(user)),
            }
        }
        if let Some(saved) = saved {
            list.check_changes_since_state(saved).unwrap();
        }
        list.members(None, limit(100)).unwrap();
        list.check_user_ids().unwrap();
        drop((list, ledger));
        prop_assert_eq!(dir.findings(), [""; 0]);
    }
}

/// Changes rows behind the ledger's back, as damage would that leaves every structure of the file valid.
fn tamper(sql: &str) -> LedgerDir {
    let (dir, _) = filled();
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    assert!(connection.execute(sql, ()).unwrap() > 0, "{sql}");
    dir
}

#[test]
fn a_changed_row_of_a_list_takes_out_that_list_only() {
    for sql in [
        "UPDATE entries SET subject = subject ^ 1",
        "UPDATE entries SET directions = 1 WHERE directions = 3",
        "UPDATE entries SET directions = 0",
        "UPDATE entries SET expires = 1 WHERE expires IS NOT NULL",
        "UPDATE entries SET kind = 1 - kind WHERE kind < 2",
        "UPDATE entries SET sealed = NULL WHERE sealed IS NOT NULL",
        "UPDATE entries SET sequence = sequence + 10000",
        "DELETE FROM entries",
        "UPDATE holds SET directions = 0 WHERE directions <> 0",
        "UPDATE holds SET expires = 1",
        "DELETE FROM holds",
        "UPDATE sums SET sum = sum + 1",
        "DELETE FROM sums",
    ] {
        let sql = sql.replace("subject ^ 1", "(subject | 1) - (subject & 1)");
        let restricted = match sql.contains(" WHERE ") {
            true => sql.replacen(" WHERE ", " WHERE list = 2 AND ", 1),
            false => format!("{sql} WHERE list = 2"),
        };
        let one_row = restricted.replacen("UPDATE ", "UPDATE OR IGNORE ", 1);
        let dir = tamper(&one_row);
        let (record, said) = Record::read(&dir.ledger()).unwrap();
        assert!(!record.members.contains_key(&1) && record.members.len() == 3, "{one_row}: {said:?}");
        let findings = dir.findings();
        assert!(
            findings.iter().any(|found| found.starts_with("tenant acme, list bot: entries in ")),
            "{findings:?}"
        );
    }
}

#[test]
fn a_changed_list_of_tenants_or_lists_refuses_the_start() {
    for sql in [
        "UPDATE tenants SET name = 'adme' WHERE name = 'acme'",
        "UPDATE lists SET scope = 'bat' WHERE scope = 'bot'",
        "UPDATE lists SET tenant = 2 WHERE scope = 'desk'",
        "UPDATE lists SET id = 9 WHERE id = 3",
        "DELETE FROM settings",
        "UPDATE settings SET sealed = x'00'",
        "UPDATE secrets SET tenant = 9 WHERE tenant = 1",
        "DELETE FROM secrets WHERE tenant = 2",
    ] {
        let (dir, _) = filled();
        let connection = Connection::open(dir.file("ledger.db")).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        assert!(connection.execute(sql, ()).unwrap() > 0, "{sql}");
        drop(connection);
        let error = dir.open_as(&Opening::default()).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{sql}: {error}");
        assert!(!dir.findings().is_empty(), "{sql}");
    }
}

#[test]
fn a_changed_user_id_is_not_looked_up() {
    for sql in [
        "UPDATE identities SET digest = zeroblob(32) WHERE id = 3",
        "UPDATE identities SET person = NULL WHERE person IS NOT NULL",
        "DELETE FROM identities WHERE id = 1",
        "UPDATE moves SET at = 1",
    ] {
        let dir = tamper(sql);
        let ledger = dir.ledger();
        let list = open_list(&ledger, LISTS[0]);
        assert!(matches!(list.check_user_ids(), Err(LedgerError::Damaged { .. })), "{sql}");
        assert!(list.are_user_ids_damaged() && list.person_of_user(&user(0)).is_err());
        // Checks of numbers don't need user ids.
        assert!(list.members(None, limit(9)).is_ok());
        drop((list, ledger));
        assert!(dir.findings().iter().any(|found| found.contains("user ids")), "{:?}", dir.findings());
    }
}

#[test]
fn a_user_id_whose_type_flipped_is_damage() {
    let (dir, _) = filled();
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    let digest: Vec<u8> =
        connection.query_row("SELECT digest FROM identities WHERE id = 2", (), |row| row.get(0)).unwrap();
    drop(connection);
    // The type before the values of a row: a blob of 32 bytes becomes a text of the same bytes, which no search for the blob finds.
    const BLOB: u8 = 12 + 2 * 32;
    let mut file = fs::read(dir.file("ledger.db")).unwrap();
    let places: Vec<usize> = (12..file.len() - 32).filter(|&at| file[at..at + 32] == digest).collect();
    assert!(!places.is_empty());
    for place in places {
        let header = &mut file[place - 12..place];
        *header.iter_mut().rfind(|byte| **byte == BLOB).unwrap() |= 1;
    }
    fs::write(dir.file("ledger.db"), file).unwrap();
    let ledger = dir.ledger();
    let list = open_list(&ledger, LISTS[0]);
    assert!(matches!(list.check_user_ids(), Err(LedgerError::Damaged { .. })));
    assert!(list.are_user_ids_damaged());
}

#[test]
fn a_hold_is_not_lifted_early_because_its_expiry_was_changed() {
    let (dir, record) = filled();
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    // The index keeps the old time, as it does when a bit of the row flips.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    let index: (i64, String) = connection
        .query_row("SELECT rootpage, sql FROM sqlite_schema WHERE name = 'entries_by_expiry'", (), |row| {
            row.try_into()
        })
        .unwrap();
    connection.execute("DELETE FROM sqlite_schema WHERE name = 'entries_by_expiry'", ()).unwrap();
    drop(connection);
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    connection.execute("UPDATE entries SET expires = 1 WHERE expires IS NOT NULL AND list = 2", ()).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    connection
        .execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
             VALUES ('index', 'entries_by_expiry', 'entries', ?1, ?2)",
            index,
        )
        .unwrap();
    drop(connection);
    let ledger = dir.ledger();
    ledger.expire_due(Timestamp::now()).unwrap();
    // When the index says that they are due, the rows don't agree.
    let late = ledger.expire_due(Timestamp::now() + 2000.hours());
    assert!(late.is_ok() || matches!(late, Err(LedgerError::Damaged { .. })), "{late:?}");
    let (found, said) = Record::read(&ledger).unwrap();
    assert!(!found.members.contains_key(&1), "{said:?}");
    assert!(record.members.contains_key(&1));
}

#[test]
fn a_list_whose_holds_can_not_end_does_not_keep_those_of_others_from_ending() {
    for (sql, table) in [
        ("expires = -9000000000000000000", "entries"),
        ("kind = 77", "entries"),
        ("directions = 77", "entries"),
        // Noticed once records were written.
        ("active = 0", "lists"),
        ("sequence = 0", "lists"),
    ] {
        let dir = LedgerDir::new();
        let due = Timestamp::UNIX_EPOCH + 1.hour();
        let of = |ledger: &Ledger, n: usize| open_list(ledger, LISTS[n]);
        let later = due + 1.hour();
        let ends = |value, at| of_block(block(value, Directions::BOTH), |block| block.expires = Some(at));
        let ledger = dir.ledger();
        for n in [1, 3] {
            of(&ledger, n).write(vec![ends(1, due), ends(2, due), ends(3, later)]).unwrap();
        }
        drop(ledger);
        let connection = Connection::open(dir.file("ledger.db")).unwrap();
        let list = if table == "lists" { "id" } else { "subject = 1 AND list" };
        let list = format!("{list} = (SELECT lists.id FROM lists WHERE scope = 'bot' ORDER BY id LIMIT 1)");
        let changed = connection.execute(&format!("UPDATE {table} SET {sql} WHERE {list}"), ()).unwrap();
        assert_eq!(changed, 1, "{sql}");
        let records = |connection: &Connection| -> Vec<(i64, i64)> {
            let mut found =
                connection.prepare("SELECT list, count(*) FROM records GROUP BY list ORDER BY list").unwrap();
            found.query_map((), |row| row.try_into()).unwrap().map(Result::unwrap).collect()
        };
        let before = records(&connection);
        drop(connection);

        let ledger = dir.ledger();
        // The first call that finds it says so, once.
        let said = match ledger.next_expiry() {
            Ok(next) => {
                assert_eq!(next, Some(due), "{sql}");
                ledger.expire_due(due).unwrap_err()
            }
            Err(error) => error,
        };
        assert!(matches!(said, LedgerError::Damaged { .. }), "{sql}: {said:?}");
        let why = std::error::Error::source(&said).unwrap().to_string();
        assert!(why.contains("tenant acme, list bot: ") && !why.contains("globex"), "{sql}: {why}");
        assert!(of(&ledger, 1).is_damaged() && !of(&ledger, 3).is_damaged(), "{sql}");
        assert_eq!(ledger.next_expiry().unwrap(), Some(due), "{sql}");
        let expired = ledger.expire_due(due).unwrap();
        assert_eq!(expired.len(), 1, "{sql}");
        assert_eq!((expired[0].tenant.to_string(), expired[0].count), ("globex".to_owned(), 2), "{sql}");
        assert_eq!(ledger.next_expiry().unwrap(), Some(later), "{sql}");
        assert_eq!(of(&ledger, 3).count().unwrap(), 1, "{sql}");
        drop(ledger);
        // Of the list that failed, nothing is half ended.
        let connection = Connection::open(dir.file("ledger.db")).unwrap();
        let (before, after) = (before[0], records(&connection)[0]);
        assert_eq!(before, after, "{sql}");
    }
}

#[test]
fn accepted_damage_is_what_the_ledger_says_from_then_on() {
    let dir = tamper("DELETE FROM entries WHERE list = 2 AND directions = 1");
    assert!(!dir.findings().is_empty());
    dir.accept_damage();
    assert_eq!(dir.findings(), [""; 0]);
    let ledger = dir.ledger();
    let list = open_list(&ledger, LISTS[1]);
    let members = list.members(None, limit(1000)).unwrap();
    assert_eq!(list.count().unwrap(), members.len() as u64);
}

#[test]
fn damage_is_accepted_although_another_list_cannot_be_read() {
    // The first list has an entry of a kind that no list has, so its rows can't be read.
    let dir = tamper("DELETE FROM entries WHERE list = 2 AND directions = 1");
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    let sql = "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT, ', '') WHERE name = 'entries'";
    connection.execute(sql, ()).unwrap();
    drop(connection);
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    connection.execute("UPDATE entries SET source = 'x' WHERE list = 1", ()).unwrap();
    drop(connection);
    dir.accept_damage();
    let findings = dir.findings();
    assert!(
        findings.iter().any(|line| line.starts_with("tenant acme, the tenant-wide list")),
        "{findings:?}"
    );
    assert!(!findings.iter().any(|line| line.starts_with("tenant acme, list bot")), "{findings:?}");
}

#[test]
fn a_file_that_is_open_is_not_verified() {
    let dir = LedgerDir::new();
    let _open = dir.ledger();
    let master = portcullis_ledger::MasterKey::from_bytes([1; 32]);
    let error = Ledger::verify(&dir.storage(), &master).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
}

/// The outcome of many starts with damaged files.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    said: u64,
    harmless: u64,
    /// Those that verification found something in.
    found: u64,
}

/// Flips bits of a file, and starts.
fn start_with(dir: &LedgerDir, whole: &Record, tally: &mut Tally, what: &str) {
    tally.found +=
        u64::from(match Ledger::verify(&dir.storage(), &portcullis_ledger::MasterKey::from_bytes([1; 32])) {
            Ok(verified) => !verified.findings.is_empty(),
            Err(_) => true,
        });
    let ledger = match dir.open_as(&Opening::default()) {
        Ok(ledger) => ledger,
        Err(_) => {
            tally.refused += 1;
            return;
        }
    };
    // What is due is expired before anything else.
    let _ = ledger.expire_due(Timestamp::now());
    match Record::read(&ledger) {
        Err(_) => tally.refused += 1,
        Ok((record, said)) => {
            assert!(!record.differs(whole), "{what}: a verdict differs, and nothing says so: {said:?}");
            match said.is_empty() {
                true => tally.harmless += 1,
                false => tally.said += 1,
            }
        }
    }
}

#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let (dir, whole) = filled();
    let file = fs::read(dir.file("ledger.db")).unwrap();
    let witness = fs::read(dir.file("ledger.db.witness")).unwrap();
    let mut tally = Tally::default();
    let rounds = rounds(60, 1000);
    for round in 0..rounds {
        let mut random = Random(round);
        let mut flipped = file.clone();
        let flips = 1 + random.below(3);
        for _ in 0..flips {
            let at = usize::try_from(random.below(flipped.len() as u64)).unwrap();
            flipped[at] ^= 1 << random.below(8);
        }
        let dir = LedgerDir::new();
        fs::write(dir.file("ledger.db"), flipped).unwrap();
        fs::write(dir.file("ledger.db.witness"), &witness).unwrap();
        start_with(&dir, &whole, &mut tally, &format!("round {round}"));
    }
    eprintln!("{rounds} starts with flipped bits: {tally:?}");
    assert!(tally.said + tally.refused > rounds / 10, "{tally:?}");
}

#[test]
fn damage_after_a_crash_is_noticed_or_harmless() {
    let running = LedgerDir::new();
    let ledger = running.ledger();
    for of in LISTS {
        let list = open_list(&ledger, of);
        for value in 0..40_u64 {
            one(&list, block(value << 42, Directions::BOTH));
        }
    }
    ledger.ensure_tenant(&tenant("acme")).unwrap();
    let (whole, _) = Record::read(&ledger).unwrap();
    let names = ["ledger.db", "ledger.db-wal", "ledger.db.witness"];
    let files = names.map(|name| fs::read(running.file(name)).unwrap());
    let mut tally = Tally::default();
    let rounds = rounds(60, 1000);
    for round in 0..rounds {
        let mut random = Random(round);
        let dir = LedgerDir::new();
        let mut files = files.clone();
        let n = usize::try_from(random.below(3)).unwrap();
        let bytes = &mut files[n];
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes[at..].fill(0),
            2 => bytes.clear(),
            _ => bytes[at] ^= 1 << random.below(8),
        }
        for (name, bytes) in names.iter().zip(&files) {
            fs::write(dir.file(name), bytes).unwrap();
        }
        if random.below(8) == 0 {
            fs::remove_file(dir.file(names[n])).unwrap();
        }
        start_with(&dir, &whole, &mut tally, &format!("round {round}, {}", names[n]));
    }
    eprintln!("{rounds} starts after crashes with damage: {tally:?}");
    assert!(tally.refused > rounds / 10, "{tally:?}");
}
