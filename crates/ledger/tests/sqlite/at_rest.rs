use jiff::{Timestamp, ToSpan as _};
use portcullis_ledger::{Block, DisplayForm, HoldKind, LedgerError, List, Reason, Scope, Source};
use portcullis_msisdn::{Directions, Msisdn, Subject};
use rusqlite::Connection;

use crate::contract::fixture::{
    actor, block, list, of_block, one, sender, subject, tenant, time, unblock, until,
};
use crate::ledger_dir::LedgerDir;

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    // Two matching bytes are rare enough to make this fast.
    bytes.windows(2).enumerate().any(|(at, two)| two == &what[..2] && bytes[at..].starts_with(what))
}

/// The forms of a number that a file could contain: its digits, and an integer of five to eight bytes. It does not fit fewer.
fn traces(number: Msisdn) -> Vec<Vec<u8>> {
    let mut traces = vec![number.digits().to_string().into_bytes()];
    for length in 5..=8 {
        traces.push(number.get().to_le_bytes()[..length].to_vec());
        traces.push(number.get().to_be_bytes()[8 - length..].to_vec());
    }
    traces
}

fn block_with_text(list: &List, subject: Subject, reason: &str, display: &str) {
    let block = Block {
        hold: HoldKind::OptOut,
        source: Source::OptOut,
        reason: Some(Reason::new(reason).unwrap()),
        display: Some(DisplayForm::new(display).unwrap()),
        ..Block::new(subject, Directions::BOTH, actor("crm"))
    };
    one(list, block.into());
}

#[test]
fn numbers_and_texts_are_not_in_the_files() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let numbers: Vec<Msisdn> =
        (0..40).map(|n| Msisdn::parse(&format!("+4673{}", 2_001_122 + n * 104_729)).unwrap()).collect();
    let permutation = list.keys().permutation();
    let subjects: Vec<Subject> = numbers.iter().map(|number| permutation.subject(*number)).collect();
    for (number, &subject) in numbers.iter().zip(&subjects) {
        block_with_text(
            &list,
            subject,
            &format!("Greta Svensson called from {}", number.digits()),
            &number.digits().to_string(),
        );
        one(&list, unblock(subject.get(), Directions::INBOUND));
    }
    ledger.put_settings(&tenant("acme"), b"the callback is at hook.example").unwrap();
    let texts = [b"Greta Svensson".to_vec(), b"called from".to_vec(), b"hook.example".to_vec()];
    let search = |bytes: &[u8]| {
        for trace in numbers.iter().copied().flat_map(traces).chain(texts.clone()) {
            assert!(!holds(bytes, &trace), "found {trace:02x?}");
        }
        // The search does find what is in the files.
        assert!(holds(bytes, b"entries_by_sequence"));
        assert!(subjects.iter().any(|subject| holds(bytes, &subject.get().to_be_bytes())));
    };
    search(&dir.bytes());
    drop((list, ledger));
    search(&dir.bytes());
}

#[test]
fn the_text_of_a_row_can_not_be_decrypted_in_another_row() {
    let dir = LedgerDir::new();
    let (a, b) = (subject(1), subject(2));
    let ledger = dir.ledger();
    let list = list(&ledger);
    let other = ledger.list(&tenant("acme"), sender("other")).unwrap();
    for (list, subject) in [(&list, a), (&list, b), (&other, a)] {
        block_with_text(list, subject, "why", "form");
    }
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    let sealed: Vec<u8> = connection
        .query_row("SELECT sealed FROM entries ORDER BY list, subject LIMIT 1", (), |row| row.get(0))
        .unwrap();
    connection.execute("UPDATE entries SET sealed = ?1", [sealed]).unwrap();
    assert!(list.get(a).is_ok());
    assert!(matches!(list.get(b), Err(LedgerError::Damaged { .. })));
    assert!(matches!(other.get(a), Err(LedgerError::Damaged { .. })));
}

#[test]
fn errors_and_debug_output_contain_no_number() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    block_with_text(&list, subject(732_001_122), "says 732001122", "732001122");
    Connection::open(dir.file("ledger.db"))
        .unwrap()
        .execute("UPDATE entries SET directions = 9", ())
        .unwrap();
    let error = list.get(subject(732_001_122)).unwrap_err();
    let shown = format!("{error} {error:?} {list:?} {ledger:?} {:?}", list.keys());
    assert!(!shown.contains("732001122"), "{shown}");
    Connection::open(dir.file("ledger.db"))
        .unwrap()
        .execute("UPDATE entries SET directions = 3", ())
        .unwrap();
    let shown = format!("{:?}", list.get(subject(732_001_122)).unwrap());
    assert!(!shown.contains("732001122"), "{shown}");
}

/// A tenant's secret as it is stored. With it and the master key, all of the tenant's data could be read.
fn wrapped_secret(dir: &LedgerDir, name: &str) -> Vec<u8> {
    Connection::open(dir.file("ledger.db"))
        .unwrap()
        .query_row(
            "SELECT wrapped FROM secrets JOIN tenants ON tenants.id = tenant WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn the_secret_of_a_forgotten_tenant_is_overwritten() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    // Enough for several pages, so that SQLite moves secrets when some are deleted.
    let names: Vec<String> = (0..200).map(|n| format!("tenant-{n}")).collect();
    for name in &names {
        ledger.ensure_tenant(&tenant(name)).unwrap();
    }
    let keys = ledger.ensure_tenant(&tenant(&names[1])).unwrap();
    let sealed = keys.state_seal().seal(b"", b"state").unwrap();
    for name in (2..150).map(|n| &names[n * 37 % names.len()]).filter(|name| **name != names[1]) {
        let secret = wrapped_secret(&dir, name);
        assert!(holds(&dir.bytes(), &secret), "the search works");
        ledger.forget_tenant(&tenant(name)).unwrap();
        assert!(!holds(&dir.bytes(), &secret), "found the secret of {name}");
    }
    let keys = ledger.ensure_tenant(&tenant(&names[1])).unwrap();
    assert_eq!(keys.state_seal().open(b"", &sealed).unwrap(), b"state", "other tenants keep their secrets");
}

#[test]
fn settings_can_not_be_moved_to_another_tenant() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    ledger.put_settings(&tenant("a"), b"secret").unwrap();
    ledger.ensure_tenant(&tenant("b")).unwrap();
    drop(ledger);
    let connection = Connection::open(dir.file("ledger.db")).unwrap();
    connection.execute("UPDATE settings SET tenant = (SELECT id FROM tenants WHERE name = 'b')", ()).unwrap();
    drop(connection);
    // Otherwise the ledger does not even open.
    dir.accept_damage();
    assert!(matches!(dir.ledger().settings(), Err(LedgerError::Damaged { .. })));
}

#[test]
fn a_forgotten_tenant_leaves_no_rows() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let kept = ledger.list(&tenant("kept"), sender("bot")).unwrap();
    one(&kept, block(1, Directions::BOTH));
    for scope in [Scope::Tenant, sender("bot")] {
        let list = ledger.list(&tenant("acme"), scope).unwrap();
        list.write((0..1000).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
    }
    ledger.put_settings(&tenant("acme"), b"settings").unwrap();
    let rows = || {
        let tables = ["settings", "secrets", "tenants", "actors", "lists", "entries", "records", "sums"];
        tables.map(|table| dir.rows(table))
    };
    assert_eq!(rows()[..7], [1, 2, 2, 2, 3, 2001, 2001]);
    assert!(ledger.forget_tenant(&tenant("acme")).unwrap());
    until("deleted", || rows() == [0, 1, 1, 1, 1, 1, 1, 1]);
    assert!(!ledger.forget_tenant(&tenant("acme")).unwrap());
    assert_eq!(kept.count().unwrap(), 1);
}

#[test]
fn what_is_left_of_a_forgotten_tenant_is_no_damage_and_is_deleted_after_the_next_opening() {
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let soon = time(Timestamp::now().as_millisecond());
    let blocks =
        (0..20_000).map(|value| of_block(block(value, Directions::BOTH), |block| block.expires = Some(soon)));
    list(&ledger).write(blocks.collect()).unwrap();
    let kept = ledger.list(&tenant("kept"), sender("bot")).unwrap();
    one(&kept, of_block(block(1, Directions::BOTH), |block| block.expires = Some(soon + 1.second())));
    ledger.forget_tenant(&tenant("acme")).unwrap();
    // Its holds don't end any more, and are not in the way of others.
    assert_eq!(ledger.next_expiry().unwrap(), Some(soon + 1.second()));
    let ended = ledger.expire_due(soon + 2.seconds()).unwrap();
    assert_eq!(
        ended.iter().map(|list| (list.tenant.as_str(), list.count)).collect::<Vec<_>>(),
        [("kept", 1)]
    );
    drop((kept, ledger));
    assert!(dir.rows("entries") > 1, "closing does not wait for the deletion");
    assert_eq!(dir.findings(), [""; 0]);
    let ledger = dir.ledger();
    assert_eq!(ledger.tenants().unwrap(), [tenant("kept")]);
    until("deleted", || dir.rows("tenants") == 1);
    assert_eq!(["entries", "records"].map(|table| dir.rows(table)), [1, 2]);
    drop(ledger);
    assert_eq!(dir.findings(), [""; 0]);
}
