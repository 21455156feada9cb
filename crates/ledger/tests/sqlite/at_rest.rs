use portcullis_ledger::{Block, DisplayForm, HoldKind, LedgerError, List, Reason, Scope, Source};
use portcullis_msisdn::{Directions, Msisdn, Subject};
use rusqlite::Connection;

use crate::contract::fixture::{actor, block, list, one, sender, subject, tenant, unblock};
use crate::place::Place;

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    // A hit on the first two bytes is rare enough to make this fast.
    bytes.windows(2).enumerate().any(|(at, two)| two == &what[..2] && bytes[at..].starts_with(what))
}

/// What of the number could stand in a file: its digits, and it as an integer of five to eight
/// bytes. Smaller ones it does not fit.
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
fn numbers_and_texts_are_not_to_be_found_in_the_files() {
    let place = Place::new();
    let ledger = place.ledger();
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
        // The search finds what is there.
        assert!(holds(bytes, b"entries_by_sequence"));
        assert!(subjects.iter().any(|subject| holds(bytes, &subject.get().to_be_bytes())));
    };
    search(&place.bytes());
    drop((list, ledger));
    search(&place.bytes());
}

#[test]
fn a_row_s_text_does_not_open_in_another_row() {
    let place = Place::new();
    let (a, b) = (subject(1), subject(2));
    let ledger = place.ledger();
    let list = list(&ledger);
    let other = ledger.list(&tenant("acme"), sender("other")).unwrap();
    for (list, subject) in [(&list, a), (&list, b), (&other, a)] {
        block_with_text(list, subject, "why", "form");
    }
    let connection = Connection::open(place.file("ledger.db")).unwrap();
    let sealed: Vec<u8> = connection
        .query_row("SELECT sealed FROM entries ORDER BY list, subject LIMIT 1", (), |row| row.get(0))
        .unwrap();
    connection.execute("UPDATE entries SET sealed = ?1", [sealed]).unwrap();
    assert!(list.get(a).is_ok());
    assert!(matches!(list.get(b), Err(LedgerError::Damaged { .. })));
    assert!(matches!(other.get(a), Err(LedgerError::Damaged { .. })));
}

#[test]
fn errors_and_debug_output_tell_no_number() {
    let place = Place::new();
    let ledger = place.ledger();
    let list = list(&ledger);
    block_with_text(&list, subject(732_001_122), "says 732001122", "732001122");
    Connection::open(place.file("ledger.db"))
        .unwrap()
        .execute("UPDATE entries SET directions = 9", ())
        .unwrap();
    let error = list.get(subject(732_001_122)).unwrap_err();
    let shown = format!("{error} {error:?} {list:?} {ledger:?} {:?}", list.keys());
    assert!(!shown.contains("732001122"), "{shown}");
    Connection::open(place.file("ledger.db"))
        .unwrap()
        .execute("UPDATE entries SET directions = 3", ())
        .unwrap();
    let shown = format!("{:?}", list.get(subject(732_001_122)).unwrap());
    assert!(!shown.contains("732001122"), "{shown}");
}

/// A tenant's secret as it is stored: all that could be read with the master key.
fn wrapped_secret(place: &Place, name: &str) -> Vec<u8> {
    Connection::open(place.file("ledger.db"))
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
    let place = Place::new();
    let ledger = place.ledger();
    // Enough for several pages, so that forgetting moves secrets about.
    let names: Vec<String> = (0..200).map(|n| format!("tenant-{n}")).collect();
    for name in &names {
        ledger.ensure_tenant(&tenant(name)).unwrap();
    }
    let keys = ledger.ensure_tenant(&tenant(&names[1])).unwrap();
    let sealed = keys.state_seal().seal(b"", b"state").unwrap();
    for name in (2..150).map(|n| &names[n * 37 % names.len()]).filter(|name| **name != names[1]) {
        let secret = wrapped_secret(&place, name);
        assert!(holds(&place.bytes(), &secret), "the search finds what is there");
        ledger.forget_tenant(&tenant(name)).unwrap();
        assert!(!holds(&place.bytes(), &secret), "found the secret of {name}");
    }
    let keys = ledger.ensure_tenant(&tenant(&names[1])).unwrap();
    assert_eq!(keys.state_seal().open(b"", &sealed).unwrap(), b"state", "others keep theirs");
}

#[test]
fn settings_can_t_be_given_to_another_tenant() {
    let place = Place::new();
    let ledger = place.ledger();
    ledger.put_settings(&tenant("a"), b"secret").unwrap();
    ledger.ensure_tenant(&tenant("b")).unwrap();
    drop(ledger);
    let connection = Connection::open(place.file("ledger.db")).unwrap();
    connection.execute("UPDATE settings SET tenant = (SELECT id FROM tenants WHERE name = 'b')", ()).unwrap();
    drop(connection);
    assert!(matches!(place.ledger().settings(), Err(LedgerError::Damaged { .. })));
}

#[test]
fn a_forgotten_tenant_leaves_no_row() {
    let place = Place::new();
    let ledger = place.ledger();
    let kept = ledger.list(&tenant("kept"), sender("bot")).unwrap();
    one(&kept, block(1, Directions::BOTH));
    for scope in [Scope::Tenant, sender("bot")] {
        let list = ledger.list(&tenant("acme"), scope).unwrap();
        list.write((0..1000).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
    }
    ledger.put_settings(&tenant("acme"), b"settings").unwrap();
    let rows = |name: &str| -> i64 {
        Connection::open(place.file("ledger.db"))
            .unwrap()
            .query_row(&format!("SELECT count(*) FROM {name}"), (), |row| row.get(0))
            .unwrap()
    };
    let tables = ["settings", "secrets", "tenants", "actors", "lists", "entries"];
    assert_eq!(tables.map(rows), [1, 2, 2, 2, 3, 2001]);
    assert!(ledger.forget_tenant(&tenant("acme")).unwrap());
    assert_eq!(tables.map(rows), [0, 1, 1, 1, 1, 1]);
    assert_eq!(std::fs::metadata(place.file("ledger.db-wal")).unwrap().len(), 0);
    assert!(!ledger.forget_tenant(&tenant("acme")).unwrap());
    assert_eq!(kept.count().unwrap(), 1);
}
